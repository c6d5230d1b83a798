//! Steers: where a frame goes that is this node's to forward.

pub mod bridge;
pub mod course;
pub mod delivery;
mod head;
mod plain;
pub mod route;
pub mod router;
pub mod service;
mod stations;

pub use router::Router;

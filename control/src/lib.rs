//! Weir's control plane: configuration, command line, gateway life, API, metrics, replay and demo.
//!
//! Everything that may allocate, wait, log or fail with a sentence lives here. The packet path is in
//! `weir-dataplane`; devices are in `weir-dpdk`.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
mod failure;
pub mod import;
pub mod network;
pub mod observe;
pub mod replay;
pub mod runtime;

pub use failure::Failure;

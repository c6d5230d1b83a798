//! What clients and servers do: one small function a scenario, each playing its part of a [`Conversation`].
//!
//! [`Conversation`]: crate::conversation::Conversation

pub mod dns;
pub mod family;
pub mod ftp;
pub mod h323;
pub mod hostile;
pub mod http;
pub mod icmp;
pub mod pptp;
pub mod town;

pub use family::Family;
pub use town::{Town, town};

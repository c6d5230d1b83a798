//! What the gateway says and knows on its networks, as pure functions and state machines.
//!
//! Frames that the packet path cannot settle alone come here; what comes back are finished frames to send and facts
//! to publish. Nothing here reads a clock or a socket.

pub mod addresses;
pub mod echo;
mod envelope;
pub mod errors;
#[cfg(test)]
mod fixtures;
pub mod fragments;
pub mod host;
mod icmp;
pub mod kernel_routes;
pub mod limit;
pub mod neighbours;
mod packet;
pub(crate) mod rate;

//! The schedulers of services: which server a new connection goes to, with the names and the rules of Linux's IPVS.
//!
//! Each is a function over the service's servers in the order of its list. In IPVS a new server stands at the list's
//! head; ties go to the one that stands first, and the tables of `dh`, `sh` and `mh` follow the order, so that two
//! directors agree only if their lists are in the same order. What a scheduler keeps between two connections is a small
//! value beside it, one for each worker. Nothing here knows a packet, a connection or the network.

pub mod cache;
pub mod dh;
pub mod lblc;
pub mod lblcr;
pub mod least;
pub mod mh;
pub mod rr;
pub mod servers;
pub mod sh;
pub mod twos;
pub mod weightiest;
pub mod wrr;

pub use servers::{Load, Loads, Server, Servers};

#[cfg(test)]
mod tests;

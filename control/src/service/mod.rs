//! Services and pools while a gateway runs: what the configuration says of them, what operators have changed since,
//! who of their servers lives, and who of them is being drained.
//!
//! A [`Registry`] holds it all and compiles it into what the packet path is told. It has no sockets and no clock: time
//! and counts come in with the calls, and the same calls give the same results. Servers of services and nodes of pools
//! are one thing here, a [`Server`].
//!
//! Promises: no two servers have the same number; a server that neither a reload nor an operator touches keeps its
//! number and all that is said of it; a number is used again only when no connection and no snapshot has it.

mod change;
mod compile;
mod counts;
mod definition;
mod drain;
mod group;
mod numbers;
mod rate;
mod registry;
mod reload;
mod server;
#[cfg(test)]
mod tests;

pub use change::{Change, ChangeError};
pub use counts::{Counts, ServiceCounts};
pub use definition::{Definition, Settings};
pub use drain::Drain;
pub use group::{Collection, Group, Kind};
pub use rate::{Rates, Sampler};
pub use registry::{Full, Registry, Retired};
pub use server::Server;

//! Hashes that others compute too: Linux over addresses and ports, and network cards over address pairs.
//!
//! Neither is meant to withstand an attacker; the flow table has its own, keyed hash.

pub mod ipvs;
pub mod jhash;
pub mod siphash;
pub mod symmetric;

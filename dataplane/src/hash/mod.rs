//! Hashes that others compute too: Linux over addresses, and network cards over address pairs.
//!
//! Neither is meant to withstand an attacker; the flow table has its own, keyed hash.

pub mod jhash;
pub mod symmetric;

//! The parts of the benchmark, one file each.

pub mod flows;
pub mod gateways;
pub mod latency;
pub mod linux;
pub mod routes;
pub mod scale;
pub mod services;
pub mod testpmd;
pub mod turns;
pub mod workers;

use weir_dpdk::memory::{Backing, Huge, tables};

/// Makes something large on huge pages: reserved ones while there are any, else transparent ones.
pub fn on_huge_pages<T>(make: impl FnOnce() -> T) -> (T, Backing) {
    tables(Huge::Reserved, make)
}

//! `dh`, destination hashing: all that goes to one address goes to one server.
//!
//! As in Linux it does not look at weights, but for 0; and what falls to a server that is not usable goes nowhere.

use super::{Loads, Servers};
use crate::hash::ipvs::{fold, hash_32};
use crate::units::ServerId;
use core::net::IpAddr;

const BITS: u32 = 8;

/// Which server has which of 256 buckets, in turn; made anew when a server comes or goes.
#[derive(Clone, Debug)]
pub struct Table(Vec<ServerId>);

impl Table {
    /// In the order of the list.
    pub fn compile(servers: &Servers) -> Self {
        Self(servers.list().iter().map(|server| server.id).cycle().take(1 << BITS).collect())
    }

    /// The one server for this destination.
    #[inline]
    pub fn choose(&self, destination: IpAddr, servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
        let bucket = hash_32(fold(destination), BITS) as usize;
        let (server, _) = servers.usable(*self.0.get(bucket)?, loads)?;
        Some(server.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, idle, loads, servers};
    use super::*;

    #[test]
    fn a_destination_has_one_server_or_none() {
        let some = servers(&[1, 100, 1]);
        let table = Table::compile(&some);
        // Buckets 50 and 171.
        let [a, b] = ["192.0.2.1", "198.51.100.7"].map(|text| text.parse().unwrap());
        assert_eq!(table.choose(a, &some, &idle), Some(id(50 % 3)));
        assert_eq!(table.choose(b, &some, &idle), Some(id(171 % 3)));
        assert_eq!(table.choose(a, &some, &loads(&[Some(0), Some(0), None])), None);
        assert_eq!(Table::compile(&servers(&[])).choose(a, &servers(&[]), &idle), None);
    }
}

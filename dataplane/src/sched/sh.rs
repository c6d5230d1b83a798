//! `sh`, source hashing: all that comes from one address, or from one address and port, goes to one server.

use super::{Loads, Servers};
use crate::config::service::SourceHashing;
use crate::hash::ipvs::{fold, hash_32};
use crate::units::ServerId;
use core::iter;
use core::net::IpAddr;

/// Which server has which bucket: one after the other, each as many in a row as its weight says, and one if it is 0.
/// Made anew when a server or a weight changes.
#[derive(Clone, Debug)]
pub struct Table {
    buckets: Vec<ServerId>,
    hashing: SourceHashing,
}

impl Table {
    /// In the order of the list.
    pub fn compile(servers: &Servers, hashing: SourceHashing) -> Self {
        let row = |server: &super::Server| iter::repeat_n(server.id, usize::from(server.weight.max(1)));
        let rows = servers.list().iter().cycle().flat_map(row);
        Self { buckets: rows.take(1 << hashing.bits).collect(), hashing }
    }

    /// The server for this source.
    #[inline]
    pub fn choose(
        &self,
        (source, port): (IpAddr, u16),
        servers: &Servers,
        loads: &impl Loads,
    ) -> Option<ServerId> {
        let port = if self.hashing.port { port } else { 0 };
        let hash = hash_32(fold(source).wrapping_add(port.into()), self.hashing.bits) as usize;
        let mask = (1 << self.hashing.bits) - 1;
        // The first look is at the bucket itself; the search begins as many buckets on as its number says.
        let search = (0..=mask).map(|step| (hash + ((step + hash) & mask)) & mask);
        let looks = iter::once(hash).chain(search.filter(|_| self.hashing.fallback));
        looks
            .filter_map(|bucket| servers.usable(*self.buckets.get(bucket)?, loads))
            .map(|(server, _)| server.id)
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, idle, loads, servers};
    use super::*;
    use proptest::prelude::*;

    const SOURCE: [u8; 4] = [192, 0, 2, 1];

    #[test]
    fn buckets_follow_the_weights() {
        let table =
            Table::compile(&servers(&[2, 1, 0]), SourceHashing { bits: 4, ..SourceHashing::default() });
        let buckets: Vec<_> = table.buckets.iter().map(|server| server.index()).collect();
        assert_eq!(buckets, [0, 0, 1, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 0, 1, 2]);
    }

    #[test]
    fn a_source_has_one_server() {
        let some = servers(&[1, 1, 1]);
        let table = Table::compile(&some, SourceHashing::default());
        assert_eq!(table.choose((SOURCE.into(), 1), &some, &idle), Some(id(50 % 3)));
        assert_eq!(table.choose((SOURCE.into(), 2), &some, &loads(&[Some(0), Some(0), None])), None);
    }

    #[test]
    fn with_a_fallback_another_server_is_found() {
        let some = servers(&[1, 1, 1]);
        let table = Table::compile(&some, SourceHashing { fallback: true, ..SourceHashing::default() });
        let chosen = table.choose((SOURCE.into(), 1), &some, &loads(&[Some(0), Some(0), None]));
        // Bucket 50 is server 2's; the search looks at 50 + 50 = 100, which is server 1's.
        assert_eq!(chosen, Some(id(1)));
    }

    proptest! {
        #[test]
        fn a_fallback_finds_whoever_is_left(source: u32, left in 0..5usize, bits in 4..12u32) {
            let some = servers(&[1; 5]);
            let table = Table::compile(&some, SourceHashing { bits, fallback: true, port: true });
            let active: Vec<_> = (0..5).map(|i| (i == left).then_some(0)).collect();
            let chosen = table.choose((source.to_be_bytes().into(), 5), &some, &loads(&active));
            prop_assert_eq!(chosen, Some(id(left)));
        }
    }
}

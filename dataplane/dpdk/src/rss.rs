//! Receive-side scaling: the device spreads frames over its queues, both directions of a flow onto one.

use dpdk_sys::{
    RTE_ETH_RETA_GROUP_SIZE, WEIR_RSS_IP, WEIR_RSS_SCTP, WEIR_RSS_TCP, WEIR_RSS_UDP, rte_eth_rss_reta_entry64,
};
use weir_dataplane::spread::SLOTS;

/// What the device hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RssFields {
    /// The two addresses, of fragments too: flows between the same hosts, such as FTP's, meet on one queue.
    #[default]
    Addresses,
    /// And the ports of TCP, UDP and SCTP: spreads few hosts better.
    AddressesAndPorts,
}

impl RssFields {
    /// What must be offered, or flows would be torn apart, and what is also asked for where it is offered.
    const fn required_and_wanted(self) -> (u64, u64) {
        match self {
            Self::Addresses => (dpdk_sys::WEIR_RSS_IPV4 | dpdk_sys::WEIR_RSS_IPV6, WEIR_RSS_IP),
            Self::AddressesAndPorts => {
                (WEIR_RSS_IPV4_IPV6_TCP_UDP, WEIR_RSS_IP | WEIR_RSS_TCP | WEIR_RSS_UDP | WEIR_RSS_SCTP)
            }
        }
    }

    /// DPDK's flags for as much as the device offers; `None` when that is too little.
    pub(crate) const fn hash_functions(self, offered: u64) -> Option<u64> {
        let (required, wanted) = self.required_and_wanted();
        if offered & required == required { Some(offered & wanted) } else { None }
    }
}

const WEIR_RSS_IPV4_IPV6_TCP_UDP: u64 = dpdk_sys::WEIR_RSS_IPV4
    | dpdk_sys::WEIR_RSS_IPV6
    | dpdk_sys::WEIR_RSS_NONFRAG_IPV4_TCP
    | dpdk_sys::WEIR_RSS_NONFRAG_IPV4_UDP
    | dpdk_sys::WEIR_RSS_NONFRAG_IPV6_TCP
    | dpdk_sys::WEIR_RSS_NONFRAG_IPV6_UDP;

/// How a device spreads frames over its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// What it hashes.
    pub fields: RssFields,
    /// Its Toeplitz key. Every 16 bits repeat, so that exchanging source and destination changes nothing
    /// (Woo and Park, "Scalable TCP Session Monitoring with Symmetric Receive-side Scaling", 2012).
    pub key: Vec<u8>,
    /// The queue for each value of the hash's low bits; empty where the device does not tell.
    pub table: Vec<u16>,
}

/// A symmetric key of `len` bytes; devices that do not say how many take 40.
pub(crate) fn symmetric_key(len: u8) -> Vec<u8> {
    let len = if len == 0 { 40 } else { usize::from(len) };
    [0x6d, 0x5a].into_iter().cycle().take(len).collect()
}

/// Asks a started device to map hashes to `queues` as software maps them to workers. One that cannot keeps its table.
pub(crate) fn set_table(device: u16, entries: u16, queues: u16) {
    let mut table = groups(entries);
    for (slot, queue) in table.iter_mut().flat_map(|group| &mut group.reta).enumerate() {
        let worker = slot % SLOTS as usize % usize::from(queues.max(1));
        *queue = u16::try_from(worker).unwrap_or(0);
    }
    // SAFETY: `table` has `entries` queues and outlasts the call.
    let _refused = unsafe { dpdk_sys::rte_eth_dev_rss_reta_update(device, table.as_mut_ptr(), entries) };
}

/// Room for a table of `entries` queues.
fn groups(entries: u16) -> Vec<rte_eth_rss_reta_entry64> {
    let groups = usize::from(entries).div_ceil(RTE_ETH_RETA_GROUP_SIZE as usize);
    vec![rte_eth_rss_reta_entry64 { mask: u64::MAX, ..Default::default() }; groups]
}

/// Asks a started device for its table of `entries` queues.
pub(crate) fn table(device: u16, entries: u16) -> Vec<u16> {
    let mut table = groups(entries);
    // SAFETY: `table` has room for `entries` and outlasts the call.
    match unsafe { dpdk_sys::rte_eth_dev_rss_reta_query(device, table.as_mut_ptr(), entries) } {
        0 => table.iter().flat_map(|group| group.reta).take(usize::from(entries)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_repeat_every_sixteen_bits() {
        assert_eq!(symmetric_key(0).len(), 40);
        let key = symmetric_key(52);
        assert!(key.len() == 52 && key.chunks(2).all(|pair| pair == [0x6d, 0x5a]));
    }

    #[test]
    fn half_of_the_address_families_is_not_enough() {
        let fields = RssFields::Addresses;
        assert_eq!(fields.hash_functions(dpdk_sys::WEIR_RSS_IPV4), None);
        assert_eq!(fields.hash_functions(u64::MAX), Some(WEIR_RSS_IP));
        assert_eq!(RssFields::AddressesAndPorts.hash_functions(WEIR_RSS_IP), None);
    }
}

//! A port: a device that is configured by what it says it can do, and started.

use crate::device::Device;
use crate::error::{Errno, Error};
use crate::mempool::Mempool;
use crate::queue::{RxQueue, TxQueue};
use crate::rss::{self, Rss, RssFields};
use core::cell::Cell;
use core::ffi::c_int;
use core::fmt;
use core::marker::PhantomData;
use dpdk_sys::{rte_eth_conf, rte_eth_dev_info};
use std::sync::Arc;

/// A MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Whether it is a group's.
    const fn is_multicast(&self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Which frames a port is to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reception {
    /// All.
    #[default]
    Promiscuous,
    /// Those for its own address, broadcasts, and these addresses, a group's or a station's. All, where the device
    /// cannot tell.
    Addresses(Vec<MacAddress>),
}

/// How a port is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOptions {
    /// Receive queues, at least one. Fewer where the device has fewer. Without RSS ([`PortFacts::rss`]) a flow may come in on
    /// any of them.
    pub rx_queues: u16,
    /// Transmit queues, at least one. Fewer where the device has fewer.
    pub tx_queues: u16,
    /// Frames that a receive queue can hold; the nearest number that the device takes.
    pub rx_descriptors: u16,
    /// Frames that a transmit queue can hold; the nearest number that the device takes.
    pub tx_descriptors: u16,
    /// Longest frame without its link header, in bytes. `None`: 1500, and what the device is set to stays as it
    /// is; DPDK's virtual devices do not tell what that is.
    pub mtu: Option<u16>,
    /// Which frames it takes.
    pub reception: Reception,
    /// What RSS hashes, where the device has it.
    pub rss: RssFields,
    /// Whether the device may check checksums, where it can.
    pub checksums: bool,
    /// Whether every frame that it will transmit is whole in one buffer of the one pool that it receives into. Then
    /// it may give buffers back without looking at each, where it can.
    pub one_pool: bool,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mtu: None,
            reception: Reception::default(),
            rss: RssFields::default(),
            checksums: true,
            one_pool: false,
        }
    }
}

/// Who keeps frames away that the port has not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// The device, by its lists of addresses.
    Addresses,
    /// Nobody: the device takes all frames.
    Promiscuous,
    /// Unknown: the driver has no switch for it. Most virtual devices hand over all that they see.
    Driver,
}

/// What became of the options: what the device does, and so what software has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// The driver's name.
    pub driver: String,
    /// The port's own address.
    pub mac: MacAddress,
    /// Receive queues that it has now.
    pub rx_queues: u16,
    /// Receive queues that it can have.
    pub rx_queues_max: u16,
    /// Transmit queues that it has now.
    pub tx_queues: u16,
    /// Transmit queues that it can have.
    pub tx_queues_max: u16,
    /// Frames that a receive queue holds.
    pub rx_descriptors: u16,
    /// Frames that a transmit queue holds.
    pub tx_descriptors: u16,
    /// Longest frame without its link header, in bytes.
    pub mtu: u16,
    /// Longest frame with its link header and two VLAN tags, in bytes; longer ones are marked oversize.
    pub frame_len_max: u32,
    /// How it spreads flows over its queues; `None`: it does not, or not so that a flow stays together.
    pub rss: Option<Rss>,
    /// Whether it checks the IPv4 header's checksum.
    pub checks_ip: bool,
    /// Whether it checks the checksums of TCP and UDP.
    pub checks_l4: bool,
    /// Whether it gives back the buffers of transmitted frames without looking at each.
    pub frees_fast: bool,
    /// Who keeps unwanted frames away.
    pub filtering: Filtering,
    /// The NUMA node that it is attached to; `None` where it does not say, as virtual devices do not.
    pub numa_node: Option<u32>,
}

/// A running port. It is stopped and closed when this and its queues are dropped.
///
/// Its control functions may be called on any one thread at a time, while its queues are used on others:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<weir_dpdk::Port>();
/// ```
#[derive(Debug)]
pub struct Port {
    name: String,
    device: Arc<Device>,
    facts: PortFacts,
    /// DPDK does not let two threads ask the same port at once.
    one_thread: PhantomData<Cell<()>>,
}

impl Port {
    /// Configures and starts a port that errors call `name`, receiving into `pool`. Answers it with its receive
    /// and transmit queues.
    ///
    /// # Errors
    /// [`Error::Mtu`] and [`Error::BufferTooSmall`] when MTU, device and pool do not fit together;
    /// [`Error::Port`] when the device refuses a step. The device is closed then.
    pub fn open(
        name: &str,
        device: Device,
        options: &PortOptions,
        pool: &Mempool,
    ) -> Result<(Self, Vec<RxQueue>, Vec<TxQueue>), Error> {
        let facts = Opening { name, device: &device, options, pool }.open()?;
        let device = Arc::new(device);
        let rx = |queue| RxQueue::new(Arc::clone(&device), queue, facts.frame_len_max);
        let tx = |queue| TxQueue::new(Arc::clone(&device), queue);
        let rx = (0..facts.rx_queues).map(rx).collect();
        let tx = (0..facts.tx_queues).map(tx).collect();
        Ok((Self { name: name.to_owned(), device, facts, one_thread: PhantomData }, rx, tx))
    }

    /// The name that it was opened with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// DPDK's name for its device.
    pub fn device(&self) -> &str {
        self.device.name()
    }

    /// What became of its options.
    pub const fn facts(&self) -> &PortFacts {
        &self.facts
    }

    pub(crate) fn number(&self) -> u16 {
        self.device.number
    }

    pub(crate) fn error(&self, step: &'static str, errno: Errno) -> Error {
        Error::Port { port: self.name.clone(), device: self.device.name().to_owned(), step, errno }
    }
}

/// Bytes of a frame that are not its payload: MAC addresses, type and two VLAN tags.
const LINK_HEADER_LEN_MAX: u32 = dpdk_sys::RTE_ETHER_HDR_LEN + 2 * dpdk_sys::RTE_VLAN_HLEN;

/// A port on its way up.
struct Opening<'a> {
    name: &'a str,
    device: &'a Device,
    options: &'a PortOptions,
    pool: &'a Mempool,
}

impl Opening<'_> {
    fn open(&self) -> Result<PortFacts, Error> {
        let info = self.device.info().map_err(|errno| self.error("tell what it can do", errno))?;
        let (rx_descriptors, tx_descriptors) = self.descriptors()?;
        let functions = self.options.rss.hash_functions(info.flow_type_rss_offloads);
        let rx_queues = self.options.rx_queues.clamp(1, info.max_rx_queues.max(1));
        let tx_queues = self.options.tx_queues.clamp(1, info.max_tx_queues.max(1));
        let functions = functions.filter(|_| rx_queues > 1);
        let driver = self.device.driver(&info);
        let offered = if self.options.checksums { info.rx_offload_capa } else { 0 };
        let rx_offloads = checksum_offloads(&driver, offered);
        let tx_offloads = tx_offloads(self.options.one_pool, info.tx_offload_capa);
        let mut key = rss::symmetric_key(info.hash_key_size);
        self.check_mtu(&info)?;
        self.configure([rx_queues, tx_queues], [rx_offloads, tx_offloads], functions, &mut key)?;
        let mtu = self.set_mtu()?;
        let frame_len_max = u32::from(mtu) + LINK_HEADER_LEN_MAX;
        self.check_buffers(mtu, frame_len_max)?;
        self.set_up_queues(rx_queues, rx_descriptors, tx_queues, tx_descriptors)?;
        // SAFETY: configured, with all of its queues set up.
        self.done("start", unsafe { dpdk_sys::rte_eth_dev_start(self.device.number) })?;
        if functions.is_some() {
            rss::set_table(self.device.number, info.reta_size, rx_queues);
        }
        Ok(PortFacts {
            driver,
            mac: self.mac()?,
            rx_queues,
            rx_queues_max: info.max_rx_queues,
            tx_queues,
            tx_queues_max: info.max_tx_queues,
            rx_descriptors,
            tx_descriptors,
            mtu,
            frame_len_max,
            rss: functions.map(|_| Rss {
                fields: self.options.rss,
                key,
                table: rss::table(self.device.number, info.reta_size),
            }),
            checks_ip: rx_offloads & dpdk_sys::WEIR_RX_OFFLOAD_IPV4_CKSUM != 0,
            checks_l4: rx_offloads & L4_CHECKSUMS == L4_CHECKSUMS,
            frees_fast: tx_offloads & dpdk_sys::WEIR_TX_OFFLOAD_MBUF_FAST_FREE != 0,
            filtering: self.filter()?,
            numa_node: self.numa_node(),
        })
    }

    fn descriptors(&self) -> Result<(u16, u16), Error> {
        let (mut rx, mut tx) = (self.options.rx_descriptors, self.options.tx_descriptors);
        // SAFETY: both are written to and outlast the call.
        let code = unsafe {
            dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.device.number, &raw mut rx, &raw mut tx)
        };
        self.done("take this many descriptors", code)?;
        Ok((rx, tx))
    }

    fn check_mtu(&self, info: &rte_eth_dev_info) -> Result<(), Error> {
        match self.options.mtu {
            Some(mtu) if !(info.min_mtu..=info.max_mtu).contains(&mtu) => Err(Error::Mtu {
                port: self.name.to_owned(),
                device: self.device.name().to_owned(),
                mtu,
                min: info.min_mtu,
                max: info.max_mtu,
            }),
            _ => Ok(()),
        }
    }

    fn configure(
        &self,
        [rx_queues, tx_queues]: [u16; 2],
        [rx_offloads, tx_offloads]: [u64; 2],
        rss: Option<u64>,
        key: &mut [u8],
    ) -> Result<(), Error> {
        let mut conf = rte_eth_conf::default();
        conf.rxmode.offloads = rx_offloads;
        conf.txmode.offloads = tx_offloads;
        conf.rxmode.mtu = self.options.mtu.map_or(0, u32::from);
        if let Some(functions) = rss {
            conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = functions;
            conf.rx_adv_conf.rss_conf.rss_key = key.as_mut_ptr();
            conf.rx_adv_conf.rss_conf.rss_key_len = u8::try_from(key.len()).unwrap_or(u8::MAX);
        }
        // SAFETY: `conf` and the key that it points to outlast the call; DPDK copies both.
        let code = unsafe {
            dpdk_sys::rte_eth_dev_configure(self.device.number, rx_queues, tx_queues, &raw const conf)
        };
        self.done("be configured", code)
    }

    /// Sets the MTU, if one is asked for, and answers what it is. A device that cannot set any takes longer
    /// frames too; those are marked oversize.
    fn set_mtu(&self) -> Result<u16, Error> {
        if let Some(mtu) = self.options.mtu {
            // SAFETY: plain numbers.
            let code = unsafe { dpdk_sys::rte_eth_dev_set_mtu(self.device.number, mtu) };
            if Errno::from_return(code) != Errno::NOT_SUPPORTED {
                self.done("set its MTU", code)?;
            }
            return Ok(mtu);
        }
        let mut mtu = 0;
        // SAFETY: `mtu` is written to and outlasts the call.
        let code = unsafe { dpdk_sys::rte_eth_dev_get_mtu(self.device.number, &raw mut mtu) };
        self.done("tell its MTU", code)?;
        Ok(mtu)
    }

    fn check_buffers(&self, mtu: u16, frame_len_max: u32) -> Result<(), Error> {
        let room = self.pool.options().frame_len_max;
        if frame_len_max <= u32::from(room) {
            return Ok(());
        }
        let (port, pool) = (self.name.to_owned(), self.pool.name().to_owned());
        Err(Error::BufferTooSmall { port, mtu, frame_len_max, pool, room })
    }

    fn set_up_queues(
        &self,
        rx_queues: u16,
        rx_descriptors: u16,
        tx_queues: u16,
        tx_descriptors: u16,
    ) -> Result<(), Error> {
        let (number, pool, default) = (self.device.number, self.pool.as_raw(), core::ptr::null());
        let socket = self.numa_node().unwrap_or(u32::MAX);
        for queue in 0..rx_queues {
            // SAFETY: the pool is never freed; without settings of our own the driver uses its defaults.
            let code = unsafe {
                dpdk_sys::rte_eth_rx_queue_setup(number, queue, rx_descriptors, socket, default, pool)
            };
            self.done("set up a receive queue", code)?;
        }
        let default = core::ptr::null();
        for queue in 0..tx_queues {
            // SAFETY: plain numbers; without settings of our own the driver uses its defaults.
            let code =
                unsafe { dpdk_sys::rte_eth_tx_queue_setup(number, queue, tx_descriptors, socket, default) };
            self.done("set up a transmit queue", code)?;
        }
        Ok(())
    }

    fn numa_node(&self) -> Option<u32> {
        // SAFETY: a plain number.
        let node = unsafe { dpdk_sys::rte_eth_dev_socket_id(self.device.number) };
        // Below 0 it is any, or unknown.
        u32::try_from(node).ok()
    }

    fn mac(&self) -> Result<MacAddress, Error> {
        let mut mac = dpdk_sys::rte_ether_addr::default();
        // SAFETY: `mac` is written to and outlasts the call.
        let code = unsafe { dpdk_sys::rte_eth_macaddr_get(self.device.number, &raw mut mac) };
        self.done("tell its address", code)?;
        Ok(MacAddress(mac.addr_bytes))
    }

    fn filter(&self) -> Result<Filtering, Error> {
        if let Reception::Addresses(addresses) = &self.options.reception {
            let (groups, stations): (Vec<_>, Vec<_>) =
                addresses.iter().partition(|address| address.is_multicast());
            if self.take_stations(&stations)? && self.filter_groups(&groups)? {
                return Ok(Filtering::Addresses);
            }
        }
        // SAFETY: plain numbers.
        let code = unsafe { dpdk_sys::rte_eth_promiscuous_enable(self.device.number) };
        if Errno::from_return(code) == Errno::NOT_SUPPORTED {
            return Ok(Filtering::Driver);
        }
        self.done("take all frames", code)?;
        Ok(Filtering::Promiscuous)
    }

    /// Whether the device takes frames for these beside those for its own address.
    fn take_stations(&self, addresses: &[MacAddress]) -> Result<bool, Error> {
        for address in addresses {
            let mut mac = dpdk_sys::rte_ether_addr { addr_bytes: address.0 };
            // SAFETY: `mac` outlasts the call; DPDK copies it.
            let code = unsafe { dpdk_sys::rte_eth_dev_mac_addr_add(self.device.number, &raw mut mac, 0) };
            // It has no room for more, or for any.
            if [Errno::NOT_SUPPORTED, Errno::NO_SPACE].contains(&Errno::from_return(code)) {
                return Ok(false);
            }
            self.done("take frames for a further address", code)?;
        }
        Ok(true)
    }

    /// Whether the device can filter, and does.
    fn filter_groups(&self, addresses: &[MacAddress]) -> Result<bool, Error> {
        let mut list: Vec<_> =
            addresses.iter().map(|mac| dpdk_sys::rte_ether_addr { addr_bytes: mac.0 }).collect();
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        // SAFETY: `list` has `count` addresses and outlasts the call; DPDK copies them.
        let code =
            unsafe { dpdk_sys::rte_eth_dev_set_mc_addr_list(self.device.number, list.as_mut_ptr(), count) };
        if Errno::from_return(code) == Errno::NOT_SUPPORTED {
            return Ok(false);
        }
        self.done("filter multicast addresses", code)?;
        Ok(true)
    }

    fn done(&self, step: &'static str, code: c_int) -> Result<(), Error> {
        if code >= 0 { Ok(()) } else { Err(self.error(step, Errno::from_return(code))) }
    }

    fn error(&self, step: &'static str, errno: Errno) -> Error {
        Error::Port { port: self.name.to_owned(), device: self.device.name().to_owned(), step, errno }
    }
}

const L4_CHECKSUMS: u64 = dpdk_sys::WEIR_RX_OFFLOAD_TCP_CKSUM | dpdk_sys::WEIR_RX_OFFLOAD_UDP_CKSUM;

/// The checksums that the device is asked to check. A virtio device that checks those of TCP and UDP also hands
/// over frames whose sum is not there yet, so it is left to software.
fn checksum_offloads(driver: &str, offered: u64) -> u64 {
    let l4 = if driver.starts_with("net_virtio") {
        0
    } else {
        L4_CHECKSUMS | dpdk_sys::WEIR_RX_OFFLOAD_SCTP_CKSUM
    };
    offered & (dpdk_sys::WEIR_RX_OFFLOAD_IPV4_CKSUM | l4)
}

/// What the device is spared when it gives buffers back: whose they are, and whether somebody else has them too.
const fn tx_offloads(one_pool: bool, offered: u64) -> u64 {
    if one_pool { offered & dpdk_sys::WEIR_TX_OFFLOAD_MBUF_FAST_FREE } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_given_back_unseen_only_where_they_are_all_of_one_pool() {
        let fast = dpdk_sys::WEIR_TX_OFFLOAD_MBUF_FAST_FREE;
        assert_eq!(tx_offloads(true, u64::MAX), fast);
        assert_eq!(tx_offloads(true, !fast), 0);
        assert_eq!(tx_offloads(false, u64::MAX), 0);
    }

    #[test]
    fn checksums_are_asked_of_those_that_finish_them() {
        let offered = dpdk_sys::WEIR_RX_OFFLOAD_IPV4_CKSUM | dpdk_sys::WEIR_RX_OFFLOAD_TCP_CKSUM;
        assert_eq!(checksum_offloads("net_ixgbe", offered), offered);
        assert_eq!(checksum_offloads("net_virtio", offered), dpdk_sys::WEIR_RX_OFFLOAD_IPV4_CKSUM);
    }

    #[test]
    fn addresses_are_written_as_usual() {
        assert_eq!(MacAddress([1, 0, 0x5e, 0, 0xff, 0xab]).to_string(), "01:00:5e:00:ff:ab");
    }
}

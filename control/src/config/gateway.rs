//! The validated configuration of one gateway: what the runtime builds from.
//!
//! Values come from [`load`](super::load) alone, so each of them is in range and they agree with each other.
//! Whether the machine has the devices and cores is for the runtime to find out.

use super::membership::Membership;
use super::network::Network;
use super::services::Services;
use core::fmt;
use core::net::SocketAddr;
use core::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use weir_dataplane::config::Config;
use weir_dataplane::units::PortId;

/// One gateway.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    pub(super) node: String,
    pub(super) ports: Vec<Port>,
    pub(super) workers: Workers,
    pub(super) memory: Memory,
    pub(super) dataplane: Config,
    pub(super) network: Option<Network>,
    pub(super) services: Services,
    pub(super) membership: Option<Membership>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) control_socket: PathBuf,
}

impl GatewayConfig {
    /// Name of this node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The ports; position is [`PortId`].
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The ports with their ids, in order.
    pub fn port_ids(&self) -> impl Iterator<Item = (PortId, &Port)> {
        self.ports.iter().enumerate().filter_map(|(i, port)| Some((PortId::new(i)?, port)))
    }

    /// The port of that name.
    pub fn port_id(&self, name: &str) -> Option<PortId> {
        self.port_ids().find(|(_, port)| port.name == name).map(|(id, _)| id)
    }

    /// The threads that carry frames.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Packet memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What the packet path is told.
    pub fn dataplane(&self) -> &Config {
        &self.dataplane
    }

    /// What it routes by; `None`: it is a bridge.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Where it sends connections besides where its routes lead.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// How it is a member of a cluster that agrees by itself.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Where metrics are served; `None` when they are not.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// The unix socket that `weir status` and its siblings talk to.
    pub fn control_socket(&self) -> &Path {
        &self.control_socket
    }

    /// The same gateway with `device` behind the port `port`, as replay and the demonstration need it.
    /// Does nothing when there is no such port.
    #[must_use]
    pub fn with_device(mut self, port: PortId, device: Device) -> Self {
        if let Some(port) = self.ports.get_mut(port.index()) {
            port.device = device;
        }
        self
    }
}

/// One port: a device and how it is set up.
#[derive(Clone, Debug)]
pub struct Port {
    pub(super) name: String,
    pub(super) device: Device,
    pub(super) mtu: u16,
    pub(super) queues: Queues,
    pub(super) rss: Rss,
    pub(super) multicast_macs: Vec<MacAddr>,
    pub(super) promiscuous: Promiscuous,
    pub(super) checksum_offload: bool,
    pub(super) descriptors: Descriptors,
    pub(super) tap: Option<String>,
}

impl Port {
    /// The kernel's network interface for what is for the gateway itself, if there is one.
    pub fn tap(&self) -> Option<&str> {
        self.tap.as_deref()
    }

    /// Its name in configuration, metrics and commands.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What DPDK opens.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Largest IP packet in bytes; link header and VLAN tags come on top.
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Receive and transmit queues.
    pub fn queues(&self) -> Queues {
        self.queues
    }

    /// What the device hashes to choose a queue.
    pub fn rss(&self) -> Rss {
        self.rss
    }

    /// Multicast addresses to accept.
    pub fn multicast_macs(&self) -> &[MacAddr] {
        &self.multicast_macs
    }

    /// Whether frames to any address are accepted.
    pub fn promiscuous(&self) -> Promiscuous {
        self.promiscuous
    }

    /// Whether the device may verify checksums, where it can.
    pub fn checksum_offload(&self) -> bool {
        self.checksum_offload
    }

    /// Length of each queue.
    pub fn descriptors(&self) -> Descriptors {
        self.descriptors
    }
}

/// A DPDK device: a PCI address, or a virtual device, each with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device(String);

impl Device {
    /// Any device string that DPDK might take: a name, then arguments after commas, no white space.
    /// `None` for what cannot be one. A short PCI address gets its domain: `03:00.0` becomes `0000:03:00.0`.
    pub fn new(text: &str) -> Option<Self> {
        let name = text.split(',').next().unwrap_or_default();
        let fine = !name.is_empty() && name.len() < NAME_MAX && text.chars().all(|c| c.is_ascii_graphic());
        if !fine {
            return None;
        }
        Some(Self(if is_short_pci(name) { format!("0000:{text}") } else { text.to_owned() }))
    }

    /// Name and arguments, as EAL takes them after `--vdev` or `--allow`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name alone, which DPDK wants to be unique.
    pub fn name(&self) -> &str {
        self.0.split(',').next().unwrap_or_default()
    }

    /// The value of the driver's argument `key`, if it is given.
    pub fn argument(&self, key: &str) -> Option<&str> {
        self.0.split(',').skip(1).find_map(|argument| argument.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether software stands behind it. Names on a bus have a colon (`0000:03:00.0`, `auxiliary:…`).
    pub fn is_virtual(&self) -> bool {
        !self.name().contains(':')
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// DPDK's `RTE_DEV_NAME_MAX_LEN`, with the final zero.
const NAME_MAX: usize = 64;

/// `BB:DD.F` in hexadecimal digits, a PCI address without its domain.
fn is_short_pci(name: &str) -> bool {
    name.split_once(':')
        .and_then(|(bus, rest)| Some((bus, rest.split_once('.')?)))
        .is_some_and(|(bus, (device, function))| is_hex(bus, 2) && is_hex(device, 2) && is_hex(function, 1))
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// How many queues a port gets, each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queues {
    /// One for each worker, as far as the device has them.
    Auto,
    /// Exactly this many.
    Count(NonZeroU16),
}

/// What is hashed to choose a receive queue. The key is symmetric: both directions hash alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rss {
    /// The pair of IP addresses: a related flow between two hosts meets its master.
    Ip,
    /// Addresses and ports: spreads the flows of few hosts.
    IpPorts,
}

/// Whether a port takes frames that are not addressed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promiscuous {
    /// As forwarding needs it: a bridge port takes everything.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// Six pairs of hexadecimal digits, separated by colons.
    pub fn parse(text: &str) -> Option<Self> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| is_hex(part, 2))?;
            *octet = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(octets))
    }

    /// In the order of the wire.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether the group bit is set (IEEE 802).
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Frames that a queue holds between the device and a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// Of a receive queue.
    pub rx: u16,
    /// Of a transmit queue.
    pub tx: u16,
}

/// The threads that carry frames.
#[derive(Clone, Debug)]
pub struct Workers {
    pub(super) placement: Placement,
    pub(super) idle: Idle,
}

impl Workers {
    /// How many, at least 1.
    pub fn count(&self) -> usize {
        match &self.placement {
            Placement::Anywhere(count) => usize::from(count.get()),
            Placement::Cores(cores) => cores.len(),
        }
    }

    /// Where they run.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// What a worker does when nothing arrives.
    pub fn idle(&self) -> Idle {
        self.idle
    }
}

/// Where workers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// This many; the runtime chooses the cores.
    Anywhere(NonZeroU16),
    /// One on each of these cores; at least one, all different.
    Cores(Vec<usize>),
}

/// What a worker does when nothing arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Asks again at once: lowest delay, the core is always busy.
    Poll,
    /// Sleeps a little, longer the longer nothing comes.
    Backoff,
}

/// Packet memory.
#[derive(Clone, Debug)]
pub struct Memory {
    pub(super) huge_pages: bool,
    pub(super) size_mib: Option<NonZeroU32>,
    pub(super) buffers: Option<NonZeroU32>,
    pub(super) buffer_size: u16,
}

impl Memory {
    /// Whether DPDK takes huge pages.
    pub fn huge_pages(&self) -> bool {
        self.huge_pages
    }

    /// Memory that DPDK takes at start, in MiB; `None`: as much as the buffers need.
    pub fn size_mib(&self) -> Option<NonZeroU32> {
        self.size_mib
    }

    /// Packet buffers; `None`: as many as the queues and workers can hold at once.
    pub fn buffers(&self) -> Option<NonZeroU32> {
        self.buffers
    }

    /// Bytes of data in a buffer, headroom included; holds the largest frame of every port.
    pub fn buffer_size(&self) -> u16 {
        self.buffer_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_name_with_arguments() {
        let pci = Device::new("03:00.0,rx=1").unwrap();
        assert_eq!(
            (pci.as_str(), pci.name(), pci.is_virtual()),
            ("0000:03:00.0,rx=1", "0000:03:00.0", false)
        );
        let pcap = Device::new("net_pcap_lan,rx_pcap=a:b.pcap").unwrap();
        assert_eq!((pcap.name(), pcap.is_virtual()), ("net_pcap_lan", true));
        for wrong in ["", ",iface=eth0", "net pcap", "net_tap,\n", &"x".repeat(64)] {
            assert_eq!(Device::new(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_mac_address_is_six_octets() {
        let mac = MacAddr::parse("01:00:5E:00:00:0a").unwrap();
        assert_eq!(mac.to_string(), "01:00:5e:00:00:0a");
        assert!(mac.is_multicast() && !MacAddr::parse("02:00:00:00:00:01").unwrap().is_multicast());
        for wrong in [
            "",
            "01:00:5e:00:00",
            "01:00:5e:00:00:0a:0b",
            "1:0:5e:0:0:a",
            "01-00-5e-00-00-0a",
            "+1:00:5e:00:00:00",
        ] {
            assert_eq!(MacAddr::parse(wrong), None, "{wrong:?}");
        }
    }
}

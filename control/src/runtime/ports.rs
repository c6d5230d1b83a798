//! From configuration to running ports: EAL, packet memory, devices, queues.

use super::tap::DESCRIPTORS;
use crate::cluster::Agreement;
use crate::config::{self, GatewayConfig, Network, Promiscuous, Queues};
use core::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use weir_dataplane::gate::handover::HELD_MAX;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::PortId;
use weir_dataplane::wire::MacAddr;
use weir_dpdk::{
    Eal, EalOptions, MacAddress, Memory, Mempool, MempoolOptions, Port, PortOptions, Reception, RssFields,
    RxQueue, TxQueue,
};

/// Frames that a worker keeps outside of queues, at most: its bursts, its mempool cache and its rings.
const WORKER_FRAMES: u32 = 4096;

/// Frames that wait at a worker to leave by one port, at most: a burst.
const WAITING_FRAMES: u32 = 64;

/// Share of the packet buffers, where the configuration says how many, that a leaver's frames may take.
const HELD_SHARE: usize = 8;

/// Bytes of a buffer that hold no data: DPDK's headroom.
const HEADROOM: u16 = 128;

/// Bytes that DPDK spends on a buffer besides its data: mbuf, pool header, alignment.
const BUFFER_OVERHEAD: u64 = 256;

/// Memory that the EAL and the drivers take for themselves, in MiB.
const EAL_MIB: u64 = 64;

/// Why ports could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// DPDK says no.
    #[error(transparent)]
    Dpdk(#[from] weir_dpdk::Error),
    /// A driver is to open a network interface of the kernel, and there is none.
    #[error(
        "port {port}: there is no network interface `{interface}`, which `{device}` is to open; `ip link` lists them"
    )]
    NoInterface {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
        /// The interface.
        interface: String,
    },
    /// The kernel has an interface of a tap's name already.
    #[error(
        "port {port}: the name `{tap}` of `ports[].tap` is taken: there is such a network interface already; choose another name"
    )]
    TapTaken {
        /// The port's name.
        port: String,
        /// The tap's name.
        tap: String,
    },
    /// The device has fewer queues than the configuration asks for.
    #[error(
        "port {port}: `ports[].queues` asks for {wanted} queues, `{device}` has {rx} to receive and {tx} to transmit; ask for fewer, or `auto`"
    )]
    Queues {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
        /// Queues asked for.
        wanted: u16,
        /// Receive queues it has.
        rx: u16,
        /// Transmit queues it has.
        tx: u16,
    },
    /// More queues than workers: nobody would serve the rest.
    #[error(
        "port {port}: `ports[].queues` asks for {wanted} queues, but there are {workers} workers; give each queue a worker, or use `auto`"
    )]
    Unserved {
        /// The port's name.
        port: String,
        /// Queues asked for.
        wanted: u16,
        /// Workers there are.
        workers: usize,
    },
}

/// A running port with the queues that workers will own.
#[derive(Debug)]
pub struct OpenPort {
    /// Its place in the configuration.
    pub id: PortId,
    /// The device string it was opened with.
    pub device: String,
    /// The port.
    pub port: Port,
    /// Its receive queues.
    pub rx: Vec<RxQueue>,
    /// Its transmit queues.
    pub tx: Vec<TxQueue>,
}

/// Starts DPDK as `config` asks, with memory for `gateways` gateways like it.
///
/// # Errors
/// DPDK's.
pub fn start_eal(config: &GatewayConfig, gateways: u32) -> Result<Eal, PortsError> {
    let memory = config.memory();
    let needed =
        u64::from(buffers(config)) * (u64::from(memory.buffer_size()) + BUFFER_OVERHEAD) / (1 << 20) + 1;
    let needed = u32::try_from(needed * u64::from(gateways) + EAL_MIB).unwrap_or(u32::MAX);
    let mb = memory.size_mib().map_or(needed, |size| size.get());
    let devices = config.ports().iter().map(config::Port::device);
    let options = EalOptions {
        memory: if memory.huge_pages() { Memory::Huge { mb } } else { Memory::NoHuge { mb } },
        pci_devices: devices.filter(|device| !device.is_virtual()).map(ToString::to_string).collect(),
        ..EalOptions::default()
    };
    Ok(Eal::init(&options)?)
}

/// Makes the packet memory `name` for one gateway of this configuration.
///
/// # Errors
/// DPDK's.
pub fn packet_memory(eal: &Eal, name: &str, config: &GatewayConfig) -> Result<Mempool, PortsError> {
    let options = MempoolOptions {
        frames: buffers(config),
        frame_len_max: config.memory().buffer_size() - HEADROOM,
        ..MempoolOptions::default()
    };
    Ok(Mempool::new(eal, name, options)?)
}

/// Opens every port of `config`, in its order.
///
/// # Errors
/// The first port's that cannot be as it is configured; those opened before it are closed again.
pub fn open(eal: &Eal, pool: &Mempool, config: &GatewayConfig) -> Result<Vec<OpenPort>, PortsError> {
    config.port_ids().map(|(id, port)| open_one(eal, pool, id, port, config)).collect()
}

fn open_one(
    eal: &Eal,
    pool: &Mempool,
    id: PortId,
    port: &config::Port,
    config: &GatewayConfig,
) -> Result<OpenPort, PortsError> {
    let workers = config.workers().count();
    let wanted = match port.queues() {
        Queues::Auto => u16::try_from(workers).unwrap_or(u16::MAX),
        Queues::Count(count) => count.get(),
    };
    if usize::from(wanted) > workers {
        return Err(PortsError::Unserved { port: port.name().to_owned(), wanted, workers });
    }
    let device = eal.probe(port.device().as_str()).map_err(|error| {
        let interface = port.device().argument("iface").filter(|name| !interface_exists(name));
        interface.map_or(PortsError::Dpdk(error), |interface| PortsError::NoInterface {
            port: port.name().to_owned(),
            device: port.device().to_string(),
            interface: interface.to_owned(),
        })
    })?;
    let reception = reception(config, id, port);
    let (opened, rx, tx) = Port::open(port.name(), device, &options(port, wanted, reception), pool)?;
    let facts = opened.facts();
    if port.queues() != Queues::Auto && facts.rx_queues.min(facts.tx_queues) < wanted {
        return Err(PortsError::Queues {
            port: port.name().to_owned(),
            device: port.device().to_string(),
            wanted,
            rx: facts.rx_queues_max,
            tx: facts.tx_queues_max,
        });
    }
    Ok(OpenPort { id, device: port.device().to_string(), port: opened, rx, tx })
}

/// Whether the kernel has a network interface of this name.
pub(super) fn interface_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// Which frames a port of this configuration is to take.
pub(super) fn reception(config: &GatewayConfig, id: PortId, port: &config::Port) -> Reception {
    match port.promiscuous() {
        // A bridge forwards what is addressed to others, and a router listens to what other nodes forward.
        Promiscuous::Auto | Promiscuous::On => Reception::Promiscuous,
        Promiscuous::Off => {
            let mut taken: Vec<MacAddress> =
                port.multicast_macs().iter().map(|mac| MacAddress(mac.octets())).collect();
            let interfaces = config.network().into_iter().flat_map(Network::interfaces);
            for named in interfaces.filter(|named| named.interface().port == id) {
                taken.extend(named.cluster_mac().map(|mac| MacAddress(mac.0)));
                taken.extend(named.interface().vips.iter().map(|vip| MacAddress(vip.mac.0)));
                taken.extend(groups(&named.interface().addresses));
            }
            taken.sort_by_key(|mac| mac.0);
            taken.dedup();
            Reception::Addresses(taken)
        }
    }
}

/// The MAC addresses of the groups that neighbour discovery speaks to, for these addresses (RFC 2464 7): all nodes,
/// all routers, and each address' solicited-node group (RFC 4291 2.7.1), also that of its network's first one.
fn groups(addresses: &[Subnet]) -> Vec<MacAddress> {
    let group = |address: [u8; 4]| {
        let [a, b, c, d] = address;
        MacAddress([0x33, 0x33, a, b, c, d])
    };
    let solicited = |address: Ipv6Addr| {
        let [.., a, b, c] = address.octets();
        group([0xff, a, b, c])
    };
    let mut groups = Vec::new();
    for subnet in addresses {
        let IpAddr::V6(address) = subnet.address else { continue };
        let hosts = u128::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0);
        let first = Ipv6Addr::from_bits(address.to_bits() & !hosts);
        groups.extend([group([0, 0, 0, 1]), group([0, 0, 0, 2]), solicited(address), solicited(first)]);
    }
    groups
}

fn options(port: &config::Port, queues: u16, reception: Reception) -> PortOptions {
    PortOptions {
        rx_queues: queues,
        tx_queues: queues,
        rx_descriptors: port.descriptors().rx,
        tx_descriptors: port.descriptors().tx,
        mtu: Some(port.mtu()),
        reception,
        rss: match port.rss() {
            config::Rss::Ip => RssFields::Addresses,
            config::Rss::IpPorts => RssFields::AddressesAndPorts,
        },
        checksums: port.checksum_offload(),
        // All ports receive into the packet memory, and the parser drops what comes in several segments.
        one_pool: true,
    }
}

/// Buffers that every queue and worker can hold at once, unless the configuration says how many.
fn buffers(config: &GatewayConfig) -> u32 {
    if let Some(buffers) = config.memory().buffers() {
        return buffers.get();
    }
    let workers = u32::try_from(config.workers().count()).unwrap_or(u32::MAX);
    let descriptors =
        |port: &config::Port| u32::from(port.descriptors().rx) + u32::from(port.descriptors().tx);
    let queues: u32 = config.ports().iter().map(|port| (descriptors(port) + WAITING_FRAMES) * workers).sum();
    let taps: u32 =
        config.ports().iter().filter_map(config::Port::tap).map(|_| 2 * u32::from(DESCRIPTORS)).sum();
    let held = workers * u32::try_from(held_max(config)).unwrap_or(0);
    queues + taps + held + workers * WORKER_FRAMES + config.dataplane().conntrack.fragments.frames_max
}

/// Frames that each worker may hold while another node hands its flows over: what waits must leave buffers for what
/// moves. None where nodes do not agree by themselves, and on a bridge, which hears twice what others forward.
pub(super) fn held_max(config: &GatewayConfig) -> usize {
    let agrees =
        config.membership().is_some_and(|membership| membership.settings.agreement != Agreement::ByHand);
    if !agrees || config.network().is_none() {
        return 0;
    }
    let share = |buffers: u32| usize::try_from(buffers).unwrap_or(0) / HELD_SHARE / config.workers().count();
    config.memory().buffers().map_or(HELD_MAX, |buffers| share(buffers.get()).min(HELD_MAX))
}

/// The MAC address of a port's own.
pub(super) fn mac(open: &[OpenPort], port: PortId) -> MacAddr {
    let found = open.iter().find(|open| open.id == port);
    found.map_or(MacAddr([0; 6]), |open| MacAddr(open.port.facts().mac.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_that_is_not_promiscuous_takes_what_it_needs() {
        let text = "node: gw1\nforwarding: {mode: route}\nports:\n  \
                    - {name: lan, device: net_null0, promiscuous: off, cluster_mac: '02:00:5e:00:01:01', \
                    multicast_macs: ['01:00:5e:00:00:12'], addresses: [192.0.2.1/24, '2001:db8::12:3456/64']}\n  \
                    - {name: wan, device: net_null1, addresses: [198.51.100.1/24]}\n";
        let config = config::parse("test.yaml", text).unwrap().config;
        let receptions: Vec<_> = config.port_ids().map(|(id, port)| reception(&config, id, port)).collect();
        let addresses = [
            "01:00:5e:00:00:12",
            "02:00:5e:00:01:01",
            "33:33:00:00:00:01",
            "33:33:00:00:00:02",
            "33:33:ff:00:00:00",
            "33:33:ff:12:34:56",
        ];
        let Reception::Addresses(taken) = &receptions[0] else { panic!("{receptions:?}") };
        assert_eq!(taken.iter().map(ToString::to_string).collect::<Vec<_>>(), addresses);
        assert_eq!(receptions[1], Reception::Promiscuous);
    }
}

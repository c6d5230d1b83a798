//! The gateway's part in the kernel, by rtnetlink: its addresses on the taps, and what the kernel routes through them.
//!
//! Both are tasks of their own beside the control loop. They say in the log what the kernel refuses, and try again.

mod interfaces;
mod routes;

use super::station::KernelRoutes;
use crate::config::GatewayConfig;
use crate::network::kernel_routes::Link;
use interfaces::Keeper;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use weir_dataplane::subnet::Subnet;

/// How long it waits before it tries again what the kernel has refused.
const RETRY: Duration = Duration::from_secs(1);

/// A network interface of the kernel as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    name: String,
    link: Link,
    /// The kernel's own interface that the port's driver reads, if it does.
    underlying: Option<String>,
    /// The tap that it is a VLAN of.
    parent: Option<String>,
    mtu: u16,
    /// The first of a network is the one that the kernel speaks with unasked: those of this node alone come first.
    addresses: Vec<Subnet>,
}

/// Why the kernel does not do as it is told.
#[derive(Debug, thiserror::Error)]
enum KernelError {
    /// There is no netlink socket.
    #[error("cannot open a netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// A request was refused.
    #[error("cannot {what}: {error}")]
    Refused { what: String, error: rtnetlink::Error },
    /// A setting was refused.
    #[error("cannot write {path}: {error}")]
    Setting { path: String, error: io::Error },
}

/// The tasks that see to the kernel; they end with it.
#[derive(Debug)]
pub(super) struct Kernel {
    wanted: watch::Sender<Vec<Interface>>,
    routes: watch::Sender<bool>,
}

impl Kernel {
    /// Sets the gateway's addresses, begins to see to the interfaces of `config`, and answers where the kernel's routes will
    /// stand. `None`: there is no tap. Call it inside a tokio runtime.
    pub(super) async fn join(config: &GatewayConfig) -> Option<(Self, KernelRoutes)> {
        let all = interfaces(config);
        if all.is_empty() {
            return None;
        }
        let mut keeper = Keeper::default();
        keeper.place(&all).await;
        let (wanted, interfaces) = watch::channel(all);
        let (routes, is_followed) = watch::channel(follows(config));
        let (publish, published) = watch::channel(Arc::from([]));
        tokio::spawn(keeper.keep(interfaces.clone()));
        tokio::spawn(routes::follow(interfaces, is_followed, publish));
        Some((Self { wanted, routes }, published))
    }

    /// Goes on by another configuration.
    pub(super) fn reload(&self, config: &GatewayConfig) {
        self.wanted.send_if_modified(|wanted| replace(wanted, interfaces(config)));
        self.routes.send_if_modified(|routes| replace(routes, follows(config)));
    }
}

fn follows(config: &GatewayConfig) -> bool {
    config.network().is_some_and(|network| network.kernel().routes)
}

fn replace<T: PartialEq>(place: &mut T, new: T) -> bool {
    let changes = *place != new;
    *place = new;
    changes
}

/// The kernel's interfaces of all taps: the ports' own first, then those of VLANs.
fn interfaces(config: &GatewayConfig) -> Vec<Interface> {
    let networks = config.network().map_or(&[][..], |network| network.interfaces());
    let taps = config.port_ids().filter_map(|(id, port)| Some((id, port, port.tap()?)));
    let of_tap = taps.flat_map(|(id, port, tap)| {
        let own = Interface {
            name: tap.to_owned(),
            link: Link { port: id, vlan: None },
            underlying: underlying(port.device().as_str()).map(str::to_owned),
            parent: None,
            mtu: port.mtu(),
            addresses: Vec::new(),
        };
        let mut all = vec![own];
        for interface in networks.iter().map(|named| named.interface()).filter(|one| one.port == id) {
            let (alone, shared): (Vec<Subnet>, Vec<Subnet>) =
                interface.addresses.iter().partition(|own| interface.management.contains(&own.address));
            let addresses = [alone, shared].concat();
            match interface.vlan {
                None => all[0].addresses = addresses,
                Some(vlan) => all.push(Interface {
                    name: format!("{tap}.{}", vlan.number()),
                    link: Link { port: id, vlan: Some(vlan) },
                    underlying: None,
                    parent: Some(tap.to_owned()),
                    mtu: interface.mtu,
                    addresses,
                }),
            }
        }
        all
    });
    of_tap.collect()
}

/// The network interface of the kernel that a device reads: net_af_packet's and net_af_xdp's.
fn underlying(device: &str) -> Option<&str> {
    let mut words = device.split(',');
    words.next().filter(|driver| driver.starts_with("net_af_"))?;
    words.find_map(|word| word.strip_prefix("iface="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_on_an_interface_of_the_kernel_names_it() {
        assert_eq!(underlying("net_af_packet_lan,qpairs=2,iface=eth1"), Some("eth1"));
        assert_eq!(underlying("net_tap0,iface=eth1"), None);
        assert_eq!(underlying("0000:03:00.0"), None);
    }

    #[test]
    fn each_tap_and_each_vlan_of_it_has_an_interface_with_its_addresses() {
        let text = "node: gw1\nforwarding: {mode: route}\nports:\n\
                    - {name: lan, device: net_null0, tap: weir-lan, addresses: [10.1.0.1/24], \
                    management: [10.1.0.11/24], vlans: [{id: 7, mtu: 1400, addresses: [10.7.0.1/24]}]}\n\
                    - {name: wan, device: net_null1, addresses: [10.2.0.1/24]}\n";
        let config = crate::config::parse("test.yaml", text).unwrap().config;
        let all = interfaces(&config);
        let shown: Vec<_> = all
            .iter()
            .map(|one| (one.name.as_str(), one.parent.as_deref(), one.mtu, one.addresses.len()))
            .collect();
        assert_eq!(shown, [("weir-lan", None, 1500, 2), ("weir-lan.7", Some("weir-lan"), 1400, 1)]);
        assert_eq!(all[0].addresses[0], "10.1.0.11/24".parse().unwrap(), "this node's own first");
    }
}

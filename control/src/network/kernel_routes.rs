//! The routes that the kernel has through the gateway's taps, and what the gateway makes of them.
//!
//! [`KernelRoutes`] is the kernel's main table as far as it leads through the taps: what its notifications say goes in,
//! one after the other. Of several routes to one network that with the lowest metric holds.

use core::net::IpAddr;
use core::num::NonZeroU8;
use std::collections::BTreeMap;
use weir_dataplane::config::route::{Interface, NextHop, Route, Target};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{InterfaceId, PortId, VlanId};

/// Where a tap, or a VLAN of it, leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The port.
    pub port: PortId,
    /// Its VLAN; `None`: frames without a tag.
    pub vlan: Option<VlanId>,
}

/// A way to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelHop {
    /// Where.
    pub link: Link,
    /// To which router; `None`: the destination itself is there.
    pub gateway: Option<IpAddr>,
    /// Its share of the flows, beside those of the others.
    pub weight: NonZeroU8,
}

/// A route of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRoute {
    /// The network.
    pub to: Subnet,
    /// Of two routes to one network the one with less holds.
    pub metric: u32,
    /// The ways there.
    pub hops: Vec<KernelHop>,
}

/// The address, the length of the prefix, and the metric.
type Key = (IpAddr, u8, u32);

impl KernelRoute {
    const fn key(&self) -> Key {
        (self.to.address, self.to.prefix_len, self.metric)
    }
}

/// The kernel's routes.
#[derive(Clone, Debug, Default)]
pub struct KernelRoutes {
    routes: BTreeMap<Key, Vec<KernelHop>>,
}

impl KernelRoutes {
    /// There is a route now, in place of that to the same network with the same metric.
    pub fn add(&mut self, route: KernelRoute) {
        if route.hops.is_empty() {
            self.routes.remove(&route.key());
        } else {
            self.routes.insert(route.key(), route.hops);
        }
    }

    /// These next hops of a route are gone: all of them, or, as IPv6 says it, one of several.
    pub fn remove(&mut self, route: &KernelRoute) {
        let key = route.key();
        let Some(hops) = self.routes.get_mut(&key) else { return };
        let place = |hop: &KernelHop| (hop.link, hop.gateway);
        hops.retain(|hop| !route.hops.iter().any(|gone| place(gone) == place(hop)));
        if hops.is_empty() {
            self.routes.remove(&key);
        }
    }

    /// Those that hold, one for each network.
    pub fn best(&self) -> Vec<KernelRoute> {
        let mut best: Vec<KernelRoute> = Vec::new();
        for ((address, prefix_len, metric), hops) in &self.routes {
            let to = Subnet { address: *address, prefix_len: *prefix_len };
            // In order of their metrics.
            if best.last().is_none_or(|before| before.to != to) {
                best.push(KernelRoute { to, metric: *metric, hops: hops.clone() });
            }
        }
        best
    }
}

/// What these routes are to a gateway with these interfaces. What leads nowhere here, or to the gateway itself, is none.
pub fn routes(kernel: &[KernelRoute], interfaces: &[Interface]) -> Vec<Route> {
    let interface = |link: Link| {
        let found = interfaces.iter().position(|one| Link { port: one.port, vlan: one.vlan } == link);
        InterfaceId::new(found?)
    };
    let ours = |address: IpAddr| {
        interfaces.iter().flat_map(|interface| &interface.addresses).any(|own| own.address == address)
    };
    let hops = |route: &KernelRoute| -> Vec<NextHop> {
        let hops = route.hops.iter().filter(|hop| !hop.gateway.is_some_and(ours));
        let family = |hop: &&KernelHop| {
            hop.gateway.is_none_or(|gateway| gateway.is_ipv4() == route.to.address.is_ipv4())
        };
        hops.filter(family)
            .filter_map(|hop| {
                let interface = interface(hop.link)?;
                Some(NextHop { interface, gateway: hop.gateway, weight: hop.weight })
            })
            .collect()
    };
    let routes = kernel.iter().map(|route| (route.to, hops(route)));
    routes
        .filter(|(_, hops)| !hops.is_empty())
        .map(|(to, hops)| Route { to, target: Target::Via(hops) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::interfaces;
    use super::*;

    fn link(vlan: Option<u16>) -> Link {
        Link { port: PortId::FIRST, vlan: vlan.and_then(VlanId::new) }
    }

    fn hop(gateway: &str) -> KernelHop {
        KernelHop { link: link(None), gateway: gateway.parse().ok(), weight: NonZeroU8::MIN }
    }

    fn route(to: &str, metric: u32, gateways: &[&str]) -> KernelRoute {
        KernelRoute { to: to.parse().unwrap(), metric, hops: gateways.iter().copied().map(hop).collect() }
    }

    #[test]
    fn the_lowest_metric_holds_and_the_next_one_after_it() {
        let mut table = KernelRoutes::default();
        let (bgp, ospf) = (route("10.9.0.0/16", 20, &["10.1.0.8"]), route("10.9.0.0/16", 110, &["10.1.0.9"]));
        table.add(ospf.clone());
        table.add(bgp.clone());
        table.add(route("10.9.0.0/24", 20, &["10.1.0.7"]));
        assert_eq!(table.best()[0], bgp);
        assert_eq!(table.best().len(), 2);
        table.remove(&bgp);
        assert_eq!(table.best()[0], ospf);
    }

    #[test]
    fn a_route_that_is_said_again_is_another() {
        let mut table = KernelRoutes::default();
        table.add(route("10.9.0.0/16", 20, &["10.1.0.8", "10.1.0.9"]));
        table.add(route("10.9.0.0/16", 20, &["10.1.0.7"]));
        assert_eq!(table.best(), [route("10.9.0.0/16", 20, &["10.1.0.7"])]);
    }

    #[test]
    fn a_next_hop_may_go_and_the_others_stay() {
        let mut table = KernelRoutes::default();
        let all = ["2001:db8:1::8", "2001:db8:1::9"];
        table.add(route("2001:db8:9::/48", 1024, &all));
        table.remove(&route("2001:db8:9::/48", 1024, &all[..1]));
        assert_eq!(table.best(), [route("2001:db8:9::/48", 1024, &all[1..])]);
        table.remove(&route("2001:db8:9::/48", 1024, &all[1..]));
        assert!(table.best().is_empty());
        table.remove(&route("2001:db8:9::/48", 1024, &all[1..]));
    }

    #[test]
    fn what_leads_elsewhere_is_no_route_of_the_gateways() {
        let all = interfaces(&[&["10.1.0.1/24", "2001:db8:1::1/64"]]);
        let away = KernelHop { link: link(Some(7)), ..hop("10.7.0.9") };
        let kernel = [
            route("10.9.0.0/16", 20, &["10.1.0.9"]),
            KernelRoute { hops: vec![away], ..route("10.10.0.0/16", 20, &[]) },
            KernelRoute { hops: vec![away, hop("10.1.0.8")], ..route("10.11.0.0/16", 20, &[]) },
            route("10.12.0.0/16", 20, &["10.1.0.1"]),
            route("10.13.0.0/16", 20, &["2001:db8:1::9"]),
        ];
        let found = routes(&kernel, &all);
        let shown: Vec<_> = found.iter().map(|route| (route.to, &route.target)).collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        for ((to, target), (prefix, gateway)) in
            shown.iter().zip([("10.9.0.0/16", "10.1.0.9"), ("10.11.0.0/16", "10.1.0.8")])
        {
            assert_eq!(*to, prefix.parse().unwrap());
            assert!(
                matches!(target, Target::Via(hops) if hops.len() == 1 && hops[0].gateway == gateway.parse().ok()),
                "{target:?}"
            );
        }
    }
}

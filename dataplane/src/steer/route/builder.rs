//! From the configuration to the [`Fib`].

use super::group::{Group, Member};
use super::lpm::{Lpm, Prefix};
use super::{Choice, Fib, Hop, HopId, Way, martian};
use crate::config::Routing;
use crate::config::route::{NextHop, Target};
use crate::subnet::Subnet;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use hashbrown::HashMap;

/// A table that is being made. Of two entries for one network the later holds.
pub(super) struct Builder<'a> {
    routing: &'a Routing,
    ipv4: Vec<Prefix>,
    ipv6: Vec<Prefix>,
    choices: Vec<Choice>,
    groups: Vec<Group>,
    hops: Vec<Hop>,
    /// What is there already; a million routes have few choices.
    ways: HashMap<Way, u32>,
    several: HashMap<&'a [NextHop], u32>,
    hop_ids: HashMap<Hop, HopId>,
}

impl<'a> Builder<'a> {
    pub(super) fn compile(routing: &'a Routing) -> Fib {
        let mut builder = Self::new(routing);
        builder.add_routes();
        builder.add_interfaces();
        let none = builder.one(Way::NoRoute);
        Fib {
            ipv4: Lpm::compile(none, builder.ipv4),
            ipv6: Lpm::compile(none, builder.ipv6),
            choices: builder.choices,
            groups: builder.groups,
            hops: builder.hops,
        }
    }

    fn new(routing: &'a Routing) -> Self {
        Self {
            routing,
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            choices: Vec::new(),
            groups: Vec::new(),
            hops: Vec::new(),
            ways: HashMap::new(),
            several: HashMap::new(),
            hop_ids: HashMap::new(),
        }
    }

    fn add_routes(&mut self) {
        let routing = self.routing;
        for route in routing.routes.iter().filter(|route| !martian::has(route.to)) {
            let choice = match &route.target {
                Target::Via(hops) => self.via(hops),
                Target::Blackhole => self.one(Way::Blackhole),
                Target::Unreachable => self.one(Way::Unreachable),
            };
            self.add(route.to, choice);
        }
    }

    fn add_interfaces(&mut self) {
        let routing = self.routing;
        let addresses = || {
            routing
                .interface_ids()
                .flat_map(|(id, interface)| interface.addresses.iter().map(move |own| (id, *own)))
        };
        for (id, network) in addresses().filter(|(_, own)| !martian::has(*own)) {
            self.add_way(network, Way::OnLink(id));
        }
        for (network, way) in martian::NETWORKS {
            self.add_way(network, way);
        }
        for (address, way) in addresses().filter_map(|(_, own)| edge(own)) {
            self.add_way(host(address), way);
        }
        for (_, own) in addresses() {
            self.add_way(host(own.address), Way::Local);
        }
    }

    fn add_way(&mut self, network: Subnet, way: Way) {
        let choice = self.one(way);
        self.add(network, choice);
    }

    fn add(&mut self, network: Subnet, choice: u32) {
        let (prefixes, first) = match network.address {
            IpAddr::V4(address) => (&mut self.ipv4, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (&mut self.ipv6, address.to_bits()),
        };
        let len = network.prefix_len;
        let hosts = u128::MAX.checked_shr(len.into()).unwrap_or(0);
        prefixes.push(Prefix { first: first & !hosts, len, value: choice });
    }

    /// The choice of one way.
    fn one(&mut self, way: Way) -> u32 {
        *self.ways.entry(way).or_insert_with(|| add(Choice::One(way), &mut self.choices))
    }

    /// The choice among these next hops.
    fn via(&mut self, hops: &'a [NextHop]) -> u32 {
        match hops {
            [] => self.one(Way::Unreachable),
            [hop] => {
                let way = self.way(hop);
                self.one(way)
            }
            _ => match self.several.get(hops) {
                Some(choice) => *choice,
                None => {
                    let group = self.group(hops);
                    let choice = add(Choice::Several(add(group, &mut self.groups)), &mut self.choices);
                    self.several.insert(hops, choice);
                    choice
                }
            },
        }
    }

    fn group(&mut self, hops: &[NextHop]) -> Group {
        let routing = self.routing;
        Group::compile(hops.iter().map(|hop| {
            let interface = routing.interfaces.get(hop.interface.index());
            Member {
                way: self.way(hop),
                gateway: hop.gateway,
                interface: interface.and_then(|interface| Some(interface.addresses.first()?.address)),
                weight: hop.weight,
            }
        }))
    }

    fn way(&mut self, hop: &NextHop) -> Way {
        let Some(gateway) = hop.gateway else { return Way::OnLink(hop.interface) };
        let hop = Hop { interface: hop.interface, gateway };
        Way::Gateway(*self.hop_ids.entry(hop).or_insert_with(|| HopId(add(hop, &mut self.hops))))
    }
}

/// The address of a network that is not a host's.
fn edge(network: Subnet) -> Option<(IpAddr, Way)> {
    match network.address {
        IpAddr::V4(address) if network.prefix_len <= 30 => {
            let last = address.to_bits() | u32::MAX >> network.prefix_len;
            Some((IpAddr::V4(Ipv4Addr::from_bits(last)), Way::Broadcast))
        }
        IpAddr::V6(address) if (1..=126).contains(&network.prefix_len) => {
            let first = address.to_bits() & (u128::MAX << (128 - network.prefix_len));
            Some((IpAddr::V6(Ipv6Addr::from_bits(first)), Way::Local))
        }
        _ => None,
    }
}

const fn host(address: IpAddr) -> Subnet {
    Subnet { address, prefix_len: if address.is_ipv4() { 32 } else { 128 } }
}

/// Adds a thing and gives its position.
#[expect(clippy::cast_possible_truncation, reason = "2^32 of them have no room in memory")]
fn add<T>(thing: T, things: &mut Vec<T>) -> u32 {
    things.push(thing);
    (things.len() - 1) as u32
}

//! The tables against a model that reads the configuration anew for each address.

use super::reverse_path::{Doubt, check};
use super::*;
use crate::config::route::{Interface, NextHop, ReversePath, Route, Target};
use crate::subnet::Subnet;
use crate::units::{PortId, VlanId};
use crate::wire::MacAddr;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU8;
use proptest::prelude::*;

const UNKNOWN: u64 = 0;

fn id(index: usize) -> InterfaceId {
    InterfaceId::new(index).unwrap()
}

fn interface(addresses: &[&str]) -> Interface {
    Interface {
        port: PortId::default(),
        vlan: None,
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        reverse_path: ReversePath::Strict,
    }
}

fn hop(interface: usize, gateway: &str, weight: u8) -> NextHop {
    NextHop {
        interface: id(interface),
        gateway: Some(gateway.parse().unwrap()),
        weight: NonZeroU8::new(weight).unwrap(),
    }
}

fn via(to: &str, hops: &[NextHop]) -> Route {
    Route { to: to.parse().unwrap(), target: Target::Via(hops.to_vec()) }
}

fn look_up(fib: &Fib, address: IpAddr, flow_hash: u64, adjacencies: &Adjacencies) -> Way {
    fib.prefetch(Family::of(address), Address::from_ip(address));
    fib.lookup(Family::of(address), Address::from_ip(address), flow_hash, adjacencies)
}

fn way(fib: &Fib, address: &str) -> Way {
    look_up(fib, address.parse().unwrap(), UNKNOWN, &Adjacencies::default())
}

/// Two uplinks and a LAN.
fn office() -> Routing {
    Routing {
        interfaces: vec![
            interface(&["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"]),
            interface(&["198.51.100.1/31", "2001:db8:1::1/127"]),
            interface(&["203.0.113.1/30", "169.254.7.1/30"]),
        ],
        routes: vec![
            via("0.0.0.0/0", &[hop(1, "198.51.100.0", 1), hop(2, "203.0.113.2", 1)]),
            via("::/0", &[hop(1, "2001:db8:1::", 1)]),
            Route { to: "10.0.0.0/8".parse().unwrap(), target: Target::Blackhole },
            Route { to: "10.1.0.0/16".parse().unwrap(), target: Target::Unreachable },
            via("10.1.2.0/24", &[hop(0, "192.0.2.9", 1)]),
        ],
    }
}

#[test]
fn addresses_of_the_interfaces_make_ways_of_their_own() {
    let fib = Fib::compile(&office());
    for (address, expected) in [
        ("192.0.2.1", Way::Local),
        ("192.0.2.7", Way::OnLink(id(0))),
        ("192.0.2.0", Way::OnLink(id(0))),
        ("192.0.2.255", Way::Broadcast),
        ("255.255.255.255", Way::Broadcast),
        ("198.51.100.1", Way::Local),
        ("198.51.100.0", Way::OnLink(id(1))),
        ("203.0.113.3", Way::Broadcast),
        ("2001:db8::1", Way::Local),
        ("2001:db8::", Way::Local),
        ("2001:db8::2", Way::OnLink(id(0))),
        ("2001:db8:1::", Way::OnLink(id(1))),
        ("fe80::1", Way::Local),
        ("169.254.7.1", Way::Local),
    ] {
        assert_eq!(way(&fib, address), expected, "{address}");
    }
}

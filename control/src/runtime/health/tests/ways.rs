//! A check goes through one interface and no other, between namespaces.

use super::{ask, make, subject};
use crate::config::services::Check;
use crate::health::{Failure, Outcome, Subject};
use std::net::{IpAddr, Ipv6Addr};
use weir_tests::netns::{Namespace, available, veth};

/// What comes of asking from inside of a namespace.
fn from(namespace: &Namespace, check: Check, subject: Subject) -> Outcome {
    let task = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(make(check, subject)))
    };
    namespace.inside(task).unwrap()
}

#[tokio::test]
async fn an_echo_comes_back_over_both_families() {
    if !available("echoes") {
        return;
    }
    assert_eq!(ask(Check::Icmp).await, Outcome::Good);
    let outcome = make(Check::Icmp, subject("s", Ipv6Addr::LOCALHOST.into(), "lo")).await;
    assert_eq!(outcome, Outcome::Good);
}

#[test]
fn a_check_fails_when_its_own_way_does() {
    if !available("ways of checks") {
        return;
    }
    let (gateway, server) = (Namespace::create("gateway").unwrap(), Namespace::create("server").unwrap());
    for (n, name) in [(0, "lan"), (1, "wan")] {
        veth((&gateway, name), (&server, name), 1500).unwrap();
        gateway.ip(&format!("addr add 10.0.{n}.1/24 dev {name}")).unwrap();
        server.ip(&format!("addr add 10.0.{n}.2/24 dev {name}")).unwrap();
        for side in [&gateway, &server] {
            side.enable_ipv6(name).unwrap();
            side.sysctl(&format!("net/ipv4/conf/{name}/arp_ignore"), 1).unwrap();
        }
    }
    server.ip("addr add fe80::2/64 dev lan").unwrap();
    let address: IpAddr = "10.0.0.2".parse().unwrap();
    let check = |check, device| from(&gateway, check, subject("s", address, device));
    assert_eq!(check(Check::Icmp, "lan"), Outcome::Good);
    assert_eq!(check(Check::Tcp { port: 80 }, "lan"), Outcome::Bad(Failure::Refused));
    let link_local = subject("s", "fe80::2".parse().unwrap(), "lan");
    assert_eq!(from(&gateway, Check::Icmp, link_local), Outcome::Good, "of this link");
    // The other interface leads to the same machine, but not to this address.
    let is_lost = |outcome| matches!(outcome, Outcome::Bad(Failure::Timeout(_) | Failure::Unreachable(_)));
    assert!(is_lost(check(Check::Icmp, "wan")));
    assert!(is_lost(check(Check::Tcp { port: 80 }, "wan")));
    // The way ends: another one would lead there.
    gateway.ip("route add 10.0.0.2 via 10.0.1.2").unwrap();
    gateway.ip("link set lan down").unwrap();
    assert!(is_lost(check(Check::Icmp, "lan")));
    assert!(is_lost(check(Check::Tcp { port: 80 }, "lan")));
    gateway.run("ping -c 1 -W 2 10.0.0.2").unwrap();
}

//! VIPs: addresses with a MAC address of their own, whatever that of the port is.

use super::*;
use weir_dataplane::config::route::VipAddress;

const VIP: MacAddr = MacAddr([1, 0, 0x5e, 0, 0, 0x20]);
const VIP_IP: &str = "192.0.2.200";
const VIP_IP6: &str = "2001:db8::200";

/// A gateway with a VIP of each family, whose own addresses are at `announced`.
fn net(announced: MacAddr, mac: MacAddr) -> Net {
    let mut interface = interface(announced, OWN);
    for (text, network) in [(VIP_IP, "192.0.2.200/32"), (VIP_IP6, "2001:db8::200/128")] {
        interface.addresses.push(network.parse().unwrap());
        interface.vips.push(VipAddress { address: text.parse().unwrap(), mac });
    }
    let mut net = Net::new(announced);
    net.neighbours.reload(&routing(&[interface]), &[]);
    assert_eq!(net.actions(), []);
    net
}

/// A host asks for an address of the gateway.
fn asks(target: &str) -> Vec<u8> {
    match target.parse().unwrap() {
        IpAddr::V4(_) => arp_request(HOST, HOST_IP, target).bytes(),
        IpAddr::V6(target) => {
            let group = solicited_node(target);
            let destination = group_mac(group);
            NdFrame { destination, to: group, target, ..solicitation(HOST, HOST_IP6) }.bytes()
        }
    }
}

#[test]
fn a_vip_is_answered_with_its_mac_and_other_addresses_with_the_ports() {
    for (announced, mac) in [(OWN, VIP), (CLUSTER, VIP), (OWN, MacAddr([2, 0, 0x5e, 0, 0, 0x20]))] {
        let mut net = net(announced, mac);
        for (target, expected) in
            [(VIP_IP, mac), (VIP_IP6, mac), (GATEWAY_IP, announced), (GATEWAY_IP6, announced)]
        {
            let [answer] = &*said(&net.hears(&asks(target))) else { panic!("one answer about {target}") };
            assert_eq!((answer.mac, answer.source), (Some(expected), OWN), "{target}");
            assert_eq!(answer.speaker, Some(target.parse().unwrap()));
        }
    }
}

#[test]
fn a_vip_is_announced_with_its_mac() {
    let mut net = net(OWN, VIP);
    net.neighbours.announce(|_| true, net.now_ms);
    let told = said(&net.actions());
    assert_eq!(told.len(), 4);
    for message in told {
        let is_vip = [VIP_IP, VIP_IP6].map(|text| text.parse().ok()).contains(&message.speaker);
        assert_eq!(message.mac, Some(if is_vip { VIP } else { OWN }), "{message:?}");
    }
}

#[test]
fn what_other_nodes_say_of_a_vip_is_no_conflict_and_another_claim_is() {
    let mut net = net(OWN, VIP);
    let sibling = MacAddr([2, 0, 0, 0, 0, 2]);
    let announced =
        ArpFrame { source: sibling, sender: (VIP, v4(VIP_IP)), ..arp_announcement(sibling, VIP_IP) };
    assert_eq!(net.hears(&announced.bytes()), []);
    assert_eq!((net.ignored(Ignored::Cluster), net.ignored(Ignored::Conflict)), (1, 0));
    let actions = net.hears(&arp_announcement(OTHER, VIP_IP).bytes());
    assert_eq!(alarms(&actions), [Alarm::Conflict { at: at(VIP_IP), mac: OTHER }]);
    let [defence] = &*said(&actions) else { panic!("it is defended") };
    assert_eq!(defence.mac, Some(VIP));
}

#[test]
fn a_unicast_mac_of_a_vip_is_nobody_elses() {
    let mac = MacAddr([2, 0, 0x5e, 0, 0, 0x20]);
    let mut net = net(OWN, mac);
    net.hears(&arp_request(mac, "192.0.2.10", GATEWAY_IP).bytes());
    assert_eq!((net.ignored(Ignored::OurMac), net.mac("192.0.2.10")), (1, None));
}

#[test]
fn what_is_answered_to_a_vip_all_nodes_learn() {
    let mut net = net(OWN, VIP);
    let answer = ArpFrame { target: (VIP, v4(VIP_IP)), ..arp_reply(HOST, HOST_IP, VIP) };
    net.hears(&answer.bytes());
    assert_eq!(net.mac(HOST_IP), Some(HOST), "another node has asked from there");
}

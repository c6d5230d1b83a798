//! Which network interface of the kernel a server is asked by.

use super::{GatewayConfig, Network};
use std::net::IpAddr;
use weir_dataplane::config::route::{Interface, Target};

/// The tap of the port that `address` is behind, or of its VLAN there; `None` where that port has no tap, or nothing in
/// the configuration leads there. What is in no network of the gateway is where its routes lead; of several next hops the
/// first counts.
pub fn device(config: &GatewayConfig, address: IpAddr) -> Option<String> {
    let interface = interface(config.network()?, address)?;
    let tap = config.ports().get(interface.port.index())?.tap()?;
    Some(interface.vlan.map_or_else(|| tap.to_owned(), |vlan| format!("{tap}.{}", vlan.number())))
}

fn interface(network: &Network, address: IpAddr) -> Option<&Interface> {
    let interfaces = || network.interfaces().iter().map(|named| named.interface());
    let beside =
        interfaces().flat_map(|interface| interface.addresses.iter().map(move |own| (own, interface)));
    let beside = beside.filter(|(own, _)| own.contains(address)).max_by_key(|(own, _)| own.prefix_len);
    beside.map(|(_, interface)| interface).or_else(|| {
        let routes = network.routes().iter().filter(|route| route.to.contains(address));
        match &routes.max_by_key(|route| route.to.prefix_len)?.target {
            Target::Via(hops) => interfaces().nth(hops.first()?.interface.index()),
            Target::Blackhole | Target::Unreachable => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_by_the_tap_of_the_port_that_it_is_behind() {
        let text = "\
node: a
ports:
  - name: lan
    device: net_null0
    tap: weir-lan
    addresses: [10.0.0.1/24]
    vlans: [{ id: 20, addresses: [10.20.0.1/16, 2001:db8::1/64] }]
  - { name: wan, device: net_null1, addresses: [192.0.2.1/24] }
forwarding: { mode: route }
routes:
  - { to: 10.9.0.0/16, via: 10.0.0.9 }
  - { to: 10.9.9.0/24, via: 192.0.2.9 }
  - { to: 10.9.8.0/24, type: blackhole }
";
        let config = crate::config::parse("test.yaml", text).unwrap().config;
        for (address, expected) in [
            ("10.0.0.2", Some("weir-lan")),
            ("10.20.1.2", Some("weir-lan.20")),
            ("2001:db8::2", Some("weir-lan.20")),
            ("10.9.1.1", Some("weir-lan")),
            ("10.9.9.1", None),
            ("10.9.8.1", None),
            ("192.0.2.7", None),
            ("198.51.100.1", None),
        ] {
            assert_eq!(device(&config, address.parse().unwrap()).as_deref(), expected, "{address}");
        }
    }
}

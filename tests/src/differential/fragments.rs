//! Whether a stream has fragments: Linux keeps those that wait for the rest, whatever else it is told to forget.

use weir_dataplane::wire::{EtherType, Ethernet, Extension, IpProtocol, Ipv4, Ipv6, Pppoe, Vlan};

/// Whether `frame` is a fragment, behind whatever tags.
pub(super) fn is_fragment(frame: &[u8]) -> bool {
    Ethernet::new(frame).is_some_and(|ethernet| carries_fragment(ethernet.ethertype(), ethernet.payload()))
}

fn carries_fragment(ethertype: EtherType, payload: &[u8]) -> bool {
    match ethertype {
        EtherType::IPV4 => Ipv4::new(payload).is_some_and(|ip| ip.is_fragment()),
        EtherType::IPV6 => Ipv6::new(payload).is_some_and(|ip| has_fragment_header(&ip)),
        EtherType::VLAN | EtherType::SERVICE_VLAN => {
            Vlan::new(payload).is_some_and(|vlan| carries_fragment(vlan.ethertype(), vlan.payload()))
        }
        EtherType::PPPOE_SESSION => Pppoe::new(payload)
            .and_then(|pppoe| Some((pppoe.ethertype()?, pppoe.payload())))
            .is_some_and(|(ethertype, payload)| carries_fragment(ethertype, payload)),
        _ => false,
    }
}

fn has_fragment_header(ip: &Ipv6<'_>) -> bool {
    let (mut next, mut rest) = (ip.next_header(), ip.payload());
    while let Some(extension) = Extension::new(next, rest) {
        if next == IpProtocol::FRAGMENT {
            return true;
        }
        let Some(behind) = extension.payload() else { return false };
        (next, rest) = (extension.next_header(), behind);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Mac, eth};
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn a_fragment_is_one_behind_its_tags() {
        let link = || eth(Mac::host(1), Mac::host(2));
        let (a, b) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        assert!(is_fragment(&link().vlan(7).ip(a, a).fragment(8, false).protocol(99).build()));
        assert!(is_fragment(&link().ip(b, b).extension(0, &[1, 4]).fragment(0, true).protocol(99).build()));
        assert!(is_fragment(&link().pppoe(3).ip(a, a).fragment(0, true).protocol(99).build()));
        assert!(!is_fragment(&link().vlan(7).ip(a, a).protocol(99).build()));
    }
}

//! Which frames a trace means: those of a flow or an address, in both directions, and ICMP errors about them.

use super::head::{Ends, Head};
use crate::key::{Endpoint, Family, FlowKey, Side};
use crate::parse::{Class, Parsed};
use crate::track::filter::EndFilter;
use crate::wire::IpProtocol;

/// Which frames are meant; whatever is `None` is not asked for, so the default means all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this IP version.
    pub family: Option<Family>,
    /// Of this IP protocol.
    pub protocol: Option<IpProtocol>,
    /// One of the ends of a flow.
    pub source: EndFilter,
    /// Its other end.
    pub destination: EndFilter,
    /// From or to there: one of the ends is all of this.
    pub either: EndFilter,
}

/// What of a packet is compared.
struct Compared {
    family: Family,
    protocol: Option<IpProtocol>,
    ends: [Endpoint; 2],
    /// It may have ports that are not known.
    may_have_ports: bool,
}

impl Filter {
    /// Whether a frame is meant that was read as `parsed`.
    pub fn matches(&self, parsed: &Parsed, head: Option<&Head>) -> bool {
        let by_addresses = || match head.and_then(|head| head.ends.as_ref()) {
            Some(ends) => self.matches_ends(ends),
            None => *self == Self::default(),
        };
        match parsed.class {
            // About the flow, or from who says it or to whom.
            Class::IcmpError => self.matches_key(&parsed.key) || by_addresses(),
            _ if parsed.key != FlowKey::NONE => self.matches_key(&parsed.key),
            _ => by_addresses(),
        }
    }

    fn matches_key(&self, key: &FlowKey) -> bool {
        self.fits(&Compared {
            family: key.family(),
            protocol: Some(IpProtocol(key.protocol())),
            ends: [key.endpoint(Side::First), key.endpoint(Side::Second)],
            may_have_ports: false,
        })
    }

    /// By addresses alone: a fragment may be of the flow that is meant, and what is broken too.
    fn matches_ends(&self, ends: &Ends) -> bool {
        self.fits(&Compared {
            family: ends.family,
            protocol: ends.protocol,
            ends: [Endpoint::new(ends.source, 0), Endpoint::new(ends.destination, 0)],
            may_have_ports: ends.protocol.is_some_and(|protocol| protocol.has_ports()),
        })
    }

    fn fits(&self, packet: &Compared) -> bool {
        let has_ports =
            !packet.may_have_ports && packet.protocol.is_some_and(|protocol| protocol.has_ports());
        let fits = |filter: &EndFilter, end| {
            let filter = EndFilter { port: filter.port.filter(|_| !packet.may_have_ports), ..*filter };
            filter.matches(packet.family, has_ports, end)
        };
        let [one, other] = packet.ends;
        let between = |a, b| fits(&self.source, a) && fits(&self.destination, b);
        self.family.is_none_or(|wanted| wanted == packet.family)
            && self.protocol.is_none_or(|wanted| Some(wanted) == packet.protocol)
            && (between(one, other) || between(other, one))
            && (fits(&self.either, one) || fits(&self.either, other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Address;
    use crate::parse::Transport;
    use crate::wire::{EtherType, MacAddr};

    fn address(ip: &str) -> Address {
        Address::from_ip(ip.parse().unwrap())
    }

    fn end(ip: &str, port: u16) -> EndFilter {
        EndFilter { address: Some(ip.parse().unwrap()), port: Some(port) }
    }

    fn head(protocol: Option<IpProtocol>, source: &str, destination: &str) -> Head {
        let ends = Ends {
            family: Family::V4,
            source: address(source),
            destination: address(destination),
            protocol,
            hops_left: None,
        };
        Head {
            source: MacAddr::default(),
            destination: MacAddr::default(),
            vlan: None,
            ethertype: EtherType::IPV4,
            ends: Some(ends),
        }
    }

    fn parsed(class: Class, source: (&str, u16), destination: (&str, u16)) -> Parsed {
        let end = |(ip, port)| Endpoint::new(address(ip), port);
        let (key, side) = FlowKey::sorted(Family::V4, 6, end(source), end(destination));
        Parsed { class, key, side, ..Parsed::default() }
    }

    const CLIENT: &str = "10.0.0.9";
    const SERVER: &str = "10.0.0.1";

    fn http() -> Filter {
        let protocol = Some(IpProtocol::TCP);
        Filter { protocol, source: end(CLIENT, 4000), destination: end(SERVER, 80), ..Filter::default() }
    }

    #[test]
    fn both_directions_of_a_flow_are_meant_and_no_other() {
        let flow = Class::Flow(Transport::Tcp);
        let meant = |from, to| http().matches(&parsed(flow, from, to), None);
        assert!(meant((CLIENT, 4000), (SERVER, 80)) && meant((SERVER, 80), (CLIENT, 4000)));
        assert!(!meant((CLIENT, 80), (SERVER, 4000)), "the ports are the other way round");
        assert!(!meant((CLIENT, 4001), (SERVER, 80)));
        let udp = Filter { protocol: Some(IpProtocol::UDP), ..http() };
        assert!(!udp.matches(&parsed(flow, (CLIENT, 4000), (SERVER, 80)), None));
    }

    #[test]
    fn an_error_is_meant_by_what_it_is_about_and_by_who_says_it() {
        let about = parsed(Class::IcmpError, (CLIENT, 4000), (SERVER, 80));
        let said = head(Some(IpProtocol::ICMP), "192.0.2.1", CLIENT);
        assert!(http().matches(&about, Some(&said)));
        let either = EndFilter { address: Some("192.0.2.1".parse().unwrap()), port: None };
        assert!(Filter { either, ..Filter::default() }.matches(&about, Some(&said)));
    }

    #[test]
    fn what_has_no_name_is_meant_by_its_addresses() {
        let nameless = Parsed { class: Class::Fragment, ..Parsed::default() };
        let meant =
            |filter: Filter, protocol| filter.matches(&nameless, Some(&head(protocol, SERVER, CLIENT)));
        assert!(meant(http(), Some(IpProtocol::TCP)), "a fragment may be of the flow");
        assert!(!meant(http(), Some(IpProtocol::UDP)));
        assert!(!meant(http(), None), "ARP is of no protocol");
        let either = EndFilter { address: Some(CLIENT.parse().unwrap()), port: None };
        assert!(meant(Filter { either, ..Filter::default() }, None));
        let with_port = EndFilter { port: Some(80), ..either };
        assert!(!meant(Filter { either: with_port, ..Filter::default() }, None), "ARP has no ports");
        assert!(!http().matches(&nameless, None) && Filter::default().matches(&nameless, None));
    }
}

//! Which flows are meant: what an operator's words come down to. A worker applies it to its records.

use super::record::Origin;
use super::view::FlowView;
use crate::config::{BucketSet, HelperKind};
use crate::counters::FlowClass;
use crate::key::{Endpoint, Family};
use crate::subnet::Subnet;
use crate::units::{Mark, MemberId, ServerId};
use crate::wire::IpProtocol;
use core::fmt;
use core::str::FromStr;

/// Which ends of flows are meant; whatever is `None` is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndFilter {
    /// Its address begins like this.
    pub address: Option<Subnet>,
    /// It has this port. What has no ports, has none that is asked for.
    pub port: Option<u16>,
}

impl EndFilter {
    pub(crate) fn matches(&self, family: Family, has_ports: bool, end: Endpoint) -> bool {
        self.address.is_none_or(|subnet| subnet.contains(end.address.ip(family)))
            && self.port.is_none_or(|port| has_ports && port == end.port)
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A mark under a mask, as in `--mark 0x10/0xf0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkFilter {
    /// What is wanted of the bits of `mask`.
    pub mark: Mark,
    /// The bits that count.
    pub mask: u32,
}

/// A text that is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMark;

impl fmt::Display for NotAMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mark is wanted, with or without a mask, such as 5, 0x10 or 0x10/0xf0")
    }
}

impl core::error::Error for NotAMark {}

impl FromStr for MarkFilter {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, NotAMark> {
        let number = |text: &str| {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
            digits
                .map_or_else(|| text.parse(), |digits| u32::from_str_radix(digits, 16))
                .map_err(|_| NotAMark)
        };
        let (mark, mask) = match text.split_once('/') {
            Some((mark, mask)) => (number(mark)?, number(mask)?),
            None => (number(text)?, u32::MAX),
        };
        Ok(Self { mark: Mark(mark), mask })
    }
}

impl fmt::Display for MarkFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.mark.0, self.mask)
    }
}

/// A set of flow classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassSet(u64);

const _: () = assert!(FlowClass::COUNT <= 64);

impl ClassSet {
    /// Whether `class` is in it.
    pub const fn contains(self, class: FlowClass) -> bool {
        self.0 >> class.index() & 1 == 1
    }
}

impl FromIterator<FlowClass> for ClassSet {
    fn from_iter<I: IntoIterator<Item = FlowClass>>(classes: I) -> Self {
        Self(classes.into_iter().fold(0, |bits, class| bits | 1 << class.index()))
    }
}

/// Whether a certain node forwards them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerFilter {
    /// The node.
    pub member: MemberId,
    /// It does, or it does not.
    pub forwards: bool,
}

/// Which server has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFilter {
    /// Any was given them.
    Any,
    /// This one was given them, or has opened them.
    One(ServerId),
}

impl ServerFilter {
    fn matches(self, flow: &FlowView) -> bool {
        match self {
            Self::Any => flow.server.is_some(),
            Self::One(wanted) => [flow.server, flow.opener].contains(&Some(wanted)),
        }
    }
}

/// Which flows are meant; whatever is `None` is not asked for, so the default means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this IP version.
    pub family: Option<Family>,
    /// Of this IP protocol.
    pub protocol: Option<IpProtocol>,
    /// In one of these states.
    pub classes: Option<ClassSet>,
    /// From here, in the original direction.
    pub source: EndFilter,
    /// To there, in the original direction.
    pub destination: EndFilter,
    /// From or to there: one of the ends is all of this.
    pub either: EndFilter,
    /// An answer has been seen, or has not.
    pub seen_reply: Option<bool>,
    /// It has proven itself, or has not.
    pub assured: Option<bool>,
    /// With this mark.
    pub mark: Option<MarkFilter>,
    /// Of these buckets of the cluster.
    pub buckets: Option<BucketSet>,
    /// A named node forwards it, or does not.
    pub owner: Option<OwnerFilter>,
    /// With this helper.
    pub helper: Option<HelperKind>,
    /// Another flow announced it, or none did.
    pub related: Option<bool>,
    /// Announced by a flow one of whose ends is this.
    pub master: EndFilter,
    /// A server has it.
    pub server: Option<ServerFilter>,
}

impl Filter {
    /// Whether `flow` is meant.
    pub fn matches(&self, flow: &FlowView) -> bool {
        let family = flow.key.family();
        let protocol = IpProtocol(flow.key.protocol());
        let (source, destination) = (flow.source(), flow.destination());
        let has_ports = protocol.has_ports();
        let end = |filter: &EndFilter, end| filter.matches(family, has_ports, end);
        self.family.is_none_or(|wanted| wanted == family)
            && self.protocol.is_none_or(|wanted| wanted == protocol)
            && self.classes.is_none_or(|classes| classes.contains(flow.class))
            && end(&self.source, source)
            && end(&self.destination, destination)
            && (end(&self.either, source) || end(&self.either, destination))
            && self.seen_reply.is_none_or(|wanted| wanted == flow.seen_reply)
            && self.assured.is_none_or(|wanted| wanted == flow.assured)
            && self.mark.is_none_or(|wanted| wanted.mark.0 == flow.mark.0 & wanted.mask)
            && self.buckets.as_ref().is_none_or(|buckets| buckets.contains(flow.bucket))
            && self.owner.is_none_or(|wanted| (flow.owner == Some(wanted.member)) == wanted.forwards)
            && self.helper.is_none_or(|wanted| flow.helper == Some(wanted))
            && self.related.is_none_or(|wanted| wanted == flow.master.is_some())
            && self.server.is_none_or(|wanted| wanted.matches(flow))
            && (self.master.is_empty() || flow.master.is_some_and(|master| self.is_of(&master)))
    }

    fn is_of(&self, master: &Origin) -> bool {
        let family = master.key.family();
        let has_ports = IpProtocol(master.key.protocol()).has_ports();
        let ends = [master.side, master.side.opposite()].map(|side| master.key.endpoint(side));
        ends.into_iter().any(|end| self.master.matches(family, has_ports, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Address, FlowKey};
    use crate::units::{BucketId, Span};

    fn end(ip: &str, port: u16) -> Endpoint {
        Endpoint::new(Address::from_ip(ip.parse().unwrap()), port)
    }

    fn flow(protocol: IpProtocol, source: Endpoint, destination: Endpoint) -> FlowView {
        let (key, origin) = FlowKey::sorted(Family::V4, protocol.0, source, destination);
        FlowView {
            key,
            origin,
            class: FlowClass::TcpEstablished,
            remaining: Span::default(),
            seen_reply: true,
            assured: false,
            mark: Mark(0x1234),
            bucket: BucketId::default(),
            owner: None,
            helper: None,
            master: None,
            children: 0,
            server: None,
            opener: None,
        }
    }

    fn matches(flow: &FlowView, ask: impl FnOnce(&mut Filter)) -> bool {
        let mut filter = Filter::default();
        ask(&mut filter);
        filter.matches(flow)
    }

    #[test]
    fn what_is_not_asked_for_does_not_matter() {
        assert!(Filter::default().matches(&flow(IpProtocol::TCP, end("10.0.0.9", 5), end("10.0.0.1", 21))));
    }

    #[test]
    fn ends_are_those_of_the_original_direction() {
        // The source has the higher address, so it is the key's second side.
        let flow = flow(IpProtocol::TCP, end("10.0.0.9", 5), end("10.0.0.1", 21));
        let address = Some("10.0.0.8/31".parse().unwrap());
        assert!(matches(&flow, |filter| filter.source.address = address));
        assert!(!matches(&flow, |filter| filter.destination.address = address));
        assert!(matches(&flow, |filter| filter.destination.port = Some(21)));
        assert!(!matches(&flow, |filter| filter.source.port = Some(21)));
    }

    #[test]
    fn either_end_is_one_end_and_not_half_of_each() {
        let flow = flow(IpProtocol::TCP, end("10.0.0.9", 5), end("10.0.0.1", 21));
        let address = Some("10.0.0.1".parse().unwrap());
        assert!(matches(&flow, |filter| filter.either = EndFilter { address, port: Some(21) }));
        assert!(!matches(&flow, |filter| filter.either = EndFilter { address, port: Some(5) }));
    }

    #[test]
    fn what_stands_in_the_key_of_an_icmp_query_is_no_port() {
        let flow = flow(IpProtocol::ICMP, end("10.0.0.9", 5), end("10.0.0.1", 0x0800));
        assert!(matches(&flow, |filter| filter.protocol = Some(IpProtocol::ICMP)));
        assert!(!matches(&flow, |filter| filter.source.port = Some(5)));
    }

    #[test]
    fn a_mark_is_compared_under_its_mask() {
        let flow = flow(IpProtocol::UDP, end("10.0.0.9", 5), end("10.0.0.1", 53));
        let mark = |mark, mask| Some(MarkFilter { mark: Mark(mark), mask });
        assert!(matches(&flow, |filter| filter.mark = mark(0x30, 0xf0)));
        assert!(!matches(&flow, |filter| filter.mark = mark(0x30, 0xff)));
    }

    #[test]
    fn a_mark_is_written_as_for_conntrack() {
        let parsed = |text: &str| text.parse::<MarkFilter>().map(|filter| (filter.mark.0, filter.mask));
        assert_eq!(parsed("5"), Ok((5, u32::MAX)));
        assert_eq!(parsed("0x10/0xf0"), Ok((0x10, 0xf0)));
        for text in ["", "0x", "-1", "5/", "0x100000000", "five"] {
            assert_eq!(parsed(text), Err(NotAMark), "{text}");
        }
        assert_eq!("16/240".parse::<MarkFilter>().unwrap().to_string(), "0x10/0xf0");
    }

    #[test]
    fn state_answer_and_owner_are_asked_for_one_by_one() {
        let flow = flow(IpProtocol::TCP, end("10.0.0.9", 5), end("10.0.0.1", 21));
        let classes = |class| Some(ClassSet::from_iter([class, FlowClass::Udp]));
        assert!(matches(&flow, |filter| filter.classes = classes(FlowClass::TcpEstablished)));
        assert!(!matches(&flow, |filter| filter.classes = classes(FlowClass::TcpClose)));
        assert!(matches(&flow, |filter| filter.assured = Some(false)));
        assert!(!matches(&flow, |filter| filter.seen_reply = Some(false)));
        assert!(!matches(&flow, |filter| filter.buckets = Some(BucketSet::default())));
        let owner = |forwards| Some(OwnerFilter { member: MemberId::FIRST, forwards });
        assert!(!matches(&flow, |filter| filter.owner = owner(true)), "it has none");
        assert!(matches(&flow, |filter| filter.owner = owner(false)));
    }

    #[test]
    fn a_server_has_what_it_was_given_and_what_it_has_opened() {
        let [one, other] = [7, 8].map(|number| ServerId::new(number).unwrap());
        let flow = flow(IpProtocol::TCP, end("10.0.0.9", 5), end("10.0.0.1", 21));
        let given = FlowView { server: Some(one), ..flow };
        let opened = FlowView { opener: Some(one), ..flow };
        let has = |flow, server| matches(flow, |filter| filter.server = Some(server));
        for (flow, any, by_number) in [(&flow, false, false), (&given, true, true), (&opened, false, true)] {
            assert_eq!((has(flow, ServerFilter::Any), has(flow, ServerFilter::One(one))), (any, by_number));
            assert!(!has(flow, ServerFilter::One(other)));
        }
    }

    #[test]
    fn a_master_is_known_by_either_of_its_ends() {
        let master = flow(IpProtocol::TCP, end("10.0.0.9", 5), end("10.0.0.1", 21));
        let mut child = flow(IpProtocol::TCP, end("10.0.0.9", 7), end("10.0.0.1", 20_000));
        let port = |port| EndFilter { address: None, port: Some(port) };
        assert!(!matches(&child, |filter| filter.related = Some(true)));
        assert!(!matches(&child, |filter| filter.master = port(21)));
        child.master = Some(Origin { key: master.key, side: master.origin });
        assert!(matches(&child, |filter| filter.related = Some(true)));
        assert!(matches(&child, |filter| filter.master = port(21)));
        assert!(!matches(&child, |filter| filter.master = port(7)));
    }
}

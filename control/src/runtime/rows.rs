//! Flows and expectations of the workers as the model shows them.

use crate::observe::protocol::state_name;
use crate::observe::{Detail, ExpectationRow, FlowEvent, FlowRow, Tuple};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::Cluster;
use weir_dataplane::helper::{Expected, Source};
use weir_dataplane::key::{Family, FlowKey, Side};
use weir_dataplane::track::watch::{self, Happening};
use weir_dataplane::track::{ExpectationView, FlowView, Origin};
use weir_dataplane::wire::{IcmpType, Icmpv6Type, IpProtocol};

/// One flow of `worker`. Without a cluster it is this node's and no node's in particular.
pub(super) fn flow(worker: usize, flow: &FlowView, cluster: Option<&Cluster>) -> FlowRow {
    let itself = Origin { key: flow.key, side: flow.origin };
    FlowRow {
        worker,
        ip_version: flow.key.family() as u8,
        protocol: flow.key.protocol(),
        state: state_name(flow.class),
        timeout_s: flow.remaining.as_s(),
        original: original(&itself),
        reply: reply(&itself),
        replied: flow.seen_reply,
        assured: flow.assured,
        mark: flow.mark.0,
        helper: flow.helper.map(|helper| helper.to_string()),
        master: flow.master.as_ref().map(original),
        children: flow.children,
        node: cluster.map(|_| flow.bucket.number().number()),
        shadow: cluster.is_some_and(|cluster| !cluster.forwards(flow.bucket, flow.owner)),
    }
}

/// What happened to a flow of `worker`.
pub(super) fn event(worker: usize, event: &watch::FlowEvent, cluster: Option<&Cluster>) -> FlowEvent {
    let row = flow(worker, &event.flow, cluster);
    match event.happening {
        Happening::New => FlowEvent::New(row),
        Happening::Update => FlowEvent::Update(row),
        Happening::Destroy => FlowEvent::Destroy(row),
    }
}

/// One expectation of `worker`.
pub(super) fn expectation(worker: usize, view: &ExpectationView) -> ExpectationRow {
    let Expected { source, source_port, destination, destination_port, protocol, .. } = view.expected;
    let (source, mask) = match source {
        Source::Any => (unspecified(destination), unspecified(destination)),
        Source::Host(source) => (source, mask(source, u8::MAX)),
        Source::Net(net) => (net.address, mask(net.address, net.prefix_len)),
    };
    let any_port = if source_port.is_some() { u16::MAX } else { 0 };
    ExpectationRow {
        worker,
        timeout_s: view.remaining.as_s(),
        protocol: protocol.0,
        original: Tuple {
            source,
            destination,
            detail: detail(protocol, source_port.unwrap_or(0), destination_port),
        },
        mask: Tuple {
            source: mask,
            destination: self::mask(destination, u8::MAX),
            detail: detail(protocol, any_port, u16::MAX),
        },
        master: original(&view.master),
        helper: view.helper.to_string(),
        class: view.expected.class.index,
        permanent: view.expected.permanent,
        inactive: view.expected.inactive,
    }
}

/// What packets of a flow carry in its original direction.
fn original(flow: &Origin) -> Tuple {
    tuple(&flow.key, flow.side)
}

/// What they carry in the other direction.
fn reply(flow: &Origin) -> Tuple {
    tuple(&flow.key, flow.side.opposite())
}

pub(super) fn tuple(key: &FlowKey, from: Side) -> Tuple {
    let (source, destination) = (key.endpoint(from), key.endpoint(from.opposite()));
    let protocol = IpProtocol(key.protocol());
    let detail = match protocol {
        IpProtocol::ICMP | IpProtocol::ICMPV6 => query(key, from),
        _ => detail(protocol, source.port, destination.port),
    };
    let ip = |address: weir_dataplane::key::Address| address.ip(key.family());
    Tuple { source: ip(source.address), destination: ip(destination.address), detail }
}

/// The asking side is the key's first. Beside it stands the identifier, beside the other type and code of the
/// question.
fn query(key: &FlowKey, from: Side) -> Detail {
    let [asked, code] = key.endpoint(Side::Second).port.to_be_bytes();
    let answer = match key.family() {
        Family::V4 => IcmpType(asked).counterpart().map(|answer| answer.0),
        Family::V6 => Icmpv6Type(asked).counterpart().map(|answer| answer.0),
    };
    Detail::Query {
        icmp_type: if from == Side::First { asked } else { answer.unwrap_or(asked) },
        icmp_code: code,
        icmp_id: key.endpoint(Side::First).port,
    }
}

fn detail(protocol: IpProtocol, source: u16, destination: u16) -> Detail {
    match protocol {
        IpProtocol::GRE => Detail::Keys { source_key: source, destination_key: destination },
        _ if protocol.has_ports() => Detail::Ports { source_port: source, destination_port: destination },
        _ => Detail::Addresses {},
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The first `length` bits of an address of this family, as many as there are.
fn mask(like: IpAddr, length: u8) -> IpAddr {
    let rest = |bits: u32| bits.saturating_sub(length.into());
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::MAX.checked_shl(rest(32)).unwrap_or(0)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(u128::MAX.checked_shl(rest(128)).unwrap_or(0)).into(),
    }
}

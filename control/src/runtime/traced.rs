//! Traced frames as the model shows them: what the workers copied, with the names that control has for it.

use super::rows;
use crate::observe::protocol::state_name;
use crate::observe::trace::{
    AdmissionRow, Entry, FrameRow, FrameTrace, GateBy, GateRow, LeavesRow, OutcomeRow, OwnerRow, PacketRow,
    SteerRow, TakerRow, TrackingRow, Way,
};
use crate::observe::{Detail, Tuple};
use std::collections::BTreeMap;
use weir_dataplane::config::Cluster;
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::key::FlowKey;
use weir_dataplane::parse::{Class, Parsed};
use weir_dataplane::port::FrameDefect;
use weir_dataplane::steer::course::Course;
use weir_dataplane::steer::route;
use weir_dataplane::trace::{Arrival, Ends, FrameView, Passage, Share};
use weir_dataplane::units::{BucketId, InterfaceId, MemberId, PortId, ServerId, ServiceId};
use weir_dataplane::wire::TcpFlags;

/// What control calls ports, interfaces and nodes.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    /// In the order of the configuration.
    pub ports: &'a [String],
    /// Of a gateway that routes, in the order of the configuration.
    pub interfaces: Option<Vec<&'a str>>,
    /// What it is a part of.
    pub cluster: Option<&'a Cluster>,
    /// The nodes by their numbers at the workers.
    pub members: Vec<String>,
    /// Services and pools.
    pub services: BTreeMap<ServiceId, &'a str>,
    /// Their servers.
    pub servers: BTreeMap<ServerId, TakerRow>,
}

impl Names<'_> {
    fn port(&self, port: PortId) -> String {
        self.ports.get(port.index()).cloned().unwrap_or_default()
    }

    fn interface(&self, interface: InterfaceId) -> Option<String> {
        self.interfaces.as_ref()?.get(interface.index()).map(|name| (*name).to_owned())
    }

    /// Where nodes have numbers and no names, another's flows are known by the number alone.
    fn owner(&self, owner: Option<MemberId>, bucket: BucketId) -> Option<String> {
        match (owner, self.cluster?.mask()) {
            (None, Some(_)) => Some(format!("node {}", bucket.number())),
            _ => self.members.get(owner?.index()).cloned(),
        }
    }
}

/// A frame that `worker` told of at `time_ms`.
pub fn frame(worker: usize, time_ms: u64, passage: &Passage, names: &Names<'_>) -> FrameTrace {
    let Passage { arrival, parsed, tracked, .. } = passage;
    let held = passage.verdict == Verdict::Hold;
    let was_fragment = arrival.frame.parsed.class == Class::Fragment;
    let admission = admission(passage, names);
    let is_admitted = !admission.as_ref().is_some_and(|word| matches!(word.entry, Entry::Drop | Entry::Punt));
    let is_tracked = is_admitted && !held && !matches!(parsed.class, Class::Drop(_) | Class::Fragment);
    FrameTrace {
        time_ms,
        worker,
        number: arrival.number,
        epoch: arrival.epoch.number(),
        frame: view(&arrival.frame, names),
        datagram: packet(parsed).filter(|_| was_fragment),
        admission,
        tracking: is_tracked.then(|| tracking(worker, passage, names)),
        owner: owner(passage, names),
        gate: (is_tracked && tracked.drop.is_none() && names.cluster.is_some()).then(|| gate(passage)),
        unserved: passage.unserved.and_then(|id| names.services.get(&id)).map(|name| (*name).to_owned()),
        steer: steer(passage, names),
        outcome: outcome(passage.verdict, names),
    }
}

/// A frame by its own bytes.
pub fn view(frame: &FrameView, names: &Names<'_>) -> FrameRow {
    let (class, reason) = class(frame);
    let ends = frame.head.and_then(|head| head.ends);
    let by_addresses = || ends.as_ref().map(addresses);
    let is_error = frame.parsed.class == Class::IcmpError;
    FrameRow {
        port: names.port(frame.port),
        length: frame.len,
        source_mac: frame.head.map(|head| head.source.to_string()),
        destination_mac: frame.head.map(|head| head.destination.to_string()),
        vlan: frame.head.and_then(|head| head.vlan).map(|vlan| vlan.number()),
        ethertype: frame.head.map(|head| head.ethertype.0),
        class: class.to_owned(),
        reason: reason.map(|reason| reason.name().to_owned()),
        packet: packet(&frame.parsed).filter(|_| !is_error).or_else(by_addresses),
        about: packet(&frame.parsed).filter(|_| is_error),
        tcp_flags: frame.tcp_flags.map(flags),
        hops_left: ends.and_then(|ends| ends.hops_left),
    }
}

/// What became of a frame.
pub fn outcome(verdict: Verdict, names: &Names<'_>) -> OutcomeRow {
    let (out, reason) = match verdict {
        Verdict::Forward(port) | Verdict::Hairpin(port) => (Some(names.port(port)), None),
        Verdict::Drop(reason) => (None, Some(reason.name().to_owned())),
        Verdict::Punt(reason) => (None, Some(reason.name().to_owned())),
        Verdict::Shadow | Verdict::Hold => (None, None),
    };
    OutcomeRow { verdict: verdict.name().to_owned(), out, reason }
}

fn class(frame: &FrameView) -> (&'static str, Option<DropReason>) {
    match (frame.defect, frame.parsed.class) {
        (Some(FrameDefect::Segmented), _) => ("drop", Some(DropReason::Segmented)),
        (Some(FrameDefect::Oversize), _) => ("drop", Some(DropReason::Oversize)),
        (None, Class::Drop(reason)) => ("drop", Some(reason)),
        (None, Class::Invalid(reason)) => ("invalid", Some(reason)),
        (None, Class::Fragment) => ("fragment", None),
        (None, Class::Untracked) => ("untracked", None),
        (None, Class::Flow(_)) => ("flow", None),
        (None, Class::IcmpError) => ("icmp_error", None),
        // The parser itself punts nothing.
        (None, Class::NonIp | Class::Punt(_)) => ("non_ip", None),
    }
}

fn packet(parsed: &Parsed) -> Option<PacketRow> {
    let tuple = rows::tuple(&parsed.key, parsed.side);
    (parsed.key != FlowKey::NONE).then(|| PacketRow { protocol: Some(parsed.key.protocol()), tuple })
}

fn addresses(ends: &Ends) -> PacketRow {
    let [source, destination] = [ends.source, ends.destination].map(|address| address.ip(ends.family));
    let tuple = Tuple { source, destination, detail: Detail::Addresses {} };
    PacketRow { protocol: ends.protocol.map(|protocol| protocol.0), tuple }
}

fn flags(flags: TcpFlags) -> String {
    let names = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
        (TcpFlags::URG, "URG"),
        (TcpFlags::ECE, "ECE"),
        (TcpFlags::CWR, "CWR"),
    ];
    let set = names.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| name);
    set.collect::<Vec<_>>().join(" ")
}

/// A router's word, if it was asked: what the parser drops does not come to it.
fn admission(passage: &Passage, names: &Names<'_>) -> Option<AdmissionRow> {
    let Passage { arrival, parsed, .. } = passage;
    names.interfaces.as_ref()?;
    let Arrival { frame, interface, forwarded, .. } = arrival;
    if frame.defect.is_some() || matches!(frame.parsed.class, Class::Drop(_)) {
        return None;
    }
    let (entry, reason) = match parsed.class {
        Class::Punt(reason) => (Entry::Punt, Some(reason.name())),
        // A datagram that was put together may be broken: that is not the router's word.
        Class::Drop(reason) if is_routers(reason) => (Entry::Drop, Some(reason.name())),
        _ if *forwarded => (Entry::Forwarded, None),
        _ => (Entry::Sent, None),
    };
    let interface = interface.and_then(|id| names.interface(id));
    let vip_node = arrival.vip_node.map(|node| node.number());
    Some(AdmissionRow { interface, entry, reason: reason.map(str::to_owned), vip_node })
}

/// What [`weir_dataplane::steer::Router::admit`] drops for, and the gate of VIPs behind it.
const fn is_routers(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::Runt
            | DropReason::NoInterface
            | DropReason::NonIp
            | DropReason::OtherHost
            | DropReason::Multicast
            | DropReason::Martian
            | DropReason::ReversePath
            | DropReason::VipNotOwner
    )
}

fn tracking(worker: usize, passage: &Passage, names: &Names<'_>) -> TrackingRow {
    let Passage { arrival, tracked, flow, .. } = passage;
    TrackingRow {
        state: tracked.state.map(|state| state.name().to_owned()),
        reply: tracked.reply,
        found: arrival.before.is_some(),
        state_before: arrival.before.and_then(state_name),
        flow: flow.as_ref().map(|flow| rows::flow(worker, flow, names.cluster)),
        drop: tracked.drop.map(|reason| reason.name().to_owned()),
    }
}

fn owner(passage: &Passage, names: &Names<'_>) -> Option<OwnerRow> {
    let Share { source, hash, bucket, map_owner } = passage.share?;
    let cluster = names.cluster?;
    Some(OwnerRow {
        address: source,
        hash,
        bucket: bucket.number().number(),
        total_nodes: cluster.total_nodes,
        map_owner: names.owner(map_owner, bucket),
        // What is INVALID has no owner, but its flow has.
        owner: names.owner(passage.flow.map_or(passage.tracked.owner, |flow| flow.owner), bucket),
    })
}

fn gate(passage: &Passage) -> GateRow {
    let by = match passage.parsed.class {
        Class::NonIp | Class::Untracked => GateBy::Share,
        _ => GateBy::Flow,
    };
    GateRow { owned: passage.owned, by }
}

fn steer(passage: &Passage, names: &Names<'_>) -> Option<SteerRow> {
    if names.interfaces.is_none() {
        let is_sent = matches!(passage.verdict, Verdict::Forward(_));
        return is_sent.then_some(SteerRow {
            way: Way::Bridge,
            server: None,
            next_hop: None,
            interface: None,
            leaves: None,
        });
    }
    if passage.tracked.drop.is_some() || passage.verdict == Verdict::Drop(DropReason::OtherHost) {
        return None;
    }
    let ends = passage.arrival.frame.head?.ends?;
    let Course { way, hop, adjacency } = passage.course?;
    let server = passage.server.and_then(|id| names.servers.get(&id)).cloned();
    let destination = || match &server {
        Some(server) => server.address,
        None => Some(ends.destination.ip(ends.family)),
    };
    let (way, at, next_hop) = match way {
        route::Way::Gateway(_) => (Way::Gateway, hop.map(|hop| hop.interface), hop.map(|hop| hop.gateway)),
        route::Way::OnLink(at) => (Way::OnLink, Some(at), destination()),
        route::Way::Local => (Way::Local, None, None),
        route::Way::Broadcast => (Way::Broadcast, None, None),
        route::Way::Multicast => (Way::Multicast, None, None),
        route::Way::Martian => (Way::Martian, None, None),
        route::Way::Blackhole => (Way::Blackhole, None, None),
        route::Way::Unreachable => (Way::Unreachable, None, None),
        route::Way::NoRoute => (Way::NoRoute, None, None),
    };
    let leaves = adjacency.map(|leaving| LeavesRow {
        source_mac: leaving.source.to_string(),
        destination_mac: leaving.destination.to_string(),
        vlan: leaving.vlan.map(|vlan| vlan.number()),
        mtu: leaving.mtu,
        hops_left: ends.hops_left.and_then(|hops| hops.checked_sub(1)).filter(|hops| *hops > 0),
    });
    Some(SteerRow { way, server, next_hop, interface: at.and_then(|at| names.interface(at)), leaves })
}

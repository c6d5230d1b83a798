//! A trace as text for people: a block a frame, a line a stage.

use super::flow_tables::{arrow, protocol};
use super::trace::{
    AdmissionRow, Entry, FrameRow, FrameTrace, GateBy, GateRow, OutcomeRow, OwnerRow, PacketRow, SteerRow,
    TakerRow, TraceEnd, TraceEvent, TrackingRow, Way,
};
use weir_dataplane::wire::EtherType;

/// What `weir trace` prints of an event on standard output; nothing of what is said beside it, by [`remark`].
pub fn event(event: &TraceEvent) -> Option<String> {
    match event {
        TraceEvent::Frame(trace) => Some(frame(trace)),
        TraceEvent::Sent { time_ms, worker, frame } => {
            let title = format!("{}  worker {worker}  sent by control", time(*time_ms));
            Some(block(&title, &link(frame, true), &[("parse", read(frame))]))
        }
        TraceEvent::Released { time_ms, worker, number, outcome } => {
            let title = format!("{}  worker {worker}  frame {number} waits no longer", time(*time_ms));
            Some(block(&title, "", &[("verdict", verdict(outcome, None))]))
        }
        TraceEvent::Missed { .. } | TraceEvent::End { .. } => None,
    }
}

/// What it says beside that, on standard error.
pub fn remark(event: &TraceEvent) -> Option<String> {
    match event {
        TraceEvent::Missed { worker, frames } => Some(format!(
            "worker {worker} had more to tell than there was room for: {frames} frames are missed"
        )),
        TraceEvent::End { reason, frames, missed } => {
            let reason = match reason {
                TraceEnd::Count => "that is as many as were asked for",
                TraceEnd::Time => "the time is up",
            };
            let missed = if *missed > 0 { format!(", {missed} missed") } else { String::new() };
            Some(format!("{frames} frames{missed}; {reason}"))
        }
        _ => None,
    }
}

/// One frame.
pub fn frame(trace: &FrameTrace) -> String {
    let title = format!("{}  worker {}  frame {}", time(trace.time_ms), trace.worker, trace.number);
    let mut lines = vec![("parse", read(&trace.frame))];
    lines.extend(trace.datagram.as_ref().map(|datagram| ("datagram", packet(datagram))));
    lines.extend(trace.admission.as_ref().map(|word| ("router", admission(word))));
    lines.extend(trace.tracking.as_ref().map(|row| ("flow", tracking(row))));
    lines.extend(trace.owner.as_ref().map(|row| ("owner", owner(row))));
    lines.extend(trace.gate.as_ref().map(|row| ("gate", gate(row).to_owned())));
    lines.extend(trace.unserved.as_ref().map(|service| ("service", format!("{service}: no server"))));
    lines.extend(trace.steer.as_ref().map(|row| ("steer", steer(row))));
    lines.push(("verdict", verdict(&trace.outcome, trace.owner.as_ref())));
    block(&title, &link(&trace.frame, false), &lines)
}

fn block(title: &str, link: &str, lines: &[(&str, String)]) -> String {
    let mut text = format!("{title}{link}\n");
    for (stage, line) in lines {
        text += &format!("  {stage:<8} {line}\n");
    }
    text + "\n"
}

/// The time of day, UTC.
fn time(time_ms: u64) -> String {
    let (s, ms) = (time_ms / 1000, time_ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600 % 24, s / 60 % 60, s % 60)
}

fn link(frame: &FrameRow, leaves: bool) -> String {
    let way = if leaves { "out by" } else { "in by" };
    let macs = match (&frame.source_mac, &frame.destination_mac) {
        (Some(source), Some(destination)) => format!("  {source} > {destination}"),
        _ => String::new(),
    };
    let vlan = frame.vlan.map_or_else(String::new, |vlan| format!("  vlan {vlan}"));
    format!("  {way} {}  {} bytes{macs}{vlan}", frame.port, frame.length)
}

fn packet(row: &PacketRow) -> String {
    let protocol = row.protocol.map_or_else(|| "arp".to_owned(), protocol);
    format!("{protocol} {}", arrow(&row.tuple))
}

fn read(frame: &FrameRow) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(frame.packet.as_ref().map(packet));
    words.extend(frame.about.as_ref().map(|about| format!("an error about {}", packet(about))));
    words.extend(frame.tcp_flags.clone());
    words.extend(frame.hops_left.map(|hops| format!("ttl {hops}")));
    words.extend(match (frame.class.as_str(), &frame.reason) {
        ("flow" | "icmp_error", _) => None,
        ("fragment", _) => Some("a fragment".to_owned()),
        ("untracked", _) => Some("never tracked".to_owned()),
        ("non_ip", _) if frame.ethertype == Some(EtherType::ARP.0) => None,
        ("non_ip", _) => Some(format!("not IP: ethertype {:#06x}", frame.ethertype.unwrap_or_default())),
        (class, Some(reason)) => Some(format!("{class}: {reason}")),
        (class, None) => Some(class.to_owned()),
    });
    words.join(", ")
}

fn admission(word: &AdmissionRow) -> String {
    let by = word.interface.as_ref().map_or_else(String::new, |name| format!("{name}: "));
    let node = word.vip_node.map_or_else(String::new, |node| format!(", node {node}"));
    let reason = format!("{}{node}", word.reason.as_deref().unwrap_or_default());
    match word.entry {
        Entry::Sent => format!("{by}sent to this router"),
        Entry::Forwarded => format!("{by}forwarded by another node"),
        Entry::Punt => format!("{by}for control: {reason}"),
        Entry::Drop => format!("{by}drop: {reason}"),
    }
}

fn tracking(row: &TrackingRow) -> String {
    let mut words: Vec<String> = vec![row.state.clone().unwrap_or_else(|| "not tracked".to_owned())];
    words.extend(row.drop.as_ref().map(|reason| format!("drop: {reason}")));
    if row.state.is_none() {
        return words.join(", ");
    }
    let is_opening =
        !row.found && row.flow.is_some() && !row.reply && row.state.as_deref() != Some("ESTABLISHED");
    words.push(match (&row.flow, row.found) {
        (Some(_), _) if is_opening => "opens a flow".to_owned(),
        (Some(_), _) => "flow found".to_owned(),
        (None, true) => "ends the flow".to_owned(),
        (None, false) => "no flow".to_owned(),
    });
    let is_invalid = row.state.as_deref() == Some("INVALID");
    if !is_invalid && (row.found || row.flow.is_some()) {
        words.push(if row.reply { "reply" } else { "original" }.to_owned());
    }
    let after = row.flow.as_ref().and_then(|flow| flow.state.clone());
    words.extend(match (&row.state_before, after) {
        (Some(before), Some(after)) if *before != after => Some(format!("{before} > {after}")),
        (Some(state), None) => Some(state.clone()),
        (_, state) => state,
    });
    if let Some(flow) = &row.flow {
        words.extend((!flow.replied).then(|| "no reply yet".to_owned()));
        words.extend(flow.assured.then(|| "assured".to_owned()));
        words.push(format!("mark {:#x}", flow.mark));
        words.extend(flow.helper.as_ref().map(|helper| format!("helper {helper}")));
        words.extend(flow.master.as_ref().map(|master| format!("announced by {}", arrow(master))));
        words.push(format!("{} s", flow.timeout_s));
    }
    words.join(", ")
}

fn name(owner: Option<&String>) -> &str {
    owner.map_or("nobody known here", String::as_str)
}

fn owner(row: &OwnerRow) -> String {
    let OwnerRow { address, hash, bucket, total_nodes, map_owner, owner } = row;
    format!(
        "{address}: hash {hash:#010x}, bucket {bucket} of {total_nodes}; by the map {}, of this flow {}",
        name(map_owner.as_ref()),
        name(owner.as_ref())
    )
}

const fn gate(row: &GateRow) -> &'static str {
    match (row.owned, row.by) {
        (true, GateBy::Flow) => "this node's",
        (false, GateBy::Flow) => "another node's",
        (true, GateBy::Share) => "this node's, as the configuration says of such frames",
        (false, GateBy::Share) => "not this node's, as the configuration says of such frames",
    }
}

fn steer(row: &SteerRow) -> String {
    let to = row.next_hop.map_or_else(String::new, |next| format!(" {next}"));
    let by = row.interface.as_ref().map_or_else(String::new, |name| format!(" by {name}"));
    let way = match row.way {
        Way::Gateway if row.server.is_some() => format!("{}, to the router{to}{by}", taker(row)),
        Way::OnLink if row.server.is_some() => format!("{}{by}", taker(row)),
        Way::Bridge => return "to the port's partner".to_owned(),
        Way::Gateway => format!("to the router{to}{by}"),
        Way::OnLink => format!("to the host{to}{by}"),
        Way::Local => return "to this gateway itself".to_owned(),
        Way::Broadcast => return "to all hosts of a network".to_owned(),
        Way::Multicast => return "to a group of hosts".to_owned(),
        Way::Martian => return "nowhere: no router passes that on".to_owned(),
        Way::Blackhole => return "nowhere: a blackhole route".to_owned(),
        Way::Unreachable => return "nowhere: an unreachable route".to_owned(),
        Way::NoRoute => return "nowhere: no route".to_owned(),
    };
    match &row.leaves {
        None => format!("{way}, whose MAC address is not known"),
        Some(leaves) => {
            let vlan = leaves.vlan.map_or_else(String::new, |vlan| format!(", vlan {vlan}"));
            let ttl =
                leaves.hops_left.map_or_else(|| "ttl runs out".to_owned(), |hops| format!("ttl {hops}"));
            let (source, destination) = (&leaves.source_mac, &leaves.destination_mac);
            format!("{way}: {source} > {destination}{vlan}, mtu {}, {ttl}", leaves.mtu)
        }
    }
}

fn taker(row: &SteerRow) -> String {
    let Some(TakerRow { service, server, address }) = &row.server else { return String::new() };
    let at = address.map_or_else(String::new, |address| format!(" {address}"));
    format!("to the server {server}{at} of {service}")
}

fn verdict(outcome: &OutcomeRow, owner: Option<&OwnerRow>) -> String {
    let OutcomeRow { verdict, out, reason } = outcome;
    match (verdict.as_str(), out, reason) {
        ("forward", Some(port), _) => format!("forward by {port}"),
        ("shadow", ..) => match owner.and_then(|row| row.owner.as_ref()) {
            Some(owner) => format!("shadow: {owner} forwards it"),
            None => "shadow: not forwarded here".to_owned(),
        },
        ("hold", ..) => "hold: it waits for the rest of its datagram, or for its owner to leave".to_owned(),
        ("punt", _, Some(reason)) if reason == "no_server" => {
            "punt: no_server, control refuses it".to_owned()
        }
        ("punt", _, Some(reason)) => format!("punt: {reason}, left to control"),
        (verdict, _, Some(reason)) => format!("{verdict}: {reason}"),
        (verdict, ..) => verdict.to_owned(),
    }
}

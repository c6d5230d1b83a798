//! Flows to services that another node forwards: to which server it has given each, so that this node can go on with it.
//!
//! Nodes tell each other nothing. All of them hear what servers answer by way of the gateway, and from which MAC address
//! it comes; and where a switch floods it, to which one the owner has sent a packet.
//!
//! The first answer settles it, for its owner as well: while the map changes two nodes may each have given a flow to a
//! server, one after the other, and its client goes on with the one that has answered.

use super::service::Place;
use crate::classify::Facts;
use crate::config::service::Assignment;
use crate::key::{FlowKey, Side};
use crate::parse::Parsed;
use crate::snapshot::Snapshot;
use crate::steer::delivery::facts;
use crate::steer::route::Adjacency;
use crate::steer::service::memory::Memories;
use crate::track::Tracker;
use crate::track::table::RecordId;
use crate::units::{ServerId, ServiceId, Tick};
use crate::wire::MacAddr;

/// Where a packet came in that another node has forwarded: where what is sent to its sender leaves.
#[cold]
pub(super) fn sent_at(snapshot: &Snapshot, parsed: &Parsed, place: &mut Place) {
    let sender = parsed.key.endpoint(parsed.side).address;
    let way = snapshot.router().map(|router| router.course(parsed.family(), sender, &parsed.key));
    if let Some(Adjacency { port, vlan, .. }) = way.and_then(|way| way.adjacency) {
        (place.port, place.vlan) = (port, vlan);
    }
}

/// A flow begins that is not this node's: whose it is of services or servers, if that can be said.
pub(super) fn wonder(
    tracker: &mut Tracker,
    snapshot: &Snapshot,
    record: RecordId,
    facts: &Facts,
    master: Option<ServerId>,
    place: Place,
) {
    let Some(services) = snapshot.services() else { return };
    let (mark, claimed) = match master {
        Some(server) => (facts.mark, Some(Assignment::Server(server))),
        None => services.claims(facts),
    };
    tracker.mark(record, mark);
    match claimed {
        Some(Assignment::Server(server)) => tracker.learn(record, server, place.now),
        Some(Assignment::Service(service)) => tracker.leave_open(record, service, place.now),
        None => match answering(tracker, snapshot, record, facts, place) {
            Some(server) => {
                tracker.bind_opener(record, server, false);
            }
            None => tracker.route(record, place.now),
        },
    }
}

/// The server that has sent the packet, if a flow was picked up with an answer of its: what its client says is an answer to
/// it from now on.
fn answering(
    tracker: &Tracker,
    snapshot: &Snapshot,
    record: RecordId,
    facts: &Facts,
    place: Place,
) -> Option<ServerId> {
    let hot = tracker.table().hot(record);
    if hot.opener() == hot.origin() {
        return None;
    }
    match snapshot.services()?.claims(&asked(snapshot, facts, &hot.key)?).1? {
        Assignment::Server(server) => Some(server),
        Assignment::Service(service) => snapshot.router()?.server_of(service, place.source()),
    }
}

/// What its client has asked of who says this. Where the client's packets come in is where the answers go.
fn asked(snapshot: &Snapshot, answer: &Facts, key: &FlowKey) -> Option<Facts> {
    let towards = snapshot.router()?.course(answer.family, answer.destination, key).adjacency?;
    Some(Facts {
        source: answer.destination,
        destination: answer.source,
        ports: (answer.ports.1, answer.ports.0),
        port: towards.port,
        vlan: towards.vlan,
        ..*answer
    })
}

/// A server has answered, to a flow of which it is not known that it has it: `parsed` comes from the MAC address that it
/// has.
pub(super) fn hear_answer(
    tracker: &mut Tracker,
    memories: &mut Memories,
    snapshot: &Snapshot,
    (record, ours): (RecordId, bool),
    parsed: &Parsed,
    place: Place,
) {
    let service = tracker.steering(record).service();
    let Some(service) = service.or_else(|| in_doubt(tracker, snapshot, record, parsed, place)) else {
        return;
    };
    let end = (parsed.side.opposite(), place.source());
    learn(tracker, memories, snapshot, (record, service, ours), parsed, end, place.now);
}

/// The service of a flow that another server answers to than it was given to, if any server of that could have it.
fn in_doubt(
    tracker: &Tracker,
    snapshot: &Snapshot,
    record: RecordId,
    parsed: &Parsed,
    place: Place,
) -> Option<ServiceId> {
    let given = tracker.steering(record).server();
    let is_its = given.is_some() && snapshot.router()?.server_at(place.source()) == given;
    if is_its || tracker.server_of_master(record).is_some() {
        return None;
    }
    let mark = tracker.table().hot(record).mark;
    let answer = Facts { mark, ..facts(parsed, place.port, place.vlan) };
    let (services, asked) = (snapshot.services()?, asked(snapshot, &answer, &parsed.key)?);
    // What a server has asked is no service's.
    if services.shares(asked.family, asked.source) {
        return None;
    }
    match services.claims(&asked).1? {
        Assignment::Server(_) => None,
        Assignment::Service(service) => Some(service),
    }
}

/// Another node may have sent a packet to a server.
#[cold]
pub(super) fn overhear(
    tracker: &mut Tracker,
    memories: &mut Memories,
    snapshot: &Snapshot,
    parsed: &Parsed,
    place: Place,
) {
    if let Some((record, service)) = tracker.wondered_at(parsed, snapshot) {
        let flow = (record, service, false);
        learn(tracker, memories, snapshot, flow, parsed, (parsed.side, place.destination()), place.now);
    }
}

/// The client is on this side, and its server at this MAC address.
fn learn(
    tracker: &mut Tracker,
    memories: &mut Memories,
    snapshot: &Snapshot,
    (record, service, ours): (RecordId, ServiceId, bool),
    parsed: &Parsed,
    (client, mac): (Side, MacAddr),
    now: Tick,
) {
    let server = snapshot.router().and_then(|router| router.server_of(service, mac));
    let Some(server) = server.filter(|server| tracker.steering(record).server() != Some(*server)) else {
        return;
    };
    tracker.settle(record, server, ours, now);
    let address = |side| parsed.key.endpoint(side).address.ip(parsed.family());
    memories.follow(service, (address(client), address(client.opposite())), server, now);
}

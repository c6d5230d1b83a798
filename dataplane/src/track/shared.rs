//! Flows to the box itself by an address that several nodes have.
//!
//! All nodes hear what is sent to such an address, and none what another one answers. So a flow is followed by what its
//! far end sends, as one that a server was given ([`served`](super::served)), and it is the far end's, whoever opened it.
//! All nodes have heard the same, and say the same of it.
//!
//! - A SYN that is sent again, and a datagram, goes by the map in force: perhaps nobody has had the first one.
//! - Who goes on with a connection has been answered by its owner: that stays so.
//! - Who goes on with datagrams for two seconds under one map counts as answered. A map is agreed upon in less.
//! - What a helper has announced goes where its master goes, for good.

use super::answer::{answer, class_of_served, timeout_of};
use super::expect::Used;
use super::first::UDP_STREAM_AGE;
use super::flow::{Touch, extra_of};
use super::owner::decide;
use super::record::{Cold, Detail, Flags, Hot, Steering};
use super::serve::DATAGRAM_TIMEOUT;
use super::served::State;
use super::table::RecordId;
use super::watch::Happening;
use super::{Context, End, Owners, Packet, Tracked, Tracker, tcp};
use crate::config::Conntrack;
use crate::counters::{DropReason, FlowClass};
use crate::parse::{Class, Transport};
use crate::units::{Direction, Mark, Span, Tick};
use crate::wire::{IpProtocol, Tcp};
use core::net::SocketAddr;

/// Which packets open a flow.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Every first one; else such only as a helper looks into, or has announced.
    pub all: bool,
    /// Also a segment in mid-stream: no other node knows a flow of it.
    pub loose: bool,
}

/// What a first packet makes of a flow.
type First = (FlowClass, Detail, Span);

impl Tracker {
    /// A packet to a shared address; `None`: it belongs to no flow, and is the map's to judge by itself. What is dropped
    /// is INVALID, or its helper's to drop.
    pub fn track_shared<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        terms: Terms,
        context: &Context<'_, O>,
    ) -> Option<Tracked> {
        use Transport::{Sctp, Tcp, Udp, UdpLite};
        let Class::Flow(transport @ (Tcp | Udp | UdpLite | Sctp)) = packet.parsed.class else { return None };
        let record = self.table.find_key(&packet.parsed.key);
        match record.and_then(|record| self.alive(record, context.now)) {
            Some(record) if self.is_shared(record) => {
                self.follow_shared(packet, transport, record, terms, context)
            }
            other => {
                // What it was before the address was shared does not matter any more.
                other.into_iter().for_each(|record| self.end(record, End::Closed, context.now));
                self.open_shared(packet, transport, terms, context)
            }
        }
    }

    /// Whether a flow is to a shared address.
    #[inline]
    pub fn is_shared(&self, record: RecordId) -> bool {
        self.table.cold(record).steering == Steering::HERE
    }

    /// Whether this worker has heard for as long as a connection may be silent before it is forgotten: so no node knows one
    /// that this one does not.
    pub fn has_heard_all(&mut self, now: Tick) -> bool {
        self.has_heard_all |= now.since(Tick::default()) >= State::Established.timeout();
        self.has_heard_all
    }

    fn follow_shared<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        transport: Transport,
        record: RecordId,
        terms: Terms,
        context: &Context<'_, O>,
    ) -> Option<Tracked> {
        let before = self.table.hot(record).stage();
        let touch = match transport {
            Transport::Tcp => match self.see_half(packet, record, Direction::Original, context.now) {
                Ok(touch) => touch,
                Err(Some(reason)) => return Some(Tracked::invalid(reason)),
                Err(None) => return self.open_shared(packet, transport, terms, context),
            },
            _ => self.see_shared_datagram(record, context),
        };
        let hot = self.table.hot_mut(record);
        if transport == Transport::Tcp && hot.class != FlowClass::TcpSynRecv {
            hot.flags.set(Flags::SEEN_REPLY);
        }
        let state = answer(Direction::Original, hot.flags);
        let owner = self.owner(record, Direction::Original, context.owners);
        self.name_node(record);
        self.touch(record, Direction::Original, touch, context.now);
        let changed = self.table.hot(record).stage() != before;
        let mut tracked =
            Tracked { state: Some(state), owner, steering: Steering::HERE, ..Tracked::default() };
        if self.table.hot(record).extra != Hot::NO_EXTRA {
            tracked.drop = self.help(packet, transport, record, (state, Direction::Original), context.now);
        }
        if changed {
            self.tell(Happening::Update, record, context.now);
        }
        Some(tracked)
    }

    /// A datagram of a flow that is known. What came before a new map proves nothing under it.
    fn see_shared_datagram<O: Owners>(&mut self, record: RecordId, context: &Context<'_, O>) -> Touch {
        let (hot, cold) = self.table.lines_mut(record);
        if let Detail::Stream { from } = &mut cold.detail
            && !hot.flags.has(Flags::SEEN_REPLY)
        {
            if context.now.reached(*from) {
                hot.flags.set(Flags::SEEN_REPLY);
            } else if hot.epoch != Some(context.owners.ownership_epoch()) {
                *from = context.now.after(UDP_STREAM_AGE);
            }
        }
        let answered = hot.flags.has(Flags::SEEN_REPLY);
        Touch::Refresh(silence(hot.class, answered, context.config), answered)
    }

    fn open_shared<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        transport: Transport,
        terms: Terms,
        context: &Context<'_, O>,
    ) -> Option<Tracked> {
        let parsed = packet.parsed;
        let used = self.announced(packet, context);
        let extra = extra_of(used.as_ref().map(|(_, used)| used), parsed, context.config);
        if extra.is_none() && !terms.all {
            return None;
        }
        let Some((class, detail, timeout)) = first(packet, transport, used.is_some() || terms.loose, context)
        else {
            return (!terms.loose).then_some(Tracked::invalid(DropReason::InvalidNoFlow));
        };
        let mut flags =
            if parsed.side == crate::key::Side::Second { Flags::FROM_SECOND } else { Flags::default() };
        if used.is_some() {
            flags.set(Flags::EXPECTED);
        }
        if class == FlowClass::TcpEstablished {
            flags.set(Flags::SEEN_REPLY);
        }
        let deadline = context.now.after(timeout);
        let mut hot = Hot { key: parsed.key, deadline, flags, class, ..Hot::free() };
        match &used {
            Some((number, used)) => {
                self.expectations.use_up(*number);
                if let Some(master) = used.master {
                    self.owner(master, Direction::Original, context.owners);
                }
                self.decide_expected(&mut hot, used, context.owners);
            }
            None => decide(&mut hot, context.owners),
        }
        let state = answer(Direction::Original, flags);
        let (owner, steering) = (hot.owner, Steering::HERE);
        let mut tracked = Tracked { state: Some(state), owner, steering, ..Tracked::default() };
        let hash = self.table.prepare(&parsed.key);
        // What finds no room is nevertheless whose it is.
        let Some(record) =
            self.insert(hash, &hot, &Cold { detail, steering, ..Cold::default() }, extra, context.now)
        else {
            return Some(tracked);
        };
        self.name_node(record);
        if let Some(children) = used.and_then(|(_, used)| self.children_mut(&used.heritage.origin)) {
            *children = children.saturating_add(1);
        }
        if extra.is_some_and(|extra| extra.helper.is_some()) {
            tracked.drop = self.help(packet, transport, record, (state, Direction::Original), context.now);
            if tracked.drop.is_some() {
                self.end(record, End::Refused, context.now);
                return Some(tracked);
            }
        }
        self.tell(Happening::New, record, context.now);
        Some(tracked)
    }

    /// The number of a flow's node is its mark, as CLUSTERIP had it.
    fn name_node(&mut self, record: RecordId) {
        let hot = self.table.hot_mut(record);
        hot.mark = Mark(hot.bucket.number().number().into());
    }

    /// What has announced a first packet: it as it is; what the box has opened, of which the packet is the answer; or a
    /// connection to a port that the box alone has named, when no other thing is known to be at that port. Announced
    /// to another address it is not the same nodes' to share.
    fn announced<O>(&self, packet: &Packet<'_>, context: &Context<'_, O>) -> Option<(u32, Used)> {
        if self.expectations.is_empty() {
            return None;
        }
        let parsed = packet.parsed;
        let [from, to] = [parsed.side, parsed.side.opposite()].map(|side| {
            let endpoint = parsed.key.endpoint(side);
            SocketAddr::new(endpoint.address.ip(parsed.family()), endpoint.port)
        });
        let protocol = IpProtocol(parsed.key.protocol());
        let fitting = |from, to| self.expectations.fitting(protocol, from, to, context.now);
        let opens = class_of_segment(packet).is_none_or(|class| class == tcp::Class::Syn);
        let answers = class_of_segment(packet).is_none_or(|class| class != tcp::Class::Syn);
        let is_known = to.port() < 1024 || context.config.helpers.attached(protocol, to.port()).is_some();
        let found = opens.then(|| fitting(from, to)).flatten();
        let found = found.or_else(|| answers.then(|| fitting(to, from)).flatten());
        let found = found
            .or_else(|| (opens && !is_known).then(|| fitting(from, SocketAddr::new(to.ip(), 0))).flatten());
        found.filter(|(_, used)| {
            let origin = used.heritage.origin;
            let shared = origin.key.endpoint(origin.side.opposite()).address;
            shared.ip(origin.key.family()) == to.ip()
        })
    }
}

/// What a packet without a flow makes of one; `known`: its flow may have begun before.
fn first<O>(
    packet: &Packet<'_>,
    transport: Transport,
    known: bool,
    context: &Context<'_, O>,
) -> Option<First> {
    let from = context.now.after(UDP_STREAM_AGE);
    let class = match transport {
        Transport::Tcp => {
            let state = match class_of_segment(packet)? {
                tcp::Class::Syn => State::SynRecv,
                // It begins here: the box has asked, and only the answer passes.
                tcp::Class::SynAck => State::Established,
                tcp::Class::Ack if known => State::Established,
                _ => return None,
            };
            return Some((class_of_served(state), Detail::Served(state), state.timeout()));
        }
        Transport::Udp => FlowClass::Udp,
        Transport::UdpLite => FlowClass::UdpLite,
        Transport::Sctp => FlowClass::SctpEstablished,
        _ => return None,
    };
    Some((class, Detail::Stream { from }, silence(class, false, context.config)))
}

fn class_of_segment(packet: &Packet<'_>) -> Option<tcp::Class> {
    let is_tcp = packet.parsed.class == Class::Flow(Transport::Tcp);
    let header = Tcp::new(packet.parsed.transport(packet.bytes)).filter(|_| is_tcp)?;
    Some(tcp::Class::of(header.flags()))
}

/// How long a flow of datagrams lives without another one.
fn silence(class: FlowClass, answered: bool, config: &Conntrack) -> Span {
    match class {
        FlowClass::Udp | FlowClass::UdpLite if answered => config.udp_timeout_stream,
        FlowClass::Udp | FlowClass::UdpLite => timeout_of(class, config),
        _ => DATAGRAM_TIMEOUT,
    }
}

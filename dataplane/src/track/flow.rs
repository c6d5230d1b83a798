//! A packet of a flow: one that is there, or one that it opens.

use super::answer::{answer, class_of_sctp, class_of_tcp, stream_timeout_of, timeout_of};
use super::expect::Used;
use super::first::{first_packet, segment};
use super::owner::{decide, is_picked_up};
use super::record::{Cold, Detail, Extra, Flags, Hot, Sights, Steering};
use super::serve::DATAGRAM_TIMEOUT;
use super::table::RecordId;
use super::tcp::{Effect, Standing};
use super::watch::Happening;
use super::{ConnState, Context, End, Owners, Packet, Tracked, Tracker, sctp};
use crate::config::Conntrack;
use crate::counters::{DropReason, FlowClass, WorkerCounters};
use crate::helper::Helper;
use crate::key::Family;
use crate::parse::{Parsed, Transport};
use crate::units::{Direction, MemberId, PortId, Span, Tick};
use crate::wire::{IpProtocol, Sctp};
use core::net::SocketAddr;

/// What a packet does to the flow it belongs to.
pub(super) enum Touch {
    /// The flow lives this long from now; `true`: it has proven itself.
    Refresh(Span, bool),
    /// The flow's time runs on.
    Keep,
    /// The flow ends with this packet.
    Delete,
}

impl Tracker {
    /// A packet that follows a flow, or opens one.
    #[inline]
    pub(super) fn flow<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        transport: Transport,
        hash: u64,
        record: Option<RecordId>,
        context: &Context<'_, O>,
    ) -> Tracked {
        let Some(record) = record else { return self.open(packet, transport, hash, context) };
        let hot = self.table.hot(record);
        let before = hot.stage();
        let direction = packet.parsed.side.direction(hot.origin());
        if context.owners.hears_both_sides() {
            let owner = self.owner(record, direction, context.owners);
            if context.owners.is_stray(owner, packet.port) {
                return Tracked { owner, ..Tracked::dropped(DropReason::OtherHost) };
            }
        }
        let side = self.side(record, direction, packet.port, context.owners);
        if let Some(at_port) = side
            && self.table.hot(record).sights.is_echo(direction, at_port)
        {
            return self.echo(record, direction, at_port, context);
        }
        self.leave_the_dead(packet, record, context.owners);
        let steering = self.table.cold(record).steering;
        let touch = match transport {
            Transport::Tcp => match self.see_segment(packet, record, direction, context) {
                Ok(touch) => touch,
                Err(Some(reason)) => return Tracked::invalid(reason),
                // The old connection is over: what was found was not this packet's flow.
                Err(None) => return self.open(packet, transport, hash, context),
            },
            Transport::Sctp if steering == Steering::ROUTE => {
                match self.see_chunks(packet, record, direction, context) {
                    Ok(touch) => touch,
                    Err(reason) => return Tracked::invalid(reason),
                }
            }
            _ => self.see_datagram(record, direction, context),
        };
        let state = answer(direction, self.table.hot(record).flags);
        let owner = self.owner(record, direction, context.owners);
        // What is INVALID has no echo, since nobody forwards it.
        if let Some(at_port) = side {
            self.table.hot_mut(record).sights.count(direction, at_port);
        }
        self.touch(record, direction, touch, context.now);
        let reply = direction == Direction::Reply;
        // The first answer says which server has the flow, if two nodes have each given it to one.
        let settles = reply && !before.1.has(Flags::SEEN_REPLY) && steering.server().is_some();
        if steering.is_open() || settles {
            self.ask(record, steering);
        }
        let changed = self.table.hot(record).stage() != before;
        let mut tracked = Tracked { state: Some(state), reply, owner, steering, ..Tracked::default() };
        // A helper sees what is let through.
        if self.table.hot(record).extra != Hot::NO_EXTRA && context.owners.tracks(owner) {
            tracked.drop = self.help(packet, transport, record, (state, direction), context.now);
            if let Some(at_port) = side.filter(|_| tracked.drop.is_some()) {
                self.table.hot_mut(record).sights.count(direction, !at_port);
            }
        }
        if changed {
            self.tell(Happening::Update, record, context.now);
        }
        tracked
    }

    /// Somebody is to say who takes a flow. While nobody can, none of its packets goes the short way, where nobody asks.
    fn ask(&mut self, record: RecordId, steering: Steering) {
        self.pending = Some(record);
        if steering == Steering::OPEN {
            self.table.hot_mut(record).flags.clear(Flags::ASSURED);
        }
    }

    /// Which side of the bridge a packet of a shadow is seen on; `None` where there is but one to see it on.
    #[inline]
    fn side<O: Owners>(
        &mut self,
        record: RecordId,
        direction: Direction,
        port: PortId,
        owners: &O,
    ) -> Option<bool> {
        if !owners.hears_both_sides() {
            return None;
        }
        let peer = owners.other_side(self.owner(record, direction, owners), port)?;
        self.table.hot(record).sights.side(port, peer)
    }

    /// The second sight of a packet changes nothing: it is called what the flow would be called now.
    fn echo<O: Owners>(
        &mut self,
        record: RecordId,
        direction: Direction,
        at_port: bool,
        context: &Context<'_, O>,
    ) -> Tracked {
        let owner = self.owner(record, direction, context.owners);
        let (hot, cold) = self.table.lines_mut(record);
        hot.sights.count(direction, at_port);
        // Of an answer this may be the sight that tells who has given it.
        self.pending = cold.steering.service().map(|_| record);
        Tracked {
            state: Some(answer(direction, hot.flags)),
            reply: direction == Direction::Reply,
            owner,
            steering: cold.steering,
            ..Tracked::default()
        }
    }

    /// `Err(Some(_))`: INVALID. `Err(None)`: the flow is gone, look again.
    fn see_segment<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        record: RecordId,
        direction: Direction,
        context: &Context<'_, O>,
    ) -> Result<Touch, Option<DropReason>> {
        let Some(segment) = segment(packet) else { return Err(Some(DropReason::InvalidHeader)) };
        let (hot, cold) = self.table.lines_mut(record);
        let Detail::Tcp(connection) = &mut cold.detail else {
            return self.see_half(packet, record, direction, context.now);
        };
        let owners = context.owners;
        let standing = Standing {
            shadow: owners.names_owners() && !owners.is_me(hot.owner),
            seen_reply: hot.flags.has(Flags::SEEN_REPLY),
            assured: hot.flags.has(Flags::ASSURED),
            remaining: context.now.until(hot.deadline),
        };
        let effect = connection.see(direction, &segment, &standing, &context.config.tcp);
        reclass(hot, class_of_tcp(connection.state()), &self.counters);
        match effect {
            Effect::Refresh { timeout, assured } => Ok(Touch::Refresh(timeout, assured)),
            Effect::Keep => Ok(Touch::Keep),
            Effect::Delete => Ok(Touch::Delete),
            Effect::Invalid { reason, remaining_max } => {
                if let Some(span) = remaining_max {
                    self.table.set_deadline(record, context.now.after(span));
                }
                Err(Some(reason))
            }
            Effect::Reopen => {
                self.end(record, End::Closed, context.now);
                Err(None)
            }
        }
    }

    /// What an SCTP packet says before a chunk that is INVALID counts.
    fn see_chunks<O>(
        &mut self,
        packet: &Packet<'_>,
        record: RecordId,
        direction: Direction,
        context: &Context<'_, O>,
    ) -> Result<Touch, DropReason> {
        let header = Sctp::new(packet.parsed.transport(packet.bytes)).ok_or(DropReason::InvalidHeader)?;
        let (hot, cold) = self.table.lines_mut(record);
        let Detail::Sctp(association) = &mut cold.detail else { return Err(DropReason::InvalidSctpState) };
        let effect = association.see(direction, &header, &context.config.sctp);
        if association.assured() {
            hot.flags.set(Flags::ASSURED);
        }
        reclass(hot, class_of_sctp(association.state()), &self.counters);
        match effect {
            sctp::Effect::Refresh(timeout) => Ok(Touch::Refresh(timeout, false)),
            sctp::Effect::Keep => Ok(Touch::Keep),
            sctp::Effect::Invalid(reason) => Err(reason),
        }
    }

    /// UDP, ICMP and everything else: each packet renews the flow.
    #[inline]
    fn see_datagram<O: Owners>(
        &mut self,
        record: RecordId,
        direction: Direction,
        context: &Context<'_, O>,
    ) -> Touch {
        if let Detail::GivenUp(given_up) = self.table.cold(record).detail {
            self.doubt(record, given_up, direction, context);
        }
        let (hot, cold) = self.table.lines_mut(record);
        match cold.detail {
            _ if cold.steering != Steering::ROUTE => Touch::Refresh(DATAGRAM_TIMEOUT, false),
            Detail::Stream { from } if hot.flags.has(Flags::SEEN_REPLY) && context.now.reached(from) => {
                Touch::Refresh(stream_timeout_of(hot.class, context.config), true)
            }
            _ => Touch::Refresh(timeout_of(hot.class, context.config), false),
        }
    }

    #[inline]
    pub(super) fn touch(&mut self, record: RecordId, direction: Direction, touch: Touch, now: Tick) {
        let hot = self.table.hot_mut(record);
        // As in Linux, what ends a flow is no answer to it.
        if direction == Direction::Reply && !matches!(touch, Touch::Delete) {
            hot.flags.set(Flags::SEEN_REPLY);
        }
        match touch {
            Touch::Refresh(timeout, assured) => {
                if assured {
                    hot.flags.set(Flags::ASSURED);
                }
                self.table.set_deadline(record, now.after(timeout));
            }
            Touch::Keep => {}
            Touch::Delete => self.end(record, End::Closed, now),
        }
    }

    /// A packet without a flow: the flow it opens, if it may.
    fn open<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        transport: Transport,
        hash: u64,
        context: &Context<'_, O>,
    ) -> Tracked {
        let parsed = packet.parsed;
        let used = match self.used_by(packet, context) {
            Ok(used) => used,
            Err(owner) => return Tracked { owner, ..Tracked::dropped(DropReason::OtherHost) },
        };
        let mut cold = Cold::default();
        let (class, timeout) = match first_packet(packet, transport, context, &mut cold.detail) {
            Ok(first) => first,
            Err(reason) => return Tracked::invalid(reason),
        };
        let mut flags =
            if parsed.side == crate::key::Side::Second { Flags::FROM_SECOND } else { Flags::default() };
        if used.is_some() {
            flags.set(Flags::EXPECTED);
        } else if is_picked_up(&parsed.key, transport, class, context.owners) {
            flags.set(Flags::PICKED_UP);
        }
        let mut hot = Hot {
            key: parsed.key,
            deadline: context.now.after(timeout),
            flags,
            class,
            sights: Sights::first(packet.port),
            ..Hot::free()
        };
        match &used {
            Some(used) => self.decide_expected(&mut hot, used, context.owners),
            None => decide(&mut hot, context.owners),
        }
        let state = if used.is_some() { ConnState::Related } else { ConnState::New };
        let (owner, steering) = (hot.owner, Steering::ROUTE);
        let mut tracked = Tracked { state: Some(state), owner, steering, ..Tracked::default() };
        if context.owners.is_stray(hot.owner, packet.port) {
            tracked.drop = Some(DropReason::OtherHost);
            return tracked;
        }
        if !context.owners.tracks(hot.owner) {
            return tracked;
        }
        let extra = extra_of(used.as_ref(), parsed, context.config);
        let Some(record) = self.insert(hash, &hot, &cold, extra, context.now) else {
            tracked.drop = Some(DropReason::TableFull);
            return tracked;
        };
        if let Some(children) = used.and_then(|used| self.children_mut(&used.heritage.origin)) {
            *children = children.saturating_add(1);
        }
        if extra.is_some_and(|extra| extra.helper.is_some()) {
            tracked.drop = self.help(packet, transport, record, (state, Direction::Original), context.now);
            if tracked.drop.is_some() {
                // A flow begins with a packet that is let through.
                self.end(record, End::Refused, context.now);
                return tracked;
            }
        }
        self.pending = Some(record);
        self.tell(Happening::New, record, context.now);
        tracked
    }

    /// What a first packet uses up: as in Linux, even one that cannot open a flow. One that somebody else has forwarded
    /// though that is this node's to do uses nothing, or the packet itself would find nothing when it comes: then
    /// whose its flow is, as an error.
    fn used_by<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        context: &Context<'_, O>,
    ) -> Result<Option<Used>, Option<MemberId>> {
        let Some((number, used)) = self.expectation(packet.parsed, context.now) else { return Ok(None) };
        if context.owners.hears_both_sides() {
            let owner = self.owner_of_expected(&used, context.owners);
            if context.owners.is_stray(owner, packet.port) {
                return Err(owner);
            }
        }
        self.expectations.use_up(number);
        Ok(Some(used))
    }

    /// A packet that opens no flow uses up what it would have used.
    pub(super) fn use_expectation(&mut self, parsed: &Parsed, now: Tick) {
        if let Some((number, _)) = self.expectation(parsed, now) {
            self.expectations.use_up(number);
        }
    }

    /// The expectation that a first packet fits.
    fn expectation(&self, parsed: &Parsed, now: Tick) -> Option<(u32, Used)> {
        if self.expectations.is_empty() {
            return None;
        }
        let family = parsed.family();
        let end = |side| {
            let endpoint = parsed.key.endpoint(side);
            SocketAddr::new(endpoint.address.ip(family), endpoint.port)
        };
        let protocol = IpProtocol(parsed.key.protocol());
        self.expectations.fitting(protocol, end(parsed.side), end(parsed.side.opposite()), now)
    }

    /// Adds a flow, at the cost of one that is worth less if need be.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        hot: &Hot,
        cold: &Cold,
        extra: Option<Extra>,
        now: Tick,
    ) -> Option<RecordId> {
        let mut record = self.table.insert(hash, hot, cold, extra);
        if let Err(full) = record
            && let Some(victim) = self.table.victim(hash, full)
        {
            self.end(victim, End::Evicted, now);
            record = self.table.insert(hash, hot, cold, extra);
        }
        let cells = self.counters.protocol(hot.class);
        match record {
            Ok(_) => {
                self.counters.flows[hot.class.index()].add(1);
                self.counters.flows_of(hot.owner).add(1);
                cells.created.add(1);
                cells.related.add(u64::from(hot.flags.has(Flags::EXPECTED)));
            }
            Err(_) => cells.refused.add(1),
        }
        record.ok()
    }
}

/// Counts a flow as what it is now.
#[inline]
pub(super) fn reclass(hot: &mut Hot, class: FlowClass, counters: &WorkerCounters) {
    if class != hot.class {
        counters.flows[hot.class.index()].sub(1);
        counters.flows[class.index()].add(1);
        hot.class = class;
    }
}

/// What a new flow has besides: an expected one its master, and the helper that it was expected with; any other the
/// helper that the configuration attaches to flows to its port.
pub(super) fn extra_of(used: Option<&Used>, parsed: &Parsed, config: &Conntrack) -> Option<Extra> {
    if let Some(used) = used {
        return Some(Extra { helper: used.helper, master: Some(used.heritage.origin), children: 0 });
    }
    let (port, protocol) = (parsed.key.endpoint(parsed.side.opposite()).port, parsed.key.protocol());
    let rule = config.helpers.attached(IpProtocol(protocol), port)?;
    if rule.kind.ipv4_only() && parsed.family() == Family::V6 {
        return None;
    }
    Some(Extra { helper: Some(Helper::new(rule.kind)), master: None, children: 0 })
}

//! The packet that nearly all packets are: one of a flow that is open, assured, decided and without a helper: a plain
//! segment of TCP, or a datagram of a UDP stream. Nothing but the flow's own record need be asked.
//!
//! It does what [`Tracker::flow`] would do, in one pass over the record; whatever else a packet is, it is left to
//! that.

use super::answer::answer;
use super::record::{Detail, Flags, Hot, Steering};
use super::serve::DATAGRAM_TIMEOUT;
use super::table::RecordId;
use super::{ConnState, Context, Lead, Lookup, Owners, Packet, Tracked, Tracker, tcp};
use crate::counters::FlowClass;
use crate::parse::{Class, Transport};
use crate::units::{Direction, PortId, Span};
use crate::wire::Tcp;

/// What such a flow has been through: it has been answered, and has proven itself.
const OPEN: Flags = PROVEN.with(Flags::SEEN_REPLY);
/// The same of one whose server's answers do not pass here.
const PROVEN: Flags = Flags::LIVE.with(Flags::ASSURED);

impl Tracker {
    /// `None`: not such a packet, or `record` is not its flow; nothing has changed. A packet that a router has yet to
    /// admit must be one of those that the flow remembers.
    #[inline(always)]
    pub(super) fn stream<O: Owners>(
        &mut self,
        packet: Packet<'_>,
        record: RecordId,
        context: &Context<'_, O>,
        pending: Option<PortId>,
        tracked: &mut Tracked,
    ) -> Option<()> {
        let (hot, cold) = self.table.lines_mut(record);
        let plain = hot.key == packet.parsed.key
            && hot.flags.has(OPEN)
            && hot.extra == Hot::NO_EXTRA
            && hot.epoch == Some(context.owners.ownership_epoch())
            && !context.now.reached(hot.deadline);
        if !plain {
            return None;
        }
        let direction = packet.parsed.side.direction(hot.origin());
        let lead = match pending {
            Some(port) => cold.leads.recall(direction, port)?,
            None => Lead::NONE,
        };
        let mut side = None;
        if context.owners.hears_both_sides()
            && let Some(peer) = context.owners.other_side(hot.owner, packet.port)
        {
            side = hot.sights.side(packet.port, peer);
            if side.is_some_and(|at_port| hot.sights.is_echo(direction, at_port)) {
                return None;
            }
        }
        let (timeout, steering) = match (hot.class, &mut cold.detail) {
            (FlowClass::TcpEstablished, Detail::Tcp(connection)) => {
                let segment = Tcp::new(packet.bytes.get(usize::from(packet.parsed.at)..)?)?;
                let len = u32::from(packet.parsed.len);
                (connection.advance(direction, &segment, len, &context.config.tcp)?, cold.steering)
            }
            (FlowClass::Udp, Detail::Stream { from }) if cold.steering == Steering::ROUTE => {
                if !context.now.reached(*from) {
                    return None;
                }
                (context.config.udp_timeout_stream, Steering::ROUTE)
            }
            (_, detail) if cold.steering.server().is_some() => {
                (served_timeout(packet, hot.class, detail)?, cold.steering)
            }
            _ => return None,
        };
        if let Some(at_port) = side {
            hot.sights.count(direction, at_port);
        }
        let owner = hot.owner;
        self.table.set_deadline(record, context.now.after(timeout));
        *tracked = Tracked {
            state: Some(ConnState::Established),
            reply: direction == Direction::Reply,
            owner,
            steering,
            lead: if steering == Steering::ROUTE { lead } else { Lead::NONE },
            drop: None,
        };
        Some(())
    }

    /// The same of this node's flow to a server whose answers do not pass here: [`Tracker::glance`] has nothing to say of
    /// it. Kept apart from what whole flows need in registers. The first answer that passes after all changes the flow.
    /// `None`: it is something else; nothing has changed.
    #[inline(always)]
    pub fn glance_half<O: Owners>(
        &mut self,
        packet: Packet<'_>,
        lookup: &Lookup,
        context: &Context<'_, O>,
        pending: Option<PortId>,
        tracked: &mut Tracked,
    ) -> Option<()> {
        self.half(packet, lookup.candidate?, context, pending, tracked)
    }

    #[inline(never)]
    fn half<O: Owners>(
        &mut self,
        packet: Packet<'_>,
        record: RecordId,
        context: &Context<'_, O>,
        pending: Option<PortId>,
        tracked: &mut Tracked,
    ) -> Option<()> {
        let Class::Flow(Transport::Tcp | Transport::Udp) = packet.parsed.class else { return None };
        let (hot, cold) = self.table.lines_mut(record);
        let (owner, steering) = (hot.owner, cold.steering);
        let plain = steering.server().is_some()
            && hot.key == packet.parsed.key
            && hot.flags.has(PROVEN)
            && !hot.flags.has(Flags::SEEN_REPLY)
            && hot.extra == Hot::NO_EXTRA
            && hot.epoch == Some(context.owners.ownership_epoch())
            && !context.now.reached(hot.deadline)
            && context.owners.is_me(owner);
        if !plain || packet.parsed.side.direction(hot.origin()) == Direction::Reply {
            return None;
        }
        if let Some(port) = pending {
            cold.leads.recall(Direction::Original, port)?;
        }
        let timeout = served_timeout(packet, hot.class, &cold.detail)?;
        let state = Some(answer(Direction::Original, hot.flags));
        self.table.set_deadline(record, context.now.after(timeout));
        *tracked = Tracked { state, owner, steering, ..Tracked::default() };
        Some(())
    }

    /// The second sight of a packet of such a flow, which its owner has forwarded: it changes nothing. Kept apart from the
    /// first one's registers. `None`: it is something else; nothing has changed.
    #[inline(never)]
    pub fn glance_again<O: Owners>(
        &mut self,
        packet: Packet<'_>,
        lookup: &Lookup,
        context: &Context<'_, O>,
        tracked: &mut Tracked,
    ) -> Option<()> {
        let Class::Flow(Transport::Tcp | Transport::Udp) = packet.parsed.class else { return None };
        let (hot, cold) = self.table.lines_mut(lookup.candidate?);
        let plain = hot.key == packet.parsed.key
            && hot.flags.has(OPEN)
            && hot.epoch == Some(context.owners.ownership_epoch())
            && !context.now.reached(hot.deadline);
        if !plain || context.owners.is_stray(hot.owner, packet.port) {
            return None;
        }
        let direction = packet.parsed.side.direction(hot.origin());
        let peer = context.owners.other_side(hot.owner, packet.port)?;
        let at_port = hot.sights.side(packet.port, peer).filter(|at| hot.sights.is_echo(direction, *at))?;
        hot.sights.count(direction, at_port);
        let (state, reply) = (Some(ConnState::Established), direction == Direction::Reply);
        *tracked = Tracked { state, reply, owner: hot.owner, steering: cold.steering, ..Tracked::default() };
        Some(())
    }
}

/// How long a flow that a server has lives from a packet on that changes nothing of it.
#[inline(never)]
fn served_timeout(packet: Packet<'_>, class: FlowClass, detail: &Detail) -> Option<Span> {
    match (class, detail) {
        (FlowClass::TcpEstablished, Detail::Served(state)) => {
            let header = Tcp::new(packet.parsed.transport(packet.bytes))?;
            (tcp::Class::of(header.flags()) == tcp::Class::Ack).then_some(state.timeout())
        }
        (FlowClass::Udp, Detail::Stream { .. }) => Some(DATAGRAM_TIMEOUT),
        _ => None,
    }
}

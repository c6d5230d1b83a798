//! The packet that nearly all packets are: a plain segment of an open TCP connection, about which nobody but its own
//! two lines need be asked.
//!
//! It does what [`Tracker::flow`] would do, in one pass over the record; whatever else a packet is, it is left to
//! that.

use super::first::segment;
use super::record::{Detail, Flags, Hot};
use super::table::RecordId;
use super::{ConnState, Context, Owners, Packet, Tracked, Tracker};
use crate::counters::FlowClass;
use crate::units::Direction;

/// What such a flow has been through: it is answered, and has proven itself.
const OPEN: Flags = Flags::LIVE.with(Flags::SEEN_REPLY).with(Flags::ASSURED);

impl Tracker {
    /// `None`: not such a packet, or `record` is not its flow; nothing has changed.
    #[inline(always)]
    pub(super) fn stream<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        record: RecordId,
        context: &Context<'_, O>,
    ) -> Option<Tracked> {
        let (hot, cold) = self.table.lines_mut(record);
        let plain = hot.key == packet.parsed.key
            && hot.class == FlowClass::TcpEstablished
            && hot.flags.has(OPEN)
            && hot.extra == Hot::NO_EXTRA
            && hot.epoch == Some(context.owners.epoch())
            && !context.now.reached(hot.deadline);
        let Detail::Tcp(connection) = &mut cold.detail else { return None };
        if !plain {
            return None;
        }
        let direction = packet.parsed.side.direction(hot.origin());
        let mut side = None;
        if context.owners.hears_both_sides()
            && let Some(peer) = context.owners.other_side(hot.bucket, packet.port)
        {
            side = hot.sights.side(packet.port, peer);
            if side.is_some_and(|at_port| hot.sights.is_echo(direction, at_port)) {
                return None;
            }
        }
        let timeout = connection.advance(direction, &segment(packet)?, &context.config.tcp)?;
        if let Some(at_port) = side {
            hot.sights.count(direction, at_port);
        }
        let bucket = hot.bucket;
        let deadline = context.now.after(timeout);
        if deadline.reached(hot.deadline) {
            hot.deadline = deadline;
        } else {
            self.table.hasten(record, deadline);
        }
        Some(Tracked {
            state: Some(ConnState::Established),
            reply: direction == Direction::Reply,
            bucket: Some(bucket),
            drop: None,
        })
    }
}

//! The packet of no flow that opens none here, where nothing is expected: in a cluster, most of what other nodes
//! forward.
//!
//! It does what [`Tracker::flow`] would do without making a record first; whatever else a packet is, it is left to
//! that.

use super::first::opens;
use super::{ConnState, Context, Origin, Owners, Packet, Tracked, Tracker};
use crate::counters::DropReason;
use crate::parse::Transport;

impl Tracker {
    /// `None`: it may open a flow that is tracked here. The caller knows that it has no flow.
    #[inline(always)]
    pub(super) fn stranger<O: Owners>(
        &self,
        packet: Packet<'_>,
        transport: Transport,
        context: &Context<'_, O>,
        tracked: &mut Tracked,
    ) -> Option<()> {
        if !self.expectations.is_empty() {
            return None;
        }
        if !opens(&packet, transport, context)? {
            *tracked = Tracked::invalid(DropReason::InvalidNoFlow);
            return Some(());
        }
        let owners = context.owners;
        let owner = owners.owner(owners.bucket(&Origin { key: packet.parsed.key, side: packet.parsed.side }));
        // With named owners the ports of a datagram may say otherwise who opens its flow.
        let is_settled = transport != Transport::Udp || !owners.names_owners();
        if owners.tracks(owner) || owners.is_learning() || !is_settled {
            return None;
        }
        *tracked = Tracked { state: Some(ConnState::New), reply: false, owner, ..Tracked::default() };
        Some(())
    }
}

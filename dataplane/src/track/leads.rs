//! Where a router's flow leads: what was found of one packet holds for the next, as long as the routes are the same.

use super::record::{Flags, Hot};
use super::{Lookup, Owners, Tracker};
use crate::parse::Parsed;
use crate::units::{Direction, Epoch, PORTS_MAX, PortId};

/// Where a router sends a packet, if there is no more to say of it than that; in two bytes, since each packet carries it
/// from stage to stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lead(u16);

impl Lead {
    /// There is more to say, or nothing.
    pub const NONE: Self = Self(0);

    /// To what the router knows by this number, unless that takes more than two bytes.
    #[inline]
    pub fn to(number: u32) -> Self {
        u16::try_from(number + 1).map_or(Self::NONE, Self)
    }

    /// The router's number.
    #[inline(always)]
    pub fn number(self) -> Option<u32> {
        Some(u32::from(self.0.checked_sub(1)?))
    }
}

/// By direction, what a flow remembers of its packets: where they lead that come in by this port, as they may. It holds
/// at the flow's [`Hot::epoch`] and at no other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leads {
    leads: [Lead; 2],
    /// Its index and one; 0: nothing is known.
    ports: [u8; 2],
}

impl Leads {
    /// Where packets in this direction lead that come in by `port`.
    #[inline(always)]
    pub fn recall(&self, direction: Direction, port: PortId) -> Option<Lead> {
        (self.ports[direction.index()] == numbered(port)).then_some(self.leads[direction.index()])
    }

    fn remember(&mut self, direction: Direction, port: PortId, lead: Lead) {
        self.leads[direction.index()] = lead;
        self.ports[direction.index()] = numbered(port);
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "there are fewer ports")]
const fn numbered(port: PortId) -> u8 {
    const _: () = assert!(PORTS_MAX < u8::MAX as usize);
    port.index() as u8 + 1
}

impl Tracker {
    /// What the packet's flow remembers, whatever the packet means to it.
    pub fn recall<O: Owners>(
        &self,
        lookup: &Lookup,
        parsed: &Parsed,
        port: PortId,
        owners: &O,
    ) -> Option<Lead> {
        let record = lookup.candidate?;
        let direction = direction(self.table.hot(record), parsed, owners.ownership_epoch())?;
        self.table.cold(record).leads.recall(direction, port)
    }

    /// Lets the packet's flow remember where it leads, if there is one.
    pub fn remember<O: Owners>(
        &mut self,
        lookup: &Lookup,
        parsed: &Parsed,
        (port, lead): (PortId, Lead),
        owners: &O,
    ) {
        let Some(record) = lookup.candidate else { return };
        let (hot, cold) = self.table.lines_mut(record);
        if let Some(direction) = direction(hot, parsed, owners.ownership_epoch()) {
            cold.leads.remember(direction, port, lead);
        }
    }
}

/// The direction of a packet in this flow; `None`: it is of another, or what the flow remembers is out of date.
fn direction(hot: &Hot, parsed: &Parsed, epoch: Epoch) -> Option<Direction> {
    let current = hot.key == parsed.key && hot.flags.has(Flags::LIVE) && hot.epoch == Some(epoch);
    current.then(|| parsed.side.direction(hot.origin()))
}

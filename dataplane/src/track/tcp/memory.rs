//! What is remembered of a connection's two sides, and of the segment seen last.

use super::table::Class;
use crate::units::Direction;
use core::ops::BitOr;

/// A few bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SideFlags(pub(super) u8);

impl SideFlags {
    /// Offered window scaling.
    pub(super) const SCALED: u8 = 1;
    /// Permits selective acknowledgements.
    pub(super) const SACK: u8 = 2;
    /// Was the first to close.
    pub(super) const CLOSE_INIT: u8 = 4;
    /// Its window is not to be believed: the flow was picked up in mid-stream.
    pub(super) const LIBERAL: u8 = 8;
    /// Sent what has not been acknowledged.
    pub(super) const UNACKED: u8 = 16;
    /// Its `maxack` is known.
    pub(super) const MAXACK: u8 = 32;

    pub(super) const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    pub(super) const fn set(&mut self, bit: u8) {
        self.0 |= bit;
    }

    pub(super) const fn clear(&mut self, bit: u8) {
        self.0 &= !bit;
    }

    pub(super) const fn only(self, bits: u8) -> Self {
        Self(self.0 & bits)
    }
}

impl BitOr for SideFlags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is known of one side. Without a gap behind it: a flow's cold line has no room for two.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed(2))]
pub(super) struct Side {
    /// The highest sequence it has sent, and one.
    pub(super) end: u32,
    /// The highest sequence the other side allows it.
    pub(super) maxend: u32,
    /// The largest window it has offered; 0 while nothing has been seen of it.
    pub(super) maxwin: u32,
    /// The highest acknowledgement it has sent.
    pub(super) maxack: u32,
    pub(super) scale: u8,
    pub(super) flags: SideFlags,
}

/// The segment seen last, for telling retransmissions and for getting back into step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) end: u32,
    pub(super) window: u16,
    pub(super) class: Class,
    pub(super) flags: u8,
}

impl Last {
    /// A side's flags in here as they will be if its ignored SYN turns out to be real.
    pub(super) const SIDE: u8 = SideFlags::SCALED | SideFlags::SACK;
    /// It went in the reply direction.
    pub(super) const REPLY: u8 = 32;
    /// The answer to that SYN may be a challenge ACK (RFC 5961), not the last ACK of the old connection.
    pub(super) const CHALLENGE: u8 = 64;
    /// Both ends opened at once.
    pub(super) const SIMULTANEOUS: u8 = 128;

    pub(super) fn is(&self, class: Class, direction: Direction) -> bool {
        self.class == class && self.went(direction)
    }

    #[inline(always)]
    pub(super) fn went(&self, direction: Direction) -> bool {
        (self.flags & Self::REPLY != 0) == (direction == Direction::Reply)
    }

    #[inline(always)]
    pub(super) fn set_direction(&mut self, direction: Direction) {
        match direction {
            Direction::Original => self.flags &= !Self::REPLY,
            Direction::Reply => self.flags |= Self::REPLY,
        }
    }
}

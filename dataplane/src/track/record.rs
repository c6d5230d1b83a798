//! A flow's record: two cache lines, and a third one for the few flows that need it.

use super::sctp::Association;
use super::tcp::Connection;
use crate::counters::FlowClass;
use crate::helper::Helper;
use crate::key::{FlowKey, Side};
use crate::units::{BucketId, Direction, Epoch, Mark, PortId, Tick};

/// Bits of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// The record is in use.
    pub const LIVE: Self = Self(1);
    /// The original source is the key's second side.
    pub const FROM_SECOND: Self = Self(2);
    /// An answer has been seen.
    pub const SEEN_REPLY: Self = Self(4);
    /// It has proven itself: pressure does not evict it.
    pub const ASSURED: Self = Self(8);
    /// An expectation announced it.
    pub const EXPECTED: Self = Self(16);
    /// Expectations that it announced may be waiting.
    pub const EXPECTING: Self = Self(32);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    #[inline]
    pub const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The port by which each direction of a flow came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingress([u8; 2]);

impl Ingress {
    const UNKNOWN: u8 = u8::MAX;

    /// Whether the direction came in by this port.
    #[inline]
    pub const fn is(self, direction: Direction, port: PortId) -> bool {
        self.0[direction.index()] as usize == port.index()
    }

    /// The port of a direction that has been seen.
    pub const fn port(self, direction: Direction) -> Option<PortId> {
        PortId::new(self.0[direction.index()] as usize)
    }

    /// The direction comes in by this port.
    #[expect(clippy::cast_possible_truncation, reason = "a port's number is below 64")]
    pub const fn set(&mut self, direction: Direction, port: PortId) {
        self.0[direction.index()] = port.index() as u8;
    }
}

impl Default for Ingress {
    fn default() -> Self {
        Self([Self::UNKNOWN; 2])
    }
}

/// What every packet of the flow needs: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Hot {
    /// Its name.
    pub key: FlowKey,
    /// When it ends without another packet.
    pub deadline: Tick,
    /// The snapshot that `bucket` was decided under; `None` in a free record.
    pub epoch: Option<Epoch>,
    /// Its mark.
    pub mark: Mark,
    /// Number of its [`Extra`], or [`Hot::NO_EXTRA`].
    pub extra: u32,
    /// Whose it is in the cluster.
    pub bucket: BucketId,
    /// Its bits.
    pub flags: Flags,
    /// What it is counted as.
    pub class: FlowClass,
    /// Where it came in.
    pub ingress: Ingress,
}

const _: () = assert!(size_of::<Hot>() == 64);

impl Hot {
    /// It has no extra line.
    pub const NO_EXTRA: u32 = u32::MAX;

    /// A record that no flow uses.
    pub fn free() -> Self {
        Self {
            key: FlowKey::default(),
            deadline: Tick::default(),
            epoch: None,
            mark: Mark::default(),
            extra: Self::NO_EXTRA,
            bucket: BucketId::default(),
            flags: Flags::default(),
            class: FlowClass::Generic,
            ingress: Ingress::default(),
        }
    }

    /// The side of the key that the flow comes from.
    #[inline]
    pub fn origin(&self) -> Side {
        if self.flags.has(Flags::FROM_SECOND) { Side::Second } else { Side::First }
    }

    /// What those who follow flows are told of when it changes: state, answered, assured.
    #[inline]
    pub fn stage(&self) -> (FlowClass, Flags) {
        (self.class, self.flags)
    }
}

/// What only the protocol's tracker needs: one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub struct Cold {
    /// By protocol.
    pub detail: Detail,
}

const _: () = assert!(size_of::<Cold>() == 64);

/// What a protocol remembers of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub enum Detail {
    /// Nothing.
    #[default]
    None,
    /// TCP: state and windows.
    Tcp(Connection),
    /// SCTP: state and tags.
    Sctp(Association),
    /// UDP, UDP-Lite, GRE: an answered flow lives longer and is assured.
    Stream {
        /// From when on: UDP flows must be two seconds old.
        from: Tick,
    },
}

/// What only flows with a helper or a master need.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// The helper that looks into it.
    pub helper: Option<Helper>,
    /// The flow that announced it.
    pub master: Option<Origin>,
    /// Live flows that it announced.
    pub children: u16,
}

/// A flow's name and where it came from: enough to hash its original source, long after the flow itself is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub key: FlowKey,
    /// The side it came from.
    pub side: Side,
}

//! Newtypes for every number of the domain, with checked constructors.
//!
//! A raw integer stops at the rim (a header field, a configuration value); behind it each number has a type,
//! so that a port cannot be passed where a worker is meant.

use core::fmt;
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};

/// Frames taken from a queue at once, at most. Bursts of 32 hide a cache miss; 64 hide it better.
pub const BURST_MAX: usize = 64;

/// Ports of one gateway, at most: a set of ports fits one machine word.
pub const PORTS_MAX: usize = 64;

/// Workers of one gateway, at most.
pub const WORKERS_MAX: usize = 128;

const _: () = assert!(BURST_MAX <= u8::MAX as usize && BURST_MAX.is_power_of_two());

/// A port of this gateway: its position in the configuration, from 0. At most [`PORTS_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u8);

impl PortId {
    /// The first.
    pub const FIRST: Self = Self(0);
    /// The second.
    pub const SECOND: Self = Self(1);

    /// `None` from [`PORTS_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index < PORTS_MAX { Some(Self(index as u8)) } else { None }
    }

    /// Position in the configuration, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An IP interface of this gateway: its position in the configuration, from 0. At most [`INTERFACES_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(u16);

/// IP interfaces of one gateway, at most.
pub const INTERFACES_MAX: usize = 4096;

impl InterfaceId {
    /// `None` from [`INTERFACES_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index < INTERFACES_MAX { Some(Self(index as u16)) } else { None }
    }

    /// Position in the configuration, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A VLAN, 1 to 4094 (IEEE 802.1Q).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(NonZeroU16);

impl VlanId {
    /// `None` for 0 and above 4094.
    pub const fn new(id: u16) -> Option<Self> {
        match NonZeroU16::new(id) {
            Some(id) if id.get() <= 4094 => Some(Self(id)),
            _ => None,
        }
    }

    /// As in a tag.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

/// A worker of this gateway, from 0. At most [`WORKERS_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u8);

impl WorkerId {
    /// The first, and the only one of a gateway with a single worker.
    pub const FIRST: Self = Self(0);

    /// `None` from [`WORKERS_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index < WORKERS_MAX { Some(Self(index as u8)) } else { None }
    }

    /// Position among the workers, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A share of the cluster's hash space, from 0. Linux calls it a node; its command line counts from 1
/// ([`NodeNumber`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(u16);

/// Buckets of a cluster, at most. Linux stops at 32.
pub const BUCKETS_MAX: usize = 1024;

impl BucketId {
    /// `None` from [`BUCKETS_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index < BUCKETS_MAX { Some(Self(index as u16)) } else { None }
    }

    /// Position, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number an operator knows it by.
    pub const fn number(self) -> NodeNumber {
        NodeNumber(self.0 + 1)
    }
}

/// A node's number as operators and `--cluster-local-node` count: from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeNumber(u16);

impl NodeNumber {
    /// `None` for 0 and above [`BUCKETS_MAX`].
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(number: usize) -> Option<Self> {
        if number >= 1 && number <= BUCKETS_MAX { Some(Self(number as u16)) } else { None }
    }

    /// The number, from 1.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The bucket it stands for.
    pub const fn bucket(self) -> BucketId {
        BucketId(self.0 - 1)
    }
}

impl fmt::Display for NodeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A node of the cluster by this node's own numbering, from 0. It is stable for the life of the process, and another
/// node may have another one. At most [`MEMBERS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(NonZeroU8);

/// Named nodes of a cluster, at most.
pub const MEMBERS_MAX: usize = 128;

impl MemberId {
    /// The first; this node where no other one is known.
    pub const FIRST: Self = Self(NonZeroU8::MIN);

    /// `None` from [`MEMBERS_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index >= MEMBERS_MAX {
            return None;
        }
        match NonZeroU8::new(index as u8 + 1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Position among the members, from 0.
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

// A flow's record has one byte for it.
const _: () = assert!(size_of::<Option<MemberId>>() == 1);

/// Which way a packet of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// As the packet that opened the flow.
    Original,
    /// The other way.
    Reply,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// 0 for the original direction, 1 for the reply's.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Version of a [`Snapshot`](crate::snapshot::Snapshot): grows by one with each that control publishes.
/// Never 0, so that a record of epoch 0 is one whose decision has not been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(NonZeroU32);

impl Epoch {
    /// The first epoch of a process.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(n) => Self(n),
            None => Self::FIRST,
        }
    }

    /// As a plain number, never 0.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

/// A server of a service, by a number that it keeps for as long as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(u16);

/// Servers of all services together, at most.
pub const SERVERS_MAX: usize = 4096;

impl ServerId {
    /// Number 0.
    pub const FIRST: Self = Self(0);

    /// From a place counted from 0; `None` from [`SERVERS_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index < SERVERS_MAX { Some(Self(index as u16)) } else { None }
    }

    /// The place, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A service, by a number that it keeps for as long as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(u16);

/// Services, at most.
pub const SERVICES_MAX: usize = 1024;

impl ServiceId {
    /// Number 0.
    pub const FIRST: Self = Self(0);

    /// From a place counted from 0; `None` from [`SERVICES_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index < SERVICES_MAX { Some(Self(index as u16)) } else { None }
    }

    /// The place, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A VIP, by a number that it keeps for as long as it is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VipId(u8);

/// VIPs of one gateway, at most.
pub const VIPS_MAX: usize = 128;

impl VipId {
    /// From a place counted from 0; `None` from [`VIPS_MAX`] on.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the limit first")]
    pub const fn new(index: usize) -> Option<Self> {
        if index < VIPS_MAX { Some(Self(index as u8)) } else { None }
    }

    /// The place, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Packet mark, as Linux's fwmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u32);

/// Milliseconds in a [`Tick`].
pub const TICK_MS: u32 = 10;

/// A moment of the data plane's clock, in units of 10 ms, wrapping after 497 days.
/// Two moments compare right while they are less than half of that apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tick(u32);

impl Tick {
    /// The moment `ms` milliseconds after the clock's start.
    #[expect(clippy::cast_possible_truncation, reason = "a tick wraps by definition")]
    pub const fn from_ms(ms: u64) -> Self {
        Self((ms / TICK_MS as u64) as u32)
    }

    /// The raw count.
    pub const fn count(self) -> u32 {
        self.0
    }

    /// The moment that has this raw count.
    pub const fn from_count(count: u32) -> Self {
        Self(count)
    }

    /// The moment `span` later.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.wrapping_add(span.0))
    }

    /// Whether `self` is at or past `deadline`.
    pub const fn reached(self, deadline: Self) -> bool {
        self.0.wrapping_sub(deadline.0) < 1 << 31
    }

    /// How long until `deadline`; nothing when it has been reached.
    pub const fn until(self, deadline: Self) -> Span {
        if self.reached(deadline) { Span(0) } else { Span(deadline.0.wrapping_sub(self.0)) }
    }

    /// How long since `earlier`; nothing when that lies ahead.
    pub const fn since(self, earlier: Self) -> Span {
        earlier.until(self)
    }
}

/// A length of time in [`Tick`]s; below 2^31 of them (248 days).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u32);

impl Span {
    /// The longest span that still compares right.
    pub const MAX: Self = Self((1 << 31) - 1);

    /// Whole seconds; `None` beyond [`Span::MAX`].
    pub const fn from_s(s: u32) -> Option<Self> {
        Self::from_ms(s as u64 * 1000)
    }

    /// Milliseconds, rounded up to a tick; `None` beyond [`Span::MAX`].
    #[expect(clippy::cast_possible_truncation, reason = "checked against MAX first")]
    pub const fn from_ms(ms: u64) -> Option<Self> {
        let count = ms.div_ceil(TICK_MS as u64);
        if count <= Self::MAX.0 as u64 { Some(Self(count as u32)) } else { None }
    }

    /// In whole seconds, rounded down.
    pub const fn as_s(self) -> u32 {
        self.0 / (1000 / TICK_MS)
    }

    /// In milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0 as u64 * TICK_MS as u64
    }

    /// The raw count of ticks.
    pub const fn count(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_across_the_wrap() {
        let now = Tick::from_count(u32::MAX - 1);
        let deadline = now.after(Span::from_ms(50).unwrap());
        assert!(!now.reached(deadline));
        assert_eq!(now.until(deadline).as_ms(), 50);
        assert!(Tick::from_count(3).reached(deadline));
        assert_eq!(Tick::from_count(3).until(deadline), Span::default());
    }

    #[test]
    fn spans_round_up_and_refuse_what_cannot_compare() {
        assert_eq!(Span::from_ms(301).unwrap().as_ms(), 310);
        assert_eq!(Span::from_s(432_000).unwrap().as_s(), 432_000);
        assert!(Span::from_s(u32::MAX).is_none());
    }

    #[test]
    fn operators_count_nodes_from_one() {
        assert_eq!(NodeNumber::new(1).unwrap().bucket().index(), 0);
        assert_eq!(BucketId::new(31).unwrap().number().number(), 32);
        assert!(NodeNumber::new(0).is_none() && NodeNumber::new(BUCKETS_MAX + 1).is_none());
    }

    #[test]
    fn an_epoch_is_never_zero() {
        let mut epoch = Epoch(NonZeroU32::MAX);
        epoch = epoch.next();
        assert_eq!(epoch.number(), 1);
    }
}

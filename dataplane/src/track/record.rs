//! A flow's record: two cache lines, and a third one for the few flows that need it.

use super::leads::Leads;
use super::sctp::Association;
use super::served;
use super::tcp::Connection;
use crate::counters::FlowClass;
use crate::helper::Helper;
use crate::key::{FlowKey, Side};
use crate::units::{
    BucketId, Direction, Epoch, Mark, MemberId, PortId, SERVERS_MAX, SERVICES_MAX, ServerId, ServiceId, Tick,
};

/// Bits of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

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
    /// What opened it here need not have been its first packet.
    pub const PICKED_UP: Self = Self(64);
    /// It waits for its server, and its client has asked again.
    pub const ASKED_AGAIN: Self = Self(128);

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

    /// Clears the bits of `other`.
    #[inline]
    pub const fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// Sets the bits of `other`.
    #[inline]
    pub const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// How often a flow has been heard on the two sides of a bridge that hears what another node forwards.
///
/// A packet is seen on one side when its sender says it, and on the other when its owner has forwarded it; a node that
/// is late may find the second sight first. Each side has all packets in order. So a packet counts on the side that
/// leads, and is an echo on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sights {
    /// The port of the first packet.
    port: PortId,
    /// By direction: packets seen there, less those seen at its peer.
    leads: [i8; 2],
}

impl Sights {
    /// A flow whose first packet came in by `port`.
    pub const fn first(port: PortId) -> Self {
        Self { port, leads: [1, 0] }
    }

    /// Whether a packet at `port`, whose partner is `peer`, is at the port that `leads` counts for. `None`: neither is.
    #[inline]
    pub fn side(self, port: PortId, peer: PortId) -> Option<bool> {
        if self.port == port { Some(true) } else { (self.port == peer).then_some(false) }
    }

    /// Whether a packet was seen on the other side already.
    #[inline]
    pub const fn is_echo(self, direction: Direction, at_port: bool) -> bool {
        let lead = self.leads[direction.index()];
        if at_port { lead < 0 } else { lead > 0 }
    }

    /// A packet was seen.
    #[inline]
    pub const fn count(&mut self, direction: Direction, at_port: bool) {
        let lead = &mut self.leads[direction.index()];
        *lead = lead.saturating_add(if at_port { 1 } else { -1 });
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
    /// [`Owners::ownership_epoch`](super::Owners::ownership_epoch) when `bucket` and `owner` were decided; `None` in a
    /// free record.
    pub epoch: Option<Epoch>,
    /// Its mark.
    pub mark: Mark,
    /// Number of its [`Extra`], or [`Hot::NO_EXTRA`].
    pub extra: u32,
    /// Its part of the cluster's hash space.
    pub bucket: BucketId,
    /// Who forwards it; `None`: nobody, or another node of which nothing is known.
    pub owner: Option<MemberId>,
    /// Its bits.
    pub flags: Flags,
    /// What it is counted as.
    pub class: FlowClass,
    /// On which side of a bridge it was heard.
    pub sights: Sights,
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
            owner: None,
            flags: Flags::default(),
            class: FlowClass::Generic,
            sights: Sights::first(PortId::default()),
        }
    }

    /// The side of the key that the flow comes from.
    #[inline]
    pub fn origin(&self) -> Side {
        if self.flags.has(Flags::FROM_SECOND) { Side::Second } else { Side::First }
    }

    /// Whose it was said to be, and when.
    #[inline]
    pub fn decided(&self) -> Decided {
        Decided { owner: self.owner, epoch: self.epoch }
    }

    /// The side of the key that opened the flow, as far as anybody can tell: of one whose first packet here need not be
    /// its first, the end with the higher port, since clients' ports are taken from high ranges (RFC 6056) and servers'
    /// seldom are. All nodes say the same then, whichever packet each of them heard first; of equal ports each has to
    /// believe what it heard. Protocols without ports have no such flows.
    pub fn opener(&self) -> Side {
        let port = |side| self.key.endpoint(side).port;
        let (origin, other) = (self.origin(), self.origin().opposite());
        if self.flags.has(Flags::PICKED_UP) && port(other) > port(origin) { other } else { origin }
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
    /// Who takes it.
    pub steering: Steering,
    /// Of a router's flow: where its packets lead.
    pub leads: Leads,
}

const _: () = assert!(size_of::<Cold>() == 64);

/// Who takes what a flow's opener sends, or is answered: in two bytes, since each packet carries it from stage to stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steering(u16);

#[expect(clippy::cast_possible_truncation, reason = "the assertion below says that all numbers fit")]
impl Steering {
    /// Who its destination's route leads to.
    pub const ROUTE: Self = Self(0);
    /// Nobody: no server can, and its sender is to be told.
    pub const REFUSED: Self = Self(1);
    /// The box itself, by an address that other nodes have as well.
    pub const HERE: Self = Self(2);
    /// A service's server, if it is for one, or a server's that has opened it: that is asked with the next packet of its
    /// opener.
    pub const OPEN: Self = Self(3);
    const FIRST_SERVICE: u16 = 4;
    const FIRST_SERVER: u16 = Self::FIRST_SERVICE + SERVICES_MAX as u16;
    const FIRST_LEARNED: u16 = Self::FIRST_SERVER + SERVERS_MAX as u16;
    const FIRST_OPENER: u16 = Self::FIRST_LEARNED + SERVERS_MAX as u16;
    const FIRST_OVERHEARD: u16 = Self::FIRST_OPENER + SERVERS_MAX as u16;

    /// A server of this service, which another node has chosen.
    pub const fn of(service: ServiceId) -> Self {
        Self(service.index() as u16 + Self::FIRST_SERVICE)
    }

    /// This server takes what the opener sends.
    pub const fn to(server: ServerId) -> Self {
        Self(server.index() as u16 + Self::FIRST_SERVER)
    }

    /// This server does: another node has given the flow to it.
    pub const fn learned(server: ServerId) -> Self {
        Self(server.index() as u16 + Self::FIRST_LEARNED)
    }

    /// This server is the opener, by an address that others have as well: the answers are its.
    pub const fn from(server: ServerId) -> Self {
        Self(server.index() as u16 + Self::FIRST_OPENER)
    }

    /// The same of a flow that another node forwards.
    pub const fn overheard_from(server: ServerId) -> Self {
        Self(server.index() as u16 + Self::FIRST_OVERHEARD)
    }

    /// Whether it is a service's, or may be, and its server is not known.
    #[inline]
    pub const fn is_open(self) -> bool {
        self.0 >= Self::OPEN.0 && self.0 < Self::FIRST_SERVER
    }

    /// Whether another node has given the flow to its server.
    #[inline]
    pub const fn is_learned(self) -> bool {
        self.0 >= Self::FIRST_LEARNED && self.0 < Self::FIRST_OPENER
    }

    /// The service of a flow whose server is not known.
    pub const fn service(self) -> Option<ServiceId> {
        match self.0.checked_sub(Self::FIRST_SERVICE) {
            Some(index) => ServiceId::new(index as usize),
            None => None,
        }
    }

    /// The server that this node has given the flow to, if it has.
    #[inline]
    pub const fn given(self) -> Option<ServerId> {
        if self.is_learned() { None } else { self.server() }
    }

    /// The server that the flow was given to, by whichever node, if it was.
    #[inline]
    pub const fn server(self) -> Option<ServerId> {
        match self.0.checked_sub(Self::FIRST_SERVER) {
            Some(index) if self.0 < Self::FIRST_LEARNED => ServerId::new(index as usize),
            Some(_) => ServerId::new((self.0 - Self::FIRST_LEARNED) as usize),
            None => None,
        }
    }

    /// The server that has opened the flow, if one has from an address that others have as well.
    #[inline]
    pub const fn opener(self) -> Option<ServerId> {
        match self.0.checked_sub(Self::FIRST_OPENER) {
            Some(index) if self.0 < Self::FIRST_OVERHEARD => ServerId::new(index as usize),
            Some(_) => ServerId::new((self.0 - Self::FIRST_OVERHEARD) as usize),
            None => None,
        }
    }

    /// The same, if this node forwards the flow.
    pub const fn opened(self) -> Option<ServerId> {
        if self.0 < Self::FIRST_OVERHEARD { self.opener() } else { None }
    }

    /// The server that a packet in this direction is for, if it is for one.
    #[inline]
    pub const fn target(self, reply: bool) -> Option<ServerId> {
        if reply { self.opener() } else { self.server() }
    }
}

const _: () =
    assert!(SERVICES_MAX + 4 * SERVERS_MAX + (Steering::FIRST_SERVICE as usize) < u16::MAX as usize);

/// What a protocol remembers of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub enum Detail {
    /// Nothing.
    #[default]
    None,
    /// TCP: state and windows.
    Tcp(Connection),
    /// TCP to a server, whose answers need not pass here.
    Served(served::State),
    /// SCTP: state and tags.
    Sctp(Association),
    /// UDP, UDP-Lite, GRE: an answered flow lives longer and is assured.
    Stream {
        /// From when on: UDP flows must be two seconds old.
        from: Tick,
    },
    /// Datagrams, of which it is in doubt whose they are.
    GivenUp(GivenUp),
}

/// What a node remembers of datagrams of its own that it gave up when they were asked again on their bucket's way to
/// another node.
#[derive(Clone, Copy, Debug)]
pub struct GivenUp {
    /// [`Detail::Stream`], of one that has it.
    pub stream: Option<Tick>,
    /// They have been answered since, and their opener goes on unanswered from here.
    pub asked: Option<Tick>,
}

impl From<GivenUp> for Detail {
    /// No doubt is left.
    fn from(GivenUp { stream, .. }: GivenUp) -> Self {
        stream.map_or(Self::None, |from| Self::Stream { from })
    }
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

/// What the flows that a flow announces have from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heritage {
    /// Who announces them.
    pub origin: Origin,
    /// Whose it is.
    pub decided: Decided,
    /// Its mark.
    pub mark: Mark,
}

/// Whose a flow was said to be, and by which answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Its owner.
    pub owner: Option<MemberId>,
    /// When; `None`: it has not been decided.
    pub epoch: Option<Epoch>,
}

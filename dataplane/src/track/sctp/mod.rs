//! SCTP as Linux's conntrack (6.18) sees it from the middle: state, verification tags, timeouts.
//!
//! [`Association::open`] says whether a packet may begin a flow, [`Association::see`] what a packet means to a flow
//! that is there. A flow is one path, two addresses and two ports: an association with several addresses is a flow
//! for each pair in use, and all but the first begin with a HEARTBEAT. Sequence numbers are not looked at.

mod table;

pub use table::State;

use crate::config::SctpTimeouts;
use crate::counters::DropReason;
use crate::units::{Direction, Span};
use crate::wire::{Chunk, ChunkType, Sctp};

/// What is known of an association: the cold line of an SCTP flow's record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Association {
    /// By direction, the verification tag that its packets carry; 0 while it is not known.
    tags: [u32; 2],
    state: State,
    flags: u8,
}

impl Association {
    /// An INIT went in the original direction, and no COOKIE ACK since.
    const INIT_ORIGINAL: u8 = 1;
    /// The same in the reply direction.
    const INIT_REPLY: u8 = 2;
    /// It has been open.
    const ASSURED: u8 = 4;
    /// A HEARTBEAT carried a tag that was not the flow's: an answer to it may bring new ones.
    const HEARTBEAT: u8 = 8;
    /// That one went in the reply direction.
    const HEARTBEAT_REPLY: u8 = 16;
}

/// What a packet means to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It belongs; the flow lives this long without another.
    Refresh(Span),
    /// It belongs; the flow's time runs on.
    Keep,
    /// INVALID. The chunks before the one that is wrong count.
    Invalid(DropReason),
}

/// Kinds of chunks that need not carry the flow's tag; each has its own rule, or none.
const EXCUSED: [ChunkType; 7] = [
    ChunkType::INIT,
    ChunkType::HEARTBEAT,
    ChunkType::HEARTBEAT_ACK,
    ChunkType::ABORT,
    ChunkType::SHUTDOWN_ACK,
    ChunkType::COOKIE_ECHO,
    ChunkType::SHUTDOWN_COMPLETE,
];

impl Association {
    /// The association that `packet` begins, if it may. [`Association::see`] comes next.
    ///
    /// Out of the blue (RFC 9260 8.4) come INITs, HEARTBEATs, and the last words of associations that have been
    /// forgotten.
    pub fn open(packet: &Sctp<'_>) -> Result<Self, DropReason> {
        let kinds = Kinds::of(packet)?;
        if kinds.any(&[ChunkType::ABORT, ChunkType::SHUTDOWN_COMPLETE, ChunkType::COOKIE_ACK]) {
            return Err(DropReason::InvalidNoFlow);
        }
        let mut association = Self::default();
        let [original, reply] = &mut association.tags;
        let tag = packet.verification_tag();
        for chunk in packet.chunks() {
            let kind = chunk.kind();
            if matches!(table::next(Direction::Original, kind, State::None), None | Some(State::None)) {
                return Err(DropReason::InvalidNoFlow);
            }
            match kind {
                ChunkType::INIT if tag != 0 => return Err(DropReason::InvalidSctpTag),
                ChunkType::INIT => {
                    *reply = chunk.initiate_tag().ok_or(DropReason::InvalidSctpChunk)?;
                    association.flags |= Self::INIT_ORIGINAL;
                }
                ChunkType::HEARTBEAT => *original = tag,
                // SHUTDOWN COMPLETE will come back, with this tag.
                ChunkType::SHUTDOWN_ACK => *reply = tag,
                _ => {}
            }
        }
        Ok(association)
    }

    /// Where it stands.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it has been open at any time.
    #[inline]
    pub fn assured(&self) -> bool {
        self.has(Self::ASSURED)
    }

    /// Takes in a packet that goes `direction`.
    pub fn see(&mut self, direction: Direction, packet: &Sctp<'_>, timeouts: &SctpTimeouts) -> Effect {
        match self.see_chunks(direction, packet) {
            Ok(true) => Effect::Refresh(timeout_of(timeouts, self.state)),
            Ok(false) => Effect::Keep,
            Err(reason) => Effect::Invalid(reason),
        }
    }

    /// Whether the flow's time begins anew.
    fn see_chunks(&mut self, direction: Direction, packet: &Sctp<'_>) -> Result<bool, DropReason> {
        let kinds = Kinds::of(packet)?;
        let tag = packet.verification_tag();
        if tag != self.tags[direction.index()] && !kinds.any(&EXCUSED) {
            return Err(DropReason::InvalidSctpTag);
        }
        let mut refresh = true;
        for chunk in packet.chunks() {
            if !self.admits(direction, &chunk, tag, &kinds)? {
                // A second one in the packet is one too many.
                if !core::mem::replace(&mut refresh, false) {
                    return Err(DropReason::InvalidSctpTag);
                }
                continue;
            }
            let old = self.state;
            let new = table::next(direction, chunk.kind(), old).ok_or(DropReason::InvalidSctpState)?;
            self.learn_tag(direction, &chunk)?;
            // A repeated INIT must not keep a flow alive that nobody answers.
            if chunk.kind() == ChunkType::INIT && (old, new) == (State::Closed, State::Closed) {
                refresh = false;
            }
            self.state = new;
            if new == State::Established && old != State::Established {
                self.flags |= Self::ASSURED;
            }
        }
        Ok(refresh)
    }

    /// Whether a chunk counts under this packet's `tag`, by the special rules of RFC 9260 8.5.1. False: a HEARTBEAT
    /// with a tag that is not the flow's, which passes and is remembered.
    fn admits(
        &mut self,
        direction: Direction,
        chunk: &Chunk<'_>,
        tag: u32,
        kinds: &Kinds,
    ) -> Result<bool, DropReason> {
        let (own, other) = (self.tags[direction.index()], self.tags[direction.reversed().index()]);
        let right = match chunk.kind() {
            ChunkType::INIT => tag == 0,
            ChunkType::ABORT | ChunkType::SHUTDOWN_COMPLETE => {
                tag == if chunk.tag_reflected() { other } else { own }
            }
            ChunkType::COOKIE_ECHO => tag == own,
            ChunkType::HEARTBEAT | ChunkType::HEARTBEAT_ACK if own == 0 => {
                self.tags[direction.index()] = tag;
                true
            }
            ChunkType::HEARTBEAT | ChunkType::HEARTBEAT_ACK if tag == own => {
                self.flags &= !Self::HEARTBEAT;
                true
            }
            ChunkType::HEARTBEAT if !kinds.any(&[ChunkType::DATA]) => {
                self.remember_heartbeat(direction);
                return Ok(false);
            }
            ChunkType::HEARTBEAT_ACK if !kinds.any(&[ChunkType::DATA]) && self.was_asked(direction) => {
                // The ends have begun anew where nothing was seen of it.
                self.flags &= !Self::HEARTBEAT;
                self.tags[direction.index()] = tag;
                self.tags[direction.reversed().index()] = 0;
                true
            }
            ChunkType::HEARTBEAT | ChunkType::HEARTBEAT_ACK => false,
            _ => true,
        };
        if right { Ok(true) } else { Err(DropReason::InvalidSctpTag) }
    }

    fn remember_heartbeat(&mut self, direction: Direction) {
        self.flags |= Self::HEARTBEAT;
        match direction {
            Direction::Original => self.flags &= !Self::HEARTBEAT_REPLY,
            Direction::Reply => self.flags |= Self::HEARTBEAT_REPLY,
        }
    }

    /// Whether a HEARTBEAT with a strange tag went the other way.
    fn was_asked(&self, direction: Direction) -> bool {
        self.has(Self::HEARTBEAT) && self.has(Self::HEARTBEAT_REPLY) == (direction == Direction::Original)
    }

    /// INIT and INIT ACK say by which tag their sender wants to be addressed; with COOKIE ACK both are agreed upon.
    fn learn_tag(&mut self, direction: Direction, chunk: &Chunk<'_>) -> Result<(), DropReason> {
        let (mine, others) = match direction {
            Direction::Original => (Self::INIT_ORIGINAL, Self::INIT_REPLY),
            Direction::Reply => (Self::INIT_REPLY, Self::INIT_ORIGINAL),
        };
        let known = &mut self.tags[direction.reversed().index()];
        match chunk.kind() {
            ChunkType::INIT => {
                let told = chunk.initiate_tag().ok_or(DropReason::InvalidSctpChunk)?;
                // One that says what is known is old, or forged.
                if told != *known {
                    *known = told;
                    if self.has(mine) {
                        self.flags &= !others;
                    }
                    self.flags |= mine;
                }
            }
            ChunkType::COOKIE_ACK => self.flags &= !(mine | others),
            ChunkType::INIT_ACK => {
                let told = chunk.initiate_tag().ok_or(DropReason::InvalidSctpChunk)?;
                let (inits, same) = (self.flags & (mine | others), *known == told);
                // Nobody asked, or both did at once: then the tag must be the one that is known.
                let unasked = inits & others == 0 && *known != 0;
                if !same && (unasked || inits == mine | others) {
                    return Err(DropReason::InvalidSctpTag);
                }
                *known = told;
            }
            _ => {}
        }
        Ok(())
    }

    const fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }
}

/// The kinds of chunks in a packet, as far as the tracker asks for them.
struct Kinds(u16);

impl Kinds {
    /// INIT, INIT ACK and SHUTDOWN COMPLETE stand alone, COOKIE ECHO and COOKIE ACK come first (RFC 9260 6.10); a
    /// packet has at least one chunk, and none is 0 bytes long.
    fn of(packet: &Sctp<'_>) -> Result<Self, DropReason> {
        let mut kinds = Self(0);
        let mut alone = false;
        let mut first = true;
        for chunk in packet.chunks() {
            let kind = chunk.kind();
            alone |= matches!(kind, ChunkType::INIT | ChunkType::INIT_ACK | ChunkType::SHUTDOWN_COMPLETE);
            let leads = alone || matches!(kind, ChunkType::COOKIE_ECHO | ChunkType::COOKIE_ACK);
            if chunk.length() == 0 || (leads && !first) {
                return Err(DropReason::InvalidSctpChunk);
            }
            kinds.0 |= Self::bit(kind);
            first = false;
        }
        if first { Err(DropReason::InvalidSctpChunk) } else { Ok(kinds) }
    }

    fn any(&self, kinds: &[ChunkType]) -> bool {
        kinds.iter().any(|kind| self.0 & Self::bit(*kind) != 0)
    }

    const fn bit(kind: ChunkType) -> u16 {
        if kind.0 < 16 { 1 << kind.0 } else { 0 }
    }
}

fn timeout_of(timeouts: &SctpTimeouts, state: State) -> Span {
    match state {
        State::None | State::Closed => timeouts.closed,
        State::CookieWait => timeouts.cookie_wait,
        State::CookieEchoed => timeouts.cookie_echoed,
        State::Established => timeouts.established,
        State::ShutdownSent => timeouts.shutdown_sent,
        State::ShutdownRecd => timeouts.shutdown_recd,
        State::ShutdownAckSent => timeouts.shutdown_ack_sent,
        State::HeartbeatSent => timeouts.heartbeat_sent,
    }
}

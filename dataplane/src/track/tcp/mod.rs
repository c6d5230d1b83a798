//! TCP as Linux's conntrack (6.18) sees it from the middle: state, window, timeouts.
//!
//! [`Connection::open`] says whether a segment may begin a flow, [`Connection::see`] what a segment means to a flow
//! that is there. Time, addresses and the flow's place in the table are the caller's.

mod memory;
mod stream;
mod table;
mod window;

pub use table::{Class, State};

use crate::config::{Tcp, TcpTimeouts};
use crate::counters::DropReason;
use crate::units::{Direction, Span};
use crate::wire::tcp::TcpOptions;
use crate::wire::{Tcp as Header, TcpFlags};
use memory::{Last, Side, SideFlags};
use table::Next;
use window::{Window, before, read_options};

/// What a segment says, in host order.
#[derive(Clone, Debug)]
pub struct Segment<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, whether or not the flag is set.
    pub ack: u32,
    /// Window, unscaled.
    pub window: u16,
    /// Flags.
    pub flags: TcpFlags,
    /// Bytes of payload.
    pub payload_len: u32,
    /// The options.
    pub options: TcpOptions<'a>,
}

impl<'a> Segment<'a> {
    /// What `header` says; `transport_len` is the length of header and payload together, as IP has it.
    #[inline]
    pub fn new(header: &Header<'a>, transport_len: u32) -> Self {
        let header_len = u32::try_from(header.header_len()).unwrap_or(0);
        Self {
            seq: header.seq(),
            ack: header.ack(),
            window: header.window(),
            flags: header.flags(),
            payload_len: transport_len.saturating_sub(header_len),
            options: header.options(),
        }
    }

    /// The sequence number after the segment: SYN and FIN count one each.
    fn end(&self) -> u32 {
        self.seq
            .wrapping_add(self.payload_len)
            .wrapping_add(u32::from(self.flags.contains(TcpFlags::SYN)))
            .wrapping_add(u32::from(self.flags.contains(TcpFlags::FIN)))
    }
}

/// What is known of a connection: the cold line of a TCP flow's record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection {
    sides: [Side; 2],
    last: Last,
    /// The window scale that the ignored SYN in `last` offers.
    offered_scale: u8,
    retransmissions: u8,
    state: State,
}

const _: () = assert!(size_of::<Connection>() <= 56);

/// What is known of the flow besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Another node forwards it, and may have forwarded what was not heard here.
    pub shadow: bool,
    /// An answer has been seen.
    pub seen_reply: bool,
    /// It has proven itself.
    pub assured: bool,
    /// Time until it expires.
    pub remaining: Span,
}

/// What a segment means to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It belongs; its time begins anew.
    Refresh {
        /// How long the flow lives without another.
        timeout: Span,
        /// The flow has proven itself.
        assured: bool,
    },
    /// It belongs; the flow's time runs on.
    Keep,
    /// It belongs, and it is the end of the flow.
    Delete,
    /// INVALID. The flow may have to end sooner.
    Invalid {
        /// Why.
        reason: DropReason,
        /// At most this long from now.
        remaining_max: Option<Span>,
    },
    /// It opens a new connection where a closed one was: forget the flow and look again.
    Reopen,
}

impl Effect {
    const fn invalid(reason: DropReason) -> Self {
        Self::Invalid { reason, remaining_max: None }
    }
}

impl Connection {
    /// The connection that `segment` begins, if it may: a SYN, or with `loose` an ACK. [`Connection::see`] comes next.
    pub fn open(segment: &Segment<'_>, loose: bool) -> Option<Self> {
        let mut connection = Self::default();
        let side = &mut connection.sides[0];
        side.end = segment.end();
        side.maxend = side.end;
        side.maxwin = u32::from(segment.window).max(1);
        match table::next(Direction::Original, Class::of(segment.flags), State::None) {
            Next::To(State::SynSent) => read_options(side, segment),
            Next::To(_) if loose => {
                side.maxend = side.end.wrapping_add(side.maxwin);
                let flags = SideFlags(SideFlags::SACK | SideFlags::LIBERAL);
                connection.sides.iter_mut().for_each(|side| side.flags = flags);
            }
            _ => return None,
        }
        Some(connection)
    }

    /// The connection that a SYN begins, and how long it lives without another segment: [`Connection::open`] and
    /// [`Connection::see`] in one, since nothing can be wrong with its window yet.
    #[inline(always)]
    pub fn begin(segment: &Segment<'_>, config: &Tcp) -> (Self, Span) {
        let (end, maxwin) = (segment.end(), u32::from(segment.window).max(1));
        let mut opener = Side { end, maxend: end, maxwin, ..Side::default() };
        read_options(&mut opener, segment);
        let other = Side { maxend: maxwin, ..Side::default() };
        let last = Last { class: Class::Syn, ..Last::default() };
        let connection = Self { sides: [opener, other], last, state: State::SynSent, ..Self::default() };
        let timeout = connection.timeout(Class::Syn, State::SynSent, config);
        (connection, timeout)
    }

    /// Where it stands.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes in a segment that goes `direction`.
    pub fn see(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        standing: &Standing,
        config: &Tcp,
    ) -> Effect {
        let class = Class::of(segment.flags);
        let old = self.state;
        let mut new = match table::next(direction, class, old) {
            Next::Invalid => return Effect::invalid(DropReason::InvalidTcpState),
            Next::Ignore => match self.ignore(direction, class, segment) {
                Some(state) => state,
                None => return Effect::Keep,
            },
            Next::To(State::SynSent) if old >= State::TimeWait => {
                if self.may_reopen(direction) {
                    return Effect::Reopen;
                }
                match self.ignore(direction, class, segment) {
                    Some(state) => state,
                    None => return Effect::Keep,
                }
            }
            Next::To(state) => state,
        };
        let mut check_window = true;
        match new {
            State::TimeWait if self.is_challenge_ack(direction, class, old) => {
                self.last.flags &= !Last::CHALLENGE;
                return Effect::Keep;
            }
            State::SynSent2 => self.last.flags |= Last::SIMULTANEOUS,
            State::SynRecv => {
                let simultaneous = self.last.flags & Last::SIMULTANEOUS != 0;
                if direction == Direction::Reply && class == Class::Ack && simultaneous {
                    new = State::Established;
                }
            }
            State::Close if class == Class::Rst => match self.reset(direction, segment, standing, config) {
                Reset::Stale => return Effect::invalid(DropReason::InvalidTcpWindow),
                Reset::Close => {}
                Reset::Doubtful => new = old,
                Reset::Certain => check_window = false,
                Reset::DoubtfulButCertain => {
                    new = old;
                    check_window = false;
                }
            },
            _ => {}
        }
        if check_window {
            if standing.shadow {
                window::catch_up(self, direction, segment);
            }
            match window::check(self, direction, class, segment, config.be_liberal) {
                Window::Accept => {}
                Window::Ignore => return Effect::Keep,
                Window::Invalid => return self.out_of_window(direction, class, standing, config),
            }
        }
        self.accept(direction, class, old, new, standing, config)
    }

    /// The segment counts: state, timeout, and what the flow becomes by it.
    fn accept(
        &mut self,
        direction: Direction,
        class: Class,
        old: State,
        new: State,
        standing: &Standing,
        config: &Tcp,
    ) -> Effect {
        self.remember_class(direction, class);
        self.state = new;
        if old != new && new == State::FinWait {
            self.sides[direction.index()].flags.set(SideFlags::CLOSE_INIT);
        }
        let mut timeout = self.timeout(class, new, config);
        if !standing.seen_reply {
            if class == Class::Rst {
                return Effect::Delete;
            }
            if class == Class::Syn && old == State::SynSent {
                // A repeated SYN must not keep a flow alive that nobody answers.
                return Effect::Keep;
            }
            if new == State::Established {
                timeout = timeout.min(config.timeouts.unacknowledged);
            }
        }
        let opened = matches!(old, State::SynRecv | State::Established) && new == State::Established;
        Effect::Refresh { timeout, assured: standing.seen_reply && opened }
    }

    /// Lets a segment pass unbelieved, but remembers it. `Some`: it is the SYN-ACK to a SYN that was let pass
    /// before, so both ends agree and the flow gets back into step with them; the state it has now.
    fn ignore(&mut self, direction: Direction, class: Class, segment: &Segment<'_>) -> Option<State> {
        let last = self.last;
        if class == Class::SynAck && last.is(Class::Syn, direction.reversed()) && segment.ack == last.end {
            self.resync(direction);
            return Some(State::SynRecv);
        }
        self.remember_class(direction, class);
        self.last.seq = segment.seq;
        self.last.end = segment.end();
        self.last.window = segment.window;
        if class == Class::Syn && direction == Direction::Original {
            let mut offered = Side::default();
            read_options(&mut offered, segment);
            self.offered_scale = offered.scale;
            self.last.flags = offered.flags.only(Last::SIDE).0;
            if self.state == State::LastAck {
                self.last.flags |= Last::CHALLENGE;
            }
        }
        if self.state == State::SynSent && class == Class::Ack && direction == Direction::Reply {
            self.last.ack = segment.ack;
        }
        None
    }

    fn resync(&mut self, answering: Direction) {
        self.last.flags &= !Last::CHALLENGE;
        self.sides[answering.reversed().index()] = Side {
            end: self.last.end,
            maxend: self.last.end,
            maxwin: u32::from(self.last.window).max(1),
            maxack: 0,
            scale: self.offered_scale,
            flags: SideFlags(self.last.flags).only(Last::SIDE),
        };
        let answering = &mut self.sides[answering.index()];
        *answering = Side { flags: answering.flags.only(SideFlags::LIBERAL), ..Side::default() };
    }

    /// Whether a SYN on a closed connection is a new one: it was closed in order, or reset from the same side.
    fn may_reopen(&self, direction: Direction) -> bool {
        self.sides.iter().any(|side| side.flags.has(SideFlags::CLOSE_INIT))
            || self.last.is(Class::Rst, direction)
    }

    fn is_challenge_ack(&self, direction: Direction, class: Class, old: State) -> bool {
        old == State::LastAck
            && class == Class::Ack
            && self.last.is(Class::Syn, direction.reversed())
            && self.last.flags & Last::CHALLENGE != 0
    }

    fn reset(&self, direction: Direction, segment: &Segment<'_>, standing: &Standing, config: &Tcp) -> Reset {
        // A flow that is closing may be evicted at any time, and its ports used again: nothing to compare with.
        if matches!(
            self.state,
            State::FinWait | State::LastAck | State::TimeWait | State::Close | State::CloseWait
        ) {
            return Reset::Certain;
        }
        let established = self.state == State::Established && standing.assured;
        let receiver = &self.sides[direction.reversed().index()];
        let mut doubtful = false;
        // After a SYN that was let pass, what the other end had acknowledged may be of another connection.
        if receiver.flags.has(SideFlags::MAXACK) && self.last.class != Class::Syn {
            if segment.seq == 0 && !established {
                return Reset::Close;
            }
            if before(segment.seq, receiver.maxack) && !config.ignore_invalid_rst {
                return Reset::Stale;
            }
            let follows_last = self.last.is(Class::Ack, direction) && segment.seq == self.last.end;
            if !established || segment.seq == receiver.maxack || follows_last {
                return Reset::Close;
            }
            // Not exactly where it should be: the other end may answer with a challenge ACK.
            doubtful = true;
        }
        let answers_ignored = (standing.seen_reply && self.last.is(Class::Syn, direction.reversed()))
            || (!standing.assured && self.last.class == Class::Ack);
        let answers_challenge = self.state == State::SynSent
            && self.last.is(Class::Ack, Direction::Reply)
            && segment.seq == self.last.ack;
        let certain = (answers_ignored && segment.ack == self.last.end) || answers_challenge;
        match (doubtful, certain) {
            (false, false) => Reset::Close,
            (false, true) => Reset::Certain,
            (true, false) => Reset::Doubtful,
            (true, true) => Reset::DoubtfulButCertain,
        }
    }

    /// An assured flow whose ends both try to close out of window is out of step: let it end sooner.
    fn out_of_window(
        &mut self,
        direction: Direction,
        class: Class,
        standing: &Standing,
        config: &Tcp,
    ) -> Effect {
        let reason = DropReason::InvalidTcpWindow;
        if !standing.assured || !matches!(class, Class::Rst | Class::Fin) {
            return Effect::invalid(reason);
        }
        let other = direction.reversed();
        if self.last.is(Class::Fin, other) || self.last.is(Class::Rst, other) {
            let unacknowledged = config.timeouts.unacknowledged;
            let long = standing.remaining.as_s() >= 120 && standing.remaining > unacknowledged;
            return Effect::Invalid { reason, remaining_max: long.then_some(unacknowledged) };
        }
        self.remember_class(direction, class);
        Effect::invalid(reason)
    }

    #[inline(always)]
    fn timeout(&self, class: Class, state: State, config: &Tcp) -> Span {
        let timeouts = &config.timeouts;
        let usual = timeout_of(timeouts, state);
        let [original, reply] = &self.sides;
        let unacked = (original.flags | reply.flags).has(SideFlags::UNACKED);
        if self.retransmissions >= config.max_retrans && usual > timeouts.max_retrans {
            timeouts.max_retrans
        } else if class == Class::Rst {
            timeouts.close
        } else if unacked && usual > timeouts.unacknowledged {
            timeouts.unacknowledged
        } else if self.last.window == 0 && usual > timeouts.max_retrans {
            timeouts.max_retrans
        } else {
            usual
        }
    }

    #[inline(always)]
    fn count_retransmission(&mut self, direction: Direction, (seq, end, ack, window): (u32, u32, u32, u16)) {
        let last = &mut self.last;
        let seen = (last.end, last.seq, last.ack, last.window);
        if seen == (end, seq, ack, window) && last.went(direction) {
            self.retransmissions = self.retransmissions.saturating_add(1);
        } else {
            self.retransmissions = 0;
            (last.seq, last.ack, last.end, last.window) = (seq, ack, end, window);
            last.set_direction(direction);
        }
    }

    #[inline(always)]
    fn remember_class(&mut self, direction: Direction, class: Class) {
        self.last.class = class;
        self.last.set_direction(direction);
    }

    /// Sender and receiver of a segment that goes `direction`.
    #[inline]
    fn sides(&self, direction: Direction) -> (&Side, &Side) {
        let [original, reply] = &self.sides;
        match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        }
    }

    #[inline]
    fn sides_mut(&mut self, direction: Direction) -> (&mut Side, &mut Side) {
        let [original, reply] = &mut self.sides;
        match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        }
    }
}

/// What a reset is worth.
enum Reset {
    /// It is older than what has been acknowledged.
    Stale,
    /// It closes, if the window agrees.
    Close,
    /// It may be forged: the state stays.
    Doubtful,
    /// It answers a segment that was let pass unbelieved, so the window need not agree.
    Certain,
    /// Both of the above.
    DoubtfulButCertain,
}

/// Linux has no sysctl for both ends having opened at once.
const SYN_SENT2: Span = match Span::from_s(120) {
    Some(span) => span,
    None => Span::MAX,
};

#[inline]
fn timeout_of(timeouts: &TcpTimeouts, state: State) -> Span {
    match state {
        State::None | State::SynSent => timeouts.syn_sent,
        State::SynSent2 => SYN_SENT2,
        State::SynRecv => timeouts.syn_recv,
        State::Established => timeouts.established,
        State::FinWait => timeouts.fin_wait,
        State::CloseWait => timeouts.close_wait,
        State::LastAck => timeouts.last_ack,
        State::TimeWait => timeouts.time_wait,
        State::Close => timeouts.close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_syn_begins_what_it_opens_and_is_seen_to_be(
            mut bytes in prop::collection::vec(any::<u8>(), 60..80),
            options in prop::collection::vec(prop_oneof![Just(1u8), Just(2), Just(3), Just(4), any::<u8>()], 40),
            (words, window, finishes) in (5..=15u8, prop_oneof![Just(0u16), any::<u16>()], any::<bool>()),
            (max_retrans, be_liberal, syn_sent_s) in (0..3u8, any::<bool>(), 1..1000u32),
        ) {
            bytes[12..14].copy_from_slice(&[words << 4, 2 | u8::from(finishes)]);
            bytes[14..16].copy_from_slice(&window.to_be_bytes());
            bytes[20..60].copy_from_slice(&options);
            let mut config = Tcp { max_retrans, be_liberal, ..crate::config::Conntrack::default().tcp };
            config.timeouts.syn_sent = Span::from_s(syn_sent_s).unwrap();
            let segment = Segment::new(&Header::new(&bytes).unwrap(), u32::try_from(bytes.len()).unwrap());
            let mut opened = Connection::open(&segment, be_liberal).unwrap();
            let effect = opened.see(Direction::Original, &segment, &Standing::default(), &config);
            let (begun, timeout) = Connection::begin(&segment, &config);
            prop_assert_eq!(effect, Effect::Refresh { timeout, assured: false });
            prop_assert_eq!(format!("{begun:?}"), format!("{opened:?}"));
        }
    }
}

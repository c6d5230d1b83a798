//! The TCP state table: what a segment of a class, in a direction, makes of a state.
//! As Linux's conntrack (6.18) behaves.

use crate::units::Direction;
use crate::wire::TcpFlags;

/// Where a TCP flow stands, as seen from the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Nothing seen.
    #[default]
    None,
    /// SYN seen.
    SynSent,
    /// SYN and ACK seen in answer.
    SynRecv,
    /// Open.
    Established,
    /// One FIN seen.
    FinWait,
    /// That FIN acknowledged.
    CloseWait,
    /// The other FIN seen as well.
    LastAck,
    /// Both acknowledged.
    TimeWait,
    /// Reset.
    Close,
    /// SYN seen from both ends.
    SynSent2,
}

/// What a segment is, by the first of these flags that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// SYN alone.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// FIN.
    Fin,
    /// ACK alone.
    Ack,
    /// RST.
    Rst,
    /// None of them.
    #[default]
    None,
}

impl Class {
    /// The class of a segment with these flags: RST before SYN before FIN before ACK.
    pub fn of(flags: TcpFlags) -> Self {
        if flags.contains(TcpFlags::RST) {
            Self::Rst
        } else if flags.contains(TcpFlags::SYN) {
            if flags.contains(TcpFlags::ACK) { Self::SynAck } else { Self::Syn }
        } else if flags.contains(TcpFlags::FIN) {
            Self::Fin
        } else if flags.contains(TcpFlags::ACK) {
            Self::Ack
        } else {
            Self::None
        }
    }
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The flow is in this state now, if the window agrees.
    To(State),
    /// Let it pass and believe nothing it says.
    Ignore,
    /// It has no place here.
    Invalid,
}

const NO: Next = Next::Invalid;
const IG: Next = Next::Ignore;
const SS: Next = Next::To(State::SynSent);
const SR: Next = Next::To(State::SynRecv);
const ES: Next = Next::To(State::Established);
const FW: Next = Next::To(State::FinWait);
const CW: Next = Next::To(State::CloseWait);
const LA: Next = Next::To(State::LastAck);
const TW: Next = Next::To(State::TimeWait);
const CL: Next = Next::To(State::Close);
const S2: Next = Next::To(State::SynSent2);

/// Rows by [`Class`], columns by [`State`]: none, syn_sent, syn_recv, established, fin_wait, close_wait, last_ack,
/// time_wait, close, syn_sent2.
type Table = [[Next; 10]; 6];

const ORIGINAL: Table = [
    [SS, SS, IG, IG, IG, IG, IG, SS, SS, S2],
    [NO, NO, SR, NO, NO, NO, NO, NO, NO, SR],
    [NO, NO, FW, FW, LA, LA, LA, TW, CL, NO],
    [ES, NO, ES, ES, CW, CW, TW, TW, CL, NO],
    [NO, CL, CL, CL, CL, CL, CL, CL, CL, CL],
    [NO; 10],
];

const REPLY: Table = [
    [NO, S2, NO, NO, NO, NO, NO, SS, NO, S2],
    [NO, SR, IG, IG, IG, IG, IG, IG, IG, SR],
    [NO, NO, FW, FW, LA, LA, LA, TW, CL, NO],
    [NO, IG, SR, ES, CW, CW, TW, TW, CL, IG],
    [NO, CL, CL, CL, CL, CL, CL, CL, CL, CL],
    [NO; 10],
];

/// What a segment of `class`, going `direction`, makes of `state`.
#[inline]
pub(super) fn next(direction: Direction, class: Class, state: State) -> Next {
    let table = match direction {
        Direction::Original => &ORIGINAL,
        Direction::Reply => &REPLY,
    };
    table[class as usize][state as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Original, Reply};

    #[test]
    fn a_connection_opens_and_closes() {
        let mut state = State::None;
        for (direction, class, expected) in [
            (Original, Class::Syn, State::SynSent),
            (Reply, Class::SynAck, State::SynRecv),
            (Original, Class::Ack, State::Established),
            (Original, Class::Fin, State::FinWait),
            (Reply, Class::Ack, State::CloseWait),
            (Reply, Class::Fin, State::LastAck),
            (Original, Class::Ack, State::TimeWait),
        ] {
            assert_eq!(next(direction, class, state), Next::To(expected));
            state = expected;
        }
    }

    #[test]
    fn nothing_but_a_syn_or_an_ack_begins_a_flow() {
        for class in [Class::SynAck, Class::Fin, Class::Rst, Class::None] {
            assert_eq!(next(Original, class, State::None), Next::Invalid);
        }
    }
}

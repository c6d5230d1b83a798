//! The segment that nearly all segments are: a plain ACK, with data or without, inside the window of an open
//! connection of which both sides are known.
//!
//! It is what [`Connection::see`] comes down to for such a segment; any other is left to that.

use super::memory::SideFlags;
use super::table::{Class, State};
use super::window::{Place, move_on, place};
use super::{Connection, Segment};
use crate::config::Tcp;
use crate::units::{Direction, Span};
use crate::wire::TcpFlags;

/// The flags that make a segment more than an ACK.
const TELLING: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0);

impl Connection {
    /// Takes in a segment of this kind: how long the flow lives without another. `None`: it is of another kind, and
    /// nothing has changed.
    #[inline(always)]
    pub fn advance(&mut self, direction: Direction, segment: &Segment<'_>, config: &Tcp) -> Option<Span> {
        if self.state != State::Established || segment.flags & TELLING != TcpFlags::ACK {
            return None;
        }
        let (sender, receiver) = self.sides_mut(direction);
        if sender.maxwin == 0 || receiver.flags.has(SideFlags::SACK) && segment.options.may_have_sack() {
            return None;
        }
        let (seq, end, ack) = (segment.seq, segment.seq.wrapping_add(segment.payload_len), segment.ack);
        if place(sender, receiver, seq, end, ack) != Place::Inside {
            return None;
        }
        move_on(sender, receiver, segment, (end, ack, ack));
        self.count_retransmission(direction, segment, (seq, end, ack));
        self.remember_class(direction, Class::Ack);
        Some(self.timeout(Class::Ack, State::Established, config))
    }
}

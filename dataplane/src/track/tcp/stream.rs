//! The segment that nearly all segments are: a plain ACK, with data or without, that lies wholly inside the window of
//! an open connection of which both sides are known.
//!
//! It is what [`Connection::see`] comes down to for such a segment; any other is left to that.

use super::Connection;
use super::memory::SideFlags;
use super::table::{Class, State};
use super::window::{Place, after, move_on, place};
use crate::config::Tcp;
use crate::units::{Direction, Span};
use crate::wire::{Tcp as Header, TcpFlags};

/// The flags that make a segment more than an ACK.
const TELLING: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0);

impl Connection {
    /// Takes in a segment of this kind, `transport_len` bytes with its header: how long the flow lives without
    /// another. `None`: it is of another kind, and nothing has changed.
    #[inline(always)]
    pub fn advance(
        &mut self,
        direction: Direction,
        segment: &Header<'_>,
        transport_len: u32,
        config: &Tcp,
    ) -> Option<Span> {
        if self.state != State::Established || segment.flags() & TELLING != TcpFlags::ACK {
            return None;
        }
        let (sender, receiver) = self.sides_mut(direction);
        let known = sender.maxwin != 0 && receiver.maxwin != 0 && sender.flags.has(SideFlags::MAXACK);
        if !known || receiver.flags.has(SideFlags::SACK) && segment.options().may_have_sack() {
            return None;
        }
        let (seq, ack, window) = (segment.seq(), segment.ack(), segment.window());
        let header_len = u32::try_from(segment.header_len()).unwrap_or(0);
        let end = seq.wrapping_add(transport_len).wrapping_sub(header_len);
        if after(end, sender.maxend) || place(sender, receiver, seq, end, ack) != Place::Inside {
            return None;
        }
        move_on(sender, receiver, TcpFlags::ACK, window, (end, ack, ack));
        self.count_retransmission(direction, (seq, end, ack, window));
        self.last.class = Class::Ack;
        Some(self.timeout(Class::Ack, State::Established, config))
    }
}

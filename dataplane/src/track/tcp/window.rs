//! TCP window tracking: whether a segment can belong to the connection, by sequence and acknowledgement.
//!
//! After Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2000), as Linux's conntrack (6.18)
//! behaves: data beyond the window is INVALID, old data passes and is ignored, a segment that oversteps the
//! window by less than the receiver's own is ignored but remembered.
//! All comparisons are modulo 2^32.

use super::memory::{Side, SideFlags};
use super::table::{Class, State};
use super::{Connection, Segment};
use crate::units::Direction;
use crate::wire::{TcpFlags, TcpOption};

/// The least distance that an acknowledgement may lag behind.
const ACK_LAG_MIN: u32 = 66_000;

/// The largest shift of RFC 7323.
const SCALE_MAX: u8 = 14;

/// What the window says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// Inside; the window has moved.
    Accept,
    /// Let it pass and change nothing.
    Ignore,
    /// Outside.
    Invalid,
}

#[inline]
pub(super) const fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > i32::MAX as u32
}

#[inline]
pub(super) const fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// Sets what a SYN offers. A segment without options leaves what was known.
pub(super) fn read_options(side: &mut Side, segment: &Segment<'_>) {
    if segment.options.is_empty() {
        return;
    }
    side.scale = 0;
    side.flags = side.flags.only(SideFlags::LIBERAL);
    for option in segment.options.clone() {
        match option {
            TcpOption::SackPermitted => side.flags.set(SideFlags::SACK),
            TcpOption::WindowScale(scale) => {
                side.scale = scale.min(SCALE_MAX);
                side.flags.set(SideFlags::SCALED);
            }
            _ => {}
        }
    }
}

/// The highest acknowledged edge that a segment speaks of. Only its first list of blocks counts.
fn highest_sack(segment: &Segment<'_>, ack: u32) -> u32 {
    let blocks = segment.options.clone().find_map(|option| match option {
        TcpOption::Sack(blocks) => Some(blocks),
        _ => None,
    });
    let mut highest = ack;
    for (_, edge) in blocks.into_iter().flatten() {
        if after(edge, highest) {
            highest = edge;
        }
    }
    highest
}

/// A SYN tells all about its side.
fn begin(connection: &mut Connection, direction: Direction, segment: &Segment<'_>, end: u32) {
    let (sender, receiver) = connection.sides_mut(direction);
    sender.end = end;
    sender.maxend = end;
    sender.maxwin = u32::from(segment.window).max(1);
    read_options(sender, segment);
    // RFC 7323: scaling is on when both sides have offered it.
    let both = sender.flags.has(SideFlags::SCALED) && receiver.flags.has(SideFlags::SCALED);
    if direction == Direction::Reply && !both {
        sender.scale = 0;
        receiver.scale = 0;
    }
}

/// The first segment of a side that is not a SYN: its history is lost, so take what it says.
fn pick_up(connection: &mut Connection, direction: Direction, segment: &Segment<'_>, end: u32, sack: u32) {
    let (sender, receiver) = connection.sides_mut(direction);
    sender.end = end;
    sender.maxwin = (u32::from(segment.window) << sender.scale).max(1);
    sender.maxend = end.wrapping_add(sender.maxwin);
    if receiver.maxwin == 0 {
        receiver.end = sack;
        receiver.maxend = sack;
    } else if sack == receiver.end.wrapping_add(1) {
        // An answer to a keep-alive.
        receiver.end = receiver.end.wrapping_add(1);
    }
}

/// Checks `segment` against the window and moves the window on.
pub(super) fn check(
    connection: &mut Connection,
    direction: Direction,
    class: Class,
    segment: &Segment<'_>,
    liberal: bool,
) -> Window {
    let syn = segment.flags.contains(TcpFlags::SYN);
    let acks = segment.flags.contains(TcpFlags::ACK);
    let mut seq = segment.seq;
    let mut end = segment.end();
    let mut ack = segment.ack;
    let mut sack = ack;
    let (sender, receiver) = connection.sides(direction);
    if receiver.flags.has(SideFlags::SACK) {
        sack = highest_sack(segment, ack);
    }

    if sender.maxwin == 0 {
        if syn {
            begin(connection, direction, segment, end);
            if !acks {
                return Window::Accept;
            }
        } else {
            pick_up(connection, direction, segment, end, sack);
        }
    } else if syn && after(end, sender.end) && matches!(connection.state, State::SynSent | State::SynRecv) {
        // The SYN again, with another initial sequence number.
        begin(connection, direction, segment, end);
        if direction == Direction::Reply && !acks {
            return Window::Accept;
        }
    }

    let rst = segment.flags.contains(TcpFlags::RST);
    if !acks || (rst && ack == 0) {
        ack = connection.sides(direction).1.end;
        sack = ack;
    }
    if rst && seq == 0 && connection.state == State::SynSent {
        // A reset in answer to the SYN.
        end = connection.sides(direction).0.end;
        seq = end;
    }
    let (sender, receiver) = connection.sides_mut(direction);
    match place(sender, receiver, seq, end, sack) {
        Place::Inside => {}
        place => {
            if place == Place::Overshot {
                sender.end = end;
                sender.flags.set(SideFlags::UNACKED);
            }
            return if liberal || sender.flags.has(SideFlags::LIBERAL) {
                Window::Accept
            } else if place == Place::Outside {
                Window::Invalid
            } else {
                Window::Ignore
            };
        }
    }
    move_on(sender, receiver, segment.flags, segment.window, (end, ack, sack));
    if class == Class::Ack {
        connection.count_retransmission(direction, (seq, end, ack, segment.window));
    }
    Window::Accept
}

/// What `segment` acknowledges has been said, though it was not heard here: as far as its sender was allowed to say
/// it, and if `segment` is within the bounds otherwise. Without that, of two ends that speak in turn each would for
/// ever acknowledge what does not count, since it came in answer to what does not count.
pub(super) fn catch_up(connection: &mut Connection, direction: Direction, segment: &Segment<'_>) {
    let (sender, receiver) = connection.sides_mut(direction);
    let known = sender.maxwin != 0 && receiver.maxwin != 0 && segment.flags.contains(TcpFlags::ACK);
    let said = Side { end: segment.ack, ..*receiver };
    if known
        && after(segment.ack, receiver.end)
        && !after(segment.ack, receiver.maxend)
        && place(sender, &said, segment.seq, segment.end(), segment.ack) == Place::Inside
    {
        receiver.end = segment.ack;
    }
}

/// Where a segment lies by the four bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Within all of them.
    Inside,
    /// It brings nothing new, or acknowledges what has long been acknowledged.
    Old,
    /// It oversteps what the receiver allowed by less than the receiver's window.
    Overshot,
    /// Beyond them.
    Outside,
}

/// The four bounds: the sequence within what the receiver allowed, and not older than it keeps; the acknowledgement
/// of something that was sent, and not of the distant past.
#[inline(always)]
pub(super) fn place(sender: &Side, receiver: &Side, seq: u32, end: u32, sack: u32) -> Place {
    let oldest = sender.end.wrapping_sub(receiver.maxwin).wrapping_sub(1);
    let lag = sender.maxwin.max(ACK_LAG_MIN);
    let allowed = before(seq, sender.maxend.wrapping_add(1));
    let current = receiver.maxwin == 0 || after(end, oldest);
    let ack_seen = before(sack, receiver.end.wrapping_add(1));
    let ack_recent = after(sack, receiver.end.wrapping_sub(lag).wrapping_sub(1));
    if allowed & current & ack_seen & ack_recent {
        return Place::Inside;
    }
    if !allowed {
        let overshot = end.wrapping_sub(sender.maxend).wrapping_add(1);
        let near = receiver.maxwin != 0 && after(end, oldest) && overshot <= receiver.maxwin;
        return if near && ack_recent && ack_seen { Place::Overshot } else { Place::Outside };
    }
    if ack_seen { Place::Old } else { Place::Outside }
}

/// An accepted segment moves both sides' windows.
#[inline(always)]
pub(super) fn move_on(
    sender: &mut Side,
    receiver: &mut Side,
    flags: TcpFlags,
    window: u16,
    (end, ack, sack): (u32, u32, u32),
) {
    let mut window = u32::from(window);
    if !flags.contains(TcpFlags::SYN) {
        window <<= sender.scale;
    }
    sender.maxwin = sender.maxwin.max(window.wrapping_add(sack.wrapping_sub(ack)));
    if after(end, sender.end) {
        sender.end = end;
        sender.flags.set(SideFlags::UNACKED);
    }
    if flags.contains(TcpFlags::ACK) && (!sender.flags.has(SideFlags::MAXACK) || after(ack, sender.maxack)) {
        sender.maxack = ack;
        sender.flags.set(SideFlags::MAXACK);
    }
    if receiver.maxwin != 0 && after(end, sender.maxend) {
        receiver.maxwin = receiver.maxwin.wrapping_add(end.wrapping_sub(sender.maxend));
    }
    let allowed = sack.wrapping_add(window);
    if after(allowed, receiver.maxend.wrapping_sub(1)) {
        receiver.maxend = if window == 0 { allowed.wrapping_add(1) } else { allowed };
    }
    if ack == receiver.end {
        receiver.flags.clear(SideFlags::UNACKED);
    }
}

//! FTP (RFC 959, RFC 1123, RFC 2428): the data connections that PORT, EPRT, PASV and EPSV announce.
//!
//! Reads as Linux's helper does. A message counts only at the start of a line, and a segment is known to start a
//! line when it follows one that ended with a newline. A keyword whose arguments are cut or make no sense drops
//! the segment. An address that is not the sender's own is not expected: else a server could open a way
//! to its neighbours (Linux with `loose=0`). Numbers are not checked for their range; they wrap.

use super::text::Text;
use super::{Book, Class, Expected, Outcome, Segment, Source};
use crate::units::Direction;
use crate::wire::IpProtocol;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One data connection at a time; five minutes for it to open.
static DATA: Class = Class::new(0, 1, 300);
/// One to a port that was not heard, which others to other ports could be taken for; so no longer than it takes to be told
/// the port.
static ASKED: Class = Class::new(0, 1, 10);

/// Where lines start, in both directions of a control connection. A new connection knows of none: the first
/// segment of each direction is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    line_starts: [LineStarts; 2],
}

/// Looks into one segment.
pub fn inspect<B: Book>(state: &mut State, segment: &Segment<'_>, book: &mut B) -> Outcome {
    let Some(last) = segment.payload.last().filter(|_| segment.established) else { return Outcome::Pass };
    let line_starts = &mut state.line_starts[segment.direction.index()];
    let announced = if line_starts.contains(segment.seq) { read(segment) } else { Announced::Nothing };
    // What cannot be read is dropped and comes again, from the same sequence number on.
    if *last == b'\n' && announced != Announced::Unreadable {
        line_starts.insert(segment.end());
    }
    match announced {
        Announced::Nothing => Outcome::Pass,
        Announced::Unreadable => Outcome::Drop,
        Announced::Data(expected) => Outcome::of(book.expect(&expected)),
    }
}

/// What a segment announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    Nothing,
    /// Something, but cut or wrong.
    Unreadable,
    /// A data connection.
    Data(Expected),
}

/// The two latest sequence numbers at which a line starts: that of the next segment, and one for a segment that
/// is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LineStarts {
    seqs: [u32; 2],
    known: u8,
}

impl LineStarts {
    fn contains(&self, seq: u32) -> bool {
        self.seqs[..usize::from(self.known)].contains(&seq)
    }

    /// Takes the place of the older one, unless it is older still.
    fn insert(&mut self, seq: u32) {
        let precedes = |a: u32, b: u32| a != b && b.wrapping_sub(a) < 1 << 31;
        let [first, second] = self.seqs;
        match self.known {
            _ if self.contains(seq) => {}
            known @ 0..=1 => {
                self.seqs[usize::from(known)] = seq;
                self.known = known + 1;
            }
            _ => {
                let older = &mut self.seqs[usize::from(!precedes(first, second))];
                if precedes(*older, seq) {
                    *older = seq;
                }
            }
        }
    }
}

/// The messages that announce a data connection.
#[derive(Clone, Copy)]
enum Message {
    Port,
    Eprt,
    Passive,
    ExtendedPassive,
    /// What [`Message::Passive`] answers: read where the answer is not heard. It names no port.
    AskPassive,
    /// The same of [`Message::ExtendedPassive`].
    AskExtended,
}

/// Reads a segment that starts a line.
fn read(segment: &Segment<'_>) -> Announced {
    use Message::{AskExtended, AskPassive, Eprt, ExtendedPassive, Passive, Port};
    let messages: &[Message] = match segment.direction {
        Direction::Original if segment.alone => &[Port, Eprt, AskPassive, AskExtended],
        Direction::Original => &[Port, Eprt],
        Direction::Reply => &[Passive, ExtendedPassive],
    };
    let Some(message) = messages.iter().find(|message| message.may_start(segment.payload)) else {
        return Announced::Nothing;
    };
    let arguments = segment.payload.get(KEYWORD_LEN..).unwrap_or_default();
    let (sender, receiver) = (segment.source.ip(), Source::Host(segment.destination.ip()));
    if matches!(message, AskPassive | AskExtended) {
        let to = SocketAddr::new(segment.destination.ip(), 0);
        return match arguments.first() {
            None => Announced::Unreadable,
            // That it will ask for nothing else (RFC 2428 4).
            Some(b' ') if arguments.trim_ascii().eq_ignore_ascii_case(b"ALL") => Announced::Nothing,
            Some(b' ' | b'\r' | b'\n') => {
                Announced::Data(Expected::once(IpProtocol::TCP, Source::Host(sender), to, &ASKED))
            }
            Some(_) => Announced::Nothing,
        };
    }
    match message.announced(Text::new(arguments), sender) {
        None => Announced::Unreadable,
        Some((address, _)) if address != sender => Announced::Nothing,
        Some((address, port)) => {
            Announced::Data(Expected::once(IpProtocol::TCP, receiver, SocketAddr::new(address, port), &DATA))
        }
    }
}

const KEYWORD_LEN: usize = 4;

impl Message {
    const fn keyword(self) -> &'static [u8; KEYWORD_LEN] {
        match self {
            Self::Port => b"PORT",
            Self::Eprt => b"EPRT",
            Self::Passive => b"227 ",
            Self::ExtendedPassive => b"229 ",
            Self::AskPassive => b"PASV",
            Self::AskExtended => b"EPSV",
        }
    }

    /// Whether `payload` starts with the keyword, or is the start of it.
    fn may_start(self, payload: &[u8]) -> bool {
        let len = payload.len().min(KEYWORD_LEN);
        payload[..len].eq_ignore_ascii_case(&self.keyword()[..len])
    }

    /// The address and port behind the keyword; `None` when they are cut or make no sense.
    fn announced(self, mut text: Text<'_>, sender: IpAddr) -> Option<(IpAddr, u16)> {
        match self {
            Self::Port => {
                text.skip_past(b' ')?;
                let announced = text.host_port()?;
                text.byte().filter(|end| *end == b'\r').map(|_| announced)
            }
            Self::Passive => {
                text.skip_to_digit();
                let announced = text.host_port()?;
                text.byte().filter(|end| *end != b',').map(|_| announced)
            }
            Self::Eprt => {
                text.skip_past(b' ')?;
                let delimiter = text.delimiter()?;
                let family = text.byte()?;
                text.literal(delimiter)?;
                let address = match (family, sender) {
                    (b'1', IpAddr::V4(_)) => ipv4(text.numbers(b'.')?).into(),
                    (b'2', IpAddr::V6(_)) => text.ipv6_before(delimiter)?.into(),
                    _ => return None,
                };
                text.literal(delimiter)?;
                Some((address, text.port_before(delimiter)?))
            }
            Self::ExtendedPassive => {
                text.skip_past(b'(')?;
                let delimiter = text.delimiter()?;
                text.literal(delimiter)?;
                text.literal(delimiter)?;
                Some((sender, text.port_before(delimiter)?))
            }
            Self::AskPassive | Self::AskExtended => None,
        }
    }
}

/// Four numbers to an address: one above 255 spills into those before it.
fn ipv4([a, b, c, d]: [u32; 4]) -> Ipv4Addr {
    Ipv4Addr::from_bits(a << 24 | b << 16 | c << 8 | d)
}

impl Text<'_> {
    /// Any visible character but a digit (RFC 2428 2).
    fn delimiter(&mut self) -> Option<u8> {
        self.byte().filter(|byte| byte.is_ascii_graphic() && !byte.is_ascii_digit())
    }

    /// `h1,h2,h3,h4,p1,p2` of RFC 959.
    #[expect(clippy::cast_possible_truncation, reason = "numbers wrap")]
    fn host_port(&mut self) -> Option<(IpAddr, u16)> {
        let [a, b, c, d, high, low] = self.numbers(b',')?;
        Some((ipv4([a, b, c, d]).into(), (high << 8 | low) as u16))
    }

    fn ipv6_before(&mut self, delimiter: u8) -> Option<Ipv6Addr> {
        core::str::from_utf8(self.before(delimiter)?).ok()?.parse().ok()
    }

    /// A port that is not 0, and the delimiter behind it.
    #[expect(clippy::cast_possible_truncation, reason = "numbers wrap")]
    fn port_before(&mut self, delimiter: u8) -> Option<u16> {
        let port = self.number() as u16;
        self.literal(delimiter)?;
        (port != 0).then_some(port)
    }
}

#[cfg(test)]
mod tests;

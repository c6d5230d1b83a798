//! Call signalling: Q.931 messages with H.225.0 within.

use super::h225_types::{CALL_FORWARDED, USER_INFORMATION};
use super::per::{Mark, Picks, Value, pick};
use super::tpkt::Messages;
use super::{Channels, Q931, from_receiver, h245, is_own};
use crate::helper::{Book, Expected, Helper, Outcome, Refused, Segment};
use crate::wire::IpProtocol;
use core::net::SocketAddr;

/// What a Q.931 message begins with (Q.931 4.2).
const PROTOCOL: u8 = 8;
/// Set in the identifier of an element that is no longer than that.
const SINGLE_OCTET: u8 = 0x80;
/// The information element that H.225.0 is in (Q.931 4.5.30).
const USER_USER: u8 = 0x7e;

/// What is remembered of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By direction: the length of a message whose header came in a segment of its own, else 0.
    awaited: [u16; 2],
}

/// Looks into one segment.
pub fn inspect<B: Book>(state: &mut State, segment: &Segment<'_>, book: &mut B) -> Outcome {
    if !segment.established {
        return Outcome::Pass;
    }
    let awaited = &mut state.awaited[segment.direction.index()];
    for message in Messages::of(segment.payload, awaited) {
        let Some(picks) = user_information(message).and_then(|it| pick(it, USER_INFORMATION)) else { break };
        if expect(&picks, segment, book).is_err() {
            return Outcome::Drop;
        }
    }
    Outcome::Pass
}

/// The part of a message that H.225.0 defines.
fn user_information(message: &[u8]) -> Option<&[u8]> {
    let (&[PROTOCOL, reference_len], rest) = message.split_first_chunk()? else { return None };
    // Behind the call reference stands the kind of message, then its elements.
    let mut elements = rest.get(usize::from(reference_len) + 1..)?;
    loop {
        let (element, rest) = elements.split_first()?;
        if *element == USER_USER {
            let (len, rest) = rest.split_first_chunk()?;
            let content = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
            // Its first octet says by which protocol it is to be read.
            return content.get(1..).filter(|content| !content.is_empty());
        }
        // An element of a single octet has no length (Q.931 4.5.1).
        if *element & SINGLE_OCTET != 0 {
            elements = rest;
            continue;
        }
        let (len, rest) = rest.split_first()?;
        elements = rest.get(usize::from(*len)..)?;
    }
}

fn expect<B: Book>(picks: &Picks, segment: &Segment<'_>, book: &mut B) -> Result<(), Refused> {
    if picks.contains(&(Mark::FacilityReason, Value::Number(CALL_FORWARDED))) {
        return forwarded(picks, segment, book);
    }
    let mut channels = Channels::default();
    for (mark, value) in picks {
        match (mark, value) {
            (Mark::H245Address, Value::Address(address)) if is_own(segment, *address) => {
                let control = from_receiver(segment, IpProtocol::TCP, *address, &Q931);
                let helper = Some(Helper::H245(h245::State::default()));
                book.expect(&Expected { helper, ..control })?;
            }
            _ => channels.see(*mark, *value, segment, &Q931, book)?,
        }
    }
    Ok(())
}

/// The call goes to somebody else: from the receiver of this message to there.
fn forwarded<B: Book>(picks: &Picks, segment: &Segment<'_>, book: &mut B) -> Result<(), Refused> {
    let to = picks.iter().find_map(|(mark, value)| match (mark, value) {
        (Mark::AlternativeAddress, Value::Address(address)) => Some(*address),
        _ => None,
    });
    let same_family = |to: &SocketAddr| to.is_ipv4() == segment.source.is_ipv4() && to.port() != 0;
    let Some(to) = to.filter(same_family) else { return Ok(()) };
    let call = from_receiver(segment, IpProtocol::TCP, to, &Q931);
    book.expect(&Expected { helper: Some(Helper::Q931(State::default())), ..call }).map(drop)
}

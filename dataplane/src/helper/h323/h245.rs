//! H.245: the media of calls, on a connection that call signalling announced.

use super::tpkt::Messages;
use super::{Channels, H245, h245_types, per};
use crate::helper::{Book, Outcome, Refused, Segment};

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
        match read(message, segment, book) {
            Some(Ok(())) => {}
            Some(Err(_)) => return Outcome::Drop,
            None => break,
        }
    }
    Outcome::Pass
}

/// `None`: it cannot be decoded.
fn read<B: Book>(message: &[u8], segment: &Segment<'_>, book: &mut B) -> Option<Result<(), Refused>> {
    let mut channels = Channels::default();
    let picks = per::pick(message, h245_types::MESSAGE)?;
    Some(picks.into_iter().try_for_each(|(mark, value)| channels.see(mark, value, segment, &H245, book)))
}

//! TFTP.

use super::{Book, Outcome, Segment};

/// Looks into one packet.
pub fn inspect<B: Book>(_: &Segment<'_>, _: &mut B) -> Outcome {
    Outcome::Pass
}

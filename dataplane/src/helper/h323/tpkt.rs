//! TPKT (RFC 1006): messages in a stream, each behind a header of four octets.

/// Length of the header.
const HEADER_LEN: usize = 4;

/// The messages of one segment. Some senders put the header into a segment of its own: `awaited` is the length of
/// the message that such a header has announced for this direction, 0 if none has.
pub(super) struct Messages<'a, 's> {
    rest: &'a [u8],
    first: bool,
    awaited: &'s mut u16,
}

impl<'a, 's> Messages<'a, 's> {
    pub(super) fn of(segment: &'a [u8], awaited: &'s mut u16) -> Self {
        Self { rest: segment, first: true, awaited }
    }

    /// Takes a message out; `None` when the segment does not hold it whole.
    fn take(&mut self, from: usize, to: usize) -> Option<&'a [u8]> {
        let message = self.rest.get(from..to)?;
        self.rest = &self.rest[to..];
        Some(message)
    }
}

impl<'a> Iterator for Messages<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let first = core::mem::replace(&mut self.first, false);
        let awaited = core::mem::replace(self.awaited, 0);
        match *self.rest {
            [3, 0, high, low, ..] if first || self.rest.len() > HEADER_LEN => {
                let len = u16::from_be_bytes([high, low]);
                let body = usize::from(len).checked_sub(HEADER_LEN)?;
                if first && self.rest.len() == HEADER_LEN {
                    *self.awaited = u16::try_from(body).unwrap_or(0);
                }
                self.take(HEADER_LEN, HEADER_LEN + body)
            }
            _ if first && awaited > 0 => self.take(0, usize::from(awaited)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages<'a>(segment: &'a [u8], awaited: &mut u16) -> Vec<&'a [u8]> {
        Messages::of(segment, awaited).collect()
    }

    #[test]
    fn a_segment_holds_whole_messages_or_none() {
        for (segment, expected) in [
            (&b"\x03\0\0\x06ab\x03\0\0\x05c"[..], vec![&b"ab"[..], b"c"]),
            (b"\x03\0\0\x06ab\x03\0\0\x06c", vec![b"ab"]),
            (b"\x03\0\0\x06ab\x03\0\0\x04", vec![b"ab"]),
            (b"\x03\0\0\x07ab", vec![]),
            (b"\x03\0\0\x03ab", vec![]),
            (b"\x03\x01\0\x06ab", vec![]),
            (b"", vec![]),
        ] {
            assert_eq!(messages(segment, &mut 0), expected, "{segment:?}");
        }
    }

    #[test]
    fn a_header_of_its_own_announces_the_next_segment() {
        let mut awaited = 0;
        assert!(messages(b"\x03\0\0\x06", &mut awaited).is_empty());
        assert_eq!(awaited, 2);
        assert_eq!(messages(b"ab", &mut awaited), [b"ab"]);
        assert!(messages(b"ab", &mut awaited).is_empty());
        messages(b"\x03\0\0\x06", &mut awaited);
        assert!(messages(b"a", &mut awaited).is_empty() && awaited == 0);
    }
}

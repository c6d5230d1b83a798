//! A reader of protocols made of text. Each step consumes what it read, and nothing past the end.

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Reads `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// `None` unless the next byte is this.
    pub(super) fn literal(&mut self, expected: u8) -> Option<()> {
        self.byte().filter(|byte| *byte == expected).map(|_| ())
    }

    /// All up to the next such byte, which is left; `None` when there is none.
    pub(super) fn before(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = self.0.iter().position(|byte| *byte == end)?;
        let (taken, rest) = self.0.split_at(at);
        self.0 = rest;
        Some(taken)
    }

    /// Goes on behind the next such byte.
    pub(super) fn skip_past(&mut self, end: u8) -> Option<()> {
        self.before(end)?;
        self.literal(end)
    }

    /// Goes on at the next byte that is not this, or at the end.
    pub(super) fn skip_all(&mut self, byte: u8) {
        let at = self.0.iter().position(|other| *other != byte).unwrap_or(self.0.len());
        self.0 = &self.0[at..];
    }

    /// Goes on at the next digit, or at the end.
    pub(super) fn skip_to_digit(&mut self) {
        let at = self.0.iter().position(u8::is_ascii_digit).unwrap_or(self.0.len());
        self.0 = &self.0[at..];
    }

    /// All digits that follow, modulo 2^32; 0 when none does.
    pub(super) fn number(&mut self) -> u32 {
        let mut number = 0u32;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            number = number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
            self.0 = rest;
        }
        number
    }

    /// `N` numbers with a separator between each two.
    pub(super) fn numbers<const N: usize>(&mut self, separator: u8) -> Option<[u32; N]> {
        let mut numbers = [0; N];
        for (i, number) in numbers.iter_mut().enumerate() {
            if i > 0 {
                self.literal(separator)?;
            }
            *number = self.number();
        }
        Some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_consumes_what_it_read() {
        let mut text = Text::new(b"a (1,22,333) end");
        assert_eq!(text.byte(), Some(b'a'));
        assert_eq!(text.before(b'('), Some(b" ".as_slice()));
        assert_eq!(text.literal(b'('), Some(()));
        assert_eq!(text.numbers(b','), Some([1, 22, 333]));
        assert_eq!(text.skip_past(b'x'), None);
        assert_eq!(text.skip_past(b' '), Some(()));
        text.skip_to_digit();
        assert_eq!((text.byte(), text.number()), (None, 0));
        text = Text::new(b"  a");
        text.skip_all(b' ');
        assert_eq!(text.byte(), Some(b'a'));
    }

    #[test]
    fn numbers_wrap_and_may_be_empty() {
        assert_eq!(Text::new(b"4294967297").number(), 1);
        assert_eq!(Text::new(b",5,").numbers(b','), Some([0, 5, 0]));
        assert_eq!(Text::new(b"1,2").numbers::<3>(b','), None);
    }
}

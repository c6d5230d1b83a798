//! Reads what to do from the bytes of an input, front to back.

/// What is left of an input.
#[derive(Debug)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The whole of it.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte, if there is one.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next two bytes as a number; 0 behind the end.
    pub(super) fn word(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// The next four bytes as a number; 0 behind the end.
    pub(super) fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// As many bytes as the next two say, or as are left.
    pub(super) fn block(&mut self) -> &'a [u8] {
        let length = usize::from(self.word()).min(self.0.len());
        let (block, rest) = self.0.split_at(length);
        self.0 = rest;
        block
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_where_the_input_does() {
        let mut input = Input::new(&[7, 0, 1, 5, 0, 9, 6]);
        assert_eq!((input.byte(), input.block(), input.block()), (Some(7), &[5][..], &[6][..]));
        assert_eq!((input.byte(), input.word(), input.long()), (None, 0, 0));
    }
}

//! Explicit congestion notification in the IP header (RFC 3168).

/// What one IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecn(u8);

impl Ecn {
    const MASK: u8 = 0b11;

    /// From the byte that was the type of service.
    #[inline]
    pub const fn of(traffic_class: u8) -> Self {
        Self(traffic_class & Self::MASK)
    }
}

/// What the fragments of one datagram say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnSet(u8);

impl EcnSet {
    const NOT_CAPABLE: u8 = 1;

    /// Adds what one fragment says.
    #[inline]
    pub const fn add(&mut self, ecn: Ecn) {
        self.0 |= 1 << ecn.0;
    }

    /// Whether they can be parts of one datagram: either all are capable of it or none is (RFC 3168 5.3).
    #[inline]
    pub const fn agrees(self) -> bool {
        self.0 == Self::NOT_CAPABLE || self.0 & Self::NOT_CAPABLE == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_capable_as_a_whole_or_not_at_all() {
        let agree = |fragments: &[u8]| {
            let mut set = EcnSet::default();
            fragments.iter().for_each(|class| set.add(Ecn::of(*class)));
            set.agrees()
        };
        assert!(agree(&[0, 0xfc]) && agree(&[1, 2, 3]) && agree(&[3, 3]) && agree(&[2]));
        assert!(!agree(&[0, 1]) && !agree(&[3, 0]) && !agree(&[2, 3, 0x10]));
    }
}

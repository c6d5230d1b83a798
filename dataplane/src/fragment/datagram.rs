//! What is known of one datagram while its fragments come: Linux's rules for what fits, what is double and what
//! overlaps (`inet_fragment.c`, `ip_fragment.c`, `nf_conntrack_reasm.c` of 6.18, measured on a live kernel).

use crate::counters::DropReason;
use crate::key::Family;
use crate::parse::fragment::Fragment;
use crate::wire::EcnSet;

/// What is left of a fragment's length when more follow: a fragment starts at a multiple of this.
const UNIT: u32 = 8;

/// Words of a set of units: an IPv4 fragment can begin and end anywhere below 2^17.
pub(super) const WORDS: usize = (1 << 17) / (UNIT as usize) / 64;

/// The longest datagram behind its IPv6 header.
const IPV6_PAYLOAD_MAX: u32 = 65_535;

/// Which parts of a datagram are there.
#[derive(Debug)]
pub(super) struct Coverage<'a> {
    /// The units that are there.
    pub(super) covered: &'a mut [u64; WORDS],
    /// Those that a run begins with: fragments that came one after the other are one run.
    pub(super) begins: &'a mut [u64; WORDS],
}

/// What becomes of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It waits, so many bytes of it.
    Waits(u32),
    /// It was the last one that was missing; so many bytes of it count.
    Completes(u32),
    /// It alone is dropped.
    Refused(DropReason),
    /// The whole datagram is dropped.
    Spoilt(DropReason),
    /// The datagram is dropped, and the fragment goes as it is.
    Stray,
}

/// What is known of one datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Bytes up to the furthest end that was heard of, also from fragments that were refused.
    len: u32,
    /// Bytes that are there.
    there: u32,
    /// The furthest end of a fragment that is there.
    tail: u32,
    has_first: bool,
    has_last: bool,
    ecn: EcnSet,
}

impl Progress {
    /// Bytes of the whole datagram, once it is complete.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing is there yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.there == 0
    }

    /// Whether all fragments can be parts of one datagram by what they say of congestion.
    pub(super) const fn agrees(&self) -> bool {
        self.ecn.agrees()
    }

    /// Adds a fragment.
    pub(super) fn add(&mut self, coverage: &mut Coverage<'_>, fragment: &Fragment) -> Added {
        let end = match self.end(fragment) {
            Ok(end) => end,
            Err(added) => return added,
        };
        if end == fragment.offset {
            return misfit(fragment.family());
        }
        if let Err(added) = self.insert(coverage, fragment.offset, end) {
            return added;
        }
        let len = end - fragment.offset;
        self.there += len;
        self.ecn.add(fragment.ecn);
        self.has_first |= fragment.offset == 0;
        if self.has_first && self.has_last && self.there == self.len {
            Added::Completes(len)
        } else {
            Added::Waits(len)
        }
    }

    /// Where the fragment ends. What it says of the datagram's end is believed even when it is refused afterwards.
    fn end(&mut self, fragment: &Fragment) -> Result<u32, Added> {
        let family = fragment.family();
        let mut end = fragment.end();
        if family == Family::V6 && end > IPV6_PAYLOAD_MAX {
            return Err(Added::Refused(DropReason::FragmentOversize));
        }
        if !fragment.more {
            if end < self.len || (self.has_last && end != self.len) {
                return Err(misfit(family));
            }
            self.has_last = true;
            self.len = end;
            return Ok(end);
        }
        if !end.is_multiple_of(UNIT) {
            if family == Family::V6 {
                return Err(Added::Stray);
            }
            end -= end % UNIT;
        }
        if end > self.len {
            if self.has_last {
                return Err(misfit(family));
            }
            self.len = end;
        }
        Ok(end)
    }

    /// A fragment within one run is double; one that is partly there overlaps.
    fn insert(&mut self, coverage: &mut Coverage<'_>, offset: u32, end: u32) -> Result<(), Added> {
        let (from, to) = (offset / UNIT, end.div_ceil(UNIT));
        match count(coverage.covered, from, to) {
            0 => {}
            all if all == to - from && count(coverage.begins, from + 1, to) == 0 => {
                return Err(Added::Refused(DropReason::FragmentDuplicate));
            }
            _ => return Err(Added::Spoilt(DropReason::FragmentOverlap)),
        }
        set(coverage.covered, from, to);
        // Only what follows the furthest one at once goes on with its run.
        if self.there == 0 || offset != self.tail {
            set(coverage.begins, from, from + 1);
        }
        self.tail = self.tail.max(end);
        Ok(())
    }
}

/// A fragment that contradicts the others ends an IPv4 datagram; over IPv6 it is dropped alone.
const fn misfit(family: Family) -> Added {
    match family {
        Family::V4 => Added::Spoilt(DropReason::FragmentInvalid),
        Family::V6 => Added::Refused(DropReason::FragmentInvalid),
    }
}

/// Calls `visit` with each word that holds units of `from..to`, and the mask of those.
fn words(from: u32, to: u32, mut visit: impl FnMut(usize, u64)) {
    let mut at = from;
    while at < to {
        let word_end = (at / 64 + 1) * 64;
        let upto = to.min(word_end);
        let mask = (u64::MAX >> (64 - (upto - at))) << (at % 64);
        visit((at / 64) as usize, mask);
        at = upto;
    }
}

fn count(units: &[u64; WORDS], from: u32, to: u32) -> u32 {
    let mut count = 0;
    words(from, to, |word, mask| count += (units[word] & mask).count_ones());
    count
}

fn set(units: &mut [u64; WORDS], from: u32, to: u32) {
    words(from, to, |word, mask| units[word] |= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram whose fragments are given as offset, length and whether more follow.
    struct Datagram {
        family: Family,
        progress: Progress,
        covered: Box<[u64; WORDS]>,
        begins: Box<[u64; WORDS]>,
    }

    impl Datagram {
        fn new(family: Family) -> Self {
            let [covered, begins] = [(); 2].map(|()| Box::new([0; WORDS]));
            Self { family, progress: Progress::default(), covered, begins }
        }

        fn add(&mut self, offset: u32, len: u32, more: bool) -> Added {
            let ipv4 = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
            let mut ipv6 = [0; 48];
            (ipv6[0], ipv6[5], ipv6[6], ipv6[40]) = (0x60, 8, 44, 99);
            let packet: &[u8] = if self.family == Family::V4 { &ipv4 } else { &ipv6 };
            let mut fragment = Fragment::new(packet).unwrap();
            (fragment.offset, fragment.len, fragment.more) = (offset, len, more);
            let mut coverage = Coverage { covered: &mut self.covered, begins: &mut self.begins };
            self.progress.add(&mut coverage, &fragment)
        }
    }

    const DUPLICATE: Added = Added::Refused(DropReason::FragmentDuplicate);
    const OVERLAP: Added = Added::Spoilt(DropReason::FragmentOverlap);

    #[test]
    fn what_came_one_after_the_other_is_one_run_and_a_part_of_it_is_double() {
        for family in [Family::V4, Family::V6] {
            let mut datagram = Datagram::new(family);
            for offset in [0, 8, 16] {
                assert_eq!(datagram.add(offset, 8, true), Added::Waits(8));
            }
            assert_eq!(datagram.add(8, 16, true), DUPLICATE);
            assert_eq!(datagram.add(24, 5, false), Added::Completes(5));
            assert_eq!(datagram.progress.len(), 29);
        }
    }

    #[test]
    fn what_filled_a_gap_is_a_run_of_its_own() {
        for (offset, len, added) in [(8, 8, DUPLICATE), (8, 16, OVERLAP), (0, 16, OVERLAP)] {
            let mut datagram = Datagram::new(Family::V4);
            for offset in [0, 16, 8] {
                assert_eq!(datagram.add(offset, 8, true), Added::Waits(8));
            }
            assert_eq!(datagram.add(offset, len, true), added, "{offset}+{len}");
        }
    }

    #[test]
    fn the_end_is_believed_even_of_a_fragment_that_is_refused() {
        let mut datagram = Datagram::new(Family::V6);
        assert_eq!(datagram.add(16, 0, false), Added::Refused(DropReason::FragmentInvalid));
        assert_eq!(datagram.add(16, 8, true), Added::Refused(DropReason::FragmentInvalid));
        assert_eq!(datagram.add(0, 16, true), Added::Completes(16));
    }

    #[test]
    fn an_odd_length_in_the_middle_is_cut_over_ipv4_and_astray_over_ipv6() {
        assert_eq!(Datagram::new(Family::V4).add(0, 29, true), Added::Waits(24));
        assert_eq!(Datagram::new(Family::V6).add(0, 29, true), Added::Stray);
    }

    #[test]
    fn units_are_counted_and_set_across_words() {
        let mut units = Box::new([0; WORDS]);
        let last = u32::try_from(WORDS * 64).unwrap();
        for (from, to) in [(0, 1), (60, 200), (last - 1, last), (300, 300)] {
            set(&mut units, from, to);
            assert_eq!(count(&units, from, to), to - from);
        }
        assert_eq!((count(&units, 0, last), count(&units, 100, 130)), (142, 30));
    }
}

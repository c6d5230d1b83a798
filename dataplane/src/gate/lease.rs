//! Until when this node may own flows, where others may own them afterwards without asking it.
//!
//! Control moves the end whenever the lease has been renewed; workers look at it by their own clock, so that what is past
//! its end is not forwarded even if control, or the whole process, has stood still. One cell, which control writes and
//! workers read: it is no promise that control has noticed, nor the other way round.

use crate::units::Tick;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The end of a lease, a moment of the workers' clock. A new one is over.
#[derive(Debug, Default)]
pub struct Lease {
    end: AtomicU32,
}

impl Lease {
    /// It ends at `end`, and not when was said before. Control only.
    pub fn ends_at(&self, end: Tick) {
        self.end.store(end.count(), Relaxed);
    }

    /// Whether it has ended by `now`.
    #[inline]
    pub fn is_over(&self, now: Tick) -> bool {
        now.reached(Tick::from_count(self.end.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_from_its_end_on_until_it_is_renewed() {
        let (lease, at) = (Lease::default(), Tick::from_ms);
        assert!(lease.is_over(at(0)));
        lease.ends_at(at(1000));
        assert!(!lease.is_over(at(999)) && lease.is_over(at(1000)) && lease.is_over(at(100_000)));
        lease.ends_at(at(200_000));
        assert!(!lease.is_over(at(100_000)));
    }
}

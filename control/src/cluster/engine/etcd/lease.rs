//! For how long this node's lease is certain, whatever etcd and the network do.
//!
//! etcd counts a lease from when it handles a renewal, which is after the renewal was sent. So counted from when it was
//! sent, the lease ends here before it ends there. One thing can go wrong: a server that was the leader once, and does
//! not know yet that it no longer is, may renew a lease which the new leader lets end. Therefore a renewal counts only
//! when a linearizable read that was sent after it shows our key, and shows the same raft term as the one before it:
//! then the leader that renewed is the one that would let it end. A new leader begins all leases anew.

use std::time::{Duration, Instant};

/// This node's lease.
#[derive(Debug)]
pub(super) struct OwnLease {
    pub(super) id: i64,
    length: Duration,
    /// Of the last read.
    term: Option<u64>,
    renewal_sent: Option<Instant>,
    end: Instant,
}

impl OwnLease {
    /// A lease that was asked for at `sent` and granted. A grant is agreed upon by a majority, so it counts at once.
    pub(super) fn granted(id: i64, length: Duration, sent: Instant) -> Self {
        Self { id, length, term: None, renewal_sent: None, end: certain(length, sent) }
    }

    /// Until when nobody else can be given what is ours.
    pub(super) fn end(&self) -> Instant {
        self.end
    }

    /// Whether the keys of all nodes were read since it was granted.
    pub(super) fn is_settled(&self) -> bool {
        self.term.is_some()
    }

    /// Whether a renewal was sent and not read back yet.
    pub(super) fn is_renewing(&self) -> bool {
        self.renewal_sent.is_some()
    }

    /// A renewal will be sent now.
    pub(super) fn renewing(&mut self, now: Instant) {
        self.renewal_sent = Some(now);
    }

    /// After the renewal was answered, a read that was sent then has shown our key in this raft term. Whether the
    /// renewal counts; if not, the next one will unless the leader changes again.
    pub(super) fn read_back(&mut self, term: u64) -> bool {
        let sent = self.renewal_sent.take();
        let same = self.term.replace(term) == Some(term);
        if let (Some(sent), true) = (sent, same) {
            self.end = self.end.max(certain(self.length, sent));
        }
        same
    }

    /// The connection is gone, and with it the answer to a renewal.
    pub(super) fn disconnected(&mut self) {
        self.renewal_sent = None;
    }
}

/// A hundredth less than etcd's count, for clocks that do not run alike.
fn certain(length: Duration, sent: Instant) -> Instant {
    sent + length * 99 / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_lease_is_certain_from_when_its_renewal_was_sent() {
        let begun = Instant::now();
        let mut lease = OwnLease::granted(1, s(10), begun);
        assert_eq!(lease.end(), begun + ms(9900));
        lease.renewing(begun + s(1));
        assert!(!lease.read_back(5), "nothing is known yet about who leads");
        assert_eq!(lease.end(), begun + ms(9900));
        lease.renewing(begun + s(2));
        assert!(lease.is_renewing());
        assert!(lease.read_back(5));
        assert!(!lease.is_renewing());
        assert_eq!(lease.end(), begun + ms(11_900));
    }

    #[test]
    fn a_renewal_by_a_leader_that_may_be_none_does_not_count() {
        let begun = Instant::now();
        let mut lease = OwnLease::granted(1, s(10), begun);
        lease.renewing(begun);
        lease.read_back(5);
        lease.renewing(begun + s(3));
        assert!(!lease.read_back(6));
        assert_eq!(lease.end(), begun + ms(9900));
        lease.renewing(begun + s(4));
        assert!(lease.read_back(6));
        assert_eq!(lease.end(), begun + ms(13_900));
    }

    #[test]
    fn a_renewal_that_was_never_answered_does_not_count() {
        let begun = Instant::now();
        let mut lease = OwnLease::granted(1, s(10), begun);
        lease.renewing(begun);
        lease.read_back(5);
        lease.renewing(begun + s(3));
        lease.disconnected();
        assert!(lease.read_back(5));
        assert_eq!(lease.end(), begun + ms(9900));
    }
}

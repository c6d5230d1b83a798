//! Asking: packets that want a neighbour, and time.

use super::action::{Action, At, Neighbour};
use super::alarm::Alarm;
use super::entry::{Due, Entry};
use super::{Neighbours, Round, own_addresses, speech};
use std::net::IpAddr;
use weir_dataplane::wire::MacAddr;

/// A question that is one too many waits for this long.
const PUT_OFF_MS: u64 = 100;

/// An address is announced so often (RFC 4861 10, `MAX_NEIGHBOR_ADVERTISEMENT`; RFC 5227 asks for two)...
const ANNOUNCEMENTS: u8 = 3;

/// ...at this distance.
const ANNOUNCEMENT_INTERVAL_MS: u64 = 1_000;

/// Neighbours without room within this time are one trouble.
const FULL_SPAN_MS: u64 = 60_000;

impl<P: AsRef<[u8]>> Neighbours<P> {
    /// A packet is for a neighbour whose MAC address the packet path does not know: it waits, and the neighbour is
    /// asked for. Of too many that wait the oldest goes.
    pub fn wanted(&mut self, at: At, packet: P, now_ms: u64) {
        self.counters.wanted += 1;
        if let Some(mac) = self.table.find(at).and_then(Entry::mac) {
            self.used(at, now_ms);
            self.release(Neighbour { at, mac }, packet);
        } else if !self.is_askable(at) {
            self.give_up(at, packet);
        } else if self.remember(at, now_ms) {
            self.wait(at, packet, now_ms);
        } else {
            self.counters.dropped += 1;
        }
        self.tick(now_ms);
    }

    /// Packets go to a neighbour. To be told every few seconds while that is so: a stale one is asked then whether it
    /// is still there, and one that is used is not forgotten.
    ///
    /// Nothing but its answer proves that it is: a router sees packets from a neighbour, but not whether those that it
    /// sends to it arrive, and has no upper layer to tell (RFC 4861 7.3.1).
    pub fn used(&mut self, at: At, now_ms: u64) {
        let timers = self.config.timers;
        self.table.update(at, |entry| entry.used(&timers, now_ms));
    }

    /// Tells the networks of those of our addresses that this node owns, now and twice more. For the start, and for
    /// when addresses have come to this node.
    pub fn announce(&mut self, owns: impl Fn(IpAddr) -> bool, now_ms: u64) {
        for at in own_addresses(&self.links).filter(|at| owns(at.address)) {
            self.rounds.insert(at, Round { left: ANNOUNCEMENTS, next_ms: now_ms });
        }
        self.tick(now_ms);
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: u64) {
        self.prompt(now_ms);
        let timers = self.config.timers;
        while let Some(at) = self.table.due(now_ms) {
            match self.table.update(at, |entry| entry.due(&timers, now_ms)) {
                Some(Due::Question(whom)) => self.ask(at, whom, now_ms),
                Some(Due::Failed(given_up)) => {
                    given_up.into_iter().for_each(|packet| self.give_up(at, packet));
                }
                Some(Due::Nothing) | None => {}
            }
        }
        self.counters.forgotten += self.table.sweep(&self.config, now_ms) as u64;
        self.go_on_announcing(now_ms);
    }

    /// Whether there is an interface that is up, and an address of ours, to ask from.
    pub(super) fn is_askable(&self, at: At) -> bool {
        let link = self.link(at.interface).filter(|_| self.is_up(at.interface));
        link.is_some_and(|link| !link.has(at.address) && link.asks_from(at.address).is_some())
    }

    /// Makes sure that there is an entry; false when there is no room for it.
    pub(super) fn remember(&mut self, at: At, now_ms: u64) -> bool {
        self.table.find(at).is_some()
            || self.admit(at, Entry::incomplete(now_ms), self.config.limits.gc_thresh3, now_ms)
    }

    /// Adds an entry; false when there is no room for it.
    pub(super) fn admit(&mut self, at: At, entry: Entry<P>, limit: usize, now_ms: u64) -> bool {
        let (forgotten, admitted) = self.table.admit(at, entry, limit, &self.config, now_ms);
        self.counters.forgotten += forgotten as u64;
        if admitted.is_err() {
            self.counters.table_full += 1;
            if self.crowded.happened(1, FULL_SPAN_MS, now_ms) {
                self.actions.push_back(Action::Alarm(Alarm::TableFull { limit }));
            }
        }
        admitted.is_ok()
    }

    fn wait(&mut self, at: At, packet: P, now_ms: u64) {
        let limits = self.config.limits;
        let full = self.table.waiting().bytes + packet.as_ref().len() > limits.queue_bytes_total;
        let dropped =
            match self.table.update(at, |entry| entry.wait((!full).then_some(packet), &limits, now_ms)) {
                Some(pushed_out) => pushed_out + usize::from(full),
                None => 1,
            };
        self.counters.dropped += dropped as u64;
    }

    fn ask(&mut self, at: At, whom: Option<MacAddr>, now_ms: u64) {
        let timers = self.config.timers;
        if !self.requests.take(now_ms) {
            self.counters.requests_limited += 1;
            self.table.update(at, |entry| entry.put_off(now_ms + PUT_OFF_MS));
            return;
        }
        self.table.update(at, |entry| entry.asked(&timers, now_ms));
        let question = self.link(at.interface).and_then(|link| speech::question(&link, at.address, whom));
        if let Some(frame) = question {
            self.counters.requests += 1;
            self.send(at.interface, frame);
        }
    }

    fn go_on_announcing(&mut self, now_ms: u64) {
        let due = self.rounds.iter().filter(|(_, round)| round.next_ms <= now_ms);
        for at in due.map(|(at, _)| *at).collect::<Vec<_>>() {
            self.announce_one(at);
            if let Some(round) = self.rounds.get_mut(&at) {
                round.left -= 1;
                round.next_ms = now_ms + ANNOUNCEMENT_INTERVAL_MS;
            }
        }
        self.rounds.retain(|_, round| round.left > 0);
    }

    pub(super) fn announce_one(&mut self, at: At) {
        if let Some(link) = self.link(at.interface) {
            self.counters.announcements += 1;
            self.send(at.interface, speech::announcement(&link, at.address));
        }
    }
}

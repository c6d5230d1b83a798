//! Forgetting at once: what an operator flushes, and what is behind a link that has gone down.

use super::Neighbours;
use super::action::At;
use super::entry::{Entry, State};
use std::collections::BTreeSet;
use std::net::IpAddr;
use weir_dataplane::units::{InterfaceId, PortId};

impl<P: AsRef<[u8]>> Neighbours<P> {
    /// Forgets who is at `address`, by one interface or by any, but for permanent neighbours; says how many it were.
    /// Next hops are asked for again at once, others when a packet wants them.
    pub fn flush(&mut self, address: IpAddr, interface: Option<InterfaceId>, now_ms: u64) -> usize {
        let forgotten =
            self.forget(|at| at.address == address && interface.is_none_or(|one| at.interface == one));
        self.next_prompt_ms = now_ms;
        self.tick(now_ms);
        forgotten
    }

    /// These ports have no link, in place of those of before. As in Linux, who was behind one that has lost it is
    /// forgotten, what waits is given up, and nobody is asked for there; next hops behind one that has it again are
    /// asked for at once. Says whether there is such a port.
    pub fn links_down(&mut self, down: BTreeSet<PortId>, now_ms: u64) -> bool {
        let came_back = self.down.difference(&down).next().is_some();
        self.down = down;
        let behind = |at: &At, neighbours: &Self| !neighbours.is_up(at.interface);
        let gone: BTreeSet<At> = self.table.iter().map(|(at, _)| at).filter(|at| behind(at, self)).collect();
        self.forget(|at| gone.contains(&at));
        if came_back {
            self.next_prompt_ms = now_ms;
        }
        self.tick(now_ms);
        came_back
    }

    /// Whether packets can go by an interface at all.
    pub fn is_up(&self, interface: InterfaceId) -> bool {
        self.link(interface).is_some_and(|link| !self.down.contains(&link.interface().port))
    }

    fn forget(&mut self, goes: impl Fn(At) -> bool) -> usize {
        let goes =
            |(at, entry): (At, &Entry<P>)| (entry.state() != State::Permanent && goes(at)).then_some(at);
        let gone: Vec<At> = self.table.iter().filter_map(goes).collect();
        for at in &gone {
            let waiting = self.table.remove(*at).map(Entry::into_waiting);
            waiting.into_iter().flatten().for_each(|packet| self.give_up(*at, packet));
        }
        self.counters.forgotten += gone.len() as u64;
        gone.len()
    }
}

//! The gateway's neighbours: who has which MAC address, by ARP (RFC 826, RFC 5227) and by neighbour discovery
//! (RFC 4861, RFC 4862).
//!
//! Events go in: what was [`heard`](Neighbours::heard), which packet [`wanted`](Neighbours::wanted) a neighbour,
//! that time has passed. [`Action`]s come out of [`poll`](Neighbours::poll). Time is milliseconds of any clock that
//! does not go back. The same events give the same actions.
//!
//! Promises: the table, each queue and all queues together are bounded, and what finds no room is counted. A
//! neighbour is asked once in a retransmission time at most, unless it was [flushed](Neighbours::flush) or its link was
//! down; all of them together so often a second at most. A message
//! that is malformed, or speaks of what it cannot know, changes nothing and is counted by its reason. Each question
//! for an address of ours is answered by its owner alone, with the MAC address that the
//! interface announces: the cluster's, while the frames around it come from the port's own.
//!
//! # In a cluster
//!
//! The answer to one node's question goes to the cluster's MAC address, so all nodes hear it and all learn from it:
//! whoever inherits a flow knows its next hop already. Elsewhere nobody is learned from an answer that was not asked
//! for.
//!
//! Nothing is asked for or announced on behalf of others (no proxy ARP), no router is discovered, and our own
//! addresses are taken as configured: nobody is asked whether they are free.

mod action;
mod alarm;
mod ask;
mod config;
mod counters;
mod entry;
mod forget;
mod frame;
mod hear;
mod link;
mod manage;
mod message;
mod queue;
mod rate;
mod reload;
mod speech;
mod table;
#[cfg(test)]
mod tests;

pub use action::{Action, At, Neighbour};
pub use alarm::{Alarm, SILENCE_MS};
pub use config::{Config, Limits, Timers};
pub use counters::{Counters, Ignored};
pub use entry::{NotAState, State};

use alarm::Window;
use link::Link;
use rate::Rate;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use table::Table;
use weir_dataplane::config::route::Routing;
use weir_dataplane::units::{InterfaceId, PortId};
use weir_dataplane::wire::MacAddr;

/// The neighbours of all interfaces. `P` is a packet that waits, with whatever its owner wants to remember of it.
#[derive(Debug)]
pub struct Neighbours<P> {
    config: Config,
    links: Vec<Arc<Link>>,
    table: Table<P>,
    requests: Rate,
    random: fastrand::Rng,
    actions: VecDeque<Action<P>>,
    /// Neighbours that are always to be known.
    managed: BTreeSet<At>,
    next_prompt_ms: u64,
    /// Ports without a link.
    down: BTreeSet<PortId>,
    /// Announcements of our addresses that are not finished.
    rounds: BTreeMap<At, Round>,
    /// Those of our addresses that somebody else claims.
    contested: BTreeMap<At, Contest>,
    /// Times that there was no room for a neighbour.
    crowded: Window,
    counters: Counters,
}

/// What is left to announce of an address.
#[derive(Clone, Copy, Debug)]
struct Round {
    left: u8,
    next_ms: u64,
}

/// Somebody else claims an address of ours.
#[derive(Clone, Copy, Debug, Default)]
struct Contest {
    claims: Window,
    defended_at_ms: Option<u64>,
}

/// A neighbour, for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who.
    pub at: At,
    /// What is known of it.
    pub state: State,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
    /// When that was last confirmed or changed.
    pub updated_at_ms: u64,
    /// When a packet was last seen to go to it.
    pub used_at_ms: Option<u64>,
    /// Packets that wait for it.
    pub waiting: usize,
}

impl<P: AsRef<[u8]>> Neighbours<P> {
    /// The neighbours of the interfaces of `routing`; `permanent` ones are known from the start, and
    /// neither time nor message changes them. `seed` spreads the times at which neighbours are asked again.
    pub fn new(config: Config, routing: &Routing, permanent: &[Neighbour], seed: u64) -> Self {
        let mut neighbours = Self {
            config,
            links: Vec::new(),
            table: Table::new(),
            requests: Rate::new(config.limits.requests_per_s),
            random: fastrand::Rng::with_seed(seed),
            actions: VecDeque::new(),
            managed: BTreeSet::new(),
            next_prompt_ms: 0,
            down: BTreeSet::new(),
            rounds: BTreeMap::new(),
            contested: BTreeMap::new(),
            crowded: Window::default(),
            counters: Counters::default(),
        };
        neighbours.reload(routing, permanent);
        neighbours
    }

    /// What is to be done next; `None`: nothing.
    pub fn poll(&mut self) -> Option<Action<P>> {
        self.actions.pop_front().or_else(|| self.table.take_changed().then_some(Action::Publish))
    }

    /// When [`tick`](Self::tick) wants to be called; another event may bring that forward.
    pub fn next_tick_ms(&self) -> Option<u64> {
        let round_ms = self.rounds.values().map(|round| round.next_ms).min();
        self.table.next_ms().into_iter().chain(round_ms).chain(self.next_prompt_ms()).min()
    }

    /// The neighbours whose MAC address is known: what workers need.
    pub fn known(&self) -> impl Iterator<Item = Neighbour> {
        self.table.known()
    }

    /// All neighbours, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.table.iter().map(|(at, entry)| Row {
            at,
            state: entry.state(),
            mac: entry.mac(),
            updated_at_ms: entry.updated_at_ms,
            used_at_ms: entry.used_at_ms,
            waiting: entry.waiting().map_or(0, |waiting| waiting.len()),
        })
    }

    /// Neighbours there is room for, without the permanent ones.
    pub const fn neighbours_max(&self) -> usize {
        self.config.limits.gc_thresh3
    }

    /// Packets that wait.
    pub fn waiting(&self) -> usize {
        self.table.waiting().packets
    }

    /// Totals since the start.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn link(&self, interface: InterfaceId) -> Option<Arc<Link>> {
        self.links.get(interface.index()).cloned()
    }

    fn send(&mut self, interface: InterfaceId, frame: Vec<u8>) {
        self.actions.push_back(Action::Send { interface, frame });
    }

    fn release(&mut self, to: Neighbour, packet: P) {
        self.counters.released += 1;
        self.actions.push_back(Action::Release { to, packet });
    }

    fn give_up(&mut self, at: At, packet: P) {
        self.counters.given_up += 1;
        self.actions.push_back(Action::GiveUp { at, packet });
    }

    /// For how long an answer is trusted, each time another (RFC 4861 6.3.2).
    fn reachable_ms(&mut self) -> u64 {
        let base_ms = self.config.timers.base_reachable_ms;
        self.random.u64(base_ms / 2..=base_ms + base_ms / 2)
    }
}

/// All addresses of the links.
fn own_addresses(links: &[Arc<Link>]) -> impl Iterator<Item = At> {
    links
        .iter()
        .enumerate()
        .filter_map(|(i, link)| Some((InterfaceId::new(i)?, link)))
        .flat_map(|(interface, link)| link.addresses().map(move |address: IpAddr| At { interface, address }))
}

//! Connection tracking: which flow a packet belongs to and what Linux's conntrack would call it.
//!
//! One [`Tracker`] belongs to one worker. A burst is looked up in three steps ([`Tracker::prepare`],
//! [`Tracker::fetch`], [`Tracker::track`]), so that the cache misses of its packets overlap. Whose a flow is, and
//! whether it is tracked at all, is asked through [`Owners`]: the tracker knows no cluster.

mod answer;
mod desk;
pub mod expect;
pub mod filter;
mod first;
mod flow;
pub mod gre;
pub mod index;
pub mod leads;
pub mod news;
mod owner;
pub mod record;
pub mod sctp;
mod serve;
pub mod served;
pub mod shared;
mod stranger;
mod stream;
pub mod table;
pub mod tcp;
mod tests;
mod view;
pub mod watch;
pub mod wheel;

pub use leads::Lead;
pub use owner::Owners;
pub use record::{Origin, Steering};
pub use view::{ExpectationView, FlowView};

use crate::config::Conntrack;
use crate::counters::{DropReason, WorkerCounters, named_enum};
use crate::key::FlowKey;
use crate::parse::{Class, Parsed, Transport};
use crate::tally::Tallies;
use crate::units::{Direction, MemberId, PortId, Tick};
use crate::wire::IpProtocol;
use expect::Expectations;
use gre::Calls;
use news::{News, Peers, Post};
use record::{Flags, Hot};
use std::sync::Arc;
use table::{FlowTable, RecordId};
use watch::{FlowEvent, FlowWatch, FlowWatches, Happening};

named_enum! {
    /// What conntrack calls a packet; Linux's words.
    pub enum ConnState {
        /// It opens a flow, or belongs to one that has not been answered.
        New = "NEW",
        /// It belongs to a flow that has been answered.
        Established = "ESTABLISHED",
        /// Its flow was announced by another one, or it is an error about a flow.
        Related = "RELATED",
        /// It belongs to no flow and may not open one.
        Invalid = "INVALID",
        /// It is of a kind that is never tracked.
        Untracked = "UNTRACKED",
    }
}

/// What is the same for all packets of a burst.
#[derive(Debug)]
pub struct Context<'a, O> {
    /// The time.
    pub now: Tick,
    /// How to track.
    pub config: &'a Conntrack,
    /// Whose flows are whose.
    pub owners: &'a O,
}

/// A packet to track.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The frame that it came in, or the datagram that was put together from fragments.
    pub bytes: &'a [u8],
    /// What the parser read in it.
    pub parsed: &'a Parsed,
    /// The port that it came in by.
    pub port: PortId,
}

/// Where a packet's flow may be, between the steps of its look-up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lookup {
    hash: u64,
    candidate: Option<RecordId>,
}

/// What the tracker says of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// What conntrack calls it; `None` when it was not tracked.
    pub state: Option<ConnState>,
    /// It goes in the reply direction.
    pub reply: bool,
    /// Who forwards its flow; `None`: it has none, or nobody does, or a node of which nothing is known.
    pub owner: Option<MemberId>,
    /// Who takes its flow, if a packet of its opener's belongs to one.
    pub steering: Steering,
    /// Where a router sends it, if there is no more to say.
    pub lead: Lead,
    /// It ends here.
    pub drop: Option<DropReason>,
}

impl Tracked {
    pub(crate) const fn dropped(reason: DropReason) -> Self {
        let (owner, steering, lead) = (None, Steering::ROUTE, Lead::NONE);
        Self { state: None, reply: false, owner, steering, lead, drop: Some(reason) }
    }

    const fn invalid(reason: DropReason) -> Self {
        Self { state: Some(ConnState::Invalid), ..Self::dropped(reason) }
    }
}

/// Why a flow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Expired,
    Evicted,
    Deleted,
    Closed,
    /// Its first packet was not let through.
    Refused,
}

/// The flows of one worker.
#[derive(Debug)]
pub struct Tracker {
    table: FlowTable,
    expectations: Expectations,
    watches: FlowWatches,
    calls: Calls,
    tallies: Tallies,
    /// The flow of the packet that was tracked last, if nobody has said who takes it.
    pending: Option<RecordId>,
    /// It has heard for so long that it knows each flow to a shared address that another node may know.
    has_heard_all: bool,
    counters: Arc<WorkerCounters>,
}

impl Tracker {
    /// Room for so many flows and expectations; `secret` seeds their hashes.
    pub fn new(
        flows_max: u32,
        expectations_max: u32,
        secret: u64,
        peers: Peers,
        counters: Arc<WorkerCounters>,
    ) -> Self {
        let start = Tick::default();
        let table = FlowTable::new(flows_max, secret, start);
        counters.flows_max.set(table.capacity() as u64);
        Self {
            table,
            expectations: Expectations::new(expectations_max, secret, start, peers),
            watches: FlowWatches::default(),
            // A call is expected twice before it is one.
            calls: Calls::new(expectations_max as usize / 2, secret),
            tallies: Tallies::new(Arc::clone(&counters)),
            pending: None,
            has_heard_all: false,
            counters,
        }
    }

    /// The next thing to tell other workers.
    #[inline]
    pub fn post(&mut self) -> Option<Post> {
        self.expectations.post()
    }

    /// Takes in what another worker tells.
    pub fn hear(&mut self, news: &News) {
        self.expectations.hear(news);
    }

    /// The flow table, to look at.
    pub fn table(&self) -> &FlowTable {
        &self.table
    }

    /// The expectations, to look at.
    pub fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    /// The flow in a record for show, if one lives there.
    pub fn view(&self, record: RecordId, now: Tick) -> Option<FlowView> {
        let hot = self.table.hot(record);
        let live = hot.flags.has(Flags::LIVE) && !now.reached(hot.deadline);
        live.then(|| FlowView::new(hot, self.steering(record), self.table.extra(record), now))
    }

    /// The expectation of this number for show, if it waits and its master is this worker's.
    pub fn view_expectation(&self, number: u32, now: Tick) -> Option<ExpectationView> {
        let waiting = self.expectations.waiting(number)?;
        (!now.reached(waiting.deadline)).then(|| ExpectationView::new(&waiting, now))
    }

    /// Ends a flow because an operator says so.
    pub(crate) fn delete(&mut self, record: RecordId, now: Tick) {
        self.end(record, End::Deleted, now);
    }

    /// Tells `watch` of flows from now on.
    pub(crate) fn watch(&mut self, watch: Arc<FlowWatch>) {
        self.watches.add(watch);
    }

    /// A number that changes whenever a flow comes or goes.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.table.changes()
    }

    /// First step for each packet of a burst.
    /// A packet without a flow has a key as well, that of none: to look it up costs less than to ask.
    #[inline(always)]
    pub fn prepare(&self, parsed: &Parsed) -> Lookup {
        Lookup { hash: self.table.prepare(&parsed.key), candidate: None }
    }

    /// Second step for each packet of a burst; whether it may have a flow.
    #[inline(always)]
    pub fn fetch(&self, lookup: &mut Lookup) -> bool {
        lookup.candidate = self.table.candidate(lookup.hash);
        lookup.candidate.is_some()
    }

    /// Third step, packet by packet in their order, for the packets that need but a glance: those of flows that stand,
    /// and those that open none. `None`: it is for [`Tracker::track`], and `tracked` says nothing. `changes` is
    /// [`Tracker::changes`] as it was at the second step. A packet that a router is yet to admit, which came in by the port
    /// `pending`, needs more than a glance unless its flow remembers.
    #[inline(always)]
    pub fn glance<O: Owners>(
        &mut self,
        packet: Packet<'_>,
        lookup: &Lookup,
        changes: u64,
        context: &Context<'_, O>,
        pending: Option<PortId>,
        tracked: &mut Tracked,
    ) -> Option<()> {
        let Class::Flow(transport @ (Transport::Tcp | Transport::Udp)) = packet.parsed.class else {
            return None;
        };
        match lookup.candidate {
            Some(record) => self.stream(packet, record, context, pending, tracked),
            None if pending.is_some() => None,
            None if changes == self.table.changes() => self.stranger(packet, transport, context, tracked),
            None => None,
        }
    }

    /// Third step for a packet of any kind.
    pub fn track<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        lookup: &Lookup,
        changes: u64,
        context: &Context<'_, O>,
    ) -> Tracked {
        let parsed = packet.parsed;
        self.pending = None;
        match parsed.class {
            // A fragment is not tracked: its datagram is.
            Class::NonIp | Class::Fragment | Class::Punt(_) => Tracked::default(),
            Class::Drop(reason) => Tracked::dropped(reason),
            Class::Invalid(reason) => self.invalid(parsed, reason, context.now),
            Class::Untracked => Tracked { state: Some(ConnState::Untracked), ..Tracked::default() },
            Class::Flow(Transport::Gre) => self.gre(packet, lookup, changes, context),
            Class::Flow(transport) => {
                let record = self.find(parsed, lookup, changes, context.now);
                self.flow(packet, transport, lookup.hash, record, context)
            }
            Class::IcmpError => {
                let mut record = self.find(parsed, lookup, changes, context.now);
                if parsed.key.protocol() == IpProtocol::GRE.0 {
                    record = self.quoted_gre(parsed, record, context.now);
                }
                self.icmp_error(parsed, record, context)
            }
        }
    }

    /// A packet that its transport makes INVALID before any flow is asked. Linux has looked for its flow by then, and
    /// where there was none the packet has used up the expectation that it fits.
    fn invalid(&mut self, parsed: &Parsed, reason: DropReason, now: Tick) -> Tracked {
        if !self.expectations.is_empty() && parsed.key != FlowKey::NONE {
            let record = self.table.find_key(&parsed.key);
            if record.is_none_or(|record| now.reached(self.table.hot(record).deadline)) {
                self.use_expectation(parsed, now);
            }
        }
        Tracked::invalid(reason)
    }

    /// All three steps for a packet that comes alone.
    pub fn track_one<O: Owners>(&mut self, packet: &Packet<'_>, context: &Context<'_, O>) -> Tracked {
        let mut lookup = self.prepare(packet.parsed);
        self.fetch(&mut lookup);
        self.track(packet, &lookup, self.changes(), context)
    }

    /// Ends flows and expectations whose time has run out, and when the table is nearly full such as are closing;
    /// looks at `budget` records at most.
    pub fn expire(&mut self, now: Tick, budget: u32) {
        self.watches.sweep();
        let mut left = budget;
        self.table.end_turn();
        while let Some(record) = self.table.expire(now, &mut left) {
            self.closing(record, End::Expired, now);
            self.table.forget(record);
        }
        self.expectations.expire(now, &mut left);
        self.counters.expectations.set(self.expectations.len() as u64);
        self.relieve(left, now);
    }

    /// Ends flows that are closing until the table is no longer nearly full. One that has yet to prove itself may stay
    /// until its room is needed, or no handshake would come to its end in a table that open flows fill.
    fn relieve(&mut self, mut budget: u32, now: Tick) {
        while self.table.is_nearly_full()
            && let Some(victim) = self.table.closing(&mut budget)
        {
            self.end(victim, End::Evicted, now);
        }
    }

    /// The packet's flow, if it is there and its time has not run out.
    #[inline]
    fn find(&mut self, parsed: &Parsed, lookup: &Lookup, changes: u64, now: Tick) -> Option<RecordId> {
        let record = match lookup.candidate {
            Some(record) if self.table.is(record, &parsed.key) => record,
            // The tag was right and the key was not, or the table is not what it was when the tag was read.
            Some(_) => self.table.find(&parsed.key, lookup.hash)?,
            None if changes != self.table.changes() => self.table.find(&parsed.key, lookup.hash)?,
            None => return None,
        };
        self.alive(record, now)
    }

    /// The flow, unless its time has run out.
    #[inline]
    fn alive(&mut self, record: RecordId, now: Tick) -> Option<RecordId> {
        if now.reached(self.table.hot(record).deadline) {
            self.end(record, End::Expired, now);
            return None;
        }
        Some(record)
    }

    fn end(&mut self, record: RecordId, end: End, now: Tick) {
        self.closing(record, end, now);
        self.table.remove(record);
    }

    /// What goes with a flow that ends.
    fn closing(&mut self, record: RecordId, end: End, now: Tick) {
        if end != End::Refused {
            self.tell(Happening::Destroy, record, now);
        }
        let hot = self.table.hot(record);
        self.counters.flows[hot.class.index()].sub(1);
        self.counters.flows_of(hot.owner).sub(1);
        self.unbind(record);
        let hot = self.table.hot(record);
        match end {
            End::Expired => self.counters.protocol(hot.class).expired.add(1),
            End::Evicted => self.counters.protocol(hot.class).evicted.add(1),
            End::Deleted => self.counters.protocol(hot.class).deleted.add(1),
            End::Closed | End::Refused => {}
        }
        let (extra, expecting) = (hot.extra, hot.flags.has(Flags::EXPECTING));
        let master = self.table.extra(record).and_then(|extra| extra.master);
        if let Some(children) = master.and_then(|master| self.children_mut(&master)) {
            *children = children.saturating_sub(1);
        }
        if extra != Hot::NO_EXTRA {
            self.close_pptp(record, now);
        }
        if expecting {
            self.expectations.forget_master(record);
            self.counters.expectations.set(self.expectations.len() as u64);
        }
    }

    /// How many live flows a flow has announced, if it lives at this worker.
    fn children_mut(&mut self, flow: &Origin) -> Option<&mut u16> {
        let record = self.table.find_key(&flow.key)?;
        Some(&mut self.table.extra_mut(record)?.children)
    }

    /// Tells those who listen what happened to a flow, unless it has gone by now: they have been told that.
    #[inline]
    fn tell(&self, happening: Happening, record: RecordId, now: Tick) {
        let hot = self.table.hot(record);
        if !self.watches.is_empty() && hot.flags.has(Flags::LIVE) {
            let flow = FlowView::new(hot, self.steering(record), self.table.extra(record), now);
            watch::tell(&self.watches, FlowEvent { happening, flow });
        }
    }

    /// An error about a flow belongs to it, in the direction that the answer to the quoted packet would have.
    fn icmp_error<O: Owners>(
        &mut self,
        parsed: &Parsed,
        record: Option<RecordId>,
        context: &Context<'_, O>,
    ) -> Tracked {
        let Some(record) = record.filter(|record| !self.is_shared(*record)) else {
            return Tracked::invalid(DropReason::InvalidIcmpQuote);
        };
        let quoted = parsed.side.direction(self.table.hot(record).origin());
        // An error is no answer: it fixes no owner.
        let owner = self.owner(record, Direction::Original, context.owners);
        let (reply, steering) = (quoted == Direction::Original, self.table.cold(record).steering);
        Tracked { state: Some(ConnState::Related), reply, owner, steering, ..Tracked::default() }
    }
}

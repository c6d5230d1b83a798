//! The one state machine of a node's part in its cluster.
//!
//! It is told the time and what the engine believes ([`Coordinator::advance`]) and what the operator orders
//! ([`Coordinator::order`]); it yields whose flows are whose ([`Coordinator::ownership`]), what to publish
//! ([`Coordinator::member`]), and what there is to show. It does nothing by itself: `advance` is to be called whenever
//! the view changes, after each order, and a few times in each of the times of [`Settings`] in between.
//!
//! After a call, hand the ownership to the workers *first*, and publish the member when they all have it: a member
//! that says "released" is a promise that others build on.

use super::alarm::{Alarm, Alarms};
use super::by_hand::ByHand;
use super::change::{Change, Step};
use super::company::{Company, shares};
use super::handover::Passing;
use super::history::{Event, Happened, History};
use super::life::{Around, Life};
use super::member::{Digest, Incarnation, Member, NodeName, State};
use super::order::{Order, OrderError};
use super::ownership::{Book, Ownership};
use super::proposal::MapEpoch;
use super::propose::Proposer;
use super::settings::{Agreement, Minority, Settings};
use super::trouble::{Sight, troubles};
use super::view::{Lease, Liveness, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use weir_dataplane::units::BucketId;

/// A node's part in its cluster.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
    member: Member,
    life: Life,
    started_ms: u64,
    may_own: bool,
    flows_left: Option<u64>,
    change: Change,
    proposer: Proposer,
    by_hand: ByHand,
    pub(super) passing: Passing,
    book: Book,
    seen: BTreeMap<NodeName, Seen>,
    /// Nodes that served when they were given up.
    given_up: BTreeSet<NodeName>,
    /// Nodes that served already when they were heard, until it is settled what is whose.
    strangers: Vec<NodeName>,
    alarms: Alarms,
    history: History,
}

/// What was last known of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    incarnation: Incarnation,
    state: State,
    lives: bool,
    late: bool,
}

impl Coordinator {
    /// A node that starts at `now_ms` as `member`, whose maps do not matter, nor its state: by hand alone it may begin as
    /// one that has left. `pins` are those of a static configuration: bucket, counted from 0, to node.
    pub fn new(settings: Settings, member: Member, pins: BTreeMap<u16, NodeName>, now_ms: u64) -> Self {
        let first = match (settings.agreement, member.state) {
            (Agreement::ByHand, State::Leaving) => State::Leaving,
            (Agreement::ByHand, _) => State::Active,
            (Agreement::Liveness | Agreement::Leases { .. }, _) => State::Joining,
        };
        Self {
            life: Life::new(first, now_ms),
            started_ms: now_ms,
            may_own: !matches!(settings.agreement, Agreement::Leases { .. }),
            member: Member {
                state: first,
                proposal: None,
                released: None,
                active: None,
                electorate: None,
                flows_left: None,
                ..member
            },
            settings,
            flows_left: None,
            change: Change::default(),
            proposer: Proposer::default(),
            by_hand: ByHand::new(pins),
            passing: Passing::default(),
            book: Book::default(),
            seen: BTreeMap::new(),
            given_up: BTreeSet::new(),
            strangers: Vec::new(),
            alarms: Alarms::default(),
            history: History::default(),
        }
    }

    /// Whose flows are whose.
    pub const fn ownership(&self) -> &Ownership {
        self.book.current()
    }

    /// What this node is to publish, when the workers have the ownership.
    pub const fn member(&self) -> &Member {
        &self.member
    }

    /// The times it works by.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Since when this node is in its state.
    pub const fn in_state_since_ms(&self) -> u64 {
        self.life.since_ms()
    }

    /// By when it will have left, while it drains.
    pub fn drains_until_ms(&self) -> Option<u64> {
        self.life.deadline_ms()
    }

    /// Whether an ordered stop is done and the process may end.
    pub const fn may_stop(&self, now_ms: u64) -> bool {
        self.life.may_stop(&self.settings, now_ms)
    }

    /// What is wrong.
    pub fn alarms(&self, now_ms: u64) -> impl Iterator<Item = Alarm> {
        self.alarms.raised(self.settings.convergence_ms(), now_ms)
    }

    /// The last changes, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Event> {
        self.history.events().iter()
    }

    /// Those of them that came after the first `known`, and how many there were in all.
    pub fn news(&self, known: usize) -> (usize, impl Iterator<Item = &Event>) {
        let (events, noted) = (self.history.events(), self.history.noted());
        (noted, events.iter().skip(events.len().saturating_sub(noted - known)))
    }

    /// Takes in another configuration, for the others to compare with theirs.
    pub const fn configure(&mut self, digest: Digest) {
        self.member.config_digest = digest;
    }

    /// Takes in how many flows are this node's own. A drain ends early at 0.
    pub const fn count_flows(&mut self, flows: u64) {
        self.flows_left = Some(flows);
    }

    /// The map that is to follow, and since when it is known.
    pub fn change_under_way(&self) -> Option<(&MapEpoch, u64)> {
        self.change.under_way()
    }

    /// Whose new flows would be if `dead` died, by bucket.
    pub fn owners_if_dead(&self, dead: &NodeName, view: &View, now_ms: u64) -> Vec<Option<&NodeName>> {
        let mut view = self.believes(view).into_owned();
        view.peers.remove(dead);
        let me = &self.member;
        let company =
            Company::of(&view, me, self.may_own && me.name != *dead, self.settings.agreement, now_ms);
        let owner = |bucket| match self.settings.agreement {
            Agreement::ByHand => self.by_hand.owner(bucket, &company),
            Agreement::Liveness | Agreement::Leases { .. } => self.change.owner(bucket, &company),
        };
        buckets(me).map(owner).collect()
    }

    /// What is believed of the other nodes: by hand what the operator says, else what the engine does.
    pub(super) fn believes<'a>(&self, view: &'a View) -> Cow<'a, View> {
        match self.settings.agreement {
            Agreement::ByHand => Cow::Owned(self.by_hand.corrected(view)),
            Agreement::Liveness | Agreement::Leases { .. } => Cow::Borrowed(view),
        }
    }

    /// By hand, the orders that hold.
    pub fn orders(&self) -> impl Iterator<Item = Order> {
        self.by_hand.orders()
    }

    /// Takes an operator's order; it takes effect with the next [`Coordinator::advance`].
    ///
    /// # Errors
    ///
    /// What cannot be followed here, and why.
    pub fn order(&mut self, order: &Order, now_ms: u64) -> Result<(), OrderError> {
        order.suits(self.settings.agreement)?;
        let deadline = |from_now: &Option<u64>| now_ms + from_now.unwrap_or(self.settings.drain_ms);
        match order {
            Order::Drain { deadline_ms } => self.life.drain(deadline(deadline_ms), false, now_ms),
            Order::Stop { deadline_ms } => self.life.drain(deadline(deadline_ms), true, now_ms),
            Order::Resume => {
                self.life.resume(now_ms);
                // Without a lease or a majority it may serve no sooner than any other node.
                if !self.may_own {
                    self.life.rejoin(now_ms);
                }
            }
            Order::Pin { bucket, node } => {
                let number = self.bucket(*bucket)?;
                self.proposer.pin(number, Some(self.node(node)?));
            }
            Order::Unpin { bucket } => {
                let number = self.bucket(*bucket)?;
                self.proposer.pin(number, None);
            }
            Order::Add { bucket } => {
                self.bucket(*bucket)?;
                self.changes(!self.owns(*bucket), order)?;
                self.by_hand.add(*bucket);
            }
            Order::Del { bucket } => {
                self.bucket(*bucket)?;
                self.changes(self.owns(*bucket), order)?;
                self.by_hand.del(*bucket);
            }
            Order::Take { node } if *node == self.member.name => {
                self.changes(self.life.state().serves(), order)?;
                self.life.leave(now_ms);
            }
            Order::Give { node } if *node == self.member.name => {
                self.changes(!self.life.state().serves(), order)?;
                self.life.resume(now_ms);
            }
            Order::Take { node } => {
                let taken = self.by_hand.take(self.node(node)?, now_ms);
                self.changes(taken, order)?;
            }
            Order::Give { node } => {
                let given = self.by_hand.give(&self.node(node)?);
                self.changes(given, order)?;
            }
        }
        self.history.note(now_ms, Happened::Ordered { order: order.to_string() });
        Ok(())
    }

    fn bucket(&self, bucket: BucketId) -> Result<u16, OrderError> {
        let (number, total_nodes) = (bucket.number().number(), self.member.total_nodes);
        if number <= total_nodes { Ok(number - 1) } else { Err(OrderError::Bucket { number, total_nodes }) }
    }

    fn node(&self, node: &NodeName) -> Result<NodeName, OrderError> {
        let known = *node == self.member.name || self.seen.contains_key(node);
        if known { Ok(node.clone()) } else { Err(OrderError::Node(node.clone())) }
    }

    fn owns(&self, bucket: BucketId) -> bool {
        let owner = self.ownership().owners.get(bucket.index()).and_then(Option::as_ref);
        owner == Some(&self.member.name)
    }

    fn changes(&self, changes: bool, order: &Order) -> Result<(), OrderError> {
        if changes { Ok(()) } else { Err(OrderError::Unchanged(order.to_string())) }
    }

    /// Goes on as far as can be gone at `now_ms` with what the engine believes.
    pub fn advance(&mut self, view: &View, now_ms: u64) {
        let view = self.believes(view);
        let view = self.passing.look(view, &self.member, &self.settings, &mut self.history, now_ms);
        let view = &*view;
        let righted = self.follow_right(view, now_ms);
        self.follow_peers(view, now_ms);
        let grown = self.grow_older(view, now_ms);
        match self.settings.agreement {
            Agreement::ByHand => self.own_by_hand(view, now_ms),
            Agreement::Liveness | Agreement::Leases { .. } => self.agree(view, grown || righted, now_ms),
        }
        self.publish();
        self.look_for_trouble(view, now_ms);
    }

    /// Whether this node has what it needs to own anything: a lease, or a majority. Returns whether that has changed.
    fn follow_right(&mut self, view: &View, now_ms: u64) -> bool {
        let living = |name: &NodeName| {
            *name == self.member.name || view.peers.get(name).is_some_and(|peer| peer.liveness.lives())
        };
        let (may_own, lost, held) = match (self.settings.agreement, self.settings.minority) {
            (Agreement::Leases { margin_ms }, _) => {
                let leased =
                    matches!(view.lease, Some(Lease::Until { end_ms }) if now_ms + margin_ms < end_ms);
                (leased, Happened::LeaseLost, Happened::LeaseHeld)
            }
            (Agreement::Liveness, Minority::Yields) => {
                let others = view.peers.values().filter(|peer| peer.liveness.lives());
                let company = others.map(|peer| &peer.member).filter(|other| shares(other, &self.member));
                company
                    .filter_map(|other| other.electorate.as_ref())
                    .for_each(|heard| self.change.hear_electorate(heard));
                (self.change.has_majority(living), Happened::MajorityLost, Happened::MajorityHeld)
            }
            (Agreement::Liveness, Minority::Serves) | (Agreement::ByHand, _) => return false,
        };
        let changed = may_own != self.may_own;
        if changed {
            self.history.note(now_ms, if may_own { held } else { lost });
        }
        if self.may_own && !may_own {
            // Others may own all that was this node's by the time it may own again: its seat is void.
            self.member.incarnation.0 += 1;
            self.change.forget();
            self.life.rejoin(now_ms);
        }
        self.may_own = may_own;
        changed
    }

    fn follow_peers(&mut self, view: &View, now_ms: u64) {
        let (by_hand, may_part) = match self.settings.agreement {
            Agreement::ByHand => (true, false),
            Agreement::Liveness => (false, true),
            Agreement::Leases { .. } => (false, false),
        };
        for (name, peer) in &view.peers {
            let Member { incarnation, state, .. } = peer.member;
            let late = matches!(peer.liveness, Liveness::Suspected { .. });
            let now = Seen { incarnation, state, lives: peer.liveness.lives(), late };
            if self.seen.get(name) == Some(&now) || *name == self.member.name {
                continue;
            }
            let before = self.seen.insert(name.clone(), now);
            if !by_hand {
                self.note_peer(name, before, now, now_ms);
            }
            match now.lives {
                true => drop(self.given_up.remove(name)),
                false if before.is_some_and(|before| before.lives) && state.serves() => {
                    self.given_up.insert(name.clone());
                }
                false => {}
            }
            // Whoever was met before he served got his buckets by agreement. Others may own what is owned here.
            let met = before.is_some_and(|before| before.lives && before.incarnation == incarnation);
            let serving = now.lives && state.serves() && self.member.state.serves();
            if serving && !met && may_part && shares(&peer.member, &self.member) {
                self.proposer.unsettle(&self.change);
                self.strangers.push(name.clone());
            }
        }
        let forgotten: Vec<_> =
            self.seen.keys().filter(|name| !view.peers.contains_key(*name)).cloned().collect();
        for name in forgotten {
            let before = self.seen.remove(&name);
            if before.is_some_and(|before| before.lives && before.state.serves()) {
                self.given_up.insert(name.clone());
                self.history.note(now_ms, Happened::Died { node: name });
            }
        }
    }

    fn note_peer(&mut self, name: &NodeName, before: Option<Seen>, now: Seen, now_ms: u64) {
        let node = || name.clone();
        let entered = Happened::Entered { node: node(), state: now.state };
        match before {
            Some(before) if before.lives && !now.lives => {
                self.history.note(now_ms, Happened::Died { node: node() })
            }
            Some(before) if !before.lives && now.lives => {
                let same_life = before.incarnation == now.incarnation;
                self.history.note(now_ms, Happened::Returned { node: node(), same_life });
            }
            Some(before) if !before.late && now.late => {
                self.history.note(now_ms, Happened::Suspected { node: node() });
            }
            Some(before) if before.state == now.state => {}
            Some(_) | None => self.history.note(now_ms, entered),
        }
    }

    /// Whether this node is in another state than before.
    fn grow_older(&mut self, view: &View, now_ms: u64) -> bool {
        let Self { member, settings, passing, life, change, .. } = self;
        let company = Company::of(view, member, self.may_own, settings.agreement, now_ms);
        let others_serve = company.other_servers().next().is_some();
        let unwelcome = view.peers.values().filter(|peer| peer.liveness.lives()).any(|peer| {
            let other = &peer.member;
            let twin = other.name == member.name && other.incarnation != member.incarnation;
            // Of several kinds that begin at once, that of the first by name does.
            let begins = !others_serve && other.state == State::Joining && other.name < member.name;
            twin || (other.state.serves() || begins) && !shares(other, member)
        });
        let without_seat =
            change.under_way().is_none() && !change.seats(member) && company.act_by(change.active());
        let drained = life.has_drained(without_seat, self.flows_left, now_ms);
        let may_leave = passing.may_leave(drained, &company, settings, now_ms);
        let around = Around { others_serve, welcome: !unwelcome && self.may_own, may_leave };
        life.advance(around, settings, now_ms);
        let grown = self.life.state() != self.member.state;
        if grown {
            self.member.state = self.life.state();
            if self.member.state == State::Leaving {
                self.passing.leave(now_ms);
                // What was its own is inherited now; should it resume, no old map may give it that back.
                self.member.incarnation.0 += 1;
            }
            let entered = Happened::Entered { node: self.member.name.clone(), state: self.member.state };
            self.history.note(now_ms, entered);
        }
        grown
    }

    fn agree(&mut self, view: &View, grown: bool, now_ms: u64) {
        let Self { member, life, change, proposer, settings, book, history, .. } = self;
        let company = Company::of(view, member, self.may_own, settings.agreement, now_ms);
        let (mut stale, mut anew) = (grown, false);
        loop {
            let step = change.advance(&company, settings.patience_ms(), now_ms).or_else(|| {
                let proposal = proposer.propose(change, &company, settings, now_ms)?;
                change.follow(&proposal, member.total_nodes, now_ms)
            });
            let Some(step) = step else { break };
            stale = true;
            let happened = match step {
                Step::Announced(epoch) => Happened::Announced { epoch },
                Step::Released(epoch) => Happened::Released { epoch },
                Step::Active { epoch, settles, took_ms } => {
                    anew |= settles;
                    Happened::Active { epoch, took_ms }
                }
            };
            history.note(now_ms, happened);
        }
        let learning = matches!(member.state, State::Joining | State::Learning);
        if stale || book.is_stale(&company, learning) {
            let names = life.names_owners(self.may_own);
            let owner = |bucket| change.owner(bucket, &company).filter(|_| names).cloned();
            let owners = buckets(member).map(owner).collect();
            let moved = book.write(owners, &company, learning, anew);
            if moved > 0 {
                history.note(now_ms, Happened::Moved { buckets: moved });
            }
        }
    }

    fn own_by_hand(&mut self, view: &View, now_ms: u64) {
        let Self { member, by_hand, book, history, settings, .. } = self;
        by_hand.map(view, member);
        let company = Company::of(view, member, true, settings.agreement, now_ms);
        // What it hears first of a flow need not be the flow's first packet; its own go on after a quick restart.
        let learning = now_ms.saturating_sub(self.started_ms) < settings.learning_ms;
        let owners: Vec<_> = buckets(member).map(|bucket| by_hand.owner(bucket, &company).cloned()).collect();
        if owners != book.current().owners || book.is_stale(&company, learning) {
            let moved = book.write(owners, &company, learning, false);
            if moved > 0 {
                history.note(now_ms, Happened::Moved { buckets: moved });
            }
        }
    }

    pub(super) fn publish(&mut self) {
        let (member, change) = (&mut self.member, &self.change);
        if member.proposal.as_ref().map(|known| known.epoch()) != change.latest().map(|latest| latest.epoch())
        {
            member.proposal = change.latest().cloned();
        }
        if member.released.as_ref() != change.released() {
            member.released = change.released().cloned();
        }
        let active = match self.settings.agreement {
            Agreement::ByHand => self.by_hand.epoch(),
            Agreement::Liveness | Agreement::Leases { .. } => change.active(),
        };
        if member.active.as_ref() != active {
            member.active = active.cloned();
        }
        let yields = self.settings.minority == Minority::Yields;
        member.electorate = change.electorate().filter(|_| yields).cloned();
        member.flows_left = self.flows_left.filter(|_| member.state == State::Draining);
        (member.handover, member.holds_for) = (self.passing.own(member.state), self.passing.holds_for());
    }

    fn look_for_trouble(&mut self, view: &View, now_ms: u64) {
        if !self.proposer.is_unsettled() {
            self.strangers.clear();
        }
        let company = Company::of(view, &self.member, self.may_own, self.settings.agreement, now_ms);
        let found = troubles(&Sight {
            view,
            company: &company,
            change: &self.change,
            ownership: self.book.current(),
            agreement: self.settings.agreement,
            may_own: self.may_own,
            given_up: self.given_up.len(),
            strangers: &self.strangers,
        });
        self.alarms.update(found, now_ms);
    }
}

/// All buckets there are.
fn buckets(member: &Member) -> impl Iterator<Item = BucketId> + use<> {
    (0..usize::from(member.total_nodes)).filter_map(BucketId::new)
}

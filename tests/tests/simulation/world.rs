//! The nodes, the time, and what befalls them.

use crate::checks::Checks;
use crate::gateway::Gateway;
use crate::gossip::{Bus, notice_ms};
use crate::ledger::{Owners, Standing, Tenure};
use crate::plan::Plan;
use crate::store::{DRIFT_PER_MILLE, MARGIN_MS, Store, TTL_MS};
use crate::traffic::Traffic;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weir_control::cluster::{
    Agreement, Coordinator, Digest, Incarnation, Member, NodeName, Order, State, Trouble, View, Weight,
};
use weir_dataplane::units::BucketId;
use weir_tests::rng::Rng;

pub(super) const TICK_MS: u64 = 20;
pub(super) const BUCKETS: u16 = 8;

/// One node, running.
pub(super) struct Node {
    pub(super) coordinator: Coordinator,
    pub(super) view: View,
    /// What the engine has published last.
    pub(super) published: Option<Arc<Member>>,
    pub(super) version: u64,
    pub(super) gossip_at_ms: u64,
    /// Of each other node: life and version of the last word, and when it came.
    pub(super) heard: Vec<Option<((u64, u64), u64)>>,
    /// How far it has read the store.
    pub(super) read_at_ms: u64,
    started_ms: u64,
    offset_ms: u64,
    drift_per_mille: i64,
    pub(super) gateway: Gateway,
}

impl Node {
    /// What its own clock shows.
    pub(super) fn local_ms(&self, now_ms: u64) -> u64 {
        let for_ms = i64::try_from(now_ms - self.started_ms).unwrap();
        self.offset_ms + u64::try_from(for_ms + for_ms * self.drift_per_mille / 1000).unwrap()
    }

    /// Which of its lives it is in: when it has begun.
    pub(super) const fn life(&self) -> u64 {
        self.started_ms
    }

    /// Since when it has owned flows without a break.
    pub(super) fn tenure(&self) -> Option<Tenure> {
        let since = self.coordinator.ownership().living.get(&self.coordinator.member().name)?;
        Some((self.life(), *since))
    }

    /// Whether it owns a bucket.
    pub(super) fn owns(&self, bucket: usize) -> bool {
        self.coordinator.ownership().owners.get(bucket).and_then(Option::as_ref)
            == Some(&self.coordinator.member().name)
    }
}

pub(super) enum Carrier {
    Gossip(Bus),
    Store(Store),
}

/// A cluster.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) names: Vec<NodeName>,
    pub(super) nodes: Vec<Option<Node>>,
    pub(super) carrier: Carrier,
    pub(super) traffic: Traffic,
    /// All have agreed once.
    begun: bool,
    /// What all agree on, and since when.
    owners: Option<Owners>,
    agreed_since_us: Option<u64>,
    right_since_us: Option<u64>,
    pub(super) now_ms: u64,
    rng: Rng,
    tell: bool,
}

impl World {
    pub(super) fn new(plan: Plan, rng: Rng, tell: bool) -> Self {
        let carrier = match plan.settings.agreement {
            Agreement::Leases { .. } => Carrier::Store(Store::new(plan.nodes)),
            _ => Carrier::Gossip(Bus::new(plan.nodes, plan.loss_percent, plan.delay_max_ms)),
        };
        let names = (0..plan.nodes).map(|i| format!("gw-{i}").parse().unwrap()).collect();
        let nodes = (0..plan.nodes).map(|_| None).collect();
        let mut world = Self {
            traffic: Traffic::new(&plan, tell),
            plan,
            names,
            nodes,
            carrier,
            begun: false,
            owners: None,
            agreed_since_us: None,
            right_since_us: None,
            now_ms: 0,
            rng,
            tell,
        };
        // Not all of them are there from the start.
        for i in 0..world.plan.nodes {
            if i == 0 || world.plan.only_partitions || world.rng.chance(80) {
                world.start(i);
            }
        }
        world
    }

    /// Lets everything happen, then waits for peace; an error says which invariant broke, and when.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let mut checks = Checks::new(self);
        for _ in 0..self.plan.events {
            let pause_ms = if self.rng.chance(30) { 200 } else { self.plan.pause_max_ms };
            let agree_ms = self.plan.settings.formation_ms + self.plan.settings.convergence_ms();
            let calm_ms = if self.plan.only_partitions { agree_ms } else { 0 };
            let until_ms = self.now_ms + calm_ms + self.rng.within(20, pause_ms);
            self.pass(until_ms, &mut checks)?;
            let crashed = self.befall();
            checks.note_event(self, crashed);
        }
        self.make_peace();
        checks.note_event(self, None);
        let settings = &self.plan.settings;
        let until_ms =
            self.now_ms + settings.formation_ms + settings.learning_ms + 3 * settings.convergence_ms();
        self.pass(until_ms, &mut checks)?;
        self.running().try_for_each(|node| node.gateway.check_counts())?;
        self.each_was_forwarded_once()?;
        checks.at_peace(self)
    }

    /// Where nodes leave as planned, each packet of an answered flow was forwarded once; of a few talks packets were on
    /// their way while their buckets went on from one heir to the next.
    fn each_was_forwarded_once(&mut self) -> Result<(), String> {
        if !self.plan.planned {
            return Ok(());
        }
        let ledger = &mut self.traffic.ledger;
        let (once, otherwise) = ledger.once.judge();
        if let Some((number, times)) = otherwise.iter().find(|(_, times)| *times > 1) {
            let (talk, step) = ledger.of(*number);
            return Err(format!(
                "step {step} of talk {talk}, sent as number {number}, was forwarded {times} times"
            ));
        }
        let lost: BTreeSet<u64> = otherwise.iter().map(|(number, _)| ledger.of(*number).0).collect();
        ledger.tally.planned = (once as u64, ledger.once.taken_over, lost.len() as u64);
        Ok(())
    }

    fn pass(&mut self, until_ms: u64, checks: &mut Checks) -> Result<(), String> {
        while self.now_ms < until_ms {
            self.now_ms += TICK_MS;
            self.step();
            checks
                .step(self)
                .and_then(|()| self.forward())
                .map_err(|broken| format!("at {} ms: {broken}", self.now_ms))?;
        }
        Ok(())
    }

    /// Frames go through, and what has become of them is judged.
    fn forward(&mut self) -> Result<(), String> {
        let now_us = self.now_ms * 1000;
        self.begun |= self.agreed_since_us.is_some();
        self.traffic.release(&mut self.nodes, now_us - TICK_MS * 1000, &mut self.rng);
        self.traffic.pass(&mut self.nodes, self.begun, now_us, &mut self.rng)?;
        let standing = self.standing(now_us);
        self.traffic.judge(&standing, &self.nodes, now_us)
    }

    fn standing(&mut self, now_us: u64) -> Standing {
        let right = self.views_are_right();
        self.right_since_us = right.then(|| self.right_since_us.unwrap_or(now_us));
        let owners = self.agreed().filter(|_| right);
        if owners != self.owners {
            self.agreed_since_us = owners.is_some().then_some(now_us);
            self.owners.clone_from(&owners);
        }
        Standing {
            agreed_since_us: self.agreed_since_us,
            right_since_us: self.right_since_us,
            parted: self.running().any(|node| self.mourns(node) || self.doubts(node)),
            owners: owners.unwrap_or_else(|| vec![None; usize::from(BUCKETS)]),
            tenures: self.nodes.iter().map(|node| node.as_ref().and_then(Node::tenure)).collect(),
        }
    }

    /// Whose each bucket is, if all that serve say the same and each has an owner who lives.
    fn agreed(&self) -> Option<Owners> {
        let mut told = self.running().filter(|node| node.coordinator.member().state.serves());
        let told_by = |node: &Node| {
            (node.coordinator.ownership().owners.clone(), node.coordinator.member().active.clone())
        };
        let first = told_by(told.next()?);
        if told.any(|node| told_by(node) != first) {
            return None;
        }
        let index = |name: &NodeName| self.names.iter().position(|known| known == name);
        let owner = |owner: &Option<NodeName>| owner.as_ref().and_then(index);
        let owners: Owners = first.0.iter().map(owner).collect();
        let owns = |(bucket, owner): (usize, &Option<usize>)| {
            owner.is_some_and(|i| self.nodes[i].as_ref().is_some_and(|node| node.owns(bucket)))
        };
        owners.iter().enumerate().all(owns).then_some(owners)
    }

    fn step(&mut self) {
        let now_ms = self.now_ms;
        match &mut self.carrier {
            Carrier::Gossip(bus) => bus.deliver(&mut self.nodes, now_ms),
            Carrier::Store(store) => store.tick(now_ms),
        }
        for i in 0..self.nodes.len() {
            let Some(node) = &mut self.nodes[i] else { continue };
            if let Carrier::Gossip(_) = self.carrier {
                node.doubt(&self.names, &self.plan.settings, now_ms);
            }
            let local_ms = node.local_ms(now_ms);
            node.coordinator.count_flows(node.gateway.flows());
            node.coordinator.advance(&node.view, local_ms);
            // The others are told when the workers have acted.
            node.gateway.serve(&mut node.coordinator);
            match &mut self.carrier {
                Carrier::Gossip(bus) => bus.send(i, node, now_ms, &mut self.rng),
                Carrier::Store(store) => store.serve(i, node, now_ms, &mut self.rng),
            }
            if node.coordinator.may_stop(local_ms) {
                self.say(&format!("gw-{i} stops"));
                self.nodes[i] = None;
            }
        }
    }

    /// Something happens; returns who crashed.
    fn befall(&mut self) -> Option<usize> {
        let i = self.rng.index(self.nodes.len());
        let what = self.rng.within(0, 99);
        let running = self.nodes[i].is_some();
        match what {
            _ if self.plan.only_partitions => self.cut_or_mend(),
            _ if !running => self.start(i),
            0..90 if self.plan.planned => self.leave(i),
            _ if self.plan.planned => self.reload(i),
            0..30 => {
                self.say(&format!("gw-{i} crashes"));
                self.nodes[i] = None;
                if self.rng.chance(20) {
                    self.start(i);
                    return None;
                }
                return Some(i);
            }
            30..55 if self.plan.partitions => self.cut_or_mend(),
            55..65 => self.reload(i),
            _ => self.order(i),
        }
        None
    }

    /// It leaves, for good or for a while, if somebody is left to serve; or it stays after all, if it was about to.
    fn leave(&mut self, i: usize) {
        let stays = |(j, node): (usize, &Option<Node>)| {
            j != i && node.as_ref().is_some_and(|node| node.coordinator.member().state == State::Active)
        };
        if !self.nodes.iter().enumerate().any(stays) {
            return;
        }
        let deadline_ms = Some(if self.rng.chance(50) { 0 } else { self.rng.within(0, 600) });
        let order = match self.rng.below(10) {
            0..5 => Order::Stop { deadline_ms },
            5..8 => Order::Drain { deadline_ms },
            _ => Order::Resume,
        };
        self.say(&format!("gw-{i} is ordered: {order}"));
        let now_ms = self.now_ms;
        if let Some(node) = &mut self.nodes[i] {
            let local_ms = node.local_ms(now_ms);
            drop(node.coordinator.order(&order, local_ms));
        }
    }

    /// Its workers are told anew what they know.
    fn reload(&mut self, i: usize) {
        self.say(&format!("gw-{i} reloads"));
        if let Some(node) = &mut self.nodes[i] {
            node.gateway.reload();
        }
    }

    fn order(&mut self, i: usize) {
        let bucket = BucketId::new(self.rng.index(usize::from(BUCKETS))).unwrap();
        let node = self.names[self.rng.index(self.names.len())].clone();
        let order = match self.rng.within(0, 5) {
            0 => Order::Drain { deadline_ms: Some(self.rng.within(0, 600)) },
            1 => Order::Stop { deadline_ms: Some(self.rng.within(0, 600)) },
            2 | 3 => Order::Resume,
            4 => Order::Pin { bucket, node },
            _ => Order::Unpin { bucket },
        };
        self.say(&format!("gw-{i} is ordered: {order}"));
        let now_ms = self.now_ms;
        if let Some(node) = &mut self.nodes[i] {
            let local_ms = node.local_ms(now_ms);
            // A pin to a node that is not known yet is refused.
            drop(node.coordinator.order(&order, local_ms));
        }
    }

    fn cut_or_mend(&mut self) {
        let sides: Vec<bool> = self.names.iter().map(|_| self.rng.chance(50)).collect();
        let one_way = self.rng.chance(20) && !self.plan.only_partitions;
        let mend = if self.plan.only_partitions { !self.is_whole() } else { self.rng.chance(50) };
        self.say(&format!("mend {mend}, sides {sides:?}, one way {one_way}"));
        match &mut self.carrier {
            Carrier::Gossip(bus) => {
                for (from, row) in bus.cut.iter_mut().enumerate() {
                    for (to, cut) in row.iter_mut().enumerate() {
                        *cut = !mend && sides[from] != sides[to] && !(one_way && sides[from]);
                    }
                }
            }
            Carrier::Store(store) => {
                for (reached, side) in store.reached.iter_mut().zip(sides) {
                    *reached = mend || side;
                }
            }
        }
    }

    /// No more trouble: everybody runs and hears everybody.
    fn make_peace(&mut self) {
        self.say("peace");
        match &mut self.carrier {
            Carrier::Gossip(bus) => {
                bus.cut.iter_mut().flatten().for_each(|cut| *cut = false);
                bus.loss_percent = 0;
            }
            Carrier::Store(store) => store.reached.fill(true),
        }
        let now_ms = self.now_ms;
        for i in 0..self.nodes.len() {
            match &mut self.nodes[i] {
                Some(node) => {
                    let local_ms = node.local_ms(now_ms);
                    assert_eq!(node.coordinator.order(&Order::Resume, local_ms), Ok(()));
                }
                None => self.start(i),
            }
        }
    }

    fn start(&mut self, i: usize) {
        self.say(&format!("gw-{i} starts"));
        let member = Member {
            name: self.names[i].clone(),
            incarnation: Incarnation(self.now_ms + 1),
            state: State::Joining,
            weight: Weight::new(if i == 0 { 50 } else { 100 }).unwrap(),
            address: [192, 0, 2, 1].into(),
            hash_seed: 0,
            total_nodes: BUCKETS,
            config_digest: Digest(0),
            version: "1".into(),
            proposal: None,
            released: None,
            active: None,
            electorate: None,
            flows_left: None,
            handover: None,
            holds_for: None,
        };
        let offset_ms = self.rng.within(0, 1 << 40);
        let drift = i64::try_from(self.rng.within(0, 2 * DRIFT_PER_MILLE.unsigned_abs())).unwrap();
        let strict = matches!(self.carrier, Carrier::Store(_));
        self.nodes[i] = Some(Node {
            coordinator: Coordinator::new(self.plan.settings.clone(), member, BTreeMap::new(), offset_ms),
            view: View::default(),
            published: None,
            version: 0,
            gossip_at_ms: 0,
            heard: vec![None; self.names.len()],
            read_at_ms: 0,
            started_ms: self.now_ms,
            offset_ms,
            gateway: Gateway::new(i, self.names[i].clone()),
            drift_per_mille: if strict { drift - DRIFT_PER_MILLE } else { 0 },
        });
    }

    /// By when a crash is noticed by all.
    pub(super) fn notice_ms(&self) -> u64 {
        match &self.carrier {
            Carrier::Gossip(bus) => notice_ms(&self.plan.settings, bus),
            Carrier::Store(_) => TTL_MS + 2 * MARGIN_MS,
        }
    }

    fn is_whole(&self) -> bool {
        match &self.carrier {
            Carrier::Gossip(bus) => bus.is_whole(),
            Carrier::Store(store) => store.reached.iter().all(|reached| *reached),
        }
    }

    /// Whether each running node believes what is so of each other one.
    pub(super) fn views_are_right(&self) -> bool {
        self.is_whole() && self.running().all(|node| self.is_right(node))
    }

    fn is_right(&self, node: &Node) -> bool {
        self.names.iter().zip(&self.nodes).all(|(name, other)| {
            let known = node.view.peers.get(name).filter(|peer| peer.liveness.lives());
            let known = known.map(|peer| peer.member.incarnation);
            *name == node.coordinator.member().name
                || known == other.as_ref().map(|other| other.coordinator.member().incarnation)
        })
    }

    /// Whether a node takes one for dead that lives.
    fn mourns(&self, node: &Node) -> bool {
        self.names.iter().zip(&self.nodes).any(|(name, other)| {
            let dead = node.view.peers.get(name).filter(|peer| !peer.liveness.lives());
            let living = other.as_ref().map(|other| other.coordinator.member().incarnation);
            dead.is_some_and(|peer| Some(peer.member.incarnation) == living)
        })
    }

    /// Whether a node waits for a map to settle what another one did unheard.
    fn doubts(&self, node: &Node) -> bool {
        let mut alarms = node.coordinator.alarms(node.local_ms(self.now_ms));
        alarms.any(|alarm| matches!(alarm.trouble, Trouble::SplitBrain { .. }))
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// What each node has noted, in the world's time.
    pub(super) fn say_all(&self) {
        for node in self.running() {
            for event in node.coordinator.history() {
                let at_ms = event.at_ms - node.offset_ms + node.started_ms;
                self.say(&format!("{at_ms:6} {}: {}", node.coordinator.member().name, event.change));
            }
        }
    }

    pub(super) fn say(&self, what: &str) {
        if self.tell {
            println!("{:6} {what}", self.now_ms);
        }
    }
}

//! What must hold at each step.

use crate::world::{BUCKETS, Carrier, Node, TICK_MS, World};
use std::collections::BTreeMap;
use weir_control::cluster::{Minority, State, Trouble};

/// What has been seen so far.
pub(super) struct Checks {
    /// Since when two nodes that hear each other both own something.
    overlap_ms: Vec<Vec<u64>>,
    /// For how long nothing has happened that a map must follow.
    calm_ms: u64,
    states: Vec<Option<State>>,
    /// By when the buckets of one that crashed in calm must have an heir.
    inherit_by_ms: Option<u64>,
    /// In a cluster to which nothing happens but crashes and orders: since which version each node owns its flows.
    since: BTreeMap<usize, u64>,
}

impl Checks {
    pub(super) fn new(world: &World) -> Self {
        let n = world.plan.nodes;
        Self {
            overlap_ms: vec![vec![0; n]; n],
            calm_ms: 0,
            states: vec![None; n],
            inherit_by_ms: None,
            since: BTreeMap::new(),
        }
    }

    /// Something has happened to the world.
    pub(super) fn note_event(&mut self, world: &World, crashed: Option<usize>) {
        let calm = self.calm_ms > world.plan.settings.convergence_ms();
        let heirs = world.running().any(|node| node.coordinator.member().state == State::Active);
        let serves = world.plan.settings.minority == Minority::Serves;
        let inherits = crashed.is_some() && serves && calm && heirs && one_owner_each(world).is_ok();
        self.inherit_by_ms = inherits.then(|| world.now_ms + world.notice_ms());
        self.calm_ms = 0;
    }

    /// All that must hold now.
    pub(super) fn step(&mut self, world: &World) -> Result<(), String> {
        for node in world.running() {
            only_servers_own(node)?;
        }
        match &world.carrier {
            Carrier::Gossip(_) if !world.plan.partitions => no_overlap(world)?,
            Carrier::Gossip(_) => self.overlaps_end(world)?,
            Carrier::Store(_) => no_overlap(world)?,
        }
        self.owners_stay(world)?;
        self.the_dead_are_inherited_from(world)?;
        self.calm_brings_agreement(world)
    }

    /// At the end all agree, and all serve.
    pub(super) fn at_peace(&self, world: &World) -> Result<(), String> {
        if let Some(node) = world.running().find(|node| node.coordinator.member().state != State::Active) {
            let member = node.coordinator.member();
            return Err(format!("at the end: {} is still {}", member.name, member.state));
        }
        for node in world.running() {
            let local_ms = node.local_ms(world.now_ms);
            if let Some(alarm) = node.coordinator.alarms(local_ms).next() {
                return Err(format!("at the end: {}: {}", node.coordinator.member().name, alarm.text));
            }
        }
        agreement(world).map_err(|broken| format!("at the end: {broken}"))
    }

    /// Two nodes that hear each other own the same no longer than the documented bound.
    fn overlaps_end(&mut self, world: &World) -> Result<(), String> {
        for (i, one) in world.nodes.iter().enumerate() {
            for (j, other) in world.nodes.iter().enumerate().skip(i + 1) {
                let yields = world.plan.only_partitions;
                let both = |one: &Node, other: &Node| {
                    (yields || hears(one, other) && hears(other, one)) && shared(one, other).is_some()
                };
                let (Some(one), Some(other)) = (one, other) else {
                    self.overlap_ms[i][j] = 0;
                    continue;
                };
                let for_ms = if both(one, other) { self.overlap_ms[i][j] + TICK_MS } else { 0 };
                self.overlap_ms[i][j] = for_ms;
                let settings = &world.plan.settings;
                let bound_ms = if yields { settings.doubled_apart_ms() } else { settings.doubled_ms() };
                if for_ms > bound_ms {
                    return Err(format!("gw-{i} and gw-{j} have both owned a bucket for {for_ms} ms"));
                }
            }
        }
        Ok(())
    }

    /// Where nothing is lost, a node that serves keeps its flows for as long as it does.
    fn owners_stay(&mut self, world: &World) -> Result<(), String> {
        if world.plan.partitions {
            return Ok(());
        }
        for (i, node) in world.nodes.iter().enumerate() {
            let name = &world.names[i];
            let since = node.as_ref().and_then(|node| node.coordinator.ownership().living.get(name).copied());
            match (since, self.since.get(&i)) {
                (Some(since), Some(before)) if since != *before => {
                    return Err(format!("{name} gave up flows that were its own"));
                }
                (Some(since), _) => drop(self.since.insert(i, since)),
                (None, _) => drop(self.since.remove(&i)),
            }
        }
        Ok(())
    }

    /// What a node had that crashed in calm has one owner as soon as the crash is noticed.
    fn the_dead_are_inherited_from(&mut self, world: &World) -> Result<(), String> {
        let Some(by_ms) = self.inherit_by_ms.filter(|by_ms| world.now_ms >= *by_ms) else { return Ok(()) };
        self.inherit_by_ms = None;
        // Loss may have let somebody take another one for dead as well.
        if !world.views_are_right() {
            return Ok(());
        }
        one_owner_each(world).map_err(|broken| format!("after a crash, noticed by {by_ms} ms: {broken}"))
    }

    /// Where everybody is right about everybody for long enough, all agree; or all wait.
    fn calm_brings_agreement(&mut self, world: &World) -> Result<(), String> {
        let states = world.nodes.iter().map(|node| node.as_ref().map(|node| node.coordinator.member().state));
        let same = states.clone().eq(self.states.iter().copied());
        if !same {
            self.states = states.collect();
        }
        self.calm_ms = if same && world.views_are_right() { self.calm_ms + TICK_MS } else { 0 };
        let serves = world.running().any(|node| node.coordinator.member().state.serves());
        match self.calm_ms > world.plan.settings.convergence_ms() {
            true if serves => agreement(world),
            true => all_wait(world),
            false => Ok(()),
        }
    }
}

fn only_servers_own(node: &Node) -> Result<(), String> {
    let member = node.coordinator.member();
    if !member.state.serves() && (0..usize::from(BUCKETS)).any(|bucket| node.owns(bucket)) {
        return Err(format!("{} is {} and owns", member.name, member.state));
    }
    Ok(())
}

fn no_overlap(world: &World) -> Result<(), String> {
    for (i, one) in world.running().enumerate() {
        for other in world.running().skip(i + 1) {
            if let Some(bucket) = shared(one, other) {
                let names = [one, other].map(|node| &node.coordinator.member().name);
                return Err(format!("bucket {bucket} is both {} and {}'s", names[0], names[1]));
            }
        }
    }
    Ok(())
}

/// Whether `one` takes `other` for alive.
fn hears(one: &Node, other: &Node) -> bool {
    let member = other.coordinator.member();
    let known = one.view.peers.get(&member.name);
    known.is_some_and(|peer| peer.liveness.lives() && peer.member.incarnation == member.incarnation)
}

/// A bucket that both own.
fn shared(one: &Node, other: &Node) -> Option<usize> {
    (0..usize::from(BUCKETS)).find(|bucket| one.owns(*bucket) && other.owns(*bucket))
}

fn one_owner_each(world: &World) -> Result<(), String> {
    for bucket in 0..usize::from(BUCKETS) {
        let owners: Vec<_> = world.running().filter(|node| node.owns(bucket)).collect();
        if owners.len() != 1 {
            return Err(format!("bucket {bucket} has {} owners", owners.len()));
        }
    }
    Ok(())
}

/// Where nobody serves, each has left, or lacks a lease or voters who are not heard.
fn all_wait(world: &World) -> Result<(), String> {
    let waits = |node: &&Node| {
        let mut alarms = node.coordinator.alarms(node.local_ms(world.now_ms));
        node.coordinator.member().state == State::Leaving
            || alarms.any(|alarm| matches!(alarm.trouble, Trouble::NoMajority { .. } | Trouble::NoLease))
    };
    match world.running().find(|node| !waits(node)) {
        Some(node) => Err(format!("{} could serve, and nobody does", node.coordinator.member().name)),
        None => Ok(()),
    }
}

fn agreement(world: &World) -> Result<(), String> {
    one_owner_each(world)?;
    let mut told =
        world.running().map(|node| (&node.coordinator.ownership().owners, &node.coordinator.member().active));
    let first = told.next();
    if told.any(|other| Some(other) != first) {
        return Err("nodes do not agree".into());
    }
    Ok(())
}

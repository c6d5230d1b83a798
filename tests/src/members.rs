//! A cluster of named gateways that all hear each frame, while some of them die, come back and take buckets over.
//!
//! All that live are told of a change at the same moment. They are told no more than that: who lives, who is still
//! learning, and whose each bucket is.

use crate::conversation::Passage;
use crate::node::{Node, clustered};
use crate::rng::Rng;
use std::collections::BTreeMap;
use weir_dataplane::config::{Members, Membership, Tracking};
use weir_dataplane::counters::Verdict;
use weir_dataplane::pipeline::Limits;
use weir_dataplane::units::{Epoch, MemberId};

/// One gateway by its place in the cluster, and which of its lives it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its place.
    pub member: usize,
    /// How often it has died.
    pub deaths: u32,
}

/// One gateway.
struct Member {
    /// `None` while it is dead.
    node: Option<Node>,
    deaths: u32,
    /// It hears and tracks, and has no bucket.
    learning: bool,
    /// What it calls the members: the same name for each as long as it lives, and another than others do.
    names: Vec<MemberId>,
    /// Who lives as far as it has been told, and since which of its epochs.
    living: BTreeMap<usize, Epoch>,
}

/// The cluster.
pub struct Cluster {
    members: Vec<Member>,
    total_nodes: u16,
    /// What decides whose a bucket is, by bucket and member: of those that have buckets the highest.
    weights: Vec<Vec<u64>>,
    map: Vec<usize>,
}

impl Cluster {
    /// So many gateways that live and have buckets, but for the last `dead` ones.
    pub fn new(members: usize, dead: usize, total_nodes: u16, rng: &mut Rng) -> Self {
        let member = |rng: &mut Rng| {
            let mut names: Vec<MemberId> = (0..members).filter_map(MemberId::new).collect();
            (1..members).for_each(|i| names.swap(i, rng.index(i + 1)));
            Member { node: None, deaths: 0, learning: false, names, living: BTreeMap::new() }
        };
        let mut cluster = Self {
            members: (0..members).map(|_| member(rng)).collect(),
            total_nodes,
            weights: (0..total_nodes).map(|_| (0..members).map(|_| rng.next()).collect()).collect(),
            map: Vec::new(),
        };
        (0..members - dead).for_each(|i| cluster.start(i));
        (0..members - dead).for_each(|i| cluster.members[i].learning = false);
        cluster.publish();
        cluster
    }

    /// The members in that state: dead, or else learning or not.
    pub fn those(&self, alive: bool, learning: bool) -> Vec<usize> {
        let is = |member: &Member| member.node.is_some() == alive && (!alive || member.learning == learning);
        (0..self.members.len()).filter(|i| is(&self.members[*i])).collect()
    }

    /// The members that live.
    pub fn living(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.members.len()).filter(|i| self.members[*i].node.is_some())
    }

    /// The life that a member is in.
    pub fn life(&self, member: usize) -> Life {
        Life { member, deaths: self.members[member].deaths }
    }

    /// Whether that life has not ended.
    pub fn lives(&self, life: Life) -> bool {
        self.members[life.member].node.is_some() && self.life(life.member) == life
    }

    /// Whether a member is learning.
    pub fn is_learning(&self, member: usize) -> bool {
        self.members[member].learning
    }

    /// Whose flows in `bucket` are that begin now.
    pub fn owner(&self, bucket: usize) -> Life {
        self.life(self.map[bucket])
    }

    /// The gateway of a member that lives.
    pub fn node(&self, member: usize) -> &Node {
        self.members[member].node.as_ref().expect("it lives")
    }

    /// What a member calls another.
    pub fn name(&self, member: usize, of: usize) -> MemberId {
        self.members[member].names[of]
    }

    /// A member dies with all that it knows.
    pub fn kill(&mut self, member: usize) {
        let member = &mut self.members[member];
        *member = Member {
            node: None,
            deaths: member.deaths + 1,
            learning: false,
            names: std::mem::take(&mut member.names),
            living: BTreeMap::new(),
        };
        self.publish();
    }

    /// A member comes with empty tables, and learns.
    pub fn join(&mut self, member: usize) {
        self.start(member);
        self.publish();
    }

    /// A member that has learned takes its buckets.
    pub fn graduate(&mut self, member: usize) {
        self.members[member].learning = false;
        self.publish();
    }

    /// Buckets move between those that live.
    pub fn rebalance(&mut self, rng: &mut Rng) {
        for _ in 0..1 + rng.below(4) {
            let bucket = rng.index(self.weights.len());
            let member = rng.index(self.members.len());
            self.weights[bucket][member] = rng.next();
        }
        self.publish();
    }

    /// Shows a frame to all that live but those in `deaf`; who forwards it.
    pub fn hear(&mut self, passage: &Passage, deaf: Option<usize>) -> Vec<usize> {
        let mut forwarders = Vec::new();
        for (i, member) in self.members.iter_mut().enumerate().filter(|(i, _)| Some(*i) != deaf) {
            let Some(node) = &mut member.node else { continue };
            let sight = node.take([passage])[0];
            if matches!(sight.verdict, Verdict::Forward(_)) {
                forwarders.push(i);
            }
        }
        forwarders
    }

    fn start(&mut self, member: usize) {
        let limits = Limits { flows_max: 512, expectations_max: 64 };
        // A process begins with a configuration; what counts comes with the next.
        let idle = clustered(self.total_nodes, self.membership(member), Tracking::All);
        let member = &mut self.members[member];
        member.node = Some(Node::with_limits(&idle, limits));
        member.learning = true;
    }

    fn publish(&mut self) {
        let weight = |bucket: &Vec<u64>, member: &usize| bucket[*member];
        let active = self.those(true, false);
        self.map = self
            .weights
            .iter()
            .map(|bucket| *active.iter().max_by_key(|i| weight(bucket, i)).expect("one is active"))
            .collect();
        let living: Vec<usize> = self.living().collect();
        for i in &living {
            let member = &mut self.members[*i];
            let epoch = member.node.as_ref().expect("it lives").next_epoch();
            member.living.retain(|other, _| living.contains(other));
            for other in &living {
                member.living.entry(*other).or_insert(epoch);
            }
            let membership = self.membership(*i);
            let config = clustered(self.total_nodes, membership, Tracking::All);
            self.members[*i].node.as_mut().expect("it lives").reconfigure(&config);
        }
    }

    fn membership(&self, member: usize) -> Membership {
        let Member { names, living, learning, .. } = &self.members[member];
        Membership::Members(Members {
            me: names[member],
            map: self.map.iter().map(|owner| Some(names[*owner])).collect(),
            living: living.iter().map(|(other, since)| (names[*other], *since)).collect(),
            learning: *learning,
        })
    }
}

//! A planned leave, frame by frame: three packet paths hear the same frames, each as late as it pleases, and the steps
//! of the hand-over come at any moment between them. Each frame is forwarded by one node, whenever that is.

use crate::gateway::Gateway;
use crate::hosts::Talk;
use crate::world::BUCKETS;
use std::collections::{BTreeMap, VecDeque};
use weir_control::cluster::{NodeName, Ownership};
use weir_dataplane::counters::Verdict;
use weir_dataplane::gate::handover::{HELD_MAX, Notes, Passed, Step};
use weir_tests::conversation::Side;
use weir_tests::rng::Rng;

const NODES: usize = 3;
/// The one that leaves.
const LEAVER: usize = 0;
const TALKS: u64 = 12;
const ROUNDS: u32 = 2;

/// A node, and what it has yet to hear.
struct Ear {
    gateway: Gateway,
    queue: VecDeque<(usize, (Side, Vec<u8>))>,
    /// The frame behind each number that it has given to one.
    heard: Vec<usize>,
    /// Frames that were in its queue when it was asked to settle, and are still there.
    unsettled: usize,
    /// How often it has settled since it was told to hold, or to inherit.
    rounds: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Unaware,
    Holding,
    Inheriting,
    Over,
}

fn name(index: usize) -> NodeName {
    format!("gw-{index}").parse().unwrap()
}

/// With the leaver, or without.
fn ownership(version: u64, leaver_lives: bool) -> Ownership {
    let first = if leaver_lives { 0 } else { 1 };
    let owner = |bucket: usize| match bucket % NODES {
        LEAVER if !leaver_lives => 1 + bucket / NODES % (NODES - 1),
        owner => owner,
    };
    Ownership {
        version,
        owners: (0..usize::from(BUCKETS)).map(|bucket| Some(name(owner(bucket)))).collect(),
        living: (first..NODES).map(|index| (name(index), 1)).collect(),
        learning: false,
    }
}

struct Cluster {
    ears: Vec<Ear>,
    frames: Vec<(Side, Vec<u8>)>,
    sent: usize,
    forwarders: Vec<Vec<usize>>,
    /// What happened, to tell of what went wrong.
    story: String,
    notes: Option<std::sync::Arc<Notes>>,
    passed: Option<std::sync::Arc<Passed>>,
    rng: Rng,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let ear = |index| {
            let mut gateway = Gateway::new(index, name(index));
            gateway.follow(&ownership(1, true));
            let (queue, heard) = (VecDeque::new(), Vec::new());
            Ear { gateway, queue, heard, unsettled: 0, rounds: 0, stage: Stage::Unaware }
        };
        let ears = (0..NODES).map(ear).collect();
        // One host after the other says its next word, in any order between talks.
        let mut talks: Vec<(Talk, usize)> = (1..=TALKS).map(|id| (Talk::new(id, &mut rng), 0)).collect();
        let mut frames: Vec<(Side, Vec<u8>)> = Vec::new();
        while !talks.is_empty() {
            let index = rng.index(talks.len());
            let (talk, step) = &mut talks[index];
            let said = talk.said(*step);
            if !frames.iter().any(|(_, frame)| *frame == said.1) {
                frames.push(said);
            }
            *step += 1;
            talk.step = *step;
            if talk.is_over() {
                talks.swap_remove(index);
            }
        }
        let forwarders = vec![Vec::new(); frames.len()];
        Self { ears, frames, sent: 0, forwarders, story: String::new(), notes: None, passed: None, rng }
    }

    /// Everything in any order, until all is heard and done.
    fn run(mut self) -> (Vec<Vec<usize>>, String) {
        let begins = self.rng.index(self.frames.len());
        while self.sent < self.frames.len() || self.ears.iter().any(|ear| !ear.queue.is_empty()) {
            match self.rng.below(10) {
                0..3 => self.send(),
                3..8 => self.listen(),
                _ if self.sent >= begins => self.go_on(),
                _ => {}
            }
        }
        (0..200).for_each(|_| self.go_on());
        (self.forwarders, self.story)
    }

    fn send(&mut self) {
        if let Some(frame) = self.frames.get(self.sent) {
            self.ears.iter_mut().for_each(|ear| ear.queue.push_back((self.sent, frame.clone())));
            self.sent += 1;
        }
    }

    /// A node works on some of what waits for it; one of them is behind the others for long.
    fn listen(&mut self) {
        let index = self.rng.index(NODES);
        let count = if self.rng.chance(60) { 1 } else { self.rng.index(30) };
        for _ in 0..count {
            let Some((frame, (side, bytes))) = self.ears[index].queue.pop_front() else {
                break;
            };
            let ear = &mut self.ears[index];
            ear.unsettled = ear.unsettled.saturating_sub(1);
            ear.heard.push(frame);
            let heard = ear.gateway.hear(side, &bytes, 0);
            if matches!(heard.verdict, Verdict::Forward(_)) {
                self.forwarders[frame].push(index);
            }
            self.story +=
                &format!("gw-{index} hears {frame} at {side:?}: {:?} {:?}\n", heard.state, heard.verdict);
        }
        self.collect(index);
    }

    fn collect(&mut self, index: usize) {
        let ear = &mut self.ears[index];
        for (number, left) in ear.gateway.released() {
            let frame = ear.heard[usize::try_from(number).unwrap()];
            if left.is_some() {
                self.forwarders[frame].push(index);
            }
            self.story += &format!("gw-{index} releases {frame}: {}\n", left.is_some());
        }
    }

    /// One node takes the next step that it can take.
    fn go_on(&mut self) {
        let index = self.rng.index(NODES);
        self.story += &format!("gw-{index} goes on from {:?}\n", self.ears[index].stage);
        if index == LEAVER {
            self.leave()
        } else {
            self.inherit(index)
        }
        self.collect(index);
    }

    fn leave(&mut self) {
        let ready = self.ears.iter().enumerate().all(|(index, ear)| {
            index == LEAVER || ear.stage == Stage::Holding && ear.rounds == ROUNDS && ear.unsettled == 0
        });
        let Ear { gateway, queue, unsettled, rounds, .. } = &mut self.ears[LEAVER];
        if ready && *unsettled == 0 && *rounds < ROUNDS {
            // What the others heard before they held is forwarded while it is this node's.
            (*rounds, *unsettled) = (*rounds + 1, queue.len());
            return;
        }
        match &self.notes {
            None => {
                let notes = Notes::new();
                gateway.take_step(Step::Note(notes.clone()));
                self.notes = Some(notes);
            }
            Some(notes) if ready && *unsettled == 0 && self.passed.is_none() => {
                gateway.follow(&ownership(2, false));
                self.passed = Passed::compile(notes.digests());
                gateway.take_step(Step::End);
            }
            Some(_) => {}
        }
    }

    fn inherit(&mut self, index: usize) {
        let noting = self.notes.as_ref().is_some_and(|notes| notes.has_begun());
        let ear = &mut self.ears[index];
        if ear.unsettled > 0 {
            return;
        }
        if matches!(ear.stage, Stage::Holding | Stage::Inheriting) && ear.rounds < ROUNDS {
            // What has waited since the last time this was asked has been worked on.
            ear.gateway.take_step(Step::Settle);
            ear.rounds += 1;
            ear.unsettled = ear.queue.len();
            return;
        }
        match (ear.stage, &self.passed) {
            (Stage::Unaware, _) if noting => {
                let leaver = ear.gateway.member(&name(LEAVER)).unwrap();
                ear.gateway.take_step(Step::Hold { leaver, frames_max: HELD_MAX });
                (ear.stage, ear.rounds, ear.unsettled) = (Stage::Holding, 0, ear.queue.len());
            }
            (Stage::Holding, Some(passed)) => {
                ear.gateway.take_step(Step::Inherit(passed.clone()));
                ear.gateway.follow(&ownership(2, false));
                (ear.stage, ear.rounds, ear.unsettled) = (Stage::Inheriting, 0, ear.queue.len());
            }
            (Stage::Inheriting, _) => {
                ear.gateway.take_step(Step::End);
                ear.stage = Stage::Over;
            }
            _ => {}
        }
    }
}

#[test]
fn each_frame_around_a_planned_leave_is_forwarded_once() {
    let (mut frames, mut by) = (0, BTreeMap::<usize, usize>::new());
    for seed in 0..400 {
        let (forwarders, story) = Cluster::new(seed).run();
        frames += forwarders.len();
        for (frame, nodes) in forwarders.iter().enumerate() {
            assert_eq!(nodes.len(), 1, "seed {seed}: frame {frame} was forwarded by {nodes:?}\n{story}");
            *by.entry(nodes[0]).or_default() += 1;
        }
    }
    assert!(by.len() == NODES && by.values().all(|count| count * 10 > frames), "{by:?} of {frames}");
}

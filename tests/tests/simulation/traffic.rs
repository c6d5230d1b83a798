//! Talks through the cluster: each frame is sent on one side, heard by the nodes, and gets to the other side where one
//! of them forwards it.

use crate::hosts::{Kind, Talk};
use crate::ledger::{Ledger, Standing};
use crate::medium::{Event, Frame, Medium};
use crate::plan::Plan;
use crate::world::Node;
use std::collections::BTreeMap;
use weir_dataplane::counters::Verdict;
use weir_tests::conversation::Side;
use weir_tests::node::port;
use weir_tests::rng::Rng;

const TALKS: usize = 6;
/// After this time without an answer a host says it again.
const AGAIN_US: u64 = 150_000;
/// Hosts give up then.
const TRIES_MAX: u32 = 40;
/// Between two datagrams, at most: no flow of them times out while its hosts speak.
const PAUSE_MAX_US: u64 = 150_000;
/// A connection may be silent for longer than a node learns.
const LONG_PAUSE_US: u64 = 900_000;

/// All talks, and what is on the way.
pub(super) struct Traffic {
    pub(super) talks: BTreeMap<u64, Talk>,
    pub(super) ledger: Ledger,
    medium: Medium,
    /// By node and number: frames that it holds.
    held: BTreeMap<(usize, u64), Frame>,
    next_id: u64,
    tell: bool,
}

impl Traffic {
    pub(super) fn new(plan: &Plan, tell: bool) -> Self {
        Self {
            talks: BTreeMap::new(),
            ledger: Ledger::new(plan),
            medium: Medium::new(plan.air),
            held: BTreeMap::new(),
            next_id: 0,
            tell,
        }
    }

    /// Lets everything happen until then. Talks have `begun` when somebody serves.
    pub(super) fn pass(
        &mut self,
        nodes: &mut [Option<Node>],
        begun: bool,
        until_us: u64,
        rng: &mut Rng,
    ) -> Result<(), String> {
        if begun && self.talks.len() < TALKS && rng.chance(30) {
            self.next_id += 1;
            let talk = self.next_id;
            self.talks.insert(talk, Talk::new(talk, rng));
            self.medium.at(until_us - rng.below(20_000), Event::Say { talk, step: 0 });
        }
        while let Some((now_us, event)) = self.medium.next(until_us) {
            match event {
                Event::Say { talk, step } => self.say(talk, step, nodes, now_us, rng),
                Event::Look { talk, step } => self.look(talk, step, nodes, now_us, rng)?,
                Event::Host { frame } => self.arrive(&frame, now_us, rng),
                Event::Node { index, life, frame } => {
                    if nodes[index].as_ref().is_some_and(|node| node.life() == life) {
                        self.hear(index, &frame, nodes, now_us, rng)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What has been forwarded is judged, as the cluster stands.
    pub(super) fn judge(
        &mut self,
        standing: &Standing,
        nodes: &[Option<Node>],
        now_us: u64,
    ) -> Result<(), String> {
        let told = self.ledger.judge(standing, &self.talks, nodes, now_us, self.tell)?;
        told.iter().for_each(|line| println!("{line}"));
        let over = |talk: &Talk| talk.is_over() && !self.ledger.concerns(talk.id);
        let over: Vec<u64> = self.talks.values().filter(|talk| over(talk)).map(|talk| talk.id).collect();
        for talk in over {
            self.talks.remove(&talk);
            self.ledger.ends(false);
        }
        Ok(())
    }

    fn say(&mut self, id: u64, step: usize, nodes: &[Option<Node>], now_us: u64, rng: &mut Rng) {
        let Some(talk) = self.talks.get(&id) else { return };
        let (side, said) = talk.said(step);
        let copies = if rng.chance(self.medium.air.twice_percent) { 2 } else { 1 };
        for _ in 0..copies {
            let transmission = self.ledger.send(id, step, now_us);
            let bytes = said.as_slice().into();
            let frame = Frame { transmission, side, bytes, forwarder: None };
            let missed = self.medium.send_to_nodes(&frame, lives(nodes), now_us, rng);
            self.ledger.misses(&missed, transmission);
        }
        self.medium.at(now_us + AGAIN_US, Event::Look { talk: id, step });
    }

    fn look(
        &mut self,
        id: u64,
        step: usize,
        nodes: &[Option<Node>],
        now_us: u64,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let waits = |talk: &&mut Talk| talk.again().last() == Some(&step);
        let Some(talk) = self.talks.get_mut(&id).filter(waits) else { return Ok(()) };
        talk.tries += 1;
        if talk.tries > TRIES_MAX {
            self.talks.remove(&id);
            self.ledger.ends(true);
            return Ok(());
        }
        for step in talk.again() {
            self.say(id, step, nodes, now_us, rng);
        }
        Ok(())
    }

    fn arrive(&mut self, frame: &Frame, now_us: u64, rng: &mut Rng) {
        let (id, step) = self.ledger.of(frame.transmission);
        let talk = self.talks.get_mut(&id).filter(|talk| !talk.is_astray(frame.side, &frame.bytes));
        let Some(talk) = talk else { return };
        talk.meet(frame.side, &frame.bytes);
        let Some(next) = talk.arrived(step) else { return };
        let pause_us = match talk.kind {
            Kind::Tcp if next > 3 && rng.chance(2) => LONG_PAUSE_US,
            Kind::Ftp => rng.below(PAUSE_MAX_US / 3),
            _ if rng.chance(40) => rng.below(PAUSE_MAX_US),
            _ => rng.below(5000),
        };
        self.medium.at(now_us + 20 + pause_us, Event::Say { talk: id, step: next });
    }

    fn hear(
        &mut self,
        index: usize,
        frame: &Frame,
        nodes: &mut [Option<Node>],
        now_us: u64,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let Some(node) = &mut nodes[index] else { return Ok(()) };
        let (talk, _) = self.ledger.of(frame.transmission);
        let mut talk = self.talks.get_mut(&talk);
        let forgets = talk.as_ref().is_some_and(|talk| talk.is_datagrams());
        self.ledger.hears(index, node, frame, forgets, now_us);
        let heard = node.gateway.hear(frame.side, &frame.bytes, now_us);
        let mut astray = false;
        if let (Some(talk), Some((to, bytes))) = (&mut talk, &heard.forwarded)
            && talk.is_astray(*to, bytes)
        {
            // A server that does not know it puts an end to it soon.
            (astray, talk.tries) = (true, talk.tries + TRIES_MAX / 4);
        }
        self.ledger.makes(index, node.tenure(), frame, (&heard, astray))?;
        if heard.verdict == Verdict::Hold {
            self.held.insert((index, heard.number), frame.clone());
        }
        self.leave(index, frame, heard.forwarded, nodes, now_us, rng);
        Ok(())
    }

    /// Nodes forward what they have held, or give it up.
    pub(super) fn release(&mut self, nodes: &mut [Option<Node>], now_us: u64, rng: &mut Rng) {
        for index in 0..nodes.len() {
            let Some(node) = &mut nodes[index] else {
                self.held.retain(|(holder, _), _| *holder != index);
                continue;
            };
            for (number, left) in node.gateway.released() {
                let Some(frame) = self.held.remove(&(index, number)) else { continue };
                let verdict =
                    left.as_ref().map_or(Verdict::Shadow, |(side, _)| Verdict::Forward(port(*side)));
                self.ledger.releases(index, frame.transmission, verdict);
                self.leave(index, &frame, left, nodes, now_us, rng);
            }
        }
    }

    /// A node forwards a frame, if it does.
    fn leave(
        &mut self,
        index: usize,
        frame: &Frame,
        forwarded: Option<(Side, Vec<u8>)>,
        nodes: &[Option<Node>],
        now_us: u64,
        rng: &mut Rng,
    ) {
        let Some((to, bytes)) = forwarded else { return };
        assert_eq!(to, frame.side.other(), "a router between two nets");
        let copy = Frame { side: to, bytes: bytes.into(), forwarder: Some(index), ..*frame };
        self.medium.send_to_host(&copy, now_us, rng);
        if self.medium.air.floods {
            let others = lives(nodes).filter(|(other, _)| *other != index);
            let missed = self.medium.send_to_nodes(&copy, others, now_us, rng);
            self.ledger.misses(&missed, frame.transmission);
        }
    }
}

fn lives(nodes: &[Option<Node>]) -> impl Iterator<Item = (usize, u64)> + '_ {
    nodes.iter().enumerate().filter_map(|(index, node)| Some((index, node.as_ref()?.life())))
}

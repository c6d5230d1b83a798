//! Members told to each other over a network that loses, delays, doubles and reorders, and the engine that believes
//! who is heard.

use crate::world::{Node, TICK_MS};
use std::sync::Arc;
use weir_control::cluster::{Liveness, Member, Peer, Settings};
use weir_tests::rng::Rng;

pub(super) const GOSSIP_MS: u64 = 80;

/// The network.
pub(super) struct Bus {
    pub(super) loss_percent: u64,
    pub(super) delay_max_ms: u64,
    /// `cut[from][to]`.
    pub(super) cut: Vec<Vec<bool>>,
    on_the_way: Vec<Message>,
}

struct Message {
    at_ms: u64,
    to: usize,
    from: usize,
    /// Grows with each that its sender sends; an engine drops what is older than what it has.
    version: u64,
    member: Arc<Member>,
}

impl Bus {
    pub(super) fn new(nodes: usize, loss_percent: u64, delay_max_ms: u64) -> Self {
        Self { loss_percent, delay_max_ms, cut: vec![vec![false; nodes]; nodes], on_the_way: Vec::new() }
    }

    /// Whether all hear all.
    pub(super) fn is_whole(&self) -> bool {
        self.cut.iter().flatten().all(|cut| !cut)
    }

    /// Sends what `from` has to say when it is new, and every while.
    pub(super) fn send(&mut self, from: usize, node: &mut Node, now_ms: u64, rng: &mut Rng) {
        let member = node.coordinator.member();
        let news = node.published.as_deref() != Some(member);
        if !news && now_ms < node.gossip_at_ms {
            return;
        }
        if news {
            node.published = Some(Arc::new(member.clone()));
        }
        let Some(member) = &node.published else { return };
        node.gossip_at_ms = now_ms + GOSSIP_MS;
        node.version += 1;
        for to in (0..self.cut.len()).filter(|to| *to != from) {
            let copies = if rng.chance(5) { 2 } else { 1 };
            for _ in 0..copies {
                if !rng.chance(self.loss_percent) && !self.cut[from][to] {
                    let at_ms = now_ms + rng.within(1, self.delay_max_ms);
                    let (version, member) = (node.version, Arc::clone(member));
                    self.on_the_way.push(Message { at_ms, to, from, version, member });
                }
            }
        }
    }

    /// Delivers what has come.
    pub(super) fn deliver(&mut self, nodes: &mut [Option<Node>], now_ms: u64) {
        let mut i = 0;
        while i < self.on_the_way.len() {
            if self.on_the_way[i].at_ms > now_ms {
                i += 1;
                continue;
            }
            let message = self.on_the_way.swap_remove(i);
            if let Some(node) = &mut nodes[message.to] {
                node.hear(&message, now_ms);
            }
        }
    }
}

impl Node {
    fn hear(&mut self, message: &Message, now_ms: u64) {
        let fresh = (message.member.incarnation.0, message.version);
        let heard = &mut self.heard[message.from];
        if heard.is_some_and(|(known, _)| known >= fresh) {
            return;
        }
        let known_life = heard.is_some_and(|((life, _), _)| life == fresh.0);
        *heard = Some((fresh, now_ms));
        match self.view.peers.get_mut(&message.member.name) {
            Some(peer) if known_life => {
                peer.liveness = Liveness::Alive;
                if peer.member != *message.member {
                    peer.member = Member::clone(&message.member);
                }
            }
            _ => {
                let peer =
                    Peer { member: Member::clone(&message.member), liveness: Liveness::Alive, deaf: false };
                self.view.peers.insert(message.member.name.clone(), peer);
            }
        }
    }

    /// Gives up who has been silent for too long.
    pub(super) fn doubt(
        &mut self,
        names: &[weir_control::cluster::NodeName],
        settings: &Settings,
        now_ms: u64,
    ) {
        let since_ms = self.local_ms(now_ms);
        for (name, heard) in names.iter().zip(&self.heard) {
            let (Some((_, heard_ms)), Some(peer)) = (heard, self.view.peers.get_mut(name)) else { continue };
            let silent_ms = now_ms - heard_ms;
            if silent_ms >= settings.detection_ms {
                if peer.liveness.lives() {
                    peer.liveness = Liveness::Dead { since_ms };
                }
            } else if silent_ms >= settings.detection_ms / 2 && peer.liveness == Liveness::Alive {
                peer.liveness = Liveness::Suspected { since_ms };
            }
        }
    }
}

/// The longest time from a crash to when everybody has noticed.
pub(super) fn notice_ms(settings: &Settings, bus: &Bus) -> u64 {
    settings.detection_ms + bus.delay_max_ms + 2 * TICK_MS
}

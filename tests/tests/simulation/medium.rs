//! The two nets between the hosts and the gateways, in virtual time: who hears a frame, and when.

use crate::plan::Air;
use std::collections::BTreeMap;
use std::rc::Rc;
use weir_tests::conversation::Side;
use weir_tests::rng::Rng;

/// The latest that a frame is heard after it has been sent.
pub(super) const LATE_MAX_US: u64 = 4000;

/// When a frame is heard that is not late.
const SOON_US: u64 = 45;

/// A frame on its way.
#[derive(Clone)]
pub(super) struct Frame {
    /// Which transmission of a host it is, or comes of.
    pub(super) transmission: u64,
    /// The net that it is in.
    pub(super) side: Side,
    pub(super) bytes: Rc<[u8]>,
    /// Who has forwarded it; `None`: it comes from its sender.
    pub(super) forwarder: Option<usize>,
}

/// What happens at a moment.
pub(super) enum Event {
    /// A node hears a frame, if it still lives that life.
    Node { index: usize, life: u64, frame: Frame },
    /// A host gets a frame.
    Host { frame: Frame },
    /// A host says a step of a talk.
    Say { talk: u64, step: usize },
    /// A host looks whether a step of a talk has arrived.
    Look { talk: u64, step: usize },
}

/// What is to happen, in order.
pub(super) struct Medium {
    pub(super) air: Air,
    queue: BTreeMap<(u64, u64), Event>,
    count: u64,
}

impl Medium {
    pub(super) fn new(air: Air) -> Self {
        Self { air, queue: BTreeMap::new(), count: 0 }
    }

    /// The next thing to happen until then, and when.
    pub(super) fn next(&mut self, until_us: u64) -> Option<(u64, Event)> {
        let first = self.queue.first_entry().filter(|entry| entry.key().0 <= until_us)?;
        let ((at_us, _), event) = first.remove_entry();
        Some((at_us, event))
    }

    pub(super) fn at(&mut self, at_us: u64, event: Event) {
        self.count += 1;
        self.queue.insert((at_us, self.count), event);
    }

    /// When somebody hears what is sent now; `None`: never.
    fn heard_us(&self, now_us: u64, rng: &mut Rng) -> Option<u64> {
        if rng.below(1000) < self.air.loss_per_mille {
            return None;
        }
        let late = rng.chance(self.air.late_percent);
        Some(now_us + 5 + rng.below(if late { LATE_MAX_US } else { SOON_US - 5 }))
    }

    /// A frame is heard by those nodes, each with its life, or not by all of them: who misses it or
    /// hears it late.
    pub(super) fn send_to_nodes(
        &mut self,
        frame: &Frame,
        nodes: impl Iterator<Item = (usize, u64)>,
        now_us: u64,
        rng: &mut Rng,
    ) -> Vec<usize> {
        let mut missed = Vec::new();
        for (index, life) in nodes {
            let heard_us = self.heard_us(now_us, rng);
            if heard_us.is_none_or(|at_us| at_us > now_us + SOON_US) {
                missed.push(index);
            }
            if let Some(at_us) = heard_us {
                self.at(at_us, Event::Node { index, life, frame: frame.clone() });
            }
        }
        missed
    }

    /// A frame that has been forwarded is on its way to a host.
    pub(super) fn send_to_host(&mut self, frame: &Frame, now_us: u64, rng: &mut Rng) {
        if let Some(at_us) = self.heard_us(now_us, rng) {
            self.at(at_us, Event::Host { frame: frame.clone() });
        }
    }
}

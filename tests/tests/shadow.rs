//! A bridging node hears both sides: what another node forwards it sees once more, on its other port. The second
//! sight changes nothing: no verdict, no flow.

use std::collections::VecDeque;
use weir_dataplane::config::Tracking;
use weir_dataplane::counters::Verdict;
use weir_dataplane::pipeline::Sight;
use weir_tests::conversation::Passage;
use weir_tests::node::{Node, member};
use weir_tests::rng::Rng;
use weir_tests::scenario::{Town, town};

/// A node beside one of its kind that sees each frame once.
struct Pair {
    heard: Node,
    reference: Node,
    /// What the other node has forwarded and this one has not heard yet, each with how many frames overtake it.
    echoes: VecDeque<(u64, Passage)>,
}

impl Pair {
    fn new(bucket: usize) -> Self {
        let config = member(2, bucket..bucket + 1, Tracking::All);
        Self { heard: Node::new(&config), reference: Node::new(&config), echoes: VecDeque::new() }
    }

    /// Takes a frame in by its own port: its sight, the same in both.
    fn take(&mut self, passage: &Passage) -> Sight {
        let [heard, reference] = [&mut self.heard, &mut self.reference].map(|node| node.take([passage])[0]);
        let told = |sight: &Sight| (sight.state, sight.reply, sight.owned, sight.verdict);
        assert_eq!(told(&heard), told(&reference), "{passage:?}");
        heard
    }

    /// Takes in by the other port what the other node forwarded.
    fn hear(&mut self, at_us: u64) {
        for (overtaken_by, _) in &mut self.echoes {
            *overtaken_by = overtaken_by.saturating_sub(1);
        }
        while self.echoes.front().is_some_and(|(overtaken_by, _)| *overtaken_by == 0)
            && let Some((_, echo)) = self.echoes.pop_front()
        {
            let echo = Passage { at_us, ..echo };
            let sight = self.heard.take([&echo])[0];
            assert!(!matches!(sight.verdict, Verdict::Forward(_)), "{sight:?} of {echo:?}");
        }
    }
}

fn simulate(seed: u64) {
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let size = Town { ipv4_clients: 40, ipv6_clients: 20, begin_within_us: 2_000_000 };
    let mut pairs = [Pair::new(0), Pair::new(1)];
    let (mut echoes, mut at_us) = (0, 0);
    for mut passage in town(rng.next(), size) {
        at_us = passage.at_us;
        pairs.iter_mut().for_each(|pair| pair.hear(at_us));
        let forwards =
            [0, 1].map(|node: usize| matches!(pairs[node].take(&passage).verdict, Verdict::Forward(_)));
        passage.side = passage.side.other();
        for (node, forwards) in forwards.into_iter().enumerate() {
            if forwards {
                pairs[1 - node].echoes.push_back((rng.below(6), passage.clone()));
                echoes += 1;
            }
        }
    }
    assert!(echoes > 500, "{echoes}");
    for mut pair in pairs {
        (0..6).for_each(|_| pair.hear(at_us));
        assert!(pair.echoes.is_empty());
        assert_eq!(flows(&pair.heard), flows(&pair.reference));
    }
}

/// A node that is late: its two ports have queues, and it looks into one and then into the other as it pleases.
struct Late {
    node: Node,
    queues: [VecDeque<Passage>; 2],
    forwarded: usize,
}

impl Late {
    /// Takes some frames from one queue, then from the other.
    fn work(&mut self, rng: &mut Rng, all: bool) {
        let first = rng.index(2);
        for queue in [first, 1 - first] {
            let waiting = self.queues[queue].len();
            let count = if all { waiting } else { rng.index(waiting + 1) };
            for passage in self.queues[queue].drain(..count) {
                let verdict = self.node.take([&passage])[0].verdict;
                self.forwarded += usize::from(matches!(verdict, Verdict::Forward(_)));
            }
        }
    }
}

/// What a node forwards and tracks that is late with the frames of the other one's flows, beside one that is not.
fn be_late(seed: u64) {
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let size = Town { ipv4_clients: 40, ipv6_clients: 20, begin_within_us: 2_000_000 };
    let [mut owner, mut prompt] = [0, 1].map(|node| Node::new(&member(2, node..node + 1, Tracking::All)));
    let node = Node::new(&member(2, 1..2, Tracking::All));
    let mut late = Late { node, queues: Default::default(), forwarded: 0 };
    let mut forwarded = 0;
    for passage in town(rng.next(), size) {
        // Time stands still, so that being late does not show in the deadlines.
        let passage = Passage { at_us: 0, ..passage };
        let echoes = matches!(owner.take([&passage])[0].verdict, Verdict::Forward(_));
        if matches!(prompt.take([&passage])[0].verdict, Verdict::Forward(_)) {
            // Nobody answers what this node has not forwarded.
            forwarded += 1;
            late.work(&mut rng, true);
        }
        late.queues[passage.side as usize].push_back(passage.clone());
        if echoes {
            let echo = Passage { side: passage.side.other(), ..passage };
            late.queues[echo.side as usize].push_back(echo);
        }
        if rng.chance(20) {
            late.work(&mut rng, false);
        }
    }
    late.work(&mut rng, true);
    assert_eq!(late.forwarded, forwarded);
    assert_eq!(flows(&late.node), flows(&prompt));
}

/// The flows of a node, to compare.
fn flows(node: &Node) -> Vec<String> {
    let mut flows: Vec<String> = node.flows().iter().map(|flow| format!("{flow:?}")).collect();
    flows.sort();
    flows
}

#[test]
fn a_late_node_takes_the_sight_that_comes_first() {
    (1..=20).for_each(be_late);
}

#[test]
fn the_second_sight_of_a_frame_changes_nothing() {
    (1..=20).for_each(simulate);
}

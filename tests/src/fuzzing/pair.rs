//! Two gateways of one cluster that both see everything: what is right for any traffic at all.

use crate::conversation::Passage;
use crate::node::{Node, member};
use weir_dataplane::config::Tracking;
use weir_dataplane::counters::Verdict;
use weir_dataplane::pipeline::{Limits, Sight};
use weir_dataplane::track::ConnState;

/// Plays `passages`, whose sides follow from their addresses, to both nodes of a cluster.
///
/// # Panics
///
/// When they do not call each frame the same, or when not exactly one of them forwards a frame that is valid.
pub(super) fn play(passages: &[Passage], adjust: impl Fn(&mut weir_dataplane::config::Config)) {
    let limits = Limits { flows_max: 256, expectations_max: 32 };
    let [first, second] = [0..1, 1..2].map(|local| {
        let mut config = member(2, local, Tracking::All);
        config.conntrack.fragments.frames_max = 64;
        adjust(&mut config);
        Node::with_limits(&config, limits).take(passages)
    });
    for (n, sights) in first.iter().zip(&second).enumerate() {
        assert_agreement(n, sights);
    }
}

fn assert_agreement(n: usize, (one, two): (&Sight, &Sight)) {
    assert_eq!((one.state, one.reply), (two.state, two.reply), "frame {n}: {one:?} {two:?}");
    let forwarders = [one, two].iter().filter(|sight| matches!(sight.verdict, Verdict::Forward(_))).count();
    match one.verdict {
        Verdict::Drop(_) | Verdict::Hold => {
            assert_eq!(one.verdict, two.verdict, "frame {n}: both say what is wrong with it");
        }
        _ => assert_eq!(forwarders, 1, "frame {n}: {one:?} {two:?}"),
    }
    if one.state == Some(ConnState::Invalid) {
        assert_eq!(forwarders, 0, "frame {n}: {one:?} {two:?}");
    }
}

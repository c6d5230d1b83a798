//! What Weir says of a stream: the pipeline in memory.

use weir_dataplane::counters::Verdict;
use weir_dataplane::key::Side;
use weir_dataplane::pipeline::{Limits, Sight};
use weir_dataplane::track::record::{Flags, Hot};
use weir_dataplane::units::Tick;

use super::Setting;
use crate::conformance::WeirAnswer;
use crate::node::Node;
use crate::oracle::Flow;

/// Room for the flows of any stream.
const LIMITS: Limits = Limits { flows_max: 1 << 15, expectations_max: 1 << 12 };

const ICMP: u8 = 1;
const GRE: u8 = 47;
const ICMPV6: u8 = 58;
/// TCP, UDP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 4] = [6, 17, 132, 136];

pub(super) struct Said {
    pub(super) answers: Vec<WeirAnswer>,
    pub(super) flows: Vec<Flow>,
}

/// Shows `stream` to a gateway that knows nothing.
pub(super) fn ask(setting: &Setting, stream: &[Vec<u8>]) -> Said {
    let mut node = Node::with_limits(&setting.config(), LIMITS);
    let answers = node.see(stream).iter().zip(1..).map(|(sight, frame)| answer(frame, sight)).collect();
    let flows = node.flows().iter().map(flow).collect();
    Said { answers, flows }
}

fn answer(frame: usize, sight: &Sight) -> WeirAnswer {
    let reason = match sight.verdict {
        Verdict::Drop(reason) => Some(reason.name().to_owned()),
        _ => None,
    };
    WeirAnswer {
        frame,
        port: "in".into(),
        state: sight.state.map(|state| state.name().to_owned()),
        reply: sight.reply,
        cluster: sight.owned,
        verdict: sight.verdict.name().to_owned(),
        out: None,
        reason,
        released: None,
    }
}

fn flow(hot: &Hot) -> Flow {
    let has_states = hot.class.protocol() != hot.class.name();
    let state = has_states.then(|| hot.class.name().to_uppercase());
    Flow {
        name: name(hot),
        state,
        unreplied: !hot.flags.has(Flags::SEEN_REPLY),
        assured: hot.flags.has(Flags::ASSURED),
        remaining_s: Tick::default().until(hot.deadline).as_s(),
    }
}

fn name(hot: &Hot) -> String {
    let (protocol, family) = (hot.key.protocol(), hot.key.family());
    let source = hot.key.endpoint(hot.origin());
    let destination = hot.key.endpoint(hot.origin().opposite());
    let mut words = vec![
        ("src", source.address.ip(family).to_string()),
        ("dst", destination.address.ip(family).to_string()),
    ];
    if [ICMP, ICMPV6].contains(&protocol) {
        let [kind, code] = hot.key.endpoint(Side::Second).port.to_be_bytes();
        let id = hot.key.endpoint(Side::First).port;
        words.extend([("type", kind.to_string()), ("code", code.to_string()), ("id", id.to_string())]);
    } else if protocol == GRE {
        words.extend([
            ("srckey", format!("{:#x}", source.port)),
            ("dstkey", format!("{:#x}", destination.port)),
        ]);
    } else if WITH_PORTS.contains(&protocol) {
        words.extend([("sport", source.port.to_string()), ("dport", destination.port.to_string())]);
    }
    Flow::name(protocol, words)
}

//! What an operator does to running gateways, with traffic through them: nobody may notice.

use std::fs;
use std::time::Duration;

use weir_tests::conformance::Mode;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::clients;
use crate::lab::{B4, B6, Between, Lab, Nodes, clients4, clients6};
use crate::node::{Membership, Plan, Weir};
use crate::servers::Servers;
use crate::tap::Taps;

const FIRST: Plan = Plan {
    number: 1,
    tracking: Mode::All,
    share: "owner",
    between: Between::Bridge,
    membership: Membership::Numbers,
};
const SECOND: Plan = Plan { number: 2, ..FIRST };

/// Pings from several clients in the background: of each family, to host B, a hundred times a second.
struct Pings(Vec<Background>);

impl Pings {
    const SECONDS: u32 = 5;
    const PERIOD_S: f32 = 0.01;

    fn start(a: &Namespace) -> Self {
        let clients = clients4()
            .map(|from| (from, B4))
            .step_by(12)
            .chain(clients6().map(|from| (from, B6)).step_by(12));
        let count = (Self::SECONDS as f32 / Self::PERIOD_S).to_string();
        let start = |(from, to): (String, &str)| {
            let mut command = a.command("ping");
            command.args([
                "-n",
                "-q",
                "-c",
                &count,
                "-i",
                &Self::PERIOD_S.to_string(),
                "-W",
                "2",
                "-I",
                &from,
                to,
            ]);
            Background::start(format!("ping from {from}"), &mut command).unwrap()
        };
        Self(clients.map(start).collect())
    }

    /// Each got every answer.
    fn finish(mut self) {
        for ping in &mut self.0 {
            ping.wait(Duration::from_secs(u64::from(Self::SECONDS) * 3)).unwrap();
            assert!(ping.log().contains(" 0% packet loss"), "{}", ping.log());
        }
    }
}

#[test]
fn a_node_takes_over_and_gives_back_without_loss() {
    if !crate::ready() {
        return;
    }
    // While both own a flow, both forward it.
    let lab = Lab::new(2, Nodes::Isolated).unwrap();
    let (first, second) =
        (Weir::start(&lab.nodes[0], FIRST).unwrap(), Weir::start(&lab.nodes[1], SECOND).unwrap());
    let servers = Servers::start(&lab.b).unwrap();
    let pings = Pings::start(&lab.a);
    clients::http(&lab.a, &servers).unwrap();

    second.cluster("add", 1).unwrap();
    first.cluster("del", 1).unwrap();
    let before = first.counts().unwrap().forwarded();
    clients::http(&lab.a, &servers).unwrap();
    assert_eq!(first.counts().unwrap().forwarded(), before, "node 1 owns nothing any more");

    first.cluster("add", 1).unwrap();
    second.cluster("del", 1).unwrap();
    clients::http(&lab.a, &servers).unwrap();
    assert!(first.counts().unwrap().forwarded() > before, "node 1 has its flows again");
    pings.finish();
}

#[test]
fn a_reload_loses_and_doubles_nothing() {
    if !crate::ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::HearEachOther).unwrap();
    let nodes = [Weir::start(&lab.nodes[0], FIRST).unwrap(), Weir::start(&lab.nodes[1], SECOND).unwrap()];
    let servers = Servers::start(&lab.b).unwrap();
    let taps = Taps::start(&lab).unwrap();
    let pings = Pings::start(&lab.a);
    for round in 1..=4 {
        for node in &nodes {
            let text = fs::read_to_string(node.config()).unwrap();
            let changed =
                text.replace("helpers:", &format!("udp: {{ timeout_s: {} }}\n  helpers:", 30 + round));
            fs::write(node.config(), changed).unwrap();
            node.reload().unwrap();
            fs::write(node.config(), text).unwrap();
        }
        clients::http(&lab.a, &servers).unwrap();
    }
    pings.finish();
    taps.ledger().unwrap().assert_exactly_once();
}

#[test]
fn a_wrong_file_changes_nothing() {
    if !crate::ready() {
        return;
    }
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    let node = Weir::start(&lab.nodes[0], FIRST).unwrap();
    let epoch = node.ask(&["status"]).unwrap()["epoch"].clone();
    fs::write(node.config(), "node: gw1\nports: []\n").unwrap();
    node.hang_up().unwrap();
    wait_until("the refusal", Duration::from_secs(5), || Ok(node.log().contains("not reloaded"))).unwrap();
    assert_eq!(node.ask(&["status"]).unwrap()["epoch"], epoch);
}

#[test]
fn sigterm_ends_with_totals() {
    if !crate::ready() {
        return;
    }
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    let node = Weir::start(&lab.nodes[0], Plan { share: "forward", ..FIRST }).unwrap();
    node.cluster("add", 2).unwrap();
    clients::ping(&lab.a).unwrap();
    let forwarded = node.counts().unwrap().forwarded();
    let socket = node.socket();
    let (status, said) = node.stop().unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.lines().any(|line| line.contains("forward") && line.contains(&forwarded.to_string())),
        "{said}"
    );
    assert!(!socket.exists(), "the socket is left behind");
}

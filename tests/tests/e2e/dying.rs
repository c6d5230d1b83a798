//! A node dies under load: what becomes of each flow through Weir, and through Linux with its cluster match.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::cluster::Cluster;
use crate::lab::Lab;
use crate::linux::LinuxRouter;
use crate::load::{End, Report, SILENCE, Transfer, UDP_PACE, under_load};
use crate::ready;
use crate::servers::Servers;

/// Within what time a death is to be noticed, by the nodes' configuration.
const DETECTION: Duration = Duration::from_secs(1);
/// How long after that the next packet may take; on a machine with few cores everything else comes on top.
const PROMPT: Duration = Duration::from_millis(50);
/// How long FTP has to send.
const READING: Duration = Duration::from_secs(6);

/// The numbers of the node that dies and of the other one.
const DEAD: usize = 1;
const HEIR: usize = 2;

/// One of two nodes died.
struct Death {
    /// How long it took until the other one had inherited from it.
    noticed: Duration,
    report: Report,
}

fn of_weir() -> Result<Death> {
    let lab = Lab::routed(2)?;
    let servers = Servers::start_slow(&lab.b, READING)?;
    let mut cluster = Cluster::start(&lab, 2)?;
    let explained = cluster.node(HEIR).ask(&["explain", "10.77.1.1"])?;
    ensure!(explained["heirs"][format!("gw{DEAD}")] == format!("gw{HEIR}"), "{explained}");
    let (report, noticed) = under_load(&lab, &servers, || cluster.kill(DEAD, HEIR))?;
    cluster.agreed()?;
    Ok(Death { noticed, report })
}

/// A keepalived script gives the other node's share to the survivor after the same time.
fn of_linux(noticed: Duration) -> Result<Death> {
    let lab = Lab::routed(2)?;
    let servers = Servers::start_slow(&lab.b, READING)?;
    let (heir, dead) = (LinuxRouter::start(&lab, HEIR)?, LinuxRouter::start(&lab, DEAD)?);
    let (report, ()) = under_load(&lab, &servers, || {
        dead.die()?;
        thread::sleep(noticed);
        heir.own(0b11)
    })?;
    Ok(Death { noticed, report })
}

/// The median, the 99th percentile and the longest.
fn spread(gaps: impl Iterator<Item = Duration>) -> [Duration; 3] {
    let mut gaps: Vec<_> = gaps.collect();
    gaps.sort_unstable();
    [gaps.len() / 2, gaps.len() * 99 / 100, gaps.len() - 1].map(|place| gaps[place])
}

fn gaps(flows: impl Iterator<Item = Duration>) -> String {
    spread(flows).map(|gap| format!("{:.3}", gap.as_secs_f64())).join(" / ")
}

fn fates(transfers: &[Transfer]) -> String {
    let count = |is: fn(&End) -> bool| transfers.iter().filter(|transfer| is(&transfer.end)).count();
    let (whole, silent) = (count(|end| *end == End::Whole), count(|end| *end == End::Silent));
    let (broken, damaged) = (count(|end| matches!(end, End::Broken(_))), count(|end| *end == End::Damaged));
    format!("{whole} / {silent} / {broken} / {damaged}")
}

/// What is told of a death.
type Row = (&'static str, fn(&Death) -> String);

const ROWS: [Row; 9] = [
    ("death noticed after, s", |death| format!("{:.3}", death.noticed.as_secs_f64())),
    ("TCP transfers: whole / silent / broken / damaged", |death| fates(&death.report.tcp)),
    ("  longest gap of each, s: median / p99 / max", |death| gaps(death.report.tcp.iter().map(|t| t.gap))),
    ("UDP flows: alive / dead at the end", |death| {
        let alive = death.report.udp.iter().filter(|flow| flow.alive).count();
        format!("{alive} / {}", death.report.udp.len() - alive)
    }),
    ("  questions: asked / unanswered", |death| {
        let asked: usize = death.report.udp.iter().map(|flow| flow.asked).sum();
        format!("{asked} / {}", death.report.unanswered())
    }),
    ("  longest gap of each, s: median / p99 / max", |death| gaps(death.report.udp.iter().map(|f| f.gap))),
    ("  doubled: questions / answers", |death| {
        let answers: usize = death.report.udp.iter().map(|flow| flow.doubled).sum();
        format!("{} / {answers}", death.report.questions_doubled)
    }),
    ("FTP downloads: whole / silent / broken / damaged", |death| fates(&death.report.ftp)),
    ("  longest gap of each, s: median / p99 / max", |death| gaps(death.report.ftp.iter().map(|t| t.gap))),
];

fn print(weir: &Death, linux: &Death) {
    println!("{:50} {:>24} {:>24}", "", "Weir", "Linux xt_cluster");
    for (name, tell) in ROWS {
        println!("{name:50} {:>24} {:>24}", tell(weir), tell(linux));
    }
    println!(
        "TCP sends what was lost again after 0.2 s or more, and waits twice as long each time: a transfer whose node is \
         dead goes on with the first of these moments after the death was noticed. A UDP flow asks each {UDP_PACE:?} \
         and never again; with Linux the server's answers make flows of the server's, which the node that its address \
         falls to passes on, too. Silent: not a byte for {SILENCE:?}."
    );
}

#[test]
fn a_node_dies_and_every_flow_goes_on_though_not_with_linux() {
    if !ready() {
        return;
    }
    let weir = of_weir().unwrap();
    let linux = of_linux(weir.noticed).unwrap();
    print(&weir, &linux);

    weir.report.assert_unbroken();
    assert!(linux.report.tcp.iter().any(|transfer| transfer.end == End::Whole), "Linux carried nothing");
    assert!(weir.noticed < DETECTION + PROMPT, "noticed after {:?}", weir.noticed);
    let [_, _, udp] = spread(weir.report.udp.iter().map(|flow| flow.gap));
    assert!(udp > weir.noticed / 2, "the dead node had no UDP flow");
    assert!(udp < weir.noticed + UDP_PACE + PROMPT, "no UDP answer for {udp:?}");
    // What TCP waits before it sends again doubles each time, so it is never more than what it has waited already.
    let [_, _, tcp] = spread(weir.report.tcp.iter().chain(&weir.report.ftp).map(|transfer| transfer.gap));
    assert!(tcp < weir.noticed * 2 + Duration::from_millis(500), "no byte for {tcp:?}");
}

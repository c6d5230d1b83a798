//! Frames that are not of an open connection, and what a flow takes: frames of others, UDP, new flows, memory.

use super::on_huge_pages;
use super::scale::{established, look_up, timed, weir_table};
use crate::figure::{Figure, Outcome, Unavailable, Unit};
use crate::rounds::alternate;
use crate::{BURST, Bench, Kind, Wire, shuffled};
use std::fs;
use weir_dataplane::config::Tracking;
use weir_dataplane::units::Span;
use weir_tests::conversation::Side;
use weir_tests::node::{bridge, member};

/// How long a flow lives that nobody answers: Linux's `nf_conntrack_tcp_timeout_syn_sent`.
pub(super) const SYN_SENT_S: u32 = 120;

/// Frames of `flows` flows that other nodes own (`tracking: own`): read, hashed, looked up and dropped.
pub fn of_others(rounds: usize, flows: u32) -> Outcome {
    let mut bench = on_huge_pages(|| Bench::new(&member(2, 0..0, Tracking::Own), flows)).0;
    let order = shuffled(flows);
    let bench = std::cell::RefCell::new(&mut bench);
    let (syn, ack) = (Wire::new(Kind::Syn), Wire::new(Kind::Ack));
    let time = |wire| bench.borrow_mut().time(wire, Side::Lan, &order, |_| ());
    let [syn, ack] = alternate(rounds, [&mut || time(&syn), &mut || time(&ack)]);
    assert_eq!(bench.borrow().forwarded(), 0, "nothing is this node's");
    Ok(vec![
        Figure::new("syn_of_others", "frames of others, tracking: own, SYN", Unit::Ns, syn),
        Figure::new("ack_of_others", "frames of others, tracking: own, ACK", Unit::Ns, ack),
    ])
}

/// Datagrams of `flows` answered flows.
pub fn udp(rounds: usize, flows: u32) -> Outcome {
    let mut bench = on_huge_pages(|| Bench::new(&bridge(), flows)).0;
    let order = shuffled(flows);
    let wire = Wire::new(Kind::Udp);
    bench.send_all(&wire, Side::Lan, &order);
    bench.send_all(&Wire::new(Kind::UdpReply), Side::Wan, &order);
    // From two seconds on they are streams.
    bench.wait(Span::from_s(3).expect("short"));
    let [samples] = alternate(rounds, [&mut || bench.time(&wire, Side::Lan, &order, |_| ())]);
    assert_eq!(bench.forwarded(), bench.counters().frames(), "all frames are forwarded");
    Ok(vec![Figure::new("udp_stream", "whole pipeline, UDP streams", Unit::Ns, samples)])
}

/// New flows, `flows` of them alive at a time: each evicting another from a full table, and each as another's time
/// runs out.
pub fn new_flows(rounds: usize, flows: u32) -> Outcome {
    let births = |flows_max| {
        let bench = on_huge_pages(|| Bench::new(&bridge(), flows_max)).0;
        Births::new(bench, Wire::new(Kind::Syn), flows, SYN_SENT_S)
    };
    let mut evicting = births(flows);
    let mut expiring = births(flows + flows / 4);
    evicting.next(flows, |_| ());
    expiring.age(flows);
    let [evicted, expired] =
        alternate(rounds, [&mut || evicting.next(flows, |_| ()), &mut || expiring.age(flows)]);
    let evictions = evicting.bench.counters().flows_total(|cells| &cells.evicted);
    assert!(evictions > 0, "a full table gives up flows");
    expiring.check(u64::from(flows) * rounds as u64);
    Ok(vec![
        Figure::new("new_flow_evicting", "new flow, another one evicted", Unit::Ns, evicted),
        Figure::new("new_flow_expiring", "new flow, another one expiring", Unit::Ns, expired),
    ])
}

/// SYNs of ever new flows.
pub(super) struct Births {
    bench: Bench,
    syn: Wire,
    next: u32,
    /// So many new flows after which a tick is over.
    flows_a_tick: u32,
}

impl Births {
    /// So many flows `alive` at a time, each of which lives for `timeout_s`.
    pub(super) fn new(bench: Bench, syn: Wire, alive: u32, timeout_s: u32) -> Self {
        Self { bench, syn, next: 0, flows_a_tick: (alive / (timeout_s * 100)).max(1) }
    }

    fn next(&mut self, flows: u32, between: impl FnMut(&mut Bench)) -> f64 {
        let order: Vec<u32> = (self.next..self.next + flows).collect();
        self.next += flows;
        self.bench.time(&self.syn, Side::Lan, &order, between)
    }

    /// The same while time passes, so that as many flows end.
    pub(super) fn age(&mut self, flows: u32) -> f64 {
        let (a_tick, mut born) = (self.flows_a_tick, 0);
        let tick = Span::from_ms(10).expect("short");
        self.next(flows, move |bench| {
            born += BURST as u32;
            while born >= a_tick {
                born -= a_tick;
                bench.wait(tick);
            }
            bench.housekeep();
        })
    }

    /// Its pipeline, in which at least `expired` flows have expired and none has gone otherwise.
    ///
    /// # Panics
    ///
    /// Where that is not so.
    pub(super) fn check(&self, expired: u64) -> &Bench {
        let counters = self.bench.counters();
        let forced =
            counters.flows_total(|cells| &cells.evicted) + counters.flows_total(|cells| &cells.refused);
        assert_eq!(forced, 0, "flows go as fast as they come");
        assert!(counters.flows_total(|cells| &cells.expired) >= expired, "they expire");
        &self.bench
    }
}

/// Bytes a flow of a table for `flows` flows, all of it.
pub fn bytes_a_flow(flows: u32, key: &str, title: &str) -> Outcome {
    let before = resident()?;
    let table = weir_table(flows);
    let bytes = (resident()? - before) as f64 / f64::from(flows);
    drop(table);
    let title = format!("memory a flow, table for {title}");
    Ok(vec![Figure::new(format!("bytes_a_flow_{key}"), title, Unit::Bytes, vec![bytes])])
}

/// A look-up in Weir's table, for sizes at which nothing else is compared.
pub fn look_up_at(rounds: usize, flows: u32, key: &str, title: &str) -> Outcome {
    let order = shuffled(flows);
    let mut table = weir_table(flows);
    let [samples] = alternate(rounds, [&mut || timed(&order, |burst| look_up(&mut table, burst))]);
    let title = format!("look-up and touch: Weir's table, {title}");
    Ok(vec![Figure::new(format!("flow_table_{key}"), title, Unit::Ns, samples)])
}

/// Established TCP in `flows` flows, for sizes at which nothing else is compared.
pub fn established_at(rounds: usize, flows: u32, key: &str, title: &str) -> Outcome {
    let order = shuffled(flows);
    let mut bench = established(&order);
    let wire = Wire::new(Kind::Ack);
    let [samples] = alternate(rounds, [&mut || bench.time(&wire, Side::Lan, &order, |_| ())]);
    assert_eq!(bench.forwarded(), bench.counters().frames(), "all frames are forwarded");
    let title = format!("whole pipeline, established TCP, {title}");
    Ok(vec![Figure::new(format!("established_{key}"), title, Unit::Ns, samples)])
}

/// Bytes of memory that this process has, reserved huge pages included.
fn resident() -> Result<i64, Unavailable> {
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|error| Unavailable(format!("/proc/self/status: {error}")))?;
    let kib = |name: &str| -> i64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Ok((kib("VmRSS:") + kib("HugetlbPages:")) * 1024)
}

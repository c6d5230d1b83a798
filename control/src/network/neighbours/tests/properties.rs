//! Any events at all, on two networks.

use super::super::message::Kind;
use super::*;
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use weir_dataplane::units::VlanId;

const LIMITS: Limits = Limits {
    gc_thresh1: 2,
    gc_thresh2: 5,
    gc_thresh3: 8,
    queue_packets: 3,
    queue_bytes: 400,
    queue_bytes_total: 1_000,
    requests_per_s: 4,
};

/// How long a neighbour has to prove alive, and from one question to the next: Linux's, and others.
const TIMES_MS: [(u64, u64); 3] = [(5_000, 1_000), (100, 1_000), (100, 20_000)];

/// What happens to the table. Hosts and networks are small numbers.
#[derive(Clone, Debug)]
enum Event {
    Wanted(Host, usize),
    Heard(Speech, Host, u8, bool),
    Used(Host),
    Flushed(Host),
    LinkDown(bool),
    Managed(Vec<Host>),
    Passed(u64),
    Swapped,
    Announced,
}

/// A host of a network, by IPv4 or IPv6.
#[derive(Clone, Copy, Debug)]
struct Host {
    network: u8,
    number: u8,
    ipv6: bool,
}

#[derive(Clone, Copy, Debug)]
enum Speech {
    Question,
    Probe,
    Answer,
    Announcement,
    Noise,
}

impl Host {
    fn address(self) -> IpAddr {
        let Self { network, number, ipv6 } = self;
        if ipv6 {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, network.into(), 0, 0, 0, 0, number.into()))
        } else {
            IpAddr::V4(Ipv4Addr::new(10, network, 0, number))
        }
    }

    /// What it says, from the MAC address of another number where it is not its own.
    fn says(self, speech: Speech, mac: u8, announced: MacAddr) -> Vec<u8> {
        let gateway = Self { number: 1, ..self }.address();
        let mac = MacAddr([2, 1, 0, 0, 0, mac]);
        match (self.address(), gateway) {
            (IpAddr::V4(host), IpAddr::V4(gateway)) => arp(speech, mac, host, gateway, announced).bytes(),
            (IpAddr::V6(host), IpAddr::V6(gateway)) => nd(speech, mac, host, gateway, announced).bytes(),
            _ => unreachable!("both are of one family"),
        }
    }
}

fn arp(speech: Speech, mac: MacAddr, host: Ipv4Addr, gateway: Ipv4Addr, announced: MacAddr) -> ArpFrame {
    let request =
        ArpFrame { sender: (mac, host), target: (mac, gateway), ..arp_request(mac, HOST_IP, HOST_IP) };
    match speech {
        Speech::Question => request,
        Speech::Probe => ArpFrame { sender: (mac, Ipv4Addr::UNSPECIFIED), ..request },
        Speech::Answer => ArpFrame { operation: ArpOperation::Reply, destination: announced, ..request },
        Speech::Announcement => ArpFrame { target: (mac, host), ..request },
        Speech::Noise => ArpFrame { sender: (announced, host), ..request },
    }
}

fn nd(speech: Speech, mac: MacAddr, host: Ipv6Addr, gateway: Ipv6Addr, announced: MacAddr) -> NdFrame {
    let to = solicited_node(gateway);
    let question = NdFrame { from: host, to, target: gateway, ..solicitation(mac, HOST_IP6) };
    let answer = NdFrame { from: host, to: gateway, target: host, ..advertisement(mac, HOST_IP6, announced) };
    match speech {
        Speech::Question => question,
        Speech::Probe => NdFrame { from: Ipv6Addr::UNSPECIFIED, option: None, ..question },
        Speech::Answer => answer,
        Speech::Announcement => NdFrame { flags: FLAG_OVERRIDE, ..answer },
        Speech::Noise => NdFrame { option: None, ..answer },
    }
}

fn hosts() -> impl Strategy<Value = Host> {
    (0..2u8, 1..8u8, any::<bool>()).prop_map(|(network, number, ipv6)| Host { network, number, ipv6 })
}

fn events() -> impl Strategy<Value = Event> {
    let speech = prop_oneof![
        1 => Just(Speech::Question),
        1 => Just(Speech::Probe),
        4 => Just(Speech::Answer),
        1 => Just(Speech::Announcement),
        1 => Just(Speech::Noise),
    ];
    prop_oneof![
        6 => (hosts(), 0..300usize).prop_map(|(host, len)| Event::Wanted(host, len)),
        6 => (speech, hosts(), 0..16u8, any::<bool>())
            .prop_map(|(speech, host, mac, owner)| Event::Heard(speech, host, mac, owner)),
        2 => hosts().prop_map(Event::Used),
        1 => hosts().prop_map(Event::Flushed),
        1 => weighted(0.2).prop_map(Event::LinkDown),
        4 => prop_oneof![0..50u64, 0..2_000u64, 0..100_000u64].prop_map(Event::Passed),
        1 => vec(hosts(), 0..4).prop_map(Event::Managed),
        1 => Just(Event::Swapped),
        1 => Just(Event::Announced),
    ]
}

/// A table, with what its user has seen of it.
struct Watched {
    neighbours: Neighbours<Vec<u8>>,
    announced: MacAddr,
    retransmit_ms: u64,
    swapped: bool,
    now_ms: u64,
    published: Vec<Neighbour>,
    asked_ms: BTreeMap<IpAddr, u64>,
    released: u64,
    given_up: u64,
    log: Vec<String>,
}

fn interfaces(announced: MacAddr, swapped: bool) -> [Interface; 2] {
    let mut interfaces = [0, 1].map(|network: u8| {
        let addresses = [format!("10.{network}.0.1/16"), format!("2001:db8:{network}::1/48")];
        Interface {
            vlan: VlanId::new(u16::from(network) + 1),
            addresses: addresses.map(|text| text.parse().unwrap()).into(),
            ..interface(announced, OWN)
        }
    });
    if swapped {
        interfaces.reverse();
    }
    interfaces
}

impl Watched {
    fn new(announced: MacAddr, (delay_ms, retransmit_ms): (u64, u64)) -> Self {
        let timers = Timers { delay_ms, retransmit_ms, ..Timers::default() };
        let config = Config { limits: LIMITS, timers };
        Self {
            retransmit_ms,
            neighbours: Neighbours::new(config, &routing(&interfaces(announced, false)), &[], 7),
            announced,
            swapped: false,
            now_ms: 0,
            published: Vec::new(),
            asked_ms: BTreeMap::new(),
            released: 0,
            given_up: 0,
            log: Vec::new(),
        }
    }

    fn at(&self, host: Host) -> At {
        let index = usize::from(host.network ^ u8::from(self.swapped));
        At { interface: InterfaceId::new(index).unwrap(), address: host.address() }
    }

    fn meets(&mut self, event: &Event) {
        let now_ms = self.now_ms;
        match *event {
            Event::Wanted(host, len) => self.neighbours.wanted(self.at(host), vec![0; len], now_ms),
            Event::Heard(speech, host, mac, owner) => {
                let frame = host.says(speech, mac, self.announced);
                self.neighbours.heard(self.at(host).interface, &frame, |_| owner, now_ms);
            }
            Event::Used(host) => self.neighbours.used(self.at(host), now_ms),
            Event::Flushed(host) => {
                self.asked_ms.clear();
                self.neighbours.flush(self.at(host).address, None, now_ms);
            }
            Event::LinkDown(down) => {
                self.asked_ms.clear();
                let ports = down.then(PortId::default);
                self.neighbours.links_down(ports.into_iter().collect(), now_ms);
            }
            Event::Managed(ref hosts) => {
                let managed: Vec<At> = hosts.iter().map(|host| self.at(*host)).collect();
                self.neighbours.manage(managed, now_ms);
            }
            Event::Passed(ms) => return self.passes(ms),
            Event::Swapped => {
                self.swapped = !self.swapped;
                self.neighbours.reload(&routing(&interfaces(self.announced, self.swapped)), &[]);
            }
            Event::Announced => self.neighbours.announce(|_| true, now_ms),
        }
        self.looks();
    }

    fn passes(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(next_ms) = self.neighbours.next_tick_ms().filter(|next_ms| *next_ms <= end_ms) {
            self.now_ms = self.now_ms.max(next_ms);
            self.neighbours.tick(self.now_ms);
            self.looks();
            let after = self.neighbours.next_tick_ms();
            assert!(after.is_none_or(|after_ms| after_ms > self.now_ms), "a tick leaves nothing to do");
        }
        self.now_ms = end_ms;
    }

    /// Does what is wanted, and checks what has to hold.
    fn looks(&mut self) {
        while let Some(action) = self.neighbours.poll() {
            self.log.push(format!("{} {action:?}", self.now_ms));
            match action {
                Action::Send { frame, .. } => self.looks_at(&frame),
                Action::Release { .. } => self.released += 1,
                Action::GiveUp { .. } => self.given_up += 1,
                Action::Alarm(_) => {}
                Action::Publish => self.published = self.neighbours.known().collect(),
            }
        }
        assert_eq!(self.published, self.neighbours.known().collect::<Vec<_>>(), "workers know the same");

        let counters = self.neighbours.counters();
        assert_eq!(counters.heard, counters.accepted + counters.ignored.iter().sum::<u64>());
        assert_eq!((counters.released, counters.given_up), (self.released, self.given_up));
        let gone = counters.released + counters.given_up + counters.dropped;
        assert_eq!(counters.wanted, gone + self.neighbours.waiting() as u64);

        let rows: Vec<Row> = self.neighbours.rows().collect();
        assert!(rows.len() <= LIMITS.gc_thresh3, "{rows:?}");
        assert!(rows.iter().all(|row| row.waiting <= LIMITS.queue_packets));
        assert_eq!(rows.iter().map(|row| row.waiting).sum::<usize>(), self.neighbours.waiting());
        assert!(self.neighbours.table.waiting().bytes <= LIMITS.queue_bytes_total);
    }

    fn looks_at(&mut self, frame: &[u8]) {
        let message = Message::parse(frame).unwrap();
        assert_eq!((message.source, message.mac), (OWN, Some(self.announced)));
        if let Kind::Question { target } = message.kind {
            let last_ms = self.asked_ms.insert(target, self.now_ms);
            assert!(
                last_ms.is_none_or(|last_ms| last_ms + self.retransmit_ms <= self.now_ms),
                "{target} was asked already"
            );
        }
    }
}

proptest! {
    #[test]
    fn bounds_and_books_hold(
        events in vec(events(), 1..200),
        cluster in any::<bool>(),
        times_ms in prop::sample::select(&TIMES_MS[..]),
    ) {
        let mut watched = Watched::new(if cluster { CLUSTER } else { OWN }, times_ms);
        for event in &events {
            watched.meets(event);
        }
        // When all is quiet nothing waits.
        watched.passes(200_000);
        prop_assert_eq!(watched.neighbours.waiting(), 0);
    }

    #[test]
    fn the_same_events_give_the_same_actions(events in vec(events(), 1..100)) {
        let [one, two] = [(); 2].map(|()| {
            let mut watched = Watched::new(CLUSTER, TIMES_MS[0]);
            events.iter().for_each(|event| watched.meets(event));
            watched.log
        });
        prop_assert_eq!(one, two);
    }

    #[test]
    fn what_is_malformed_changes_nothing(
        events in vec(events(), 1..60),
        (speech, host, mac) in (prop_oneof![Just(Speech::Question), Just(Speech::Answer)], hosts(), 0..16u8),
        cut in any::<prop::sample::Index>(),
        noise in vec(any::<u8>(), 0..100),
    ) {
        let mut watched = Watched::new(CLUSTER, TIMES_MS[0]);
        events.iter().for_each(|event| watched.meets(event));
        let rows: Vec<Row> = watched.neighbours.rows().collect();
        let accepted = watched.neighbours.counters().accepted;
        let whole = host.says(speech, mac, CLUSTER);
        let needed = if host.ipv6 { whole.len() } else { 42 };
        let cut = &whole[..cut.index(needed)];
        let mut noisy = whole.clone();
        noisy.truncate(14);
        noisy.extend(&noise);
        for frame in [cut, &noise, &noisy] {
            watched.neighbours.heard(watched.at(host).interface, frame, |_| true, watched.now_ms);
            prop_assert_eq!(watched.neighbours.poll(), None);
        }
        prop_assert_eq!(rows, watched.neighbours.rows().collect::<Vec<_>>());
        prop_assert_eq!(accepted, watched.neighbours.counters().accepted);
    }

    #[test]
    fn what_is_ignored_teaches_nothing(
        events in vec(events(), 1..60),
        frames in vec((hosts(), 0..16u8, 0..42usize, any::<u8>()), 1..20),
    ) {
        let mut watched = Watched::new(CLUSTER, TIMES_MS[0]);
        events.iter().for_each(|event| watched.meets(event));
        for (host, mac, place, value) in frames {
            let mut frame = host.says(Speech::Answer, mac, CLUSTER);
            frame[place] = value;
            let rows: Vec<Row> = watched.neighbours.rows().collect();
            let [accepted, full] = watched.told();
            watched.neighbours.heard(watched.at(host).interface, &frame, |_| true, watched.now_ms);
            watched.looks();
            // One that found no room may still have made others go.
            if watched.told() == [accepted, full] {
                prop_assert_eq!(rows, watched.neighbours.rows().collect::<Vec<_>>());
            }
        }
    }
}

impl Watched {
    fn told(&self) -> [u64; 2] {
        let counters = self.neighbours.counters();
        [counters.accepted, counters.ignored(Ignored::TableFull)]
    }
}

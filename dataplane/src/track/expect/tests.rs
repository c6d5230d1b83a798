//! What the expectations of one worker, and of several, do.

use super::*;
use crate::helper::{Class, Source};
use crate::key::Side;
use crate::track::record::Decided;
use crate::units::{Mark, WorkerId};

const NOW: Tick = Tick::from_count(1000);

static ONE: Class = Class::new(0, 1, 300);
static TWO: Class = Class::new(0, 2, 300);
static MANY: Class = Class::new(0, 9, 300);

const CLIENT: &str = "10.0.0.1";

fn server(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], port))
}

fn expected(port: u16, class: &'static Class) -> Expected {
    Expected::once(IpProtocol::TCP, Source::Host(CLIENT.parse().unwrap()), server(port), class)
}

fn master(record: RecordId) -> Master {
    let origin = Origin { key: FlowKey::NONE, side: Side::Second };
    let heritage = Heritage { origin, decided: Decided::default(), mark: Mark(record) };
    Master { record, heritage, helper: HelperKind::Ftp }
}

fn alone(max: u32) -> Expectations {
    Expectations::new(max, 1, NOW, Peers::ALONE)
}

fn take(expectations: &mut Expectations, port: u16, now: Tick) -> Option<RecordId> {
    let source = SocketAddr::new(CLIENT.parse().unwrap(), 40_000);
    let (number, used) = expectations.fitting(IpProtocol::TCP, source, server(port), now)?;
    expectations.use_up(number);
    Some(used.heritage.mark.0)
}

#[test]
fn is_used_up_by_the_first_packet_that_fits_unless_it_is_permanent() {
    let mut expectations = alone(4);
    expectations.add(&expected(2000, &ONE), &master(7), NOW).unwrap();
    assert_eq!(take(&mut expectations, 2001, NOW), None);
    assert_eq!(take(&mut expectations, 2000, NOW), Some(7));
    assert_eq!(take(&mut expectations, 2000, NOW), None);
    assert!(expectations.store.is_spotless());
    let permanent = Expected { permanent: true, ..expected(2000, &ONE) };
    expectations.add(&permanent, &master(7), NOW).unwrap();
    assert_eq!([(); 3].map(|()| take(&mut expectations, 2000, NOW)), [Some(7); 3]);
}

#[test]
fn an_inactive_one_waits_to_be_activated() {
    let mut expectations = alone(4);
    let inactive = Expected { inactive: true, ..expected(2000, &ONE) };
    let number = expectations.add(&inactive, &master(7), NOW).unwrap();
    assert_eq!(take(&mut expectations, 2000, NOW), None);
    expectations.activate(number, NOW, Span::from_s(3600).unwrap());
    assert_eq!(take(&mut expectations, 2000, NOW.after(Span::from_s(3599).unwrap())), Some(7));
}

#[test]
fn a_master_over_its_limit_loses_its_oldest() {
    let mut expectations = alone(4);
    for port in [1, 2, 3] {
        expectations.add(&expected(port, &TWO), &master(7), NOW).unwrap();
    }
    assert_eq!([1, 2, 3].map(|port| take(&mut expectations, port, NOW)), [None, Some(7), Some(7)]);
}

#[test]
fn another_master_may_not_expect_the_same_and_memory_is_bounded() {
    let mut expectations = alone(2);
    let mut add = |expected: Expected, record| expectations.add(&expected, &master(record), NOW).map(|_| ());
    assert_eq!(add(expected(1, &MANY), 7), Ok(()));
    assert_eq!(add(expected(1, &MANY), 7), Ok(()));
    assert_eq!(add(expected(1, &MANY), 8), Err(Refused::Clash));
    let any_master = Expected { any_master: true, ..expected(1, &MANY) };
    assert_eq!(add(any_master, 8), Err(Refused::Taken));
    assert_eq!(add(Expected { source: Source::Any, ..expected(1, &MANY) }, 7), Err(Refused::Clash));
    assert_eq!(add(expected(2, &MANY), 7), Ok(()));
    assert_eq!(add(expected(3, &MANY), 7), Err(Refused::Full));
    assert_eq!((0..9).filter_map(|number| expectations.waiting(number)).count(), 2);
}

#[test]
fn of_those_with_one_destination_the_source_decides() {
    let mut expectations = alone(4);
    let other = Source::Host("10.0.0.9".parse().unwrap());
    expectations.add(&expected(1, &MANY), &master(7), NOW).unwrap();
    expectations.add(&Expected { source: other, ..expected(1, &MANY) }, &master(8), NOW).unwrap();
    let found = |expectations: &Expectations, source: &str| {
        let source = Some(source.parse().unwrap());
        expectations.find(IpProtocol::TCP, source, server(1), NOW).and_then(|(.., master)| master)
    };
    assert_eq!(found(&expectations, CLIENT), Some(7));
    assert_eq!(found(&expectations, "10.0.0.9"), Some(8));
    assert_eq!(expectations.find(IpProtocol::TCP, None, server(1), NOW).map(|found| found.0), None);
    assert_eq!(take(&mut expectations, 1, NOW), Some(7));
    assert_eq!(found(&expectations, "10.0.0.9"), Some(8));
    expectations.forget_master(8);
    assert!(expectations.store.is_spotless());
}

#[test]
fn goes_with_its_master_and_with_time() {
    let mut expectations = alone(4);
    for (port, record) in [(1, 7), (2, 7), (3, 8)] {
        expectations.add(&expected(port, &MANY), &master(record), NOW).unwrap();
    }
    expectations.forget_master(7);
    assert_eq!(expectations.len(), 1);
    let later = NOW.after(Span::from_s(300).unwrap());
    assert_eq!(take(&mut expectations, 3, later), None);
    expectations.add(&expected(4, &MANY), &master(8), NOW).unwrap();
    for _ in 0..16 {
        expectations.expire(later, &mut 10);
    }
    assert!(expectations.store.is_spotless());
}

/// Three workers that hear each other at once.
struct Crew(Vec<Expectations>);

impl Crew {
    fn new() -> Self {
        let peers = |me| Peers { me: WorkerId::new(me).unwrap(), workers: 3 };
        Self((0..3).map(|me| Expectations::new(8, 1, NOW, peers(me))).collect())
    }

    fn gossip(&mut self) {
        for me in 0..self.0.len() {
            while let Some(post) = self.0[me].post() {
                let to = (0..self.0.len()).filter(|to| *to != me);
                let to = to.filter(|to| post.to.is_none_or(|only| only.index() == *to));
                to.for_each(|to| self.0[to].hear(&post.news));
            }
        }
    }

    fn waiting(&self) -> [usize; 3] {
        core::array::from_fn(|worker| self.0[worker].len())
    }
}

#[test]
fn an_open_source_is_told_to_all_and_used_once() {
    let mut crew = Crew::new();
    let open = Expected { source: Source::Any, ..expected(1, &MANY) };
    crew.0[1].add(&open, &master(7), NOW).unwrap();
    crew.gossip();
    assert_eq!(crew.waiting(), [1, 1, 1]);
    assert!((0..9).all(|number| crew.0[2].waiting(number).is_none()), "shown once, by its master's worker");
    assert_eq!(take(&mut crew.0[2], 1, NOW), Some(7));
    crew.gossip();
    assert_eq!(crew.waiting(), [0, 0, 0]);
    assert!(crew.0.iter().all(|worker| worker.store.is_spotless()));
}

#[test]
fn a_known_source_is_told_to_the_worker_of_the_address_pair() {
    let home = crate::spread::home_of_pair(CLIENT.parse().unwrap(), server(1).ip(), 3).unwrap().index();
    let teller = (home + 1) % 3;
    let mut crew = Crew::new();
    crew.0[teller].add(&expected(1, &MANY), &master(7), NOW).unwrap();
    crew.0[home].add(&expected(2, &MANY), &master(8), NOW).unwrap();
    crew.gossip();
    let mut waiting = [0; 3];
    (waiting[teller], waiting[home]) = (1, 2);
    assert_eq!(crew.waiting(), waiting);
    assert_eq!(take(&mut crew.0[home], 1, NOW), Some(7));
    crew.gossip();
    waiting[teller] = 0;
    waiting[home] = 1;
    assert_eq!(crew.waiting(), waiting);
    crew.0[teller].add(&expected(1, &MANY), &master(7), NOW).unwrap();
    crew.gossip();
    crew.0[teller].forget_master(7);
    crew.gossip();
    assert_eq!(crew.waiting(), waiting);
}

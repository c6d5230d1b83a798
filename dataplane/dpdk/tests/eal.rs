//! The EAL, and what needs nothing but it: pools, threads, the clock.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{eal, pool};
use std::thread;
use weir_dataplane::port::{Clock, Frame};
use weir_dpdk::{Eal, EalOptions, Error, Mempool, MempoolOptions, TscClock};

fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap().iter().map(|core| core.id).collect()
}

#[test]
fn it_starts_once() {
    eal();
    assert!(matches!(Eal::init(&EalOptions::default()), Err(Error::EalStarted)));
    assert!(Eal::version().starts_with("DPDK "), "{}", Eal::version());
}

#[test]
fn a_registered_thread_is_pinned_and_has_a_cache() {
    eal();
    let pool =
        Mempool::new(eal(), "cached", MempoolOptions { frames: 1023, cache: 64, ..Default::default() });
    let pool = pool.unwrap();
    let core = *cores().last().unwrap();
    thread::spawn(move || {
        let registration = eal().pin_and_register(Some(core)).unwrap();
        assert_eq!(cores(), [core]);
        assert!(matches!(eal().pin_and_register(None), Err(Error::Register(_))));
        let frames: Vec<_> = (0..100).map(|_| pool.frame(&[0; 60]).unwrap()).collect();
        assert_eq!(pool.in_use(), 100);
        drop(frames);
        assert_eq!(pool.in_use(), 0);
        drop(registration);
        drop(eal().pin_and_register(None).unwrap());
    })
    .join()
    .unwrap();
}

#[test]
fn a_core_that_is_not_there_is_refused() {
    eal();
    let result = thread::spawn(|| eal().pin_and_register(Some(1000)).map(drop)).join().unwrap();
    assert_eq!(
        result.unwrap_err().to_string(),
        "a worker cannot be pinned to core 1000: this process may not use it"
    );
}

#[test]
fn more_threads_than_lcores_come_and_go() {
    eal();
    for _ in 0..300 {
        thread::spawn(|| eal().pin_and_register(None).map(drop)).join().unwrap().unwrap();
    }
}

#[test]
fn pools_say_why_they_cannot_be() {
    let _first = pool("twice", 63, 2048);
    let second = Mempool::new(eal(), "twice", MempoolOptions { frames: 63, ..Default::default() });
    assert_eq!(
        second.unwrap_err().to_string(),
        "mempool twice of 63 frames of 2048 bytes: File exists; ask for fewer, or give the EAL more memory"
    );
    let options = MempoolOptions { frames: 1 << 20, ..Default::default() };
    assert!(matches!(Mempool::new(eal(), "giant", options), Err(Error::Mempool { .. })));
    assert!(matches!(Mempool::new(eal(), "a\0b", options), Err(Error::Name(_))));
}

#[test]
fn an_empty_pool_gives_no_frame() {
    let pool = pool("empty", 7, 100);
    assert!(pool.frame(&[0; 101]).is_none());
    let frames: Vec<_> = (0..7).map(|_| pool.frame(&[0; 100]).unwrap()).collect();
    assert!(pool.frame(&[0; 100]).is_none());
    drop(frames);
    assert!(pool.frame(&[]).is_some());
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_frame_may_be_dropped_on_another_thread() {
    let pool = pool("elsewhere", 7, 100);
    let frame = pool.frame(&[1; 60]).unwrap();
    thread::spawn(move || drop(frame)).join().unwrap();
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn the_clock_runs_with_the_systems() {
    let mut clock = TscClock::new(eal());
    let (start_ms, start, cycles) = (clock.now_ms(), std::time::Instant::now(), clock.cycles());
    thread::sleep(std::time::Duration::from_millis(200));
    let passed_ms = start.elapsed().as_millis() as f64;
    let clock_ms = (clock.now_ms() - start_ms) as f64;
    let cycles_ms = (clock.cycles() - cycles) as f64 * 1000.0 / clock.hz() as f64;
    for measured in [clock_ms, cycles_ms] {
        assert!((measured - passed_ms).abs() < passed_ms * 0.05, "{measured} ms for {passed_ms} ms");
    }
    assert_eq!(clock.ns(clock.hz()), 1_000_000_000);
}

#[test]
fn a_frame_grows_into_its_headroom_and_no_further() {
    let pool = pool("headroom", 7, 100);
    let mut frame = pool.frame(&[1, 2, 3]).unwrap();
    assert!(frame.grow_front(4));
    assert_eq!((frame.bytes().len(), &frame.bytes()[4..]), (7, [1, 2, 3].as_slice()));
    frame.bytes_mut()[..4].fill(9);
    assert!(frame.shrink_front(5));
    assert_eq!(frame.bytes(), [2, 3]);
    for too_much in [3, 1 << 16, usize::MAX] {
        assert!(!frame.shrink_front(too_much), "it has two bytes");
    }
    // DPDK leaves 128 bytes before a fresh frame; this one begins a byte further on.
    for too_much in [130, 1 << 16, usize::MAX] {
        assert!(!frame.grow_front(too_much), "{too_much} bytes before the buffer's first");
    }
    assert!(frame.grow_front(129) && frame.shrink_front(131));
    assert!(frame.bytes().is_empty());
}

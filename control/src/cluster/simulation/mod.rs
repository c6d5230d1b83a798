//! A cluster in virtual time under one seed: coordinators over a network or a store that fails in every way there is,
//! with nodes that crash, start, drain and stop, and invariants held at each step.
//!
//! `SEED=n cargo test -p weir-control --lib cluster::simulation -- --nocapture` replays one seed and tells what
//! happened; `SEEDS=n` runs so many.

mod checks;
mod flows;
mod gossip;
mod random;
mod store;
mod world;

use random::Random;
use std::sync::atomic::{AtomicU64, Ordering};
use world::{Plan, World};

/// Runs `seeds` seeds of `plan` on all cores, or the one that is named.
fn run(seeds: u64, plan: fn(&mut Random) -> Plan) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("SEED") {
        return play(seed, plan, true);
    }
    let seeds = number("SEEDS").unwrap_or(seeds);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    play(seed, plan, false);
                }
            });
        }
    });
}

fn play(seed: u64, plan: fn(&mut Random) -> Plan, tell: bool) {
    let mut random = Random::new(seed);
    let plan = plan(&mut random);
    let mut world = World::new(plan, random, tell);
    if let Err(broken) = world.run() {
        world.say_all();
        panic!("SEED={seed}: {broken}");
    }
}

#[test]
fn a_cluster_that_gossips_heals_itself_whatever_happens() {
    run(6500, Plan::gossip);
}

#[test]
fn without_loss_or_partitions_no_flow_changes_its_living_owner() {
    run(1500, Plan::gentle);
}

#[test]
fn where_the_minority_yields_no_bucket_has_two_owners_for_long() {
    run(500, Plan::parted);
}

#[test]
fn with_leases_no_bucket_ever_has_two_owners() {
    run(1500, Plan::store);
}

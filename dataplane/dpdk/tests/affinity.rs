//! Alone in its process, so that this test's thread is the one that starts the EAL.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::thread;

fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap().iter().map(|core| core.id).collect()
}

#[test]
fn the_eal_pins_neither_its_starter_nor_later_threads() {
    let before = cores();
    assert!(before.len() > 1, "on one core a pin cannot be seen");
    common::eal();
    assert_eq!(cores(), before);
    assert_eq!(thread::spawn(cores).join().unwrap(), before);
}

//! The target `fragments` of `weir_tests::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_tests::fuzzing::FRAGMENTS;

fuzz_target!(|input: &[u8]| (FRAGMENTS.run)(input));

//! The target `helper` of `weir_tests::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_tests::fuzzing::HELPER;

fuzz_target!(|input: &[u8]| (HELPER.run)(input));

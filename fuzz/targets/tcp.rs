//! The target `tcp` of `weir_tests::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_tests::fuzzing::TCP;

fuzz_target!(|input: &[u8]| (TCP.run)(input));

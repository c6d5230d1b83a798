//! The target `pipeline` of `weir_tests::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_tests::fuzzing::PIPELINE;

fuzz_target!(|input: &[u8]| (PIPELINE.run)(input));

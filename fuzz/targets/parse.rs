//! The target `parse` of `weir_tests::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_tests::fuzzing::PARSE;

fuzz_target!(|input: &[u8]| (PARSE.run)(input));

//! Any bytes are a frame: parsing must not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_dataplane::parse::{Offload, Rules, parse};

fuzz_target!(|frame: &[u8]| {
    for checksum in [true, false] {
        let parsed =
            parse(frame, Rules { checksum, vlan_tags_max: 2, ..Rules::default() }, Offload::default());
        assert!(parsed.transport(frame).len() <= frame.len());
    }
});

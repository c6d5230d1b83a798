//! Any bytes are a frame: what the parser says of it lies within it.

use weir_dataplane::parse::{Offload, Rules, parse};

pub(super) fn run(frame: &[u8]) {
    for (checksum, helpers) in [(true, false), (false, false), (false, true)] {
        let (tcp_helpers, udp_helpers) = (helpers, helpers);
        let rules = Rules { checksum, vlan_tags_max: 2, tcp_helpers, udp_helpers, ..Rules::default() };
        let parsed = parse(frame, rules, Offload::default());
        let end = usize::from(parsed.at) + usize::from(parsed.len);
        assert!(end <= frame.len(), "{parsed:?}");
    }
}

//! The bridge: a frame leaves unchanged by the partner of the port that it came from.

use crate::config::Bridge;
use crate::counters::{DropReason, Verdict};
use crate::units::PortId;

/// Where a frame from `port` goes.
#[inline]
pub fn decide(bridge: &Bridge, port: PortId) -> Verdict {
    match bridge.peer(port) {
        Some(peer) => Verdict::Forward(peer),
        None => Verdict::Drop(DropReason::NoPeer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_a_partner_is_a_dead_end() {
        let [lan, wan, lone] = [0, 1, 2].map(|i| PortId::new(i).unwrap());
        let mut bridge = Bridge::default();
        bridge.join(lan, wan).unwrap();
        assert_eq!(decide(&bridge, wan), Verdict::Forward(lan));
        assert_eq!(decide(&bridge, lone), Verdict::Drop(DropReason::NoPeer));
    }
}

//! Bridge forwarding: ports in pairs; what comes in by one leaves by the other.

use crate::units::{PORTS_MAX, PortId};

/// Which port's frames leave by which.
#[derive(Clone, Debug)]
pub struct Bridge {
    peers: [Option<PortId>; PORTS_MAX],
    /// Let spanning tree frames (to 01:80:c2:00:00:00) cross, as a Linux bridge does that does not speak it itself.
    /// The other link-local addresses never cross.
    pub forward_stp: bool,
}

impl Default for Bridge {
    fn default() -> Self {
        Self { peers: [None; PORTS_MAX], forward_stp: false }
    }
}

/// A pair that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeError {
    /// The port is paired with itself.
    Itself(PortId),
    /// The port already has a partner.
    Taken(PortId),
}

impl Bridge {
    /// Joins two ports that have no partner so far.
    pub fn join(&mut self, a: PortId, b: PortId) -> Result<(), BridgeError> {
        if a == b {
            return Err(BridgeError::Itself(a));
        }
        if let Some(taken) = [a, b].into_iter().find(|port| self.peer(*port).is_some()) {
            return Err(BridgeError::Taken(taken));
        }
        self.peers[a.index()] = Some(b);
        self.peers[b.index()] = Some(a);
        Ok(())
    }

    /// Where frames from `port` leave.
    #[inline]
    pub fn peer(&self, port: PortId) -> Option<PortId> {
        self.peers[port.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_partner_and_never_itself() {
        let [a, b, c] = [0, 1, 2].map(|i| PortId::new(i).unwrap());
        let mut bridge = Bridge::default();
        bridge.join(a, b).unwrap();
        assert_eq!((bridge.peer(a), bridge.peer(b), bridge.peer(c)), (Some(b), Some(a), None));
        assert_eq!(bridge.join(c, b), Err(BridgeError::Taken(b)));
        assert_eq!(bridge.join(c, c), Err(BridgeError::Itself(c)));
    }
}

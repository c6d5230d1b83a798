//! How many fragments each source has sent: what Linux keeps to find identifications that were used again
//! (`ipfrag_max_dist`).
//!
//! A source is known while it has a datagram that waits.

use super::links::Chains;
use crate::key::{Address, Endpoint, Family, FlowKey};
use crate::units::PortId;

/// A source's number in [`Peers`].
pub(super) type PeerId = u32;

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    name: FlowKey,
    /// Fragments it has sent; wraps.
    sent: u32,
    /// Datagrams of it that wait.
    datagrams: u32,
}

/// The sources of all datagrams that wait.
#[derive(Debug)]
pub(super) struct Peers {
    peers: Vec<Peer>,
    free: Vec<PeerId>,
    chains: Chains,
    secret: u64,
}

impl Peers {
    pub(super) fn new(peers: u32, secret: u64) -> Self {
        Self {
            peers: vec![Peer::default(); peers as usize],
            free: (0..peers).collect(),
            chains: Chains::new(peers),
            secret,
        }
    }

    /// The source of one more datagram. `port`: where it is told apart by that too. `None` when there is no room,
    /// which cannot be while there are as many peers as datagrams.
    pub(super) fn join(&mut self, source: Address, port: Option<PortId>) -> Option<PeerId> {
        let name = name(source, port);
        let hash = name.hash(self.secret);
        let known = core::iter::successors(self.chains.first(hash), |peer| self.chains.after(*peer))
            .find(|peer| self.peers[*peer as usize].name == name);
        let peer = match known {
            Some(peer) => peer,
            None => {
                let peer = self.free.pop()?;
                self.peers[peer as usize] = Peer { name, sent: 0, datagrams: 0 };
                self.chains.insert(hash, peer);
                peer
            }
        };
        self.peers[peer as usize].datagrams += 1;
        Some(peer)
    }

    /// One of its datagrams waits no longer.
    pub(super) fn leave(&mut self, peer: PeerId) {
        let entry = &mut self.peers[peer as usize];
        entry.datagrams -= 1;
        if entry.datagrams == 0 {
            self.chains.remove(entry.name.hash(self.secret), peer);
            self.free.push(peer);
        }
    }

    /// Counts a fragment of it; how many there have been.
    pub(super) fn count(&mut self, peer: PeerId) -> u32 {
        let entry = &mut self.peers[peer as usize];
        entry.sent = entry.sent.wrapping_add(1);
        entry.sent
    }
}

fn name(source: Address, port: Option<PortId>) -> FlowKey {
    let port = port.map_or(u16::MAX, |port| u16::try_from(port.index()).unwrap_or(u16::MAX));
    FlowKey::oriented(Family::V4, 0, Endpoint::new(source, port), Endpoint::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_counted_while_a_datagram_of_it_waits() {
        let mut peers = Peers::new(2, 7);
        let [a, b] = [1, 2].map(|n| Address::v4([10, 0, 0, n]));
        let first = peers.join(a, None).unwrap();
        assert_eq!((peers.count(first), peers.join(a, None)), (1, Some(first)));
        let other_port = peers.join(a, PortId::new(1)).unwrap();
        assert_eq!((peers.count(first), peers.count(other_port)), (2, 1));
        assert_eq!(peers.join(b, None), None, "there is no room");
        peers.leave(first);
        assert_eq!(peers.count(first), 3);
        peers.leave(first);
        let other = peers.join(b, None).unwrap();
        assert_eq!(peers.count(other), 1);
    }
}

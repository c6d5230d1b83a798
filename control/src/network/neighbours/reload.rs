//! Another configuration: what is known goes on where its interface does.

use super::action::{At, Neighbour};
use super::entry::{Entry, State};
use super::link::Link;
use super::{Neighbours, own_addresses};
use std::collections::BTreeSet;
use std::sync::Arc;
use weir_dataplane::config::route::Routing;
use weir_dataplane::units::InterfaceId;

impl<P: AsRef<[u8]>> Neighbours<P> {
    /// Takes other interfaces and permanent neighbours. An interface is the same where its port and VLAN are; what
    /// is known there stays, but for neighbours whose network is gone. Packets for those are given up.
    /// Addresses that came with it are to be [announced](Self::announce), and neighbours to be
    /// [managed](Self::manage) to be named again.
    pub fn reload(&mut self, routing: &Routing, permanent: &[Neighbour]) {
        let old = std::mem::replace(&mut self.links, Link::all(routing));
        let entries = self.table.drain();
        for neighbour in permanent {
            self.table.insert(neighbour.at, Entry::permanent(neighbour.mac));
        }
        for (at, entry) in entries.into_iter().filter(|(_, entry)| entry.state() != State::Permanent) {
            let Some(to) = old.get(at.interface.index()).and_then(|link| self.heir(at, link)) else {
                entry.into_waiting().into_iter().for_each(|packet| self.give_up(at, packet));
                continue;
            };
            match self.table.find(to).and_then(Entry::mac) {
                Some(mac) => {
                    let to = Neighbour { at: to, mac };
                    entry.into_waiting().into_iter().for_each(|packet| self.release(to, packet));
                }
                None => self.table.insert(to, entry),
            }
        }
        self.managed.clear();
        let own: BTreeSet<At> = own_addresses(&self.links).collect();
        self.rounds.retain(|at, _| own.contains(at));
        self.contested.retain(|at, _| own.contains(at));
    }

    /// Where a neighbour of an old link is now.
    fn heir(&self, at: At, old: &Link) -> Option<At> {
        let same = |new: &&Arc<Link>| {
            let [new, old] = [new.interface(), old.interface()].map(|one| (one.port, one.vlan));
            new == old
        };
        let (i, new) = self.links.iter().enumerate().find(|(_, new)| same(new))?;
        let network_gone = old.may_have(at.address) && !new.may_have(at.address);
        let interface = InterfaceId::new(i)?;
        (!network_gone && !new.has(at.address)).then_some(At { interface, ..at })
    }
}

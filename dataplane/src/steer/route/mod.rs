//! The router's tables: from a destination to a way, and from a way to the MAC address that is next.
//!
//! [`Fib`] is compiled from the configuration and does not change; snapshots share it. [`Adjacencies`] are what control
//! has learned about neighbours, made anew whenever that changes; they say which next hops are alive as well. Nothing
//! here touches a packet, resolves an address or keeps a flow's decision.

mod adjacency;
mod builder;
mod group;
mod lpm;
pub mod martian;
pub mod reverse_path;
mod tests;

pub(super) use adjacency::Rewrite;
pub use adjacency::{Adjacencies, Adjacency, Neighbour};

use crate::config::Routing;
use crate::key::{Address, Family};
use crate::units::InterfaceId;
use builder::Builder;
use core::net::IpAddr;
use group::Group;
use lpm::Lpm;

/// What becomes of a packet, by its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// It is for the gateway itself.
    Local,
    /// It is for all hosts of a network that the gateway is in (RFC 2644: not forwarded).
    Broadcast,
    /// It is for a group of hosts, which are not routed to.
    Multicast,
    /// No packet to this address is forwarded.
    Martian,
    /// Another router takes it from here.
    Gateway(HopId),
    /// Its destination is in a network of this interface.
    OnLink(InterfaceId),
    /// A route says that it ends here.
    Blackhole,
    /// A route says that it ends here and the sender is told.
    Unreachable,
    /// No route says anything.
    NoRoute,
}

/// A next hop that is a router: its position among those of a [`Fib`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HopId(u32);

impl HopId {
    /// Position in [`Fib::hops`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A router that takes packets from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    /// The interface that it is at.
    pub interface: InterfaceId,
    /// Its address there.
    pub gateway: IpAddr,
}

/// What a destination comes to in the [`Fib`] that it was looked up in: its position among the choices; or, behind them,
/// among the next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(u32);

impl Found {
    /// The same again, of this number.
    #[inline]
    pub const fn of(index: u32) -> Self {
        Self(index)
    }

    /// Its number, good while the [`Fib`] is.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What routes come to.
#[derive(Clone, Copy, Debug)]
enum Choice {
    One(Way),
    /// Position among the groups.
    Several(u32),
}

/// Where every address is: the forwarding information base.
#[derive(Debug)]
pub struct Fib {
    /// Values are positions among the choices.
    ipv4: Lpm,
    ipv6: Lpm,
    choices: Vec<Choice>,
    groups: Vec<Group>,
    hops: Vec<Hop>,
}

impl Fib {
    /// The table of these interfaces and routes.
    ///
    /// Of what is said about one network the first of these holds: the gateway's own addresses (of an IPv6 network its
    /// first address too, RFC 4291 2.6.1); the broadcast address of an IPv4 network (none in /31 and /32, RFC 3021);
    /// what is never routed, with all that is in it; the networks of the interfaces; routes. Of two alike the last holds.
    pub fn compile(routing: &Routing) -> Self {
        Builder::compile(routing)
    }

    /// Asks for the memory that a look-up of this address reads first. Worth it a burst ahead.
    #[inline]
    pub fn prefetch(&self, family: Family, address: Address) {
        match family {
            Family::V4 => self.ipv4.prefetch_ipv4(address.ipv4_bits()),
            Family::V6 => self.ipv6.prefetch_ipv6(address.ipv6_bits()),
        }
    }

    /// The way of a packet to `destination`. Of several next hops the same flow gets the same one, and one that is not
    /// alive only if none is. `flow_hash` is asked for where there are several, and must be well mixed in its high bits.
    #[inline]
    pub fn lookup(
        &self,
        family: Family,
        destination: Address,
        flow_hash: impl FnOnce() -> u64,
        adjacencies: &Adjacencies,
    ) -> Way {
        self.way(self.find(family, destination), flow_hash, adjacencies)
    }

    /// What a destination comes to: the first half of [`Fib::lookup`].
    #[inline(always)]
    pub fn find(&self, family: Family, destination: Address) -> Found {
        Found(match family {
            Family::V4 => self.ipv4.find_ipv4(destination.ipv4_bits()),
            Family::V6 => self.ipv6.find_ipv6(destination.ipv6_bits()),
        })
    }

    /// Whether what was found is the gateway itself.
    #[inline]
    pub fn is_local(&self, found: Found) -> bool {
        matches!(self.choices[found.0 as usize], Choice::One(Way::Local))
    }

    /// The way of a packet whose destination was found: the second half.
    #[inline(always)]
    pub fn way(&self, found: Found, flow_hash: impl FnOnce() -> u64, adjacencies: &Adjacencies) -> Way {
        match self.choices.get(found.0 as usize) {
            Some(Choice::One(way)) => *way,
            Some(Choice::Several(group)) => self.choose(*group, flow_hash(), adjacencies),
            None => Way::Gateway(HopId(found.0 - self.hops_from())),
        }
    }

    /// What was found, but of several next hops the flow's own alone, if that is alive: the one that it goes by whenever it
    /// can.
    pub fn narrow(&self, found: Found, flow_hash: impl FnOnce() -> u64, adjacencies: &Adjacencies) -> Found {
        let Some(Choice::Several(group)) = self.choices.get(found.0 as usize) else { return found };
        match self.groups[*group as usize].first(flow_hash()) {
            way @ Way::Gateway(hop) if adjacencies.is_alive(way) => Found(self.hops_from() + hop.0),
            _ => found,
        }
    }

    /// Whether it is a next hop by itself.
    pub fn is_narrow(&self, found: Found) -> bool {
        found.0 >= self.hops_from()
    }

    /// Where next hops begin behind the choices.
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer than VALUES_MAX choices")]
    fn hops_from(&self) -> u32 {
        self.choices.len() as u32
    }

    /// Kept apart: most routes have one next hop, and what this needs in registers they need not save.
    #[inline(never)]
    fn choose(&self, group: u32, flow_hash: u64, adjacencies: &Adjacencies) -> Way {
        self.groups[group as usize].choose(flow_hash, |way| adjacencies.is_alive(way))
    }

    /// All ways that packets to this address may take, dead ones too; never empty.
    #[inline]
    pub fn ways(&self, family: Family, address: Address) -> &[Way] {
        match &self.choices[self.find(family, address).0 as usize] {
            Choice::One(way) => core::slice::from_ref(way),
            Choice::Several(group) => self.groups[*group as usize].ways(),
        }
    }

    /// The routers that packets are sent to, by [`HopId`]: those whose MAC addresses control should know.
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }
}

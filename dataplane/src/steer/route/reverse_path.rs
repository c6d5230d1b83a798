//! Which source addresses an interface believes (RFC 2827, RFC 3704).
//!
//! For packets that are to be forwarded. What comes to the gateway itself may have a source that is not routed, such as
//! the link-local ones of neighbour discovery and the unspecified one of DHCP.

use super::{Fib, Way, martian};
use crate::config::route::ReversePath;
use crate::key::{Address, Family};
use crate::units::InterfaceId;

/// Why a source is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No packet may come from this address: one that is not routed, a broadcast address, or the gateway's own.
    Martian,
    /// Packets to this address would not go where this one came from, or nowhere at all.
    ReversePath,
}

/// Whether a packet from `source` may come in by `interface`.
///
/// Strict: one of the next hops to the source is there, be it in use or not (RFC 3704 2.2 and 2.3). Loose: there is a
/// way to it, the default route included, that is no blackhole (RFC 3704 2.4, RFC 5635 4). Off: only what an address says by
/// itself counts; broadcast addresses and the gateway's own are then not told from others, since that takes a look-up.
#[inline(always)]
pub fn check(
    fib: &Fib,
    mode: ReversePath,
    interface: InterfaceId,
    family: Family,
    source: Address,
) -> Result<(), Doubt> {
    if mode == ReversePath::Off {
        return if martian::is_source(family, source) { Err(Doubt::Martian) } else { Ok(()) };
    }
    check_by_routes(fib, mode, interface, family, source)
}

/// Kept apart: what a look-up needs in registers those who make none need not save.
#[inline(never)]
fn check_by_routes(
    fib: &Fib,
    mode: ReversePath,
    interface: InterfaceId,
    family: Family,
    source: Address,
) -> Result<(), Doubt> {
    let leads_back = |way: &Way| match *way {
        Way::Gateway(hop) => mode == ReversePath::Loose || fib.hops[hop.index()].interface == interface,
        Way::OnLink(at) => mode == ReversePath::Loose || at == interface,
        _ => false,
    };
    match fib.ways(family, source) {
        [Way::Local | Way::Broadcast | Way::Multicast | Way::Martian] => Err(Doubt::Martian),
        ways if ways.iter().any(leads_back) => Ok(()),
        _ => Err(Doubt::ReversePath),
    }
}

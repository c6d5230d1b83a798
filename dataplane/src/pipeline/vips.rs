//! What is for a VIP, before it is tracked: the gate says whose it is. What this node takes goes to control as it came.

use crate::counters::{DropReason, PuntReason, WorkerCounters};
use crate::gate::vip::Call;
use crate::parse::Parsed;
use crate::snapshot::Snapshot;
use crate::units::PortId;
use crate::wire::{Ipv4, Ipv6};
use core::net::IpAddr;

/// What becomes of a frame that came in by `port` to a VIP, and was read as `parsed`.
#[inline(never)]
pub(super) fn share(
    snapshot: &Snapshot,
    counters: &WorkerCounters,
    (frame, port): (&[u8], PortId),
    parsed: &Parsed,
) -> Parsed {
    let arrival = snapshot.router().and_then(|router| router.arrival(frame, port));
    let packet = arrival.and_then(|arrival| frame.get(arrival.ip_at..)).unwrap_or_default();
    share_packet(snapshot, counters, packet, frame, parsed).unwrap_or(Parsed::drop(DropReason::VipNotOwner))
}

/// What becomes of an IP packet that was read as `parsed` in `frame`; `None`: it is not to a VIP.
pub(super) fn share_packet(
    snapshot: &Snapshot,
    counters: &WorkerCounters,
    packet: &[u8],
    frame: &[u8],
    parsed: &Parsed,
) -> Option<Parsed> {
    let share = snapshot.vips().share(destination(packet)?, frame, parsed)?;
    let cells = counters.vip(share.vip);
    Some(match share.call {
        Call::Take => {
            cells.taken.add(1);
            Parsed::punt(PuntReason::Vip)
        }
        Call::Leave => {
            cells.left.add(1);
            Parsed::drop(DropReason::VipNotOwner)
        }
        Call::Wait => *parsed,
        Call::Refuse(reason) => Parsed::drop(reason),
    })
}

/// Where an IP packet goes.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(Ipv4::new(packet)?.destination().into()),
        _ => Some(Ipv6::new(packet)?.destination().into()),
    }
}

//! Checks `memory`.

use crate::config::finding::{Findings, Target};
use crate::config::gateway::Memory;
use crate::config::path::Path;
use crate::config::raw;
use core::num::NonZeroU32;

/// Room that DPDK leaves in front of the data: its `RTE_PKTMBUF_HEADROOM`.
const HEADROOM: u32 = 128;

/// Ethernet header, two VLAN tags, frame check sequence.
const LINK: u32 = 14 + 8 + 4;

/// What the room behind the headroom is rounded up to: Intel devices count receive buffers in steps of 1 KiB.
const STEP: u32 = 1024;

/// `is_virtual`: no port is a PCI device. `mtu_max`: of all ports.
pub(super) fn validate(
    raw: raw::Memory,
    is_virtual: bool,
    mtu_max: u16,
    path: &Path,
    findings: &mut Findings,
) -> Option<Memory> {
    let needed = HEADROOM + LINK + u32::from(mtu_max);
    let buffer_size = match raw.buffer_size {
        Some(size) if u32::from(size) < needed => {
            findings.error(
                Target::Value(path.key("buffer_size")),
                format!(
                    "`buffer_size` {size} is too small for the MTU {mtu_max}: a frame must fit one buffer"
                ),
                format!("at least {needed}, or leave it out"),
            );
            None
        }
        Some(size) => Some(size),
        None => u16::try_from((needed - HEADROOM).next_multiple_of(STEP) + HEADROOM).ok(),
    };
    Some(Memory {
        huge_pages: raw.huge_pages.unwrap_or(!is_virtual),
        size_mib: raw.size_mib.and_then(NonZeroU32::new),
        buffers: raw.buffers.and_then(NonZeroU32::new),
        buffer_size: buffer_size?,
    })
}

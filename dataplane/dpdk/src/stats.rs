//! What a port says of itself while it runs: link and counters.

use crate::error::{Errno, Error};
use crate::port::Port;
use core::ffi::{CStr, c_int};

/// The state of a port's link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether frames can pass.
    pub up: bool,
    /// In Mbit/s, where the device knows it. Virtual devices answer 10 000 whatever they do.
    pub speed_mbps: Option<u32>,
    /// Whether both sides may send at once.
    pub full_duplex: bool,
}

/// `rte_eth_stats`: counters that every device has, from its start. Bytes are without the frame check sequence
/// on virtual devices; on NICs the driver decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames lost because a queue was full.
    pub rx_missed: u64,
    /// Frames received broken.
    pub rx_errors: u64,
    /// Frames lost because the mempool was empty.
    pub rx_no_buffer: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
}

/// One of the driver's own counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xstat {
    /// As the driver names it, such as `rx_q0_packets`.
    pub name: String,
    /// From the port's start.
    pub value: u64,
}

impl Port {
    /// The link's state now, without waiting for it to settle.
    ///
    /// # Errors
    /// [`Error::Port`] when the driver does not answer.
    pub fn link(&self) -> Result<Link, Error> {
        let mut link = dpdk_sys::rte_eth_link::default();
        // SAFETY: `link` is written to and outlasts the call.
        let code = unsafe { dpdk_sys::rte_eth_link_get_nowait(self.number(), &raw mut link) };
        self.answered("tell the link's state", code)?;
        Ok(Link {
            up: link.link_status() != 0,
            speed_mbps: match link.link_speed {
                0 | dpdk_sys::RTE_ETH_SPEED_NUM_UNKNOWN => None,
                speed => Some(speed),
            },
            full_duplex: link.link_duplex() != 0,
        })
    }

    /// The common counters.
    ///
    /// # Errors
    /// [`Error::Port`] when the driver does not answer.
    pub fn stats(&self) -> Result<PortStats, Error> {
        let mut stats = dpdk_sys::rte_eth_stats::default();
        // SAFETY: `stats` is written to and outlasts the call.
        let code = unsafe { dpdk_sys::rte_eth_stats_get(self.number(), &raw mut stats) };
        self.answered("tell its counters", code)?;
        Ok(PortStats {
            rx_frames: stats.ipackets,
            rx_bytes: stats.ibytes,
            rx_missed: stats.imissed,
            rx_errors: stats.ierrors,
            rx_no_buffer: stats.rx_nombuf,
            tx_frames: stats.opackets,
            tx_bytes: stats.obytes,
            tx_errors: stats.oerrors,
        })
    }

    /// The driver's own counters, in its order.
    ///
    /// # Errors
    /// [`Error::Port`] when the driver does not answer.
    pub fn xstats(&self) -> Result<Vec<Xstat>, Error> {
        const STEP: &str = "tell its extended counters";
        // SAFETY: with no room given it only counts.
        let count = unsafe { dpdk_sys::rte_eth_xstats_get_names(self.number(), core::ptr::null_mut(), 0) };
        let len = u32::try_from(count).map_err(|_| self.error(STEP, Errno::from_return(count)))?;
        let mut names = vec![dpdk_sys::rte_eth_xstat_name::default(); len as usize];
        // SAFETY: `names` has room for `len` and outlasts the call.
        let named = unsafe { dpdk_sys::rte_eth_xstats_get_names(self.number(), names.as_mut_ptr(), len) };
        self.counted(STEP, named, count)?;
        let mut values = vec![dpdk_sys::rte_eth_xstat::default(); len as usize];
        // SAFETY: `values` has room for `len` and outlasts the call.
        let valued = unsafe { dpdk_sys::rte_eth_xstats_get(self.number(), values.as_mut_ptr(), len) };
        self.counted(STEP, valued, count)?;
        let named = |value: &dpdk_sys::rte_eth_xstat| {
            let name = names.get(usize::try_from(value.id).ok()?)?;
            Some(Xstat { name: text(&name.name), value: value.value })
        };
        Ok(values.iter().filter_map(named).collect())
    }

    fn answered(&self, step: &'static str, code: c_int) -> Result<(), Error> {
        if code == 0 { Ok(()) } else { Err(self.error(step, Errno::from_return(code))) }
    }

    /// DPDK answers the number that it would have needed when that has changed.
    fn counted(&self, step: &'static str, count: c_int, expected: c_int) -> Result<(), Error> {
        if count == expected { Ok(()) } else { Err(self.error(step, Errno::from_return(count.min(0)))) }
    }
}

/// The text in a buffer, up to its NUL.
fn text(buffer: &[core::ffi::c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|c| c.to_ne_bytes()[0]).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(
        |_| String::from_utf8_lossy(&bytes).into_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

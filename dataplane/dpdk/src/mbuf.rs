//! A frame in a DPDK buffer.

use crate::eal::{Eal, OVERSIZE};
use core::mem;
use core::ptr::NonNull;
use core::slice;
use dpdk_sys::rte_mbuf;
use weir_dataplane::port::{Burst, Checksum, Frame, FrameDefect, Offload};
use weir_dataplane::prefetch::prefetch;

/// A frame that its holder owns: one pointer wide; dropping it gives the buffer back to its pool.
///
/// It moves between threads, but two cannot look at it at once:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<weir_dpdk::Mbuf>();
/// ```
#[repr(transparent)]
#[derive(Debug)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: an mbuf is plain memory of a pool that any thread may give it back to, and this is its only handle.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// # Safety
    /// `raw` is an allocated mbuf with a reference count of 1, and nobody else uses it.
    pub(crate) const unsafe fn from_raw(raw: NonNull<rte_mbuf>) -> Self {
        Self(raw)
    }

    /// When it arrived, in microseconds since 1970, where the driver says so: net_pcap answers the capture's
    /// own timestamps.
    pub fn rx_timestamp_us(&self, eal: Eal) -> Option<u64> {
        let field = eal.rx_timestamp();
        if self.raw().ol_flags & field.flag == 0 {
            return None;
        }
        // SAFETY: DPDK gave this offset for a field of 8 aligned bytes inside of every mbuf.
        let field = unsafe { self.0.cast::<u8>().add(field.offset).cast::<u64>().read() };
        Some(field)
    }

    /// Makes `bytes` the contents of a fresh frame; the caller has checked that they fit.
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        let mbuf = self.raw_mut();
        debug_assert!(mbuf.nb_segs == 1 && bytes.len() <= usize::from(mbuf.buf_len - mbuf.data_off));
        mbuf.data_len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        mbuf.pkt_len = u32::from(mbuf.data_len);
        self.bytes_mut().copy_from_slice(bytes);
    }

    /// Notes whether it is longer than its port allows.
    pub(crate) fn mark_oversize(&mut self, frame_len_max: u32) {
        let mbuf = self.raw_mut();
        let oversize = mbuf.pkt_len > frame_len_max;
        // Nearly never does the flag have to change; a device may have left it from the frame's last port.
        if oversize != (mbuf.ol_flags & OVERSIZE != 0) {
            mbuf.ol_flags ^= OVERSIZE;
        }
    }

    fn raw(&self) -> &rte_mbuf {
        // SAFETY: points to an allocated mbuf that only `self` uses.
        unsafe { self.0.as_ref() }
    }

    fn raw_mut(&mut self) -> &mut rte_mbuf {
        // SAFETY: as for `raw`, and `self` is borrowed for writing.
        unsafe { self.0.as_mut() }
    }

    /// Where the first segment's data starts.
    fn data(&self) -> *mut u8 {
        let mbuf = self.raw();
        debug_assert!(u32::from(mbuf.data_off) + u32::from(mbuf.data_len) <= u32::from(mbuf.buf_len));
        // SAFETY: DPDK keeps `data_off` inside of the buffer.
        unsafe { mbuf.buf_addr.cast::<u8>().add(usize::from(mbuf.data_off)) }
    }
}

impl Frame for Mbuf {
    fn bytes(&self) -> &[u8] {
        // SAFETY: DPDK keeps data_off + data_len within the buffer, and only `self` uses the buffer.
        unsafe { slice::from_raw_parts(self.data(), usize::from(self.raw().data_len)) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and `self` is borrowed for writing.
        unsafe { slice::from_raw_parts_mut(self.data(), usize::from(self.raw().data_len)) }
    }

    fn grow_front(&mut self, len: usize) -> bool {
        let mbuf = self.raw_mut();
        // What lies before the data is headroom, and with it the data still ends inside of the buffer.
        let Some(len) = u16::try_from(len).ok().filter(|len| *len <= mbuf.data_off) else { return false };
        mbuf.data_off -= len;
        mbuf.data_len += len;
        mbuf.pkt_len += u32::from(len);
        true
    }

    fn shrink_front(&mut self, len: usize) -> bool {
        let mbuf = self.raw_mut();
        let Some(len) = u16::try_from(len).ok().filter(|len| *len <= mbuf.data_len) else { return false };
        mbuf.data_off += len;
        mbuf.data_len -= len;
        mbuf.pkt_len -= u32::from(len);
        true
    }

    fn defect(&self) -> Option<FrameDefect> {
        let mbuf = self.raw();
        if mbuf.nb_segs != 1 {
            Some(FrameDefect::Segmented)
        } else if mbuf.ol_flags & OVERSIZE != 0 {
            Some(FrameDefect::Oversize)
        } else {
            None
        }
    }

    fn offload(&self) -> Offload {
        // A device says the same of nearly all frames: all is right, or it did not look.
        match self.raw().ol_flags & (IP_MASK | L4_MASK) {
            0 => Offload::default(),
            ALL_GOOD => Offload { ip: Checksum::Good, l4: Checksum::Good },
            flags => Offload {
                ip: checksum(
                    flags & IP_MASK,
                    dpdk_sys::WEIR_RX_IP_CKSUM_GOOD,
                    dpdk_sys::WEIR_RX_IP_CKSUM_BAD,
                ),
                l4: checksum(
                    flags & L4_MASK,
                    dpdk_sys::WEIR_RX_L4_CKSUM_GOOD,
                    dpdk_sys::WEIR_RX_L4_CKSUM_BAD,
                ),
            },
        }
    }

    fn prefetch(&self) {
        prefetch(self.raw());
    }

    fn release(frames: &mut Burst<Self>) {
        let raw = frames.as_mut_ptr().cast::<*mut rte_mbuf>();
        // SAFETY: an Mbuf is one mbuf pointer; these are owned here and forgotten right after.
        unsafe { dpdk_sys::rte_pktmbuf_free_bulk(raw, burst_len(frames)) };
        frames.drain(..).for_each(mem::forget);
    }
}

const IP_MASK: u64 = dpdk_sys::WEIR_RX_IP_CKSUM_MASK;
const L4_MASK: u64 = dpdk_sys::WEIR_RX_L4_CKSUM_MASK;
const ALL_GOOD: u64 = dpdk_sys::WEIR_RX_IP_CKSUM_GOOD | dpdk_sys::WEIR_RX_L4_CKSUM_GOOD;

/// What the two flags of a checksum mean. With both, the sum is unfinished though the data is whole; a frame
/// that goes on to a wire needs its sum, so that counts as not looked at.
const fn checksum(flags: u64, good: u64, bad: u64) -> Checksum {
    if flags == good {
        Checksum::Good
    } else if flags == bad {
        Checksum::Bad
    } else {
        Checksum::Unchecked
    }
}

/// A burst's length as DPDK counts.
fn burst_len(frames: &Burst<Mbuf>) -> u32 {
    u32::try_from(frames.len()).unwrap_or(u32::MAX)
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: owned by `self`, which ends here.
        unsafe { dpdk_sys::rte_pktmbuf_free_bulk(&raw mut raw, 1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_checksum_is_no_verdict() {
        let (good, bad) = (dpdk_sys::WEIR_RX_L4_CKSUM_GOOD, dpdk_sys::WEIR_RX_L4_CKSUM_BAD);
        assert_eq!(checksum(good, good, bad), Checksum::Good);
        assert_eq!(checksum(bad, good, bad), Checksum::Bad);
        assert_eq!(checksum(0, good, bad), Checksum::Unchecked);
        assert_eq!(checksum(dpdk_sys::WEIR_RX_L4_CKSUM_NONE, good, bad), Checksum::Unchecked);
    }

    #[test]
    fn a_frame_is_one_pointer() {
        assert_eq!(size_of::<Option<Mbuf>>(), size_of::<*mut rte_mbuf>());
    }
}

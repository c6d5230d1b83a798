//! Buffers for frames.
//!
//! A pool lives as long as the process. Frames are spread over queues, drivers and workers, each of them one
//! pointer wide; a pool that could end would have to be counted by every one.

use crate::eal::Eal;
use crate::error::{Errno, Error};
use crate::mbuf::Mbuf;
use core::ptr::NonNull;
use dpdk_sys::{RTE_MEMPOOL_CACHE_MAX_SIZE, RTE_PKTMBUF_HEADROOM};
use std::ffi::CString;
use std::sync::Arc;

/// How large a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MempoolOptions {
    /// Frames. Enough for what all queues, bursts and caches hold at once: net_pcap loses a frame of its
    /// capture when there is no buffer for it.
    pub frames: u32,
    /// Longest frame that fits one buffer, in bytes, at most 65 407. Longer ones come in several segments or,
    /// on a NIC, not at all.
    pub frame_len_max: u16,
    /// Frames that each registered thread keeps for itself, at most 512 and two thirds of `frames`.
    pub cache: u32,
}

impl Default for MempoolOptions {
    fn default() -> Self {
        Self { frames: 16_384, frame_len_max: 2048, cache: 256 }
    }
}

/// A pool of buffers.
#[derive(Clone, Debug)]
pub struct Mempool {
    raw: NonNull<dpdk_sys::rte_mempool>,
    name: Arc<str>,
    options: MempoolOptions,
}

// SAFETY: DPDK's mempool may be used by any number of threads at once.
unsafe impl Send for Mempool {}
// SAFETY: as for Send.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Makes a pool.
    ///
    /// # Errors
    /// [`Error::Mempool`] when the EAL has no memory for it, when the name is taken, or when it cannot be of
    /// this size; [`Error::Name`] when DPDK cannot take the name.
    pub fn new(_eal: &Eal, name: &str, options: MempoolOptions) -> Result<Self, Error> {
        let c_name = CString::new(name).map_err(|_| Error::Name(name.to_owned()))?;
        let cache = options.cache.min(RTE_MEMPOOL_CACHE_MAX_SIZE).min(options.frames / 3 * 2);
        let failed = |errno| Error::Mempool {
            pool: name.to_owned(),
            frames: options.frames,
            frame_len_max: options.frame_len_max,
            errno,
        };
        let room = u32::from(options.frame_len_max) + RTE_PKTMBUF_HEADROOM;
        let room = u16::try_from(room).map_err(|_| failed(Errno::INVALID))?;
        // SAFETY: the EAL runs, as `_eal` proves; the name outlasts the call and DPDK copies it.
        let raw = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(c_name.as_ptr(), options.frames, cache, 0, room, ANY_SOCKET)
        };
        let raw = NonNull::new(raw).ok_or_else(|| failed(Errno::last()))?;
        Ok(Self { raw, name: name.into(), options })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How large it is.
    pub const fn options(&self) -> MempoolOptions {
        self.options
    }

    /// Frames that are not in the pool or in a thread's cache. Looks at every cache: not for the packet path.
    pub fn in_use(&self) -> u32 {
        // SAFETY: the pool is never freed.
        unsafe { dpdk_sys::rte_mempool_in_use_count(self.raw.as_ptr()) }
    }

    /// A frame with these bytes; `None` when they do not fit one buffer or no buffer is left.
    pub fn frame(&self, bytes: &[u8]) -> Option<Mbuf> {
        if bytes.len() > usize::from(self.options.frame_len_max) {
            return None;
        }
        let mut raw = core::ptr::null_mut();
        // SAFETY: the pool is never freed; `raw` has room for the one pointer that is asked for.
        let result = unsafe { dpdk_sys::weir_pktmbuf_alloc_bulk(self.raw.as_ptr(), &raw mut raw, 1) };
        let raw = NonNull::new(raw).filter(|_| result == 0)?;
        // SAFETY: just allocated, and nobody else has it.
        let mut frame = unsafe { Mbuf::from_raw(raw) };
        frame.fill(bytes);
        Some(frame)
    }

    pub(crate) const fn as_raw(&self) -> *mut dpdk_sys::rte_mempool {
        self.raw.as_ptr()
    }
}

/// DPDK's SOCKET_ID_ANY: memory of whichever NUMA node has it.
const ANY_SOCKET: i32 = -1;

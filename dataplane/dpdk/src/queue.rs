//! Queues of a port, each for one worker.

use crate::device::Device;
use crate::mbuf::Mbuf;
use core::mem;
use dpdk_sys::rte_mbuf;
use std::sync::Arc;
use weir_dataplane::port::{self, Burst};
use weir_dataplane::units::BURST_MAX;

const _: () = assert!(BURST_MAX <= u16::MAX as usize);

/// A number of frames of one burst, as DPDK counts.
#[expect(clippy::cast_possible_truncation, reason = "a burst has at most BURST_MAX frames")]
const fn count(frames: usize) -> u16 {
    frames as u16
}

/// A receive queue. It keeps its port open; whoever has it is its only user:
///
/// ```compile_fail,E0382
/// fn two_workers(queue: weir_dpdk::RxQueue) {
///     std::thread::spawn(move || queue);
///     std::thread::spawn(move || queue);
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn copied<T: Clone>() {}
/// copied::<weir_dpdk::RxQueue>();
/// ```
#[derive(Debug)]
pub struct RxQueue {
    device: Arc<Device>,
    queue: u16,
    frame_len_max: u32,
}

impl RxQueue {
    pub(crate) const fn new(device: Arc<Device>, queue: u16, frame_len_max: u32) -> Self {
        Self { device, queue, frame_len_max }
    }

    /// Its number in the port, from 0.
    pub const fn index(&self) -> u16 {
        self.queue
    }
}

impl port::RxQueue for RxQueue {
    type Frame = Mbuf;

    fn receive(&mut self, burst: &mut Burst<Mbuf>) -> usize {
        let before = burst.len();
        let room = count(burst.remaining_capacity());
        // SAFETY: `before` is at most the capacity.
        let free = unsafe { burst.as_mut_ptr().add(before) }.cast::<*mut rte_mbuf>();
        // SAFETY: an Mbuf is one mbuf pointer and `free` has room for `room` of them; the port is started, and
        // this queue, which exists once, is borrowed for writing.
        let received = unsafe { dpdk_sys::weir_eth_rx_burst(self.device.number, self.queue, free, room) };
        let received = usize::from(received);
        // SAFETY: DPDK wrote `received` pointers and gave the mbufs behind them away.
        unsafe { burst.set_len(before + received) };
        for frame in &mut burst[before..] {
            frame.mark_oversize(self.frame_len_max);
        }
        received
    }
}

/// A transmit queue. It keeps its port open; whoever has it is its only user, as of an [`RxQueue`].
#[derive(Debug)]
pub struct TxQueue {
    device: Arc<Device>,
    queue: u16,
}

impl TxQueue {
    pub(crate) const fn new(device: Arc<Device>, queue: u16) -> Self {
        Self { device, queue }
    }

    /// Its number in the port, from 0.
    pub const fn index(&self) -> u16 {
        self.queue
    }
}

impl port::TxQueue for TxQueue {
    type Frame = Mbuf;

    fn transmit(&mut self, burst: &mut Burst<Mbuf>) -> usize {
        let frames = burst.as_mut_ptr().cast::<*mut rte_mbuf>();
        let count = count(burst.len());
        // SAFETY: an Mbuf is one mbuf pointer and `frames` has `count` of them; the port is started, and this
        // queue, which exists once, is borrowed for writing.
        let sent = unsafe { dpdk_sys::weir_eth_tx_burst(self.device.number, self.queue, frames, count) };
        let sent = usize::from(sent);
        // The driver owns the first `sent` now.
        burst.drain(..sent).for_each(mem::forget);
        sent
    }
}

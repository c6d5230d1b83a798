//! The data plane's clock: the CPU's time stamp counter, which is read without a system call.

use crate::eal::Eal;
use std::time::Duration;
use weir_dataplane::port::Clock;

/// A clock that starts at 0 when it is made.
#[derive(Clone, Copy, Debug)]
pub struct TscClock {
    start: u64,
    last_ms: u64,
    /// When the next millisecond begins.
    next: u64,
    cycles_per_ms: u64,
    hz: u64,
}

impl TscClock {
    /// A clock; each worker has its own.
    pub fn new(_eal: &Eal) -> Self {
        // SAFETY: the EAL has measured the counter's rate, as `_eal` proves.
        let hz = unsafe { dpdk_sys::rte_get_tsc_hz() };
        let (start, cycles_per_ms) = (tsc(), (hz / 1000).max(1));
        Self { start, last_ms: 0, next: start + cycles_per_ms, cycles_per_ms, hz }
    }

    /// Cycles in a second.
    pub const fn hz(&self) -> u64 {
        self.hz
    }
}

impl Clock for TscClock {
    fn now_ms(&mut self) -> u64 {
        // Counters of different cores may differ by a little: a thread that moves does not see time go back.
        let now = tsc();
        if now >= self.next {
            self.last_ms = (now - self.start) / self.cycles_per_ms;
            self.next = self.start + (self.last_ms + 1) * self.cycles_per_ms;
        }
        self.last_ms
    }

    fn cycles(&self) -> u64 {
        tsc()
    }

    fn ns(&self, cycles: u64) -> u64 {
        u64::try_from(u128::from(cycles) * 1_000_000_000 / u128::from(self.hz.max(1))).unwrap_or(u64::MAX)
    }

    fn rest(&mut self, us: u32) {
        std::thread::sleep(Duration::from_micros(u64::from(us)));
    }
}

fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { dpdk_sys::weir_tsc_cycles() }
}

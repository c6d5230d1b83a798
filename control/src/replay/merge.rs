//! Frames of several captures in the order of their times.

use arrayvec::ArrayVec;
use std::collections::VecDeque;
use weir_dataplane::port::{Burst, RxQueue as _};
use weir_dataplane::units::{BURST_MAX, PortId, TICK_MS, Tick};
use weir_dpdk::{Eal, Mbuf, RxQueue};

/// What drives the data plane's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Clock {
    /// The captures' own timestamps.
    #[default]
    Capture,
    /// Nothing: time stands still and no timeout runs out.
    Frozen,
}

/// Frames that the pipeline gets at once, with what is known of each.
#[derive(Debug, Default)]
pub struct Batch {
    /// The frames.
    pub frames: Burst<Mbuf>,
    /// The port that each came in by.
    pub origins: ArrayVec<PortId, BURST_MAX>,
    /// Each one's number within its input, from 1.
    pub numbers: ArrayVec<u64, BURST_MAX>,
    /// The time of all of them, to a tick.
    pub now: Tick,
    /// The time of the first of them, in microseconds since the captures' start.
    pub since_start_us: u64,
}

/// Inputs being merged.
#[derive(Debug)]
pub(super) struct Merge {
    eal: Eal,
    clock: Clock,
    inputs: Vec<Input>,
    /// The latest timestamp so far.
    latest_us: Option<u64>,
    since_start_us: u64,
}

/// Captures that were put together may lie years apart. No flow lives so long, and the data plane's clock compares
/// moments only while they are less than 248 days apart.
const JUMP_US_MAX: u64 = 100 * 24 * 3600 * 1_000_000;

#[derive(Debug)]
struct Input {
    port: PortId,
    queue: RxQueue,
    waiting: VecDeque<Mbuf>,
    taken: u64,
}

impl Merge {
    /// Merges what these receive queues hand out until they are empty.
    pub(super) fn new(eal: Eal, clock: Clock, queues: impl IntoIterator<Item = (PortId, RxQueue)>) -> Self {
        let input = |(port, queue)| Input { port, queue, waiting: VecDeque::new(), taken: 0 };
        Self {
            eal,
            clock,
            inputs: queues.into_iter().map(input).collect(),
            latest_us: None,
            since_start_us: 0,
        }
    }

    /// Fills `batch` with the next frames that share a moment; false at the end of all inputs.
    /// Within one input the order is kept; where a capture's time goes back, the clock stands still; where it jumps
    /// by more than 100 days, the clock goes on by 100.
    pub(super) fn next(&mut self, batch: &mut Batch) -> bool {
        batch.frames.clear();
        batch.origins.clear();
        batch.numbers.clear();
        while !batch.frames.is_full() {
            let Some((index, time_us)) = self.earliest() else { break };
            let latest_us = self.latest_us.unwrap_or(time_us);
            let since_start_us = self.since_start_us + time_us.saturating_sub(latest_us).min(JUMP_US_MAX);
            let now = self.tick(since_start_us);
            if batch.frames.is_empty() {
                (batch.now, batch.since_start_us) = (now, since_start_us);
            } else if batch.now != now {
                break;
            }
            self.since_start_us = since_start_us;
            self.latest_us = Some(time_us.max(latest_us));
            let input = &mut self.inputs[index];
            let Some(frame) = input.waiting.pop_front() else { break };
            input.taken += 1;
            batch.frames.push(frame);
            batch.origins.push(input.port);
            batch.numbers.push(input.taken);
        }
        !batch.frames.is_empty()
    }

    /// Frames taken so far, by input.
    pub(super) fn taken(&self) -> impl Iterator<Item = (PortId, u64)> + '_ {
        self.inputs.iter().map(|input| (input.port, input.taken))
    }

    fn tick(&self, since_start_us: u64) -> Tick {
        match self.clock {
            Clock::Capture => Tick::from_ms(since_start_us / 1000),
            Clock::Frozen => Tick::from_ms(u64::from(TICK_MS)),
        }
    }

    /// The input whose next frame is the oldest, and that frame's time; the first one of equals.
    fn earliest(&mut self) -> Option<(usize, u64)> {
        let eal = self.eal;
        let heads = self.inputs.iter_mut().enumerate().filter_map(|(index, input)| {
            // net_pcap gives every frame its time.
            Some((index, input.head()?.rx_timestamp_us(eal).unwrap_or_default()))
        });
        heads.min_by_key(|(_, time_us)| *time_us)
    }
}

impl Input {
    fn head(&mut self) -> Option<&Mbuf> {
        if self.waiting.is_empty() {
            let mut burst = Burst::new();
            self.queue.receive(&mut burst);
            self.waiting.extend(burst);
        }
        self.waiting.front()
    }
}

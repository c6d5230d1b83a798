//! The rings between workers: frames to process, frames to transmit, and news.
//!
//! Each ring of frames leads from one worker to one other, so that neither waits for a third. Frames go over by the
//! burst: the cache lines that change hands for a burst do so once for all of its frames. What one worker gives
//! another arrives in order.

use crate::port::{Burst, Frame};
use crate::track::news::{News, Post};
use crate::units::{BURST_MAX, PORTS_MAX, PortId, WorkerId};
use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use rtrb::chunks::ChunkError;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;

/// Frames that may wait for a worker in all of its rings of one kind, and news.
const WAITING_MAX: usize = 1024;
/// Frames that each ring has room for at least, however many workers share the above.
const RING_LEN_MIN: usize = 32;

/// One worker's ends of all rings.
#[derive(Debug)]
pub struct Mesh<F> {
    /// Frames to process.
    pub(super) work: Ends<F>,
    /// Frames to transmit.
    send: Ends<F>,
    /// News to hear, by worker.
    news: Arc<[ArrayQueue<News>]>,
    /// Who transmits for a port that a worker has no queue of.
    senders: [WorkerId; PORTS_MAX],
}

impl<F: Frame> Mesh<F> {
    /// Rings between `workers` workers: the ends of each, in their order. `senders[port]` transmits for those that
    /// have no queue of that port.
    pub fn new(workers: usize, senders: [WorkerId; PORTS_MAX]) -> Vec<Self> {
        let news: Arc<[_]> = (0..workers).map(|_| ArrayQueue::new(WAITING_MAX)).collect();
        let ends = Ends::new(workers).into_iter().zip(Ends::new(workers));
        ends.map(|(work, send)| Self { work, send, news: Arc::clone(&news), senders }).collect()
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.news.len().max(1)
    }

    /// Gives frames that are to leave by `port` to the worker that transmits for it. Answers how many; those that
    /// are left in `frames` found no room.
    pub(super) fn send(&mut self, port: PortId, frames: &mut Burst<F>) -> usize {
        self.send.give(self.senders[port.index()], port, frames)
    }

    /// Takes frames that other workers have no queue for, as [`Ends::take`].
    pub(super) fn take_to_send(&mut self, burst: &mut Burst<F>, ports: &mut [PortId; BURST_MAX]) -> usize {
        self.send.take(burst, ports)
    }

    /// Says that this worker has no more for others to send.
    pub(super) fn close_send(&mut self) {
        self.send.close();
    }

    /// Whether nobody has, or will have, anything for this worker to send.
    pub(super) fn all_sent(&self) -> bool {
        self.send.is_over()
    }

    /// The next thing that another worker told `me`.
    #[inline]
    pub(super) fn hear(&self, me: WorkerId) -> Option<News> {
        // Asking costs two loads, an attempt to take costs a fence.
        self.news.get(me.index()).filter(|ring| !ring.is_empty())?.pop()
    }

    /// Tells other workers than `me`; `false` when one could not take it.
    pub(super) fn tell(&self, me: WorkerId, post: Post) -> bool {
        let told = |to: usize| self.news.get(to).is_none_or(|ring| ring.push(post.news.clone()).is_ok());
        match post.to {
            Some(to) => told(to.index()),
            None => (0..self.news.len()).filter(|to| *to != me.index()).all(told),
        }
    }
}

/// A frame and its port: the one it came from, or is to leave by.
type Passage<F> = (PortId, F);

/// One worker's ends of the rings of one kind. An end remembers where it stands: none shares a cache line with another
/// worker's.
#[derive(Debug)]
pub(super) struct Ends<F> {
    /// By worker; none to itself.
    to: Vec<CachePadded<Option<Producer<Passage<F>>>>>,
    from: Vec<CachePadded<Consumer<Passage<F>>>>,
    /// Which of `from` has its turn first.
    first: usize,
}

impl<F: Frame> Ends<F> {
    fn new(workers: usize) -> Vec<Self> {
        let room = (WAITING_MAX / workers.saturating_sub(1).max(1)).max(RING_LEN_MIN);
        let none = |_| Self { to: Vec::new(), from: Vec::new(), first: 0 };
        let mut ends: Vec<Self> = (0..workers).map(none).collect();
        for from in 0..workers {
            for to in 0..workers {
                let (producer, consumer) = (from != to).then(|| RingBuffer::new(room)).unzip();
                ends[from].to.push(CachePadded::new(producer));
                ends[to].from.extend(consumer.map(CachePadded::new));
            }
        }
        ends
    }

    /// Gives frames to another worker. Answers how many; those that are left in `frames` found no room.
    pub(super) fn give(&mut self, to: WorkerId, port: PortId, frames: &mut Burst<F>) -> usize {
        let Some(ring) = self.to.get_mut(to.index()).and_then(|end| end.as_mut()) else { return 0 };
        let room = match ring.write_chunk_uninit(frames.len()) {
            Ok(room) => room,
            Err(ChunkError::TooFewSlots(left)) => match ring.write_chunk_uninit(left) {
                Ok(room) => room,
                Err(_) => return 0,
            },
        };
        let given = room.len();
        room.fill_from_iter(frames.drain(..given).map(|frame| (port, frame)))
    }

    /// Fills up `burst` with what other workers have given, and `ports` beside it. Another worker is first each time.
    pub(super) fn take(&mut self, burst: &mut Burst<F>, ports: &mut [PortId; BURST_MAX]) -> usize {
        let before = burst.len();
        let (later, sooner) = self.from.split_at_mut(self.first);
        for ring in sooner.iter_mut().chain(later) {
            let frames = match ring.read_chunk(burst.remaining_capacity()) {
                Ok(frames) => frames,
                Err(ChunkError::TooFewSlots(waiting)) => match ring.read_chunk(waiting) {
                    Ok(frames) => frames,
                    Err(_) => continue,
                },
            };
            for (port, frame) in frames {
                // Another core has written it.
                frame.prefetch();
                ports[burst.len()] = port;
                burst.push(frame);
            }
        }
        self.first = if self.first + 1 < self.from.len() { self.first + 1 } else { 0 };
        burst.len() - before
    }

    /// Says that this worker gives no more.
    pub(super) fn close(&mut self) {
        self.to.clear();
    }

    /// Whether nothing waits and no worker will give more.
    pub(super) fn is_over(&self) -> bool {
        self.from.iter().all(|ring| ring.is_abandoned() && ring.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::mem::MemFrame;

    fn frames(numbers: core::ops::Range<u8>) -> Burst<MemFrame> {
        numbers.map(|number| MemFrame::new([number])).collect()
    }

    fn taken(ends: &mut Ends<MemFrame>) -> Vec<(usize, u8)> {
        let (mut burst, mut ports) = (Burst::new(), [PortId::default(); BURST_MAX]);
        ends.take(&mut burst, &mut ports);
        ports.iter().zip(burst).map(|(port, frame)| (port.index(), frame.into_bytes()[0])).collect()
    }

    #[test]
    fn frames_arrive_in_order_with_their_ports_and_each_worker_has_its_turn() {
        let mut ends = Ends::new(3);
        let [port, other] = [4, 5].map(|port| PortId::new(port).unwrap());
        let [first, second] = [0, 1].map(|worker| WorkerId::new(worker).unwrap());
        assert_eq!(ends[1].give(first, port, &mut frames(0..60)), 60);
        assert_eq!(ends[1].give(first, other, &mut frames(60..64)), 4);
        assert_eq!(ends[2].give(first, port, &mut frames(100..103)), 3);
        let expected: Vec<_> = (0..64).map(|number| (if number < 60 { 4 } else { 5 }, number)).collect();
        assert_eq!(taken(&mut ends[0]), expected);
        assert_eq!(ends[1].give(first, port, &mut frames(64..128)), 64);
        // A worker that always fills the burst does not keep the others waiting.
        assert_eq!(taken(&mut ends[0])[..3], [(4, 100), (4, 101), (4, 102)]);
        assert_eq!(ends[1].give(second, port, &mut frames(0..1)), 0, "no ring leads back");
    }

    #[test]
    fn a_full_ring_leaves_the_rest_to_the_giver_and_is_over_when_empty_and_closed() {
        let mut ends = Ends::new(2);
        let second = WorkerId::new(1).unwrap();
        let mut given = 0;
        let refused = loop {
            let mut burst = frames(0..50);
            given += ends[0].give(second, PortId::default(), &mut burst);
            if !burst.is_empty() {
                break burst;
            }
        };
        assert_eq!(given, WAITING_MAX);
        assert_eq!(refused.len(), 50 - WAITING_MAX % 50);
        assert_eq!(usize::from(refused[0].bytes()[0]), WAITING_MAX % 50, "the first ones went");
        ends[0].close();
        assert!(!ends[1].is_over());
        while !taken(&mut ends[1]).is_empty() {}
        assert!(ends[1].is_over());
        assert!(!ends[0].is_over(), "the other worker may give more");
    }
}

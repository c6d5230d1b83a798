//! Packets that wait for their neighbour's address.

use super::config::Limits;
use std::collections::VecDeque;

/// The packets that wait for one neighbour, oldest first. Linux's `arp_queue`.
#[derive(Debug)]
pub(super) struct Queue<P> {
    packets: VecDeque<P>,
    bytes: usize,
}

impl<P> Default for Queue<P> {
    fn default() -> Self {
        Self { packets: VecDeque::new(), bytes: 0 }
    }
}

impl<P: AsRef<[u8]>> Queue<P> {
    /// Adds a packet and takes out the oldest ones that are then too many; says how many. One packet always fits.
    pub(super) fn push(&mut self, packet: P, limits: &Limits) -> usize {
        self.bytes += packet.as_ref().len();
        self.packets.push_back(packet);
        let mut dropped = 0;
        while self.packets.len() > 1
            && (self.packets.len() > limits.queue_packets || self.bytes > limits.queue_bytes)
        {
            self.bytes -= self.packets.pop_front().map_or(0, |oldest| oldest.as_ref().len());
            dropped += 1;
        }
        dropped
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// How long, together.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<P> IntoIterator for Queue<P> {
    type Item = P;
    type IntoIter = std::collections::vec_deque::IntoIter<P>;

    fn into_iter(self) -> Self::IntoIter {
        self.packets.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let limits = Limits { queue_packets: 3, queue_bytes: 100, ..Limits::default() };
        let mut queue = Queue::default();
        for i in 0..3u8 {
            assert_eq!(queue.push(vec![i; 10], &limits), 0);
        }
        assert_eq!(queue.push(vec![3; 10], &limits), 1);
        assert_eq!(queue.push(vec![4; 90], &limits), 2);
        assert_eq!((queue.len(), queue.bytes()), (2, 100));
        assert_eq!(queue.push(vec![5; 101], &limits), 2);
        assert_eq!(queue.into_iter().map(|packet| packet[0]).collect::<Vec<_>>(), [5]);
    }
}

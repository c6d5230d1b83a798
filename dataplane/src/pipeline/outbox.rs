//! Frames that wait to be transmitted, port by port, and those that are left to control.

use crate::port::{Burst, Frame};
use crate::punt::Punted;
use crate::units::{PORTS_MAX, PortId};
use std::collections::VecDeque;

/// What leaves after a burst: a burst for each port, and the rest of it where more was released.
#[derive(Debug)]
pub struct Outbox<F> {
    ports: Vec<Burst<F>>,
    /// In order; of a fixed size.
    more: VecDeque<(PortId, F)>,
    more_max: usize,
    punts: Burst<Punted<F>>,
}

impl<F: Frame> Outbox<F> {
    /// Empty, for `ports` ports and `more_max` frames beside a burst for each.
    pub(super) fn new(ports: usize, more_max: usize) -> Self {
        Self {
            ports: (0..ports.min(PORTS_MAX)).map(|_| Burst::new()).collect(),
            more: VecDeque::with_capacity(more_max),
            more_max,
            punts: Burst::new(),
        }
    }

    /// What is to leave by `port`. When all ports' are empty, [`Outbox::refill`] may have more.
    #[inline]
    pub fn take(&mut self, port: PortId) -> Option<&mut Burst<F>> {
        self.ports.get_mut(port.index())
    }

    /// What is left to control.
    #[inline]
    pub fn punts(&mut self) -> &mut Burst<Punted<F>> {
        &mut self.punts
    }

    /// Whether there is more than the ports' bursts hold.
    #[inline]
    pub fn overflows(&self) -> bool {
        !self.more.is_empty()
    }

    /// Brings up what had no room; whether there was any.
    #[inline]
    pub fn refill(&mut self) -> bool {
        let mut any = false;
        while let Some((port, frame)) = self.more.pop_front() {
            // Only frames for ports that are there were put in.
            let Some(waiting) = self.ports.get_mut(port.index()) else { continue };
            if let Err(full) = waiting.try_push(frame) {
                self.more.push_front((port, full.element()));
                break;
            }
            any = true;
        }
        any
    }

    /// Adds all of `frames` as [`Outbox::put`] would one by one, if there is room for them in one burst; else none.
    #[inline(always)]
    pub(super) fn put_all(&mut self, port: PortId, frames: &mut Burst<F>) -> bool {
        let Some(waiting) = self.ports.get_mut(port.index()) else { return false };
        let fits = self.more.is_empty() && frames.len() <= waiting.remaining_capacity();
        if fits && waiting.is_empty() {
            core::mem::swap(waiting, frames);
        } else if fits {
            waiting.extend(frames.drain(..));
        }
        fits
    }

    /// Adds a frame that is to leave by `port`, behind all others; gives it back when there is no room.
    #[inline(always)]
    pub(super) fn put(&mut self, port: PortId, frame: F) -> Result<(), F> {
        let Some(waiting) = self.ports.get_mut(port.index()) else { return Err(frame) };
        if self.more.is_empty() {
            match waiting.try_push(frame) {
                Ok(()) => Ok(()),
                Err(full) => self.put_off(port, full.element()),
            }
        } else {
            self.put_off(port, frame)
        }
    }

    /// Leaves a frame to control; gives it back when there is no room.
    #[inline]
    pub(super) fn punt(&mut self, punted: Punted<F>) -> Result<(), F> {
        self.punts.try_push(punted).map_err(|full| full.element().frame)
    }

    fn put_off(&mut self, port: PortId, frame: F) -> Result<(), F> {
        if self.more.len() == self.more_max {
            return Err(frame);
        }
        self.more.push_back((port, frame));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::mem::MemFrame;
    use crate::units::BURST_MAX;

    #[test]
    fn more_than_a_burst_leaves_in_order_and_there_is_an_end_to_it() {
        let mut outbox = Outbox::new(2, 100);
        let [a, b] = [0, 1].map(|port| PortId::new(port).unwrap());
        let frame = |n: usize| MemFrame::new(vec![u8::try_from(n).unwrap()]);
        let put: Vec<bool> =
            (0..200).map(|n| outbox.put(if n % 50 == 49 { b } else { a }, frame(n)).is_ok()).collect();
        // 64 and the b among them, then 100.
        assert_eq!(put.iter().filter(|ok| **ok).count(), BURST_MAX + 1 + 100);
        let mut left = [Vec::new(), Vec::new()];
        loop {
            for (port, left) in [a, b].into_iter().zip(&mut left) {
                left.extend(outbox.take(port).unwrap().drain(..).map(|frame| frame.into_bytes()[0]));
            }
            if !outbox.refill() {
                break;
            }
        }
        assert!(left.iter().all(|frames| frames.is_sorted()));
        assert_eq!(left.iter().map(Vec::len).sum::<usize>(), BURST_MAX + 1 + 100);
        assert!(outbox.put(PortId::new(2).unwrap(), frame(0)).is_err(), "no such port");
    }
}

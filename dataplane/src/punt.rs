//! Frames between a worker and control: those that the packet path leaves to control, and those that control sends.
//!
//! Both ways are bounded rings with one giver and one taker. A worker never waits: what finds no room is dropped and
//! counted, which is also what keeps a flood of such frames from control.

use crate::counters::PuntReason;
use crate::port::Burst;
use crate::units::PortId;
use rtrb::{Consumer, Producer, RingBuffer};

/// Frames that may wait for control.
const PUNTS_MAX: usize = 512;
/// Frames of control that may wait for the worker.
const SENDS_MAX: usize = 512;

/// A frame that is left to control.
#[derive(Debug)]
pub struct Punted<F> {
    /// As it came in.
    pub frame: F,
    /// Where it came in.
    pub port: PortId,
    /// Why.
    pub reason: PuntReason,
}

/// A worker's end.
#[derive(Debug)]
pub struct WorkerEnd<F> {
    punts: Producer<Punted<F>>,
    sends: Consumer<(PortId, F)>,
}

/// Control's end.
#[derive(Debug)]
pub struct ControlEnd<F> {
    punts: Consumer<Punted<F>>,
    sends: Producer<(PortId, F)>,
}

/// The two ends of the rings between control and one worker.
pub fn new<F>() -> (WorkerEnd<F>, ControlEnd<F>) {
    let (to_control, punts) = RingBuffer::new(PUNTS_MAX);
    let (sends, from_control) = RingBuffer::new(SENDS_MAX);
    (WorkerEnd { punts: to_control, sends: from_control }, ControlEnd { punts, sends })
}

impl<F> WorkerEnd<F> {
    /// Leaves a frame to control; gives it back when there is no room.
    #[inline]
    pub fn punt(&mut self, punted: Punted<F>) -> Result<(), Punted<F>> {
        self.punts.push(punted).map_err(|rtrb::PushError::Full(punted)| punted)
    }

    /// The next frame that control sends, and the port that it leaves by.
    #[inline]
    pub fn to_send(&mut self) -> Option<(PortId, F)> {
        // Asking costs a load of a line that only control writes.
        if self.sends.is_empty() { None } else { self.sends.pop().ok() }
    }
}

impl<F> ControlEnd<F> {
    /// Takes frames that the worker left, as far as `burst` has room.
    pub fn take(&mut self, burst: &mut Burst<Punted<F>>) {
        while !burst.is_full() {
            let Ok(punted) = self.punts.pop() else { return };
            burst.push(punted);
        }
    }

    /// Has the worker send a frame by `port`; gives it back when there is no room.
    pub fn send(&mut self, port: PortId, frame: F) -> Result<(), F> {
        self.sends.push((port, frame)).map_err(|rtrb::PushError::Full((_, frame))| frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_comes_back() {
        let (mut worker, mut control) = new::<usize>();
        let port = PortId::new(3).unwrap();
        let punted = |frame| Punted { frame, port, reason: PuntReason::Arp };
        assert!((0..PUNTS_MAX).all(|frame| worker.punt(punted(frame)).is_ok()));
        assert_eq!(worker.punt(punted(7000)).unwrap_err().frame, 7000);
        let mut burst = Burst::new();
        control.take(&mut burst);
        assert!(burst.is_full() && burst.iter().map(|punted| punted.frame).eq(0..burst.len()));
        assert!((0..SENDS_MAX).all(|frame| control.send(port, frame).is_ok()));
        assert_eq!(control.send(port, 7000), Err(7000));
        assert!((0..SENDS_MAX).all(|frame| worker.to_send() == Some((port, frame))));
        assert_eq!(worker.to_send(), None);
    }
}

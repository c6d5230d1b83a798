//! How frames leave a worker: they wait for their port until there are enough of them for a call to its driver, or
//! until a turn has gone by, as in DPDK's l3fwd.
//!
//! Frames of one port leave in the order in which they came here. What a transmit queue does not take after a few
//! tries is dropped and counted; nothing else is lost.

use super::mesh::Mesh;
use crate::counters::{DropReason, WorkerCounters};
use crate::pipeline::Outbox;
use crate::port::{Burst, Frame, TxQueue};
use crate::punt::Punted;
use crate::units::{BURST_MAX, PortId};
use std::sync::Arc;

/// Frames that do not wait for more.
const ENOUGH: usize = 32;
/// Tries to hand frames to a transmit queue that takes none.
const TX_TRIES: usize = 4;

/// One port as a way out.
#[derive(Debug)]
struct Exit<T> {
    port: PortId,
    /// None: another worker transmits.
    tx: Option<T>,
    /// Some of what waits was there when the last turn ended.
    due: bool,
}

/// All ways out of one worker, and what waits for them.
#[derive(Debug)]
pub(super) struct Departures<F, T> {
    exits: Vec<Exit<T>>,
    outbox: Outbox<F>,
    counters: Arc<WorkerCounters>,
}

impl<F: Frame, T: TxQueue<Frame = F>> Departures<F, T> {
    /// No way out yet.
    pub(super) fn new(outbox: Outbox<F>, counters: Arc<WorkerCounters>) -> Self {
        Self { exits: Vec::new(), outbox, counters }
    }

    /// Adds a port, or the transmit queue of one that has none yet.
    pub(super) fn add(&mut self, port: PortId, tx: Option<T>) {
        match self.exits.iter_mut().find(|exit| exit.port == port) {
            Some(exit) => exit.tx = exit.tx.take().or(tx),
            None => self.exits.push(Exit { port, tx, due: false }),
        }
    }

    /// Where the pipeline puts what it forwards of `frames` frames: all of them find room for any port.
    #[inline]
    pub(super) fn outbox(&mut self, frames: usize, mesh: &mut Mesh<F>) -> &mut Outbox<F> {
        self.leave(mesh, |waiting, _| waiting + frames > BURST_MAX);
        &mut self.outbox
    }

    /// What the pipeline leaves to control.
    #[inline]
    pub(super) fn punts(&mut self) -> &mut Burst<Punted<F>> {
        self.outbox.punts()
    }

    /// Sends on what the pipeline released beyond a burst for each port.
    #[inline]
    pub(super) fn relieve(&mut self, mesh: &mut Mesh<F>) {
        while self.outbox.overflows() {
            self.flush(mesh);
            self.outbox.refill();
        }
    }

    /// Adds a frame that another worker has forwarded.
    pub(super) fn add_frame(&mut self, port: PortId, frame: F, mesh: &mut Mesh<F>) {
        if self.outbox.take(port).is_some_and(|waiting| waiting.is_full()) {
            self.flush(mesh);
        }
        if let Some(waiting) = self.outbox.take(port) {
            waiting.push(frame);
        }
    }

    /// Sends what is enough for a call and what has waited for a turn. Answers how many frames went.
    pub(super) fn end_turn(&mut self, mesh: &mut Mesh<F>) -> usize {
        self.leave(mesh, |waiting, exit| {
            let leaves = waiting >= ENOUGH || exit.due || exit.tx.is_none();
            exit.due = true;
            leaves
        })
    }

    /// Drops all that waits: it is another node's by now.
    #[cold]
    pub(super) fn disown(&mut self) {
        for exit in &self.exits {
            let Some(waiting) = self.outbox.take(exit.port) else { continue };
            refuse(waiting, DropReason::NotOwner, &self.counters);
        }
    }

    /// Sends all that waits.
    pub(super) fn flush(&mut self, mesh: &mut Mesh<F>) {
        self.leave(mesh, |_, _| true);
    }

    /// Sends what waits for the ports of which `leaves`, given how many frames that is, says so.
    #[inline]
    fn leave(&mut self, mesh: &mut Mesh<F>, mut leaves: impl FnMut(usize, &mut Exit<T>) -> bool) -> usize {
        let mut left = 0;
        for exit in &mut self.exits {
            let Some(waiting) = self.outbox.take(exit.port) else { continue };
            if !waiting.is_empty() && leaves(waiting.len(), exit) {
                left += waiting.len();
                exit.due = false;
                match &mut exit.tx {
                    Some(tx) => transmit(tx, waiting, exit.port, &self.counters),
                    None => hand_on(waiting, exit.port, mesh, &self.counters),
                }
            }
        }
        left
    }
}

/// Sends a burst; what the queue does not take after a few tries is dropped and counted.
fn transmit<T: TxQueue>(tx: &mut T, waiting: &mut Burst<T::Frame>, port: PortId, counters: &WorkerCounters) {
    let (frames, bytes) = (waiting.len(), bytes_of(waiting));
    for _ in 0..TX_TRIES {
        tx.transmit(waiting);
        if waiting.is_empty() {
            break;
        }
    }
    let cells = counters.port(port);
    cells.tx_frames.add((frames - waiting.len()) as u64);
    cells.tx_bytes.add((bytes - bytes_of(waiting)) as u64);
    refuse(waiting, DropReason::TxFull, counters);
}

/// Gives a burst to the worker that transmits for its port.
fn hand_on<F: Frame>(waiting: &mut Burst<F>, port: PortId, mesh: &mut Mesh<F>, counters: &WorkerCounters) {
    mesh.send(port, waiting);
    refuse(waiting, DropReason::TxFull, counters);
}

fn refuse<F: Frame>(refused: &mut Burst<F>, reason: DropReason, counters: &WorkerCounters) {
    if !refused.is_empty() {
        counters.forward_refused(refused.len() as u64, reason);
        F::release(refused);
    }
}

fn bytes_of<F: Frame>(frames: &Burst<F>) -> usize {
    frames.iter().map(|frame| frame.bytes().len()).sum()
}

//! How control speaks to a worker: bounded queues without locks, looked at once a turn.

use crate::counters::{FlowClass, WorkerCounters};
use crate::key::{FlowKey, Side};
use crate::snapshot::Snapshot;
use crate::track::Origin;
use crate::units::{BucketId, Epoch, Span, WorkerId};
use core::sync::atomic::{AtomicBool, Ordering};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// Orders that may wait for a worker.
const ORDERS_MAX: usize = 16;

/// A flow, copied for show.
#[derive(Clone, Copy, Debug)]
pub struct FlowView {
    /// Whose table it is in.
    pub worker: WorkerId,
    /// Its name.
    pub key: FlowKey,
    /// The side of the name that it comes from.
    pub origin: Side,
    /// Its protocol and state.
    pub class: FlowClass,
    /// Time until it ends without another packet.
    pub remaining: Span,
    /// An answer has been seen.
    pub seen_reply: bool,
    /// It has proven itself.
    pub assured: bool,
    /// Whose it is.
    pub bucket: BucketId,
    /// It is this node's.
    pub owned: bool,
    /// The flow that announced it.
    pub master: Option<Origin>,
}

/// Flows on their way from a worker to control. The worker adds a few a turn while there is room.
#[derive(Debug)]
pub struct FlowDump {
    flows: ArrayQueue<FlowView>,
    complete: AtomicBool,
}

impl FlowDump {
    /// A dump that holds at most `room` flows at a time (at least one).
    pub fn new(room: usize) -> Arc<Self> {
        Arc::new(Self { flows: ArrayQueue::new(room.max(1)), complete: AtomicBool::new(false) })
    }

    /// Takes one out.
    pub fn pop(&self) -> Option<FlowView> {
        self.flows.pop()
    }

    /// Whether the worker has seen its whole table. What it has added may still be in here.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.flows.is_full()
    }

    pub(crate) fn push(&self, flow: FlowView) {
        // The worker is the only one that adds and has asked for room.
        let refused = self.flows.push(flow);
        debug_assert!(refused.is_ok());
    }

    pub(crate) fn finish(&self) {
        self.complete.store(true, Ordering::Release);
    }
}

/// What control asks of a worker.
#[derive(Debug)]
pub(crate) enum Order {
    /// Go on by this snapshot.
    Adopt(Arc<Snapshot>),
    /// Copy the flows into this dump.
    Dump(Arc<FlowDump>),
}

/// Both directions between control and one worker.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) orders: ArrayQueue<Order>,
    /// Snapshots that the worker has done with: freed by control, not by the worker.
    pub(crate) returned: ArrayQueue<Arc<Snapshot>>,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { orders: ArrayQueue::new(ORDERS_MAX), returned: ArrayQueue::new(ORDERS_MAX) })
    }
}

/// A worker did not look at its mailbox in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxFull;

/// Control's end of one worker.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    pub(crate) id: WorkerId,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) flows_max: usize,
}

impl WorkerHandle {
    /// Which worker.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// What it counts.
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Flows that its table holds at most.
    pub fn flows_max(&self) -> usize {
        self.flows_max
    }

    /// Hands it a snapshot and frees those that it has done with.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Result<(), MailboxFull> {
        self.collect();
        self.mailbox.orders.push(Order::Adopt(snapshot)).map_err(|_| MailboxFull)
    }

    /// Whether it works by the snapshot of `epoch`. Frees those that it has done with.
    pub fn acknowledged(&self, epoch: Epoch) -> bool {
        self.collect();
        self.counters.epoch.read() == u64::from(epoch.number())
    }

    /// Asks for a copy of all its flows.
    pub fn dump(&self, dump: &Arc<FlowDump>) -> Result<(), MailboxFull> {
        self.mailbox.orders.push(Order::Dump(Arc::clone(dump))).map_err(|_| MailboxFull)
    }

    fn collect(&self) {
        while let Some(snapshot) = self.mailbox.returned.pop() {
            drop(snapshot);
        }
    }
}

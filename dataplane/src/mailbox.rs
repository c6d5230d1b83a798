//! How control speaks to a worker: bounded queues without locks, looked at once a turn.

use crate::counters::WorkerCounters;
use crate::gate::handover::Step;
use crate::sched::cache::{self, Hold};
use crate::snapshot::Snapshot;
use crate::steer::service::memory::Memories;
use crate::tally::Counts;
use crate::trace::Trace;
use crate::track::filter::Filter;
use crate::track::watch::FlowWatch;
use crate::track::{ExpectationView, FlowView};
use crate::units::{Epoch, ServerId, ServiceId, WorkerId};
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// Orders that may wait for a worker.
const ORDERS_MAX: usize = 16;

/// Things on their way from a worker to control. The worker adds a few a turn while there is room.
#[derive(Debug)]
pub struct Dump<T> {
    items: ArrayQueue<T>,
    complete: AtomicBool,
    /// Entries of its table that the worker has looked at.
    seen: AtomicU32,
}

impl<T> Dump<T> {
    /// A dump that holds at most `room` things at a time (at least one).
    pub fn new(room: usize) -> Arc<Self> {
        let items = ArrayQueue::new(room.max(1));
        Arc::new(Self { items, complete: AtomicBool::new(false), seen: AtomicU32::new(0) })
    }

    /// Takes one out.
    pub fn pop(&self) -> Option<T> {
        self.items.pop()
    }

    /// Says that no more is wanted, so that the worker need not go on.
    pub fn close(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Whether the worker has seen its whole table, or need not. What it has added may still be in here.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Entries of its table that the worker has looked at: it gets on with it as long as they become more.
    pub fn seen(&self) -> u32 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(crate) fn has_seen(&self, entries: u32) {
        self.seen.store(entries, Ordering::Relaxed);
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.items.is_full()
    }

    pub(crate) fn push(&self, item: T) {
        // The worker is the only one that adds and has asked for room.
        let refused = self.items.push(item).is_err();
        debug_assert!(!refused, "there was room");
    }
}

/// An operator's word on an address of a service whose scheduler is `lblc` or `lblcr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The service.
    pub service: ServiceId,
    /// Where the content comes from.
    pub address: IpAddr,
    /// Why it is to be in the table, and at which server; `None`: it is forgotten.
    pub hold: Option<(Hold, Option<ServerId>)>,
}

/// Something that a worker does for control beside its frames, a bounded part of it a turn.
#[derive(Debug)]
pub enum Errand {
    /// Copy the flows that the filter means.
    List(Arc<Filter>, Arc<Dump<FlowView>>),
    /// End them, and copy what they were.
    Delete(Arc<Filter>, Arc<Dump<FlowView>>),
    /// Copy the expectations.
    Expectations(Arc<Dump<ExpectationView>>),
    /// Copy what a service knows of who holds which address's content: of `lblc` or `lblcr`.
    Cache(ServiceId, Arc<Dump<cache::View>>),
    /// Have a service hold an address so, or forget it; and say whether there was room for that.
    Hold(Holding, Arc<Dump<bool>>),
    /// Copy which server each client of a service stays with.
    Clients(ServiceId, Arc<Dump<ServerId>>),
}

/// What control asks of a worker.
#[derive(Debug)]
pub(crate) enum Order {
    /// Go on by this snapshot.
    Adopt(Arc<Snapshot>),
    /// Remember services in this from now on.
    Remember(Memories),
    /// This is what the connections of all other workers come to.
    HearCounts(Arc<[(ServerId, Counts)]>),
    /// Run this errand.
    Errand(Errand),
    /// Take this step of a hand-over.
    HandOver(Step),
    /// Tell this listener of flows.
    Watch(Arc<FlowWatch>),
    /// Tell this listener of frames.
    Trace(Arc<Trace>),
}

/// What a worker has done with: freed by control, since giving memory back to the system takes its time.
#[derive(Debug)]
pub(crate) enum Spent {
    /// Another one is in force.
    Snapshot(#[expect(dead_code, reason = "only ever dropped")] Arc<Snapshot>),
    /// Others are in use.
    Memories(#[expect(dead_code, reason = "only ever dropped")] Memories),
    /// They have been taken in.
    Counts(#[expect(dead_code, reason = "only ever dropped")] Arc<[(ServerId, Counts)]>),
    /// It is over.
    HandOver(#[expect(dead_code, reason = "only ever dropped")] Step),
    /// It is done, or another one took its place.
    Errand(#[expect(dead_code, reason = "only ever dropped")] Errand),
}

/// Both directions between control and one worker.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) orders: ArrayQueue<Order>,
    /// At most as much as there were orders since control looked.
    returned: ArrayQueue<Spent>,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { orders: ArrayQueue::new(ORDERS_MAX), returned: ArrayQueue::new(2 * ORDERS_MAX) })
    }

    /// Worker: gives something back to be freed.
    pub(crate) fn give_back(&self, spent: Spent) {
        // Control empties the queue before it gives orders. Should it be full, freeing it here is the lesser evil.
        drop(self.returned.push(spent));
    }

    /// The worker's next order.
    #[inline]
    pub(crate) fn order(&self) -> Option<Order> {
        // Asking costs two loads, an attempt to take costs a fence.
        if self.orders.is_empty() { None } else { self.orders.pop() }
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
        // What a worker remembers of services is made here, since it may be much.
        let has = self.counters.services_version.read();
        if let Some(services) = snapshot.services().filter(|services| services.version() != has) {
            self.order(Order::Remember(services.memories(Some(has))))?;
        }
        self.order(Order::Adopt(snapshot))
    }

    /// Tells it what the connections of all other workers to servers come to.
    pub fn tell_counts(&self, counts: Arc<[(ServerId, Counts)]>) -> Result<(), MailboxFull> {
        self.collect();
        self.order(Order::HearCounts(counts))
    }

    fn order(&self, order: Order) -> Result<(), MailboxFull> {
        self.mailbox.orders.push(order).map_err(|_| MailboxFull)
    }

    /// Whether it works by the snapshot of `epoch`. Frees those that it has done with.
    pub fn acknowledged(&self, epoch: Epoch) -> bool {
        self.collect();
        self.counters.epoch.read() == u64::from(epoch.number())
    }

    /// Sends it on an errand. It has one at a time: this one takes the place of one that is not done.
    pub fn send(&self, errand: Errand) -> Result<(), MailboxFull> {
        self.collect();
        self.order(Order::Errand(errand))
    }

    /// Has it take a step of a hand-over.
    pub fn hand_over(&self, step: Step) -> Result<(), MailboxFull> {
        self.collect();
        self.order(Order::HandOver(step))
    }

    /// Tells `watch` of its flows from now on. It tells [`WATCHES_MAX`](crate::watch::WATCHES_MAX) at once.
    pub fn watch(&self, watch: &Arc<FlowWatch>) -> Result<(), MailboxFull> {
        self.order(Order::Watch(Arc::clone(watch)))
    }

    /// Tells `trace` of its frames from now on. It tells [`WATCHES_MAX`](crate::watch::WATCHES_MAX) at once.
    pub fn trace(&self, trace: &Arc<Trace>) -> Result<(), MailboxFull> {
        self.order(Order::Trace(Arc::clone(trace)))
    }

    fn collect(&self) {
        while let Some(spent) = self.mailbox.returned.pop() {
            drop(spent);
        }
    }
}

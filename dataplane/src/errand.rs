//! An errand under way: a walk through one of a worker's tables, a few entries a turn.

use crate::mailbox::{Dump, Errand, Holding};
use crate::sched::cache::Table;
use crate::steer::service::clients::Clients;
use crate::steer::service::memory::Memories;
use crate::track::Tracker;
use crate::units::Tick;

/// Entries that one turn looks at, at most.
const LOOKS_A_TURN: u32 = 64;

/// An errand, and the number of the next entry to look at.
#[derive(Debug)]
pub(crate) struct Walk {
    errand: Errand,
    next: u32,
}

impl Walk {
    /// An errand that has not begun.
    pub(crate) fn new(errand: Errand) -> Self {
        Self { errand, next: 0 }
    }

    /// What it was about.
    pub(crate) fn into_errand(self) -> Errand {
        self.errand
    }

    /// Does a turn's part of it; whether it is done.
    pub(crate) fn step(&mut self, tracker: &mut Tracker, memories: &mut Memories, now: Tick) -> bool {
        let flows = tracker.table().capacity();
        match &self.errand {
            Errand::List(filter, dump) => walk(&mut self.next, flows, dump, |record| {
                tracker.view(record, now).filter(|flow| filter.matches(flow))
            }),
            Errand::Delete(filter, dump) => walk(&mut self.next, flows, dump, |record| {
                let flow = tracker.view(record, now).filter(|flow| filter.matches(flow))?;
                tracker.delete(record, now);
                Some(flow)
            }),
            Errand::Expectations(dump) => {
                let expectations = tracker.expectations().capacity();
                walk(&mut self.next, expectations, dump, |number| tracker.view_expectation(number, now))
            }
            Errand::Cache(service, dump) => {
                let table = memories.find(*service).and_then(|found| found.memory.as_cache());
                let entries = table.map_or(0, Table::capacity);
                walk(&mut self.next, entries, dump, |place| table?.view(place, now))
            }
            Errand::Hold(holding, dump) => {
                let table = memories.find_mut(holding.service).and_then(|found| found.memory.as_cache_mut());
                let held = table.is_some_and(|table| hold(table, holding, now));
                walk(&mut self.next, 1, dump, |_| Some(held))
            }
            Errand::Clients(service, dump) => {
                let clients = memories.find(*service).and_then(|found| found.clients.as_ref());
                let room = clients.map_or(0, Clients::capacity);
                walk(&mut self.next, room, dump, |place| clients?.view(place, now))
            }
        }
    }
}

/// Does what an operator says; whether there was room.
fn hold(table: &mut Table, holding: &Holding, now: Tick) -> bool {
    match holding.hold {
        Some((hold, server)) => table.hold(holding.address, hold, server, now),
        None => {
            table.forget(holding.address);
            true
        }
    }
}

/// Takes what `visit` makes of the entries from `next` on into `dump`; whether there are no more of them, or no more
/// is wanted.
fn walk<T>(next: &mut u32, capacity: usize, dump: &Dump<T>, mut visit: impl FnMut(u32) -> Option<T>) -> bool {
    for _ in 0..LOOKS_A_TURN {
        if *next as usize >= capacity || dump.is_complete() {
            dump.close();
            return true;
        }
        if !dump.has_room() {
            return false;
        }
        if let Some(item) = visit(*next) {
            dump.push(item);
        }
        *next += 1;
        dump.has_seen(*next);
    }
    false
}

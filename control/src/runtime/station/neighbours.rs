//! The station's neighbours: what workers are told of them and tell of them, links, and what an operator sees.

use super::Station;
use crate::config::Network;
use crate::network::neighbours::{Alarm, At, Counters, Ignored, Neighbour, SILENCE_MS};
use crate::observe::{NeighbourAlarm, NeighbourCounts, NeighbourRow, Neighbours, StationCounts};
use core::net::IpAddr;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tracing::warn;
use weir_dataplane::steer::route::{self, Adjacencies};
use weir_dataplane::units::{InterfaceId, PortId};

/// Between two looks at which neighbours packets went to. A stale one is asked that much later than it could be.
const USE_INTERVAL_MS: u64 = 1_000;

/// Alarms that are shown at most.
const ALARMS_MAX: usize = 32;

/// For so long after it was raised an alarm is shown. One that goes on is raised again after [`SILENCE_MS`].
const SHOWN_MS: u64 = SILENCE_MS + SILENCE_MS / 2;

/// What was wrong of late, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Alarms(VecDeque<(u64, Alarm)>);

impl Alarms {
    /// Says it in the log, and keeps it to be shown.
    pub(super) fn raise(&mut self, alarm: Alarm, now_ms: u64) {
        warn!("{alarm}");
        self.0.retain(|(_, old)| *old != alarm);
        if self.0.len() == ALARMS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now_ms, alarm));
    }

    fn shown(&self, now_ms: u64) -> impl Iterator<Item = NeighbourAlarm> {
        let young = self.0.iter().filter(move |(at_ms, _)| now_ms < at_ms + SHOWN_MS);
        young.map(move |(at_ms, alarm)| NeighbourAlarm {
            ago_s: (now_ms - at_ms) / 1000,
            kind: alarm.kind().to_owned(),
            what: alarm.to_string(),
        })
    }
}

impl Station {
    /// Routes by the neighbours that are known now.
    pub(super) fn learn(&mut self) {
        let known = self.neighbours.known().map(|known| route::Neighbour {
            interface: known.at.interface,
            address: known.at.address,
            mac: known.mac,
        });
        let is_up = |interface| self.neighbours.is_up(interface);
        let adjacencies = Adjacencies::compile(&self.routing, self.router.fib(), is_up, known);
        self.router = self.router.with_neighbours(Arc::new(adjacencies));
    }

    /// Looks now and then whom packets went to. A use that a worker marks while it is given other tables is lost; the
    /// next packet marks it there.
    pub(super) fn note_uses(&mut self, now_ms: u64) {
        if now_ms < self.next_use_ms {
            return;
        }
        self.next_use_ms = now_ms + USE_INTERVAL_MS;
        for (interface, address) in self.router.adjacencies().take_used() {
            self.neighbours.used(At { interface, address }, now_ms);
        }
    }

    /// These ports have no link now: workers must be told. The networks behind one that has it again are told of the
    /// gateway's addresses.
    pub(in crate::runtime) fn links_down(&mut self, down: BTreeSet<PortId>) {
        let came_back = self.neighbours.links_down(down, self.now_ms());
        self.learn();
        if came_back {
            self.announce();
        }
    }

    /// Forgets a neighbour, by an interface or by any; how many it were.
    pub(in crate::runtime) fn flush(&mut self, address: IpAddr, interface: Option<InterfaceId>) -> usize {
        self.neighbours.flush(address, interface, self.now_ms())
    }

    /// All neighbours, by the names of the interfaces of `network`.
    pub(in crate::runtime) fn show(&self, network: &Network) -> Neighbours {
        let now_ms = self.now_ms();
        let ago_s = |at_ms: u64| now_ms.saturating_sub(at_ms) / 1000;
        let name =
            |at: At| network.interfaces().get(at.interface.index()).map(|named| named.name().to_owned());
        let rows = self.neighbours.rows().map(|row| NeighbourRow {
            interface: name(row.at).unwrap_or_default(),
            address: row.at.address,
            state: row.state.name().to_owned(),
            mac: row.mac.map(|mac| mac.to_string()),
            age_s: ago_s(row.updated_at_ms),
            used_s: row.used_at_ms.map(ago_s),
            waiting: row.waiting,
        });
        Neighbours {
            neighbours: rows.collect(),
            neighbours_max: self.neighbours.neighbours_max(),
            alarms: self.alarms.shown(now_ms).collect(),
            counters: counts(self.neighbours.counters()),
        }
    }

    /// What became of the gateway's own packets.
    pub(in crate::runtime) const fn counts(&self) -> StationCounts {
        let tally = &self.tally;
        StationCounts {
            sent: tally.sent,
            refused: tally.refused,
            unclaimed: tally.unclaimed,
            limited: tally.limited,
        }
    }
}

fn counts(counters: &Counters) -> NeighbourCounts {
    let ignored = Ignored::ALL.iter().map(|(why, name)| ((*name).to_owned(), counters.ignored(*why)));
    NeighbourCounts {
        accepted: counters.accepted,
        ignored: ignored.collect(),
        requests: counters.requests,
        requests_limited: counters.requests_limited,
        answers: counters.answers,
        announcements: counters.announcements,
        released: counters.released,
        given_up: counters.given_up,
        dropped: counters.dropped,
        table_full: counters.table_full,
        forgotten: counters.forgotten,
    }
}

/// The neighbours of the configuration.
pub(super) fn permanent(network: &Network) -> Vec<Neighbour> {
    let all = network.neighbours().iter();
    all.map(|known| Neighbour {
        at: At { interface: known.interface, address: known.address },
        mac: known.mac,
    })
    .collect()
}

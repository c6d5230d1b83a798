//! Clients that trace frames, and what is on its way to them.
//!
//! A trace ends by itself: when the client goes, has seen as many frames as it asked for, or its time is up. All
//! traces together are told of [`FRAMES_A_LOOK`] frames at each look; what a worker has beyond that finds no room
//! in its ring, and is missed.

use super::ears::Ears;
use super::traced::{self, Names};
use crate::api::{Refusal, TraceRequest};
use crate::observe::{TraceEnd, TraceEvent};
use std::collections::BTreeSet;
use std::time::{Instant, SystemTime};
use tokio::sync::mpsc;
use weir_dataplane::counters::Verdict;
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::trace::{Filter, Told};
use weir_dataplane::watch::WATCHES_MAX;

/// Frames that are told at one look, at most: 10,000 a second, with a look each 10 ms.
const FRAMES_A_LOOK: usize = 100;

/// Frames that one worker may have told ahead of control.
const TRACE_ROOM: usize = 256;

/// Frames that control may have told ahead of a client.
const CLIENT_ROOM: usize = 1024;

/// All clients that trace.
#[derive(Debug, Default)]
pub(super) struct Tracers(Vec<Tracer>);

#[derive(Debug)]
struct Tracer {
    ears: Ears<Filter, Told>,
    client: mpsc::Sender<TraceEvent>,
    /// Frames until it ends.
    left: u32,
    /// When it ends.
    until: Instant,
    told: u64,
    missed: u64,
    /// Frames that wait for the rest of their datagrams, by worker.
    held: BTreeSet<(usize, u64)>,
    /// How it ended.
    end: Option<TraceEvent>,
}

impl Tracers {
    /// Whether nobody traces.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Traces what `request` means, at all workers.
    ///
    /// # Errors
    /// When it asks for too much, there are too many who trace, or a worker does not answer.
    pub(super) fn add(
        &mut self,
        workers: &[WorkerHandle],
        request: &TraceRequest,
    ) -> Result<mpsc::Receiver<TraceEvent>, Refusal> {
        if self.0.len() == WATCHES_MAX {
            return Err(Refusal::conflict(format!("{WATCHES_MAX} traces are on already: end one")));
        }
        let (left, time) = request.bounds()?;
        let (client, events) = mpsc::channel(CLIENT_ROOM);
        let (ears, refused) = match Ears::open(workers, &request.filter(), TRACE_ROOM, WorkerHandle::trace) {
            Ok(ears) => (ears, None),
            Err((ears, refusal)) => (ears, Some(refusal)),
        };
        let until = Instant::now() + time;
        let held = BTreeSet::new();
        self.0.push(Tracer { ears, client, left, until, told: 0, missed: 0, held, end: None });
        refused.map_or(Ok(events), Err)
    }

    /// Passes on what the workers have told, and forgets who has gone.
    pub(super) fn pass_on(&mut self, names: &Names<'_>) {
        let share = FRAMES_A_LOOK.div_ceil(self.0.len().max(1));
        self.0.retain_mut(|tracer| {
            if tracer.goes_on(share, names) {
                return true;
            }
            tracer.ears.close();
            tracer.ears.are_held()
        });
    }
}

impl Tracer {
    /// Tells the client of `frames_max` frames at most; whether there is more to tell it.
    fn goes_on(&mut self, frames_max: usize, names: &Names<'_>) -> bool {
        if self.client.is_closed() {
            return false;
        }
        if self.end.is_none() {
            self.pass_on(frames_max, names);
            self.end = self.reason().map(|reason| {
                self.ears.close();
                TraceEvent::End { reason, frames: self.told, missed: self.missed }
            });
        }
        let Some(end) = &self.end else { return true };
        // Without room it is said at the next look.
        matches!(self.client.try_send(end.clone()), Err(mpsc::error::TrySendError::Full(_)))
    }

    fn reason(&self) -> Option<TraceEnd> {
        let is_over = Instant::now() >= self.until;
        if self.left == 0 { Some(TraceEnd::Count) } else { is_over.then_some(TraceEnd::Time) }
    }

    fn pass_on(&mut self, frames_max: usize, names: &Names<'_>) {
        let Self { ears, client, left, told, missed, held, .. } = self;
        let time_ms = unix_ms();
        let mut room = frames_max;
        for ear in ears.iter_mut() {
            let worker = ear.worker();
            if let Some(frames) = ear.lost() {
                let Ok(place) = client.try_reserve() else { return };
                place.send(TraceEvent::Missed { worker, frames });
                ear.note_lost(frames);
                *missed += frames;
            }
            while room > 0 && *left > 0 {
                let Ok(place) = client.try_reserve() else { return };
                let Some(told_now) = ear.hear() else { break };
                room -= 1;
                match told_now {
                    Told::Frame(passage) => {
                        if passage.verdict == Verdict::Hold {
                            held.insert((worker, passage.arrival.number));
                        }
                        place.send(TraceEvent::Frame(Box::new(traced::frame(
                            worker, time_ms, &passage, names,
                        ))));
                    }
                    // All traces are told of each release.
                    Told::Released { number, .. } if !held.remove(&(worker, number)) => continue,
                    Told::Released { number, verdict } => {
                        let outcome = traced::outcome(verdict, names);
                        place.send(TraceEvent::Released { time_ms, worker, number, outcome });
                        continue;
                    }
                    Told::Sent(view) => {
                        let frame = traced::view(&view, names);
                        place.send(TraceEvent::Sent { time_ms, worker, frame: Box::new(frame) });
                    }
                }
                *left -= 1;
                *told += 1;
            }
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;
    use weir_dataplane::config::Config;
    use weir_dataplane::pipeline::Limits;
    use weir_dataplane::port::mem::{MemClock, MemFrame, MemQueue};
    use weir_dataplane::punt;
    use weir_dataplane::snapshot::Snapshot;
    use weir_dataplane::spread::Spread;
    use weir_dataplane::units::{Epoch, PORTS_MAX, PortId, WorkerId};
    use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
    use weir_tests::packet::{Mac, eth};

    const NAMES: Names<'static> = Names {
        ports: &[],
        interfaces: None,
        cluster: None,
        members: Vec::new(),
        services: BTreeMap::new(),
        servers: BTreeMap::new(),
    };

    struct Gateway {
        worker: Worker<MemQueue, MemQueue, MemClock>,
        handles: Vec<WorkerHandle>,
        rx: MemQueue,
        tracers: Tracers,
    }

    impl Gateway {
        fn new() -> Self {
            let rx = MemQueue::new();
            let port = PortId::FIRST;
            let port =
                WorkerPort { port, rx: Some(rx.clone()), tx: Some(MemQueue::new()), spread: Spread::None };
            let (worker, handle) = Worker::new(Setup {
                id: WorkerId::default(),
                ports: vec![port],
                mesh: Mesh::new(1, [WorkerId::default(); PORTS_MAX]).remove(0),
                control: punt::new().0,
                clock: MemClock::default(),
                idle: Idle::Backoff,
                limits: Limits { flows_max: 512, expectations_max: 1 },
                secret: 1,
                snapshot: Arc::new(Snapshot::compile(Epoch::FIRST, &Config::default())),
            });
            Self { worker, handles: vec![handle], rx, tracers: Tracers::default() }
        }

        fn trace(&mut self, count: u32, seconds: u32) -> Result<mpsc::Receiver<TraceEvent>, Refusal> {
            let bounds =
                TraceRequest { count: Some(count), seconds: Some(seconds), ..TraceRequest::default() };
            self.tracers.add(&self.handles, &bounds)
        }

        /// Takes frames in, then looks once at what is told.
        fn take(&mut self, frames: u8) {
            let [from, to] = [Mac::host(1), Mac::host(2)];
            for n in 0..frames {
                let [client, server] = [[10, 0, 0, n], [192, 0, 2, 1]].map(std::net::Ipv4Addr::from);
                self.rx.push(MemFrame::new(eth(from, to).ip(client, server).udp(1, 2).build()));
            }
            while self.worker.turn() > 0 {}
            self.tracers.pass_on(&NAMES);
        }
    }

    /// The frames among the events that are there, and the last event if that is another.
    fn heard(events: &mut mpsc::Receiver<TraceEvent>) -> (usize, Option<TraceEvent>) {
        let (mut frames, mut last) = (0, None);
        while let Ok(event) = events.try_recv() {
            match event {
                TraceEvent::Frame(_) => frames += 1,
                other => last = Some(other),
            }
        }
        (frames, last)
    }

    #[test]
    fn a_trace_ends_after_its_frames_and_after_its_time() {
        let mut gateway = Gateway::new();
        let (mut by_count, mut by_time) = (gateway.trace(3, 60).unwrap(), gateway.trace(100, 1).unwrap());
        gateway.take(5);
        let end = |reason, frames| Some(TraceEvent::End { reason, frames, missed: 0 });
        assert_eq!(heard(&mut by_count), (3, end(TraceEnd::Count, 3)));
        assert_eq!(heard(&mut by_time), (5, None));
        std::thread::sleep(Duration::from_millis(1010));
        gateway.take(0);
        assert_eq!(heard(&mut by_time), (0, end(TraceEnd::Time, 5)));
        // The worker lets go in its next turn.
        gateway.take(0);
        gateway.take(0);
        assert!(gateway.tracers.is_empty());
    }

    #[test]
    fn a_look_tells_so_much_and_what_finds_no_room_is_missed() {
        let mut gateway = Gateway::new();
        let mut events = gateway.trace(1000, 60).unwrap();
        for _ in 0..2 {
            gateway.take(200);
        }
        let missed = |frames| Some(TraceEvent::Missed { worker: 0, frames });
        // When 200 more came, 100 waited, and there was room for 256.
        assert_eq!(heard(&mut events), (2 * FRAMES_A_LOOK, missed(44)));
        gateway.take(250);
        assert_eq!(heard(&mut events), (FRAMES_A_LOOK, missed(150)));
    }

    #[test]
    fn four_trace_at_once_and_who_leaves_makes_room() {
        let mut gateway = Gateway::new();
        let mut clients: Vec<_> = (0..WATCHES_MAX).map(|_| gateway.trace(9, 9).unwrap()).collect();
        gateway.take(1);
        assert!(gateway.trace(9, 9).is_err());
        clients.pop();
        (0..3).for_each(|_| gateway.take(0));
        assert!(gateway.trace(9, 9).is_ok());
    }
}

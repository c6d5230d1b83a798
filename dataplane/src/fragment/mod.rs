//! Virtual reassembly: fragments wait, unchanged, until their datagram is complete and can be tracked as one.
//!
//! Datagrams are kept apart as in Linux, by addresses, identification and, over IPv4, protocol; link layer and VLAN do
//! not matter. Memory is bounded and taken at the start. What [`Reassembly::accept`] and [`Reassembly::expire`] let
//! go of must be fetched with [`Reassembly::released`] before the next call. Nothing here decides where a frame goes.

mod datagram;
mod links;
mod peers;

use crate::config::Fragments;
use crate::counters::DropReason;
use crate::key::{Family, FlowKey, Side};
use crate::parse::fragment::Fragment;
use crate::port::Frame;
use crate::units::{PortId, Span, Tick};
use crate::wire::ipv6;
use datagram::{Added, Coverage, Progress, WORDS};
use links::{Ages, Chains, NONE};
use peers::{PeerId, Peers};

/// The longest datagram: IPv6's length does not count its header.
const DATAGRAM_MAX: usize = ipv6::HEADER_LEN + u16::MAX as usize;

/// A fragment's frame that is new.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Where it came in.
    pub port: PortId,
    /// Its number among all frames.
    pub number: u64,
    /// Where its IP packet begins in the frame.
    pub at: u16,
    /// Bytes of its IP packet.
    pub len: u16,
    /// It belongs together with fragments of the same port only: a bridge of a cluster sees others' frames twice.
    pub by_port: bool,
    /// When.
    pub now: Tick,
}

/// What becomes of a fragment's frame.
#[derive(Debug)]
pub enum Fate<F> {
    /// It waits.
    Hold,
    /// It is dropped.
    Drop(F, DropReason),
    /// It goes as if it were no fragment.
    Pass(F),
    /// The [`Reassembly::datagram`] is complete; this frame and those released have its fate.
    Complete(F),
}

/// A frame that waited.
#[derive(Debug)]
pub struct Held<F> {
    /// The frame.
    pub frame: F,
    /// Where it came in.
    pub port: PortId,
    /// Its number among all frames.
    pub number: u64,
    /// Why it is dropped; `None`: its datagram is complete.
    pub reason: Option<DropReason>,
    /// Its IP packet in the frame.
    at: u16,
    len: u16,
    part: Part,
}

/// What a frame carries of the datagram.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Where it stands in the datagram.
    offset: u32,
    /// Where it stands in the frame.
    at: u32,
    len: u32,
}

impl Part {
    fn new(arrival: &Arrival, fragment: &Fragment, len: u32) -> Self {
        let at = u32::from(arrival.at) + u32::from(fragment.header_len);
        Self { offset: fragment.offset, at, len }
    }
}

/// A datagram of which a part is there.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    key: FlowKey,
    /// Where its fragments come in, if that tells them apart.
    port: Option<PortId>,
    deadline: Tick,
    progress: Progress,
    /// Its frames in the order in which they came.
    frames: List,
    /// Their bytes.
    bytes: u32,
    /// IPv4: its source, and how many fragments that had sent when the last one of this came.
    peer: Option<PeerId>,
    sent: u32,
}

/// Slots in order.
#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

/// The datagrams of one worker that are not complete.
#[derive(Debug)]
pub struct Reassembly<F> {
    slots: Vec<Option<Held<F>>>,
    next: Vec<u32>,
    free_slots: Vec<u32>,
    entries: Vec<Entry>,
    free_entries: Vec<u32>,
    /// [`Coverage`] of each entry.
    covered: Vec<u64>,
    begins: Vec<u64>,
    chains: Chains,
    /// By [`index`] of the family: their timeouts differ.
    ages: [Ages; 2],
    bytes: [u32; 2],
    peers: Peers,
    released: List,
    datagram: Vec<u8>,
    datagram_len: usize,
    workers: u32,
    secret: u64,
}

impl<F: Frame> Reassembly<F> {
    /// Room for the share that one of `workers` has of `frames_max`; `secret` seeds the hashes.
    pub fn new(frames_max: u32, workers: u32, secret: u64) -> Self {
        let workers = workers.max(1);
        let slots = frames_max.div_ceil(workers).max(1);
        let len = slots as usize;
        Self {
            slots: (0..len).map(|_| None).collect(),
            next: vec![NONE; len],
            free_slots: (0..slots).rev().collect(),
            entries: vec![Entry::default(); len],
            free_entries: (0..slots).rev().collect(),
            covered: vec![0; len * WORDS],
            begins: vec![0; len * WORDS],
            chains: Chains::new(slots),
            ages: [Ages::new(slots), Ages::new(slots)],
            bytes: [0; 2],
            peers: Peers::new(slots, secret),
            released: List::default(),
            datagram: vec![0; DATAGRAM_MAX],
            datagram_len: 0,
            workers,
            secret,
        }
    }

    /// Frames that can wait at once.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The datagram that was completed last, from its IP header on.
    pub fn datagram(&self) -> &[u8] {
        &self.datagram[..self.datagram_len]
    }

    /// The next frame that waits no longer, in the order in which they came.
    pub fn released(&mut self) -> Option<Held<F>> {
        let slot = self.released.first;
        let held = self.slots.get_mut(slot as usize)?.take()?;
        self.released.first = self.next[slot as usize];
        self.free_slots.push(slot);
        Some(held)
    }

    /// Takes in a frame that holds a fragment.
    pub fn accept(&mut self, frame: F, arrival: &Arrival, config: &Fragments) -> Fate<F> {
        let at = usize::from(arrival.at);
        let packet = frame.bytes().get(at..at + usize::from(arrival.len)).unwrap_or_default();
        let Some(fragment) = Fragment::new(packet) else {
            return Fate::Drop(frame, DropReason::FragmentInvalid);
        };
        if fragment.is_headless {
            return Fate::Pass(frame);
        }
        let limits = Limits::of(&fragment, config);
        let is_full = self.bytes[index(fragment.family())] > limits.bytes_max / self.workers;
        if is_full || self.free_slots.is_empty() {
            return Fate::Drop(frame, DropReason::FragmentLimit);
        }
        let Some(id) = self.find(&fragment, arrival).or_else(|| self.open(&fragment, arrival, &limits))
        else {
            return Fate::Drop(frame, DropReason::FragmentLimit);
        };
        self.keep_distance(id, arrival.now, &limits);
        let mut coverage = coverage(&mut self.covered, &mut self.begins, id);
        match self.entries[id as usize].progress.add(&mut coverage, &fragment) {
            Added::Waits(len) => {
                self.hold(id, frame, arrival, &fragment, len);
                Fate::Hold
            }
            Added::Completes(len) => self.complete(id, frame, arrival, &fragment, len),
            // The datagram stays, even without a frame: what refused ones said of its end counts, as in Linux.
            Added::Refused(reason) => Fate::Drop(frame, reason),
            Added::Spoilt(reason) => {
                self.close(id, Some(reason));
                Fate::Drop(frame, reason)
            }
            Added::Stray => {
                self.close(id, Some(DropReason::FragmentInvalid));
                Fate::Pass(frame)
            }
        }
    }

    /// Gives up a datagram whose time has run out; `false` when there is none.
    pub fn expire(&mut self, now: Tick) -> bool {
        for ages in &self.ages {
            if let Some(id) = ages.oldest()
                && now.reached(self.entries[id as usize].deadline)
            {
                self.close(id, Some(DropReason::FragmentTimeout));
                return true;
            }
        }
        false
    }

    /// The datagram of a fragment, if it is there and its time has not run out.
    fn find(&mut self, fragment: &Fragment, arrival: &Arrival) -> Option<u32> {
        let port = arrival.by_port.then_some(arrival.port);
        let hash = fragment.key.hash(self.secret);
        let mut ids = core::iter::successors(self.chains.first(hash), |id| self.chains.after(*id));
        let id = ids.find(|id| {
            let entry = &self.entries[*id as usize];
            entry.key == fragment.key && entry.port == port
        })?;
        if arrival.now.reached(self.entries[id as usize].deadline) {
            self.close(id, Some(DropReason::FragmentTimeout));
            return None;
        }
        Some(id)
    }

    fn open(&mut self, fragment: &Fragment, arrival: &Arrival, limits: &Limits) -> Option<u32> {
        let port = arrival.by_port.then_some(arrival.port);
        let id = self.free_entries.pop()?;
        let source = fragment.key.endpoint(Side::First).address;
        let peer = if limits.dist_max > 0 { self.peers.join(source, port) } else { None };
        self.entries[id as usize] = Entry {
            key: fragment.key,
            port,
            deadline: arrival.now.after(limits.timeout),
            peer,
            ..Entry::default()
        };
        self.forget_coverage(id);
        self.chains.insert(fragment.key.hash(self.secret), id);
        self.ages[index(fragment.family())].add(id);
        Some(id)
    }

    /// Begins a datagram anew when too many other fragments of its source came since its last: its identification
    /// has been used again.
    fn keep_distance(&mut self, id: u32, now: Tick, limits: &Limits) {
        let entry = &mut self.entries[id as usize];
        let Some(peer) = entry.peer else { return };
        let before = entry.sent;
        entry.sent = self.peers.count(peer);
        if entry.progress.is_empty() || entry.sent.wrapping_sub(before) <= limits.dist_max {
            return;
        }
        entry.progress = Progress::default();
        entry.deadline = now.after(limits.timeout);
        let family = index(entry.key.family());
        self.ages[family].remove(id);
        self.ages[family].add(id);
        self.forget_coverage(id);
        self.release(id, Some(DropReason::FragmentDistance));
    }

    fn forget_coverage(&mut self, id: u32) {
        let coverage = coverage(&mut self.covered, &mut self.begins, id);
        coverage.covered.fill(0);
        coverage.begins.fill(0);
    }

    fn hold(&mut self, id: u32, frame: F, arrival: &Arrival, fragment: &Fragment, len: u32) {
        // There is one: it was looked for before anything was changed.
        let Some(slot) = self.free_slots.pop() else { return };
        let entry = &mut self.entries[id as usize];
        let bytes = u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX);
        entry.bytes += bytes;
        self.bytes[index(fragment.family())] += bytes;
        self.slots[slot as usize] = Some(Held {
            frame,
            port: arrival.port,
            number: arrival.number,
            reason: None,
            at: arrival.at,
            len: arrival.len,
            part: Part::new(arrival, fragment, len),
        });
        append(&mut entry.frames, &mut self.next, List { first: slot, last: slot });
    }

    fn complete(&mut self, id: u32, frame: F, arrival: &Arrival, fragment: &Fragment, len: u32) -> Fate<F> {
        let part = Part::new(arrival, fragment, len);
        let packet = frame.bytes().get(usize::from(arrival.at)..).unwrap_or_default();
        let agrees = self.entries[id as usize].progress.agrees();
        let assembled = agrees && self.assemble(id, (fragment, packet), (&part, frame.bytes()));
        let reason = match (agrees, assembled) {
            (true, true) => None,
            (true, false) => Some(DropReason::FragmentOversize),
            (false, _) => Some(DropReason::FragmentInvalid),
        };
        self.close(id, reason);
        match reason {
            None => Fate::Complete(frame),
            Some(reason) => Fate::Drop(frame, reason),
        }
    }

    /// Writes the whole datagram; `false` when it is longer than IP allows.
    fn assemble(&mut self, id: u32, last: (&Fragment, &[u8]), part: (&Part, &[u8])) -> bool {
        let entry = &self.entries[id as usize];
        let held = || {
            let after = |slot: &u32| self.next.get(*slot as usize).copied();
            let slots = core::iter::successors(Some(entry.frames.first), after);
            slots.map_while(|slot| self.slots.get(slot as usize)?.as_ref())
        };
        let first = held().find(|held| held.part.offset == 0).and_then(|held| {
            let at = usize::from(held.at);
            let packet = held.frame.bytes().get(at..at + usize::from(held.len))?;
            Some((Fragment::new(packet)?, packet))
        });
        let (fragment, packet) = first.unwrap_or((*last.0, last.1));
        let len = entry.progress.len();
        let Some(header_len) = fragment.whole_header(packet, len, &mut self.datagram) else { return false };
        self.datagram_len = header_len + len as usize;
        let Some(body) = self.datagram.get_mut(header_len..self.datagram_len) else { return false };
        copy(part.0, part.1, body);
        held().for_each(|held| copy(&held.part, held.frame.bytes(), body));
        true
    }

    /// Ends a datagram; its frames are released.
    fn close(&mut self, id: u32, reason: Option<DropReason>) {
        self.release(id, reason);
        let entry = self.entries[id as usize];
        if let Some(peer) = entry.peer {
            self.peers.leave(peer);
        }
        self.chains.remove(entry.key.hash(self.secret), id);
        self.ages[index(entry.key.family())].remove(id);
        self.free_entries.push(id);
    }

    fn release(&mut self, id: u32, reason: Option<DropReason>) {
        let entry = &mut self.entries[id as usize];
        self.bytes[index(entry.key.family())] -= core::mem::take(&mut entry.bytes);
        let frames = core::mem::take(&mut entry.frames);
        let mut slot = frames.first;
        while let Some(Some(held)) = self.slots.get_mut(slot as usize) {
            held.reason = reason;
            slot = self.next[slot as usize];
        }
        append(&mut self.released, &mut self.next, frames);
    }
}

/// The limits for one fragment.
struct Limits {
    timeout: Span,
    bytes_max: u32,
    dist_max: u32,
}

impl Limits {
    fn of(fragment: &Fragment, config: &Fragments) -> Self {
        let Fragments { ipv4, ipv6, .. } = config;
        match fragment.family() {
            Family::V4 => {
                Self { timeout: ipv4.timeout, bytes_max: ipv4.high_thresh_bytes, dist_max: ipv4.max_dist }
            }
            Family::V6 => Self { timeout: ipv6.timeout, bytes_max: ipv6.high_thresh_bytes, dist_max: 0 },
        }
    }
}

const fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

fn coverage<'a>(covered: &'a mut [u64], begins: &'a mut [u64], id: u32) -> Coverage<'a> {
    let (covered, _) = covered.as_chunks_mut();
    let (begins, _) = begins.as_chunks_mut();
    Coverage { covered: &mut covered[id as usize], begins: &mut begins[id as usize] }
}

/// Adds `more` at the end of `list`.
fn append(list: &mut List, next: &mut [u32], more: List) {
    let Some(end) = next.get_mut(more.last as usize) else { return };
    *end = NONE;
    match next.get_mut(list.last as usize) {
        Some(end) if list.first != NONE => *end = more.first,
        _ => list.first = more.first,
    }
    list.last = more.last;
}

/// Copies the part that `frame` carries to its place.
fn copy(part: &Part, frame: &[u8], body: &mut [u8]) {
    let (at, to, len) = (part.at as usize, part.offset as usize, part.len as usize);
    if let (Some(from), Some(to)) = (frame.get(at..at + len), body.get_mut(to..to + len)) {
        to.copy_from_slice(from);
    }
}

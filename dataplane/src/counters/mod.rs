//! What a worker counts.
//!
//! Every cell has one writer, its worker, and any number of readers in control. Adding is a load and a store of
//! the worker's own cache line: no bus lock, nothing shared is written.

mod flow;
mod server;
mod verdict;

pub use flow::{FlowClass, FlowProtocol};
pub use server::{ServerCells, ServiceCells};
pub use verdict::{DropReason, PuntReason, Verdict};

use crate::units::{
    BURST_MAX, MEMBERS_MAX, MemberId, PORTS_MAX, PortId, SERVERS_MAX, SERVICES_MAX, ServerId, ServiceId,
    VIPS_MAX, VipId,
};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Worker only.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Worker only.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Worker only.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Anybody.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Declares a field-less enum together with its names: one spelling in code, metrics, replay and documents.
macro_rules! named_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in configuration, metrics, replay and documents.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named_enum;

/// What one worker did on one port.
#[derive(Debug, Default)]
pub struct PortCells {
    /// Frames taken from the receive queue.
    pub rx_frames: Cell,
    /// Their bytes.
    pub rx_bytes: Cell,
    /// Frames that the transmit queue took.
    pub tx_frames: Cell,
    /// Their bytes.
    pub tx_bytes: Cell,
}

/// What one worker did to the flows of one protocol.
#[derive(Debug, Default)]
pub struct FlowCells {
    /// Flows opened.
    pub created: Cell,
    /// Of those, flows that an expectation or a master announced.
    pub related: Cell,
    /// Flows whose time ran out.
    pub expired: Cell,
    /// Flows given up early to make room.
    pub evicted: Cell,
    /// Flows that an operator deleted.
    pub deleted: Cell,
    /// Flows that there was no room for.
    pub refused: Cell,
}

/// What one worker did with the packets to one VIP.
#[derive(Debug, Default)]
pub struct VipCells {
    /// Packets that this node took.
    pub taken: Cell,
    /// Packets that it left to other nodes.
    pub left: Cell,
}

/// What one worker did with frames in planned hand-overs.
#[derive(Debug, Default)]
pub struct HandoverCells {
    /// Frames that it forwarded and noted, because this node was to leave.
    pub noted: Cell,
    /// Frames of a leaver's flows that it held.
    pub held: Cell,
    /// Of those, frames that it forwarded when the leaver had left.
    pub taken_over: Cell,
    /// Frames, held or not, that the leaver had forwarded already.
    pub known: Cell,
    /// Frames that had to make room for others while they were held: nobody forwards them if the leaver had not.
    pub crowded_out: Cell,
    /// Times that all was worked on that waited when control had asked.
    pub settled: Cell,
}

/// Everything one worker counts. Worker: write. Control: read.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerCounters {
    /// Outcomes by [`Verdict::index`]; their sum is the frames processed, those that control sends among them. That of
    /// [`Verdict::Hold`] is a gauge: the frames that wait now.
    pub verdicts: [Cell; Verdict::NAMES.len()],
    /// Drops by [`DropReason::index`]; their sum is the drop outcome.
    pub drops: [Cell; DropReason::COUNT],
    /// Frames left to control by [`PuntReason::index`]; their sum is the punt outcome.
    pub punts: [Cell; PuntReason::COUNT],
    /// By [`PortId::index`].
    pub ports: [PortCells; PORTS_MAX],
    /// Live flows by [`FlowClass::index`]: a gauge.
    pub flows: [Cell; FlowClass::COUNT],
    /// Live flows by owner: a gauge; read by [`WorkerCounters::flows_of`].
    pub owners: [Cell; MEMBERS_MAX + 1],
    /// Packets to VIPs by [`VipId::index`].
    pub vips: [VipCells; VIPS_MAX],
    /// Flows there is room for.
    pub flows_max: Cell,
    /// What became of flows, by [`FlowProtocol::index`].
    pub protocols: [FlowCells; FlowProtocol::COUNT],
    /// By [`ServerId::index`].
    servers: Vec<ServerCells>,
    /// By [`ServiceId::index`].
    services: Vec<ServiceCells>,
    /// Number of the services whose memory it has: [`Services::version`](crate::steer::service::Services::version).
    pub services_version: Cell,
    /// Live expectations: a gauge.
    pub expectations: Cell,
    /// Expectations made.
    pub expectations_created: Cell,
    /// Things that another worker should have been told of them and had no room for.
    pub news_lost: Cell,
    /// Looks into a receive queue that found this many frames: the burst-size histogram, by frame count.
    pub bursts: [Cell; BURST_MAX + 1],
    /// Frames handed to another worker.
    pub handed_over: Cell,
    /// Frames in planned hand-overs.
    pub handover: HandoverCells,
    /// Frames sent for control.
    pub from_control: Cell,
    /// Cycles of turns that moved frames.
    pub cycles_busy: Cell,
    /// Cycles of turns that found nothing, sleep included.
    pub cycles_idle: Cell,
    /// Nanoseconds of the longest turn so far, rest not included: a gauge.
    pub turn_max_ns: Cell,
    /// Epoch of the snapshot in force.
    pub epoch: Cell,
}

impl Default for WorkerCounters {
    fn default() -> Self {
        Self::new()
    }
}

impl WorkerCounters {
    fn new() -> Self {
        Self {
            verdicts: Default::default(),
            drops: core::array::from_fn(|_| Cell::default()),
            punts: Default::default(),
            ports: core::array::from_fn(|_| PortCells::default()),
            flows: Default::default(),
            owners: core::array::from_fn(|_| Cell::default()),
            vips: core::array::from_fn(|_| VipCells::default()),
            flows_max: Cell::default(),
            protocols: Default::default(),
            servers: core::iter::repeat_with(ServerCells::default).take(SERVERS_MAX).collect(),
            services: core::iter::repeat_with(ServiceCells::default).take(SERVICES_MAX).collect(),
            services_version: Cell::default(),
            expectations: Cell::default(),
            expectations_created: Cell::default(),
            news_lost: Cell::default(),
            bursts: core::array::from_fn(|_| Cell::default()),
            handed_over: Cell::default(),
            handover: HandoverCells::default(),
            from_control: Cell::default(),
            cycles_busy: Cell::default(),
            cycles_idle: Cell::default(),
            turn_max_ns: Cell::default(),
            epoch: Cell::default(),
        }
    }
}

impl WorkerCounters {
    /// Books the outcome of one frame.
    #[inline]
    pub fn outcome(&self, verdict: Verdict) {
        self.outcomes(verdict, 1);
    }

    /// Books one outcome of many frames.
    #[inline]
    pub fn outcomes(&self, verdict: Verdict, frames: u64) {
        self.verdicts[verdict.index()].add(frames);
        match verdict {
            Verdict::Drop(reason) => self.drops[reason.index()].add(frames),
            Verdict::Punt(reason) => self.punts[reason.index()].add(frames),
            _ => {}
        }
    }

    /// Books the outcome of a frame that was held.
    #[inline]
    pub fn release(&self, verdict: Verdict) {
        self.verdicts[Verdict::Hold.index()].sub(1);
        self.outcome(verdict);
    }

    /// Books frames again that were to be forwarded and did not leave.
    #[inline]
    pub fn forward_refused(&self, frames: u64, reason: DropReason) {
        if frames > 0 {
            self.verdicts[Verdict::Forward(PortId::default()).index()].sub(frames);
            self.outcomes(Verdict::Drop(reason), frames);
        }
    }

    /// Books a frame again that was to be left to control and found no room on the ring.
    #[inline]
    pub fn punt_refused(&self, reason: PuntReason) {
        self.verdicts[Verdict::Punt(reason).index()].sub(1);
        self.punts[reason.index()].sub(1);
        self.outcome(Verdict::Drop(DropReason::PuntFull));
    }

    /// What this worker did on `port`.
    #[inline]
    pub fn port(&self, port: PortId) -> &PortCells {
        &self.ports[port.index()]
    }

    /// What this worker did with the packets to a VIP.
    #[inline]
    pub fn vip(&self, vip: VipId) -> &VipCells {
        &self.vips[vip.index()]
    }

    /// What this worker did to the flows of `class`'s protocol.
    #[inline]
    pub fn protocol(&self, class: FlowClass) -> &FlowCells {
        &self.protocols[class.kind().index()]
    }

    /// What this worker did for a server.
    #[inline]
    pub fn server(&self, server: ServerId) -> &ServerCells {
        &self.servers[server.index()]
    }

    /// What this worker did for a service.
    #[inline]
    pub fn service(&self, service: ServiceId) -> &ServiceCells {
        &self.services[service.index()]
    }

    /// Live flows that are `owner`'s. Those of a node that has died count as its own until their next packet comes.
    pub fn flows_of(&self, owner: Option<MemberId>) -> &Cell {
        &self.owners[owner.map_or(0, |owner| owner.index() + 1)]
    }

    /// The sum of `cell` over all protocols: `counters.flows_total(|cells| &cells.created)`.
    pub fn flows_total(&self, cell: impl Fn(&FlowCells) -> &Cell) -> u64 {
        self.protocols.iter().map(|cells| cell(cells).read()).sum()
    }

    /// Frames that have had their outcome.
    pub fn frames(&self) -> u64 {
        self.verdicts.iter().map(Cell::read).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_written_once() {
        let mut names: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::COUNT);
        assert_eq!(
            DropReason::TxFull.index(),
            DropReason::ALL.iter().position(|r| *r == DropReason::TxFull).unwrap()
        );
    }

    #[test]
    fn a_drop_is_booked_under_its_reason_and_in_the_sum() {
        let counters = WorkerCounters::default();
        counters.outcome(Verdict::Drop(DropReason::TableFull));
        counters.outcome(Verdict::Shadow);
        assert_eq!(counters.drops[DropReason::TableFull.index()].read(), 1);
        assert_eq!(counters.frames(), 2);
    }
}

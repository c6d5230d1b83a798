//! Reads the workers' cells into the model.

use super::model::{Counters, FlowClassCount, FlowCounts, WorkerCounts, WorkerPortCounts};
use std::collections::BTreeMap;
use weir_dataplane::counters::{
    Cell, DropReason, FlowCells, FlowClass, FlowProtocol, HandoverCells, PuntReason, Verdict, WorkerCounters,
};
use weir_dataplane::units::PortId;

/// Everything `workers` have counted so far. `port_names` is in the order of [`PortId`].
pub fn counters<'a>(
    workers: impl IntoIterator<Item = &'a WorkerCounters>,
    port_names: &[String],
) -> Counters {
    let workers = workers.into_iter().enumerate();
    Counters { workers: workers.map(|(worker, cells)| counts(worker, cells, port_names)).collect() }
}

fn counts(worker: usize, cells: &WorkerCounters, port_names: &[String]) -> WorkerCounts {
    WorkerCounts {
        worker,
        verdicts: named(Verdict::NAMES, &cells.verdicts),
        drops: named(DropReason::ALL.iter().map(|reason| reason.name()), &cells.drops),
        punts: named(PuntReason::ALL.iter().map(|reason| reason.name()), &cells.punts),
        ports: ports(cells, port_names),
        flows: FlowClass::ALL.iter().map(|class| flow_class(*class, cells)).collect(),
        protocols: protocols(cells),
        flows_max: cells.flows_max.read(),
        expectations: cells.expectations.read(),
        expectations_created: cells.expectations_created.read(),
        news_lost: cells.news_lost.read(),
        bursts: cells.bursts.iter().map(Cell::read).collect(),
        handed_over: cells.handed_over.read(),
        handover: handover(&cells.handover),
        from_control: cells.from_control.read(),
        cycles_busy: cells.cycles_busy.read(),
        cycles_idle: cells.cycles_idle.read(),
        turn_max_ns: cells.turn_max_ns.read(),
        epoch: cells.epoch.read(),
    }
}

fn handover(cells: &HandoverCells) -> BTreeMap<String, u64> {
    let HandoverCells { noted, held, taken_over, known, crowded_out, settled: _ } = cells;
    named(
        ["noted", "held", "taken_over", "known", "crowded_out"],
        [noted, held, taken_over, known, crowded_out],
    )
}

fn named<'a>(
    names: impl IntoIterator<Item = &'a str>,
    cells: impl IntoIterator<Item = &'a Cell>,
) -> BTreeMap<String, u64> {
    names.into_iter().zip(cells).map(|(name, cell)| (name.to_owned(), cell.read())).collect()
}

fn ports(cells: &WorkerCounters, names: &[String]) -> BTreeMap<String, WorkerPortCounts> {
    let ids = (0..names.len()).map_while(PortId::new);
    ids.zip(names)
        .map(|(id, name)| {
            let port = cells.port(id);
            let counts = WorkerPortCounts {
                rx_frames: port.rx_frames.read(),
                rx_bytes: port.rx_bytes.read(),
                tx_frames: port.tx_frames.read(),
                tx_bytes: port.tx_bytes.read(),
            };
            (name.clone(), counts)
        })
        .collect()
}

fn protocols(cells: &WorkerCounters) -> BTreeMap<String, FlowCounts> {
    let counted = |protocol: FlowProtocol| {
        let FlowCells { created, related, expired, evicted, deleted, refused } =
            &cells.protocols[protocol.index()];
        FlowCounts {
            created: created.read(),
            related: related.read(),
            expired: expired.read(),
            evicted: evicted.read(),
            deleted: deleted.read(),
            refused: refused.read(),
        }
    };
    FlowProtocol::ALL.iter().map(|protocol| (protocol.name().to_owned(), counted(*protocol))).collect()
}

fn flow_class(class: FlowClass, cells: &WorkerCounters) -> FlowClassCount {
    FlowClassCount {
        protocol: class.protocol().to_owned(),
        state: class.name().to_owned(),
        live: cells.flows[class.index()].read(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_before_the_first_frame() {
        let cells = WorkerCounters::default();
        cells.outcome(Verdict::Drop(DropReason::Runt));
        let counters = counters([&cells, &cells], &["lan".to_owned()]);
        let worker = &counters.workers[1];
        assert_eq!(worker.verdicts.len(), Verdict::NAMES.len());
        assert_eq!(worker.drops.len(), DropReason::COUNT);
        assert_eq!((worker.flows.len(), worker.protocols.len()), (FlowClass::COUNT, FlowProtocol::COUNT));
        assert_eq!(worker.ports.len(), 1);
        assert_eq!((counters.drops("runt"), counters.verdict("drop"), counters.frames()), (2, 2, 2));
    }
}

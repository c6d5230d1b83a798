//! The model as tables for people.

use super::cluster_tables;
use super::model::{Counters, Occupancy, PortStatus, SpreadBy, Status, WorkerStatus};
use comfy_table::{CellAlignment, Table, presets};
use weir_dataplane::counters::{DropReason, PuntReason, Verdict};

/// What `weir status` prints.
pub fn status(status: &Status) -> String {
    let mut text = format!(
        "node {}, weir {} on {}, up {}, epoch {}\n",
        status.node,
        status.version,
        status.dpdk_version,
        duration(status.uptime_s),
        status.epoch
    );
    if let Some(view) = &status.cluster {
        text += &format!("cluster: {}\n", cluster_tables::summary(view));
    }
    text += &format!(
        "flows: {}, expectations: {}\n\n{}\n\n",
        occupancy(status.flows),
        occupancy(status.expectations),
        ports(&status.ports),
    );
    if status.workers.len() > 1 {
        text += &format!("{}\n\n", spreads(&status.ports));
    }
    text += &format!("{}\n", workers(&status.workers));
    for warning in &status.warnings {
        text += &format!("warning: {warning}\n");
    }
    text
}

/// What `weir counters` prints: outcomes and drops by worker. Reasons that never came are left out unless `all`.
pub fn counters(counters: &Counters, all: bool) -> String {
    let mut header = vec!["frames".to_owned()];
    header.extend(counters.workers.iter().map(|worker| format!("worker {}", worker.worker)));
    header.push("total".to_owned());
    let numbers: Vec<usize> = (1..header.len()).collect();
    let mut table = table(&header, &numbers);
    for name in Verdict::NAMES {
        table.add_row(counter_row(name, counters.workers.iter().map(|worker| worker.verdicts.get(name))));
    }
    for name in DropReason::ALL.iter().map(|reason| reason.name()) {
        if all || counters.drops(name) > 0 {
            let label = format!("drop: {name}");
            table.add_row(counter_row(&label, counters.workers.iter().map(|worker| worker.drops.get(name))));
        }
    }
    for name in PuntReason::ALL.iter().map(|reason| reason.name()) {
        if all || counters.punts(name) > 0 {
            let label = format!("punt: {name}");
            table.add_row(counter_row(&label, counters.workers.iter().map(|worker| worker.punts.get(name))));
        }
    }
    format!("{table}\n")
}

fn counter_row<'a>(name: &str, values: impl Iterator<Item = Option<&'a u64>>) -> Vec<String> {
    let values: Vec<u64> = values.map(|value| value.copied().unwrap_or(0)).collect();
    let mut row = vec![name.to_owned()];
    row.extend(values.iter().map(u64::to_string));
    row.push(values.iter().sum::<u64>().to_string());
    row
}

fn ports(ports: &[PortStatus]) -> String {
    let header = ["port", "device", "driver", "mac", "link", "queues", "rx", "tx", "missed", "errors"];
    let mut table = table(&header, &[5, 6, 7, 8, 9]);
    for port in ports {
        let counted = &port.statistics;
        table.add_row([
            port.name.clone(),
            port.device.clone(),
            port.driver.clone(),
            port.mac.clone(),
            link(port),
            port.queues.to_string(),
            counted.rx_frames.to_string(),
            counted.tx_frames.to_string(),
            (counted.rx_missed + counted.rx_no_buffer).to_string(),
            (counted.rx_errors + counted.tx_errors).to_string(),
        ]);
    }
    table.to_string()
}

/// How frames come to the workers.
fn spreads(ports: &[PortStatus]) -> String {
    let mut table = table(&["port", "spread by", "hash", "key", "indirection table"], &[]);
    for port in ports {
        let by = match port.spread {
            SpreadBy::Nobody => "nobody",
            SpreadBy::Device => "device",
            SpreadBy::Software => "software",
        };
        let [hash, key, slots] = match &port.rss {
            Some(rss) => [rss.fields.clone(), rss.key.clone(), indirection(&rss.table)],
            None => Default::default(),
        };
        table.add_row([port.name.clone(), by.to_owned(), hash, key, slots]);
    }
    table.to_string()
}

/// `128 slots: 64 for queue 0, 64 for queue 1, in turn`.
fn indirection(table: &[u16]) -> String {
    let queues = table.iter().max().map_or(0, |last| last + 1);
    if queues == 0 {
        return "not told".to_owned();
    }
    let share =
        |queue: u16| format!("{} for queue {queue}", table.iter().filter(|slot| **slot == queue).count());
    let shares: Vec<String> = (0..queues).map(share).collect();
    let in_turn = table.iter().zip((0..queues).cycle()).all(|(slot, queue)| *slot == queue);
    format!("{} slots: {}{}", table.len(), shares.join(", "), if in_turn { ", in turn" } else { "" })
}

fn link(port: &PortStatus) -> String {
    match (port.link_up, port.speed_mbps) {
        (false, _) => "down".to_owned(),
        (true, None) => "up".to_owned(),
        (true, Some(speed)) => format!("up, {speed} Mbit/s"),
    }
}

fn workers(workers: &[WorkerStatus]) -> String {
    let header = ["worker", "cpu", "epoch", "frames", "busy", "flows", "handed over", "longest turn"];
    let mut table = table(&header, &[0, 1, 2, 3, 4, 5, 6, 7]);
    for worker in workers {
        table.add_row([
            worker.worker.to_string(),
            worker.cpu.map_or_else(|| "any".to_owned(), |cpu| cpu.to_string()),
            worker.epoch.to_string(),
            worker.frames.to_string(),
            format!("{:.1} %", worker.busy * 100.0),
            worker.flows.to_string(),
            worker.handed_over.to_string(),
            format!("{:.1} µs", worker.turn_max_us),
        ]);
    }
    table.to_string()
}

fn occupancy(table: Occupancy) -> String {
    let share = if table.max == 0 { 0.0 } else { table.live as f64 * 100.0 / table.max as f64 };
    format!("{} of {} ({share:.1} %)", table.live, table.max)
}

/// How many there are: `1 address`, `2 addresses`.
pub(super) fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// A length of time in its two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A table with this header; the columns in `numbers` are aligned to the right.
pub fn table<T: AsRef<str>>(header: &[T], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header.iter().map(AsRef::as_ref));
    for (_, column) in table.column_iter_mut().enumerate().filter(|(index, _)| numbers.contains(index)) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indirection_table_is_told_in_shares() {
        assert_eq!(indirection(&[0, 1, 0, 1]), "4 slots: 2 for queue 0, 2 for queue 1, in turn");
        assert_eq!(indirection(&[1, 1, 0, 1]), "4 slots: 1 for queue 0, 3 for queue 1");
        assert_eq!(indirection(&[]), "not told");
    }
}

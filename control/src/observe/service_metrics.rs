//! Services and pools as metrics.

use super::catalogue::{self as c, Metric};
use super::exporter::Page;
use super::service::{PoolRow, ServerRow, ServiceRow, UnservedCounts};

/// The metrics of services or of pools, which are alike.
struct Names {
    up: Metric,
    active: Metric,
    inactive: Metric,
    retired: Metric,
    connections: Metric,
    packets: Metric,
    bytes: Metric,
    reply_packets: Metric,
    reply_bytes: Metric,
    unserved: Metric,
}

const SERVICE: Names = Names {
    up: c::SERVICE_UP,
    active: c::SERVICE_ACTIVE,
    inactive: c::SERVICE_INACTIVE,
    retired: c::SERVICE_RETIRED,
    connections: c::SERVICE_CONNECTIONS,
    packets: c::SERVICE_PACKETS,
    bytes: c::SERVICE_BYTES,
    reply_packets: c::SERVICE_REPLY_PACKETS,
    reply_bytes: c::SERVICE_REPLY_BYTES,
    unserved: c::SERVICE_UNSERVED,
};

const POOL: Names = Names {
    up: c::POOL_UP,
    active: c::POOL_ACTIVE,
    inactive: c::POOL_INACTIVE,
    retired: c::POOL_RETIRED,
    connections: c::POOL_CONNECTIONS,
    packets: c::POOL_PACKETS,
    bytes: c::POOL_BYTES,
    reply_packets: c::POOL_REPLY_PACKETS,
    reply_bytes: c::POOL_REPLY_BYTES,
    unserved: c::POOL_UNSERVED,
};

pub(super) fn services(page: &Page, services: &[ServiceRow]) {
    for row in services {
        group(page, &SERVICE, &row.service, &row.servers, &row.retired, row.unserved);
        for server in &row.servers {
            page.set(c::SERVICE_WEIGHT, &[&row.service, &server.server], server.weight.into());
        }
    }
}

pub(super) fn pools(page: &Page, pools: &[PoolRow]) {
    for row in pools {
        group(page, &POOL, &row.pool, &row.nodes, &row.retired, row.unserved);
        for node in &row.nodes {
            page.set(c::POOL_COST, &[&row.pool, &node.server], node.cost.into());
            page.set(c::POOL_LOAD, &[&row.pool, &node.server], node.load());
        }
    }
}

fn group(
    page: &Page,
    names: &Names,
    name: &str,
    servers: &[ServerRow],
    retired: &[ServerRow],
    unserved: UnservedCounts,
) {
    for server in servers {
        let counts = &server.counts;
        let samples = [
            (names.up, (server.state == "up").into()),
            (names.active, counts.active),
            (names.inactive, counts.inactive),
            (names.connections, counts.connections),
            (names.packets, counts.packets),
            (names.bytes, counts.bytes),
            (names.reply_packets, counts.reply_packets),
            (names.reply_bytes, counts.reply_bytes),
        ];
        for (metric, value) in samples {
            page.set(metric, &[name, &server.server], value);
        }
    }
    let left = retired.iter().map(|server| server.counts.active + server.counts.inactive).sum();
    page.set(names.retired, &[name], left);
    let UnservedCounts { refused, bypassed, dropped } = unserved;
    for (outcome, value) in [("refused", refused), ("bypassed", bypassed), ("dropped", dropped)] {
        page.set(names.unserved, &[name, outcome], value);
    }
}

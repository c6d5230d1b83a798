//! Services and pools as tables for people.

use super::service::{CacheServer, PoolRow, Pools, ServerRow, ServiceCache, ServiceRow, Services};
use super::tables::{count, duration, table};

/// What `weir service show` prints.
pub fn services(answer: &Services) -> String {
    let text: Vec<String> = answer.services.iter().map(service).collect();
    if text.is_empty() { "no services\n".to_owned() } else { text.join("\n") }
}

fn service(service: &ServiceRow) -> String {
    let unserved = service.unserved;
    format!(
        "service {}: {}, fallback {}{}\n{}\nnot served: {} refused, {} bypassed, {} dropped\n",
        service.service,
        service.scheduler,
        service.fallback,
        panic(service.panic),
        servers("server", &service.servers, &service.retired),
        unserved.refused,
        unserved.bypassed,
        unserved.dropped,
    )
}

fn servers(word: &str, servers: &[ServerRow], retired: &[ServerRow]) -> String {
    let header =
        [word, "address", "method", "state", "weight", "active", "inactive", "connections", "remarks"];
    let mut table = table(&header, &[4, 5, 6, 7]);
    for (server, is_retired) in both(servers, retired) {
        table.add_row([
            server.server.clone(),
            place(server),
            server.method.clone(),
            server.state.clone(),
            server.weight.to_string(),
            server.counts.active.to_string(),
            server.counts.inactive.to_string(),
            server.counts.connections.to_string(),
            remarks(server, is_retired),
        ]);
    }
    table.to_string()
}

/// What `weir service cache` prints.
pub fn cache(answer: &ServiceCache) -> String {
    let header = ["address", "worker", "reason", "uses", "unused", "unchanged", "expires", "servers"];
    let mut table = table(&header, &[1, 3, 4, 5, 6]);
    for row in &answer.entries {
        let servers: Vec<String> = row.servers.iter().map(cache_server).collect();
        table.add_row([
            row.address.to_string(),
            row.worker.to_string(),
            row.reason.clone(),
            row.uses.to_string(),
            duration(row.unused_s.into()),
            duration(row.unchanged_s.into()),
            row.expires_s.map_or_else(|| "never".to_owned(), |left_s| duration(left_s.into())),
            servers.join(", "),
        ]);
    }
    let more = if answer.more { ", and more" } else { "" };
    format!("{table}\n{}{more}\n", count(answer.entries.len(), "address", "addresses"))
}

fn cache_server(holder: &CacheServer) -> String {
    format!("{} ({} of {})", holder.server, holder.active, holder.weight)
}

/// What `weir pool show` prints: what `/proc/net/ip_cluster` listed of pools and nodes, and more.
pub fn pools(answer: &Pools) -> String {
    let text: Vec<String> = answer.pools.iter().map(pool).collect();
    if text.is_empty() { "no pools\n".to_owned() } else { text.join("\n") }
}

fn pool(pool: &PoolRow) -> String {
    let header = ["node", "address", "state", "cost", "load", "active", "inactive", "connections", "remarks"];
    let mut table = table(&header, &[3, 4, 5, 6, 7]);
    for (node, is_retired) in both(&pool.nodes, &pool.retired) {
        table.add_row([
            node.server.clone(),
            place(node),
            node.state.clone(),
            node.cost.to_string(),
            node.load().to_string(),
            node.counts.active.to_string(),
            node.counts.inactive.to_string(),
            node.counts.connections.to_string(),
            remarks(node, is_retired),
        ]);
    }
    let slices = pool.slices.map_or_else(String::new, |slices| {
        format!(
            "ports of {}: {} a node, from {} on\n",
            slices.address, slices.ports_a_node, slices.first_port
        )
    });
    let unserved = pool.unserved;
    format!(
        "pool {}: fallback {}{}\n{table}\n{slices}not served: {} refused, {} bypassed, {} dropped\n",
        pool.pool,
        pool.fallback,
        panic(pool.panic),
        unserved.refused,
        unserved.bypassed,
        unserved.dropped,
    )
}

fn both<'a>(
    current: &'a [ServerRow],
    retired: &'a [ServerRow],
) -> impl Iterator<Item = (&'a ServerRow, bool)> {
    current.iter().map(|server| (server, false)).chain(retired.iter().map(|server| (server, true)))
}

const fn panic(is_on: bool) -> &'static str {
    if is_on { ", panic: too few live, all are used" } else { "" }
}

fn place(server: &ServerRow) -> String {
    match (&server.mac, server.port) {
        (Some(mac), _) => mac.clone(),
        (None, 0) => server.address.to_string(),
        (None, port) => super::ipvsadm_text::endpoint(server.address, port),
    }
}

fn remarks(server: &ServerRow, is_retired: bool) -> String {
    let mut remarks = Vec::new();
    if is_retired {
        remarks.push("taken away".to_owned());
    }
    if server.added {
        remarks.push("added by hand".to_owned());
    }
    if server.changed {
        remarks.push("changed by hand".to_owned());
    }
    let health = server.health.as_ref();
    if !server.alive {
        remarks.push(format!("dead: {}", health.map_or("its checks fail", |health| &health.reason)));
    } else if let Some(health) = health.filter(|health| !health.alive) {
        remarks.push(health.reason.clone());
    }
    let unchecked = health.and_then(|health| health.unchecked.as_ref());
    remarks.extend(unchecked.map(|why| format!("not checked: {why}")));
    if let Some(drain) = server.drain {
        let until = match drain.left_s {
            Some(0) => ", the deadline has passed".to_owned(),
            Some(left_s) => format!(", ends in {}", duration(left_s)),
            None => String::new(),
        };
        // What the file says is no order of an operator's.
        let by = if server.added || server.changed || is_retired { "" } else { " by the configuration" };
        remarks.push(format!("drains{by} for {}, {} left{until}", duration(drain.for_s), drain.connections));
    }
    remarks.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::service::fixtures::{server, service};
    use super::super::service::{CacheRow, DrainRow, SelectorRow, SlicesRow};
    use super::*;
    use crate::health::ServerView;

    fn shows(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|shown| shown == *line), "no line {line:?} in\n{text}");
        }
    }

    #[test]
    fn a_drain_says_what_is_left_and_until_when() {
        let drain = Some(DrainRow { for_s: 61, left_s: Some(30), connections: 15 });
        let draining = ServerRow { state: "draining".to_owned(), drain, ..server("a", "10.0.0.2", 1) };
        let added = ServerRow { added: true, alive: false, port: 80, ..server("b", "2001:db8::1", 5) };
        let gone = ServerRow {
            drain: Some(DrainRow { for_s: 1, left_s: None, connections: 15 }),
            ..draining.clone()
        };
        let mut row = service(SelectorRow::Mark { mark: 1, ipv6: false }, "wlc", vec![draining, added]);
        row.retired = vec![gone];
        let text = services(&Services { flows_max: 1, services: vec![row] });
        shows(
            &text,
            &["service cache: wlc, fallback bypass", "not served: 1 refused, 2 bypassed, 3 dropped"],
        );
        for part in [
            "drains by the configuration for 1 min 1 s, 15 left, ends in 30 s",
            "[2001:db8::1]:80",
            "added by hand; dead: its checks fail",
            "taken away; drains for 1 s, 15 left ",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert_eq!(services(&Services::default()), "no services\n");
    }

    #[test]
    fn panic_and_checks_that_cannot_be_made_are_seen() {
        let health = |alive, reason: &str, unchecked: Option<&str>| {
            let view = ServerView { alive, reason: reason.to_owned(), ..ServerView::default() };
            Some(ServerView { unchecked: unchecked.map(str::to_owned), ..view })
        };
        let dead = ServerRow {
            health: health(false, "panic: none lives; 3 bad answers", None),
            ..server("a", "10.0.0.2", 1)
        };
        let unchecked =
            ServerRow { health: health(true, "new", Some("no tap")), ..server("b", "10.0.0.3", 1) };
        let row = service(SelectorRow::Mark { mark: 1, ipv6: false }, "wlc", vec![dead, unchecked]);
        let row = ServiceRow { panic: true, ..row };
        let text = services(&Services { flows_max: 1, services: vec![row] });
        for part in [
            "fallback bypass, panic: too few live, all are used\n",
            "┆ panic: none lives; 3 bad answers ",
            "┆ not checked: no tap ",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }

    #[test]
    fn a_pool_shows_cost_and_load() {
        let of_mark =
            service(SelectorRow::Mark { mark: 1, ipv6: false }, "", vec![server("a", "10.0.0.2", 1)]);
        let mac = Some("02:00:00:00:00:07".to_owned());
        let row = PoolRow {
            pool: "front".to_owned(),
            fallback: "drop".to_owned(),
            panic: false,
            slices: Some(SlicesRow { address: [192, 0, 2, 1].into(), first_port: 4096, ports_a_node: 1024 }),
            nodes: vec![server("a", "10.0.0.2", 1), ServerRow { mac, ..server("b", "0.0.0.0", 1) }],
            retired: Vec::new(),
            counts: of_mark.counts,
            rates: of_mark.rates,
            unserved: of_mark.unserved,
        };
        let text = pools(&Pools { pools: vec![row] });
        shows(
            &text,
            &[
                "pool front: fallback drop",
                "│ a    ┆ 10.0.0.2          ┆ up    ┆    2 ┆   35 ┆     12 ┆        3 ┆        1234 ┆         │",
                "│ b    ┆ 02:00:00:00:00:07 ┆ up    ┆    2 ┆   35 ┆     12 ┆        3 ┆        1234 ┆         │",
                "ports of 192.0.2.1: 1024 a node, from 4096 on",
            ],
        );
    }

    #[test]
    fn a_cache_shows_who_holds_what_and_why() {
        let holder = CacheServer { server: "squid1".to_owned(), active: 3, weight: 100 };
        let row = CacheRow {
            worker: 0,
            address: [198, 51, 100, 1].into(),
            reason: "learned".to_owned(),
            uses: 4,
            unused_s: 5,
            unchanged_s: 65,
            expires_s: Some(3600),
            servers: vec![holder],
            members: 1,
        };
        let pinned = CacheRow { reason: "pinned".to_owned(), expires_s: None, ..row.clone() };
        let text =
            cache(&ServiceCache { service: "cache".to_owned(), entries: vec![row, pinned], more: false });
        for part in ["learned ┆    4 ┆    5 s ┆ 1 min 5 s", "squid1 (3 of 100)", "never", "2 addresses\n"]
        {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
}

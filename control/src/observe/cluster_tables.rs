//! The cluster as tables for people.

use super::model::{AgreedStatus, ClusterStatus, MemberRow};
use super::tables::{duration, table};

/// Changes that `weir cluster` shows, the last first.
const HISTORY_SHOWN: usize = 10;

/// What `weir cluster show` prints.
pub fn cluster(cluster: &ClusterStatus) -> String {
    if let Some(agreed) = &cluster.agreed {
        return named(cluster, agreed);
    }
    let mut table = table(&["node", "owner"], &[0]);
    for bucket in &cluster.buckets {
        let owner = if bucket.local { "this node" } else { "" };
        table.add_row([bucket.node.to_string(), owner.to_owned()]);
    }
    format!("{}, epoch {}\n{table}\n", summary(cluster), cluster.epoch)
}

/// The same where nodes have names.
fn named(cluster: &ClusterStatus, agreed: &AgreedStatus) -> String {
    let map = agreed.map.as_deref().unwrap_or("none yet");
    let next =
        agreed.next_map.as_ref().map_or_else(String::new, |next| format!(", to be followed by {next}"));
    let own: u64 =
        agreed.members.iter().filter(|member| member.node == agreed.node).map(|member| member.flows).sum();
    let mut text = format!(
        "{}, epoch {}\nmap {map}{next}\n{own} flows are this node's, {} are followed as shadows\n",
        summary(cluster),
        cluster.epoch,
        agreed.shadows
    );
    if !agreed.orders.is_empty() {
        text += &format!("ordered by hand: {}\n", agreed.orders.join(", "));
    }
    text += &format!("{}\n{}\n", members(agreed), published(agreed));
    for dead in &agreed.members {
        text += &if_died(dead, &agreed.members);
    }
    for alarm in &agreed.alarms {
        text += &format!("alarm: {}, for {}\n", alarm.text, duration(alarm.for_s));
    }
    for row in agreed.history.iter().rev().take(HISTORY_SHOWN) {
        text += &format!("{} ago: {}\n", duration(row.ago_s), row.what);
    }
    text
}

fn members(agreed: &AgreedStatus) -> String {
    let header = ["node", "state", "liveness", "weight", "address", "buckets", "flows", "left"];
    let mut table = table(&header, &[3, 5, 6, 7]);
    for member in &agreed.members {
        let mark = if member.node == agreed.node { " (this)" } else { "" };
        table.add_row([
            format!("{}{mark}", member.node),
            member.state.clone(),
            member.liveness.clone(),
            member.weight.to_string(),
            member.address.clone().unwrap_or_default(),
            member.buckets.to_string(),
            member.flows.to_string(),
            member.flows_left.map_or_else(String::new, |left| left.to_string()),
        ]);
    }
    table.to_string()
}

/// What must be the same on all nodes.
fn published(agreed: &AgreedStatus) -> String {
    let mut table = table(&["node", "version", "configuration", "seed", "buckets", "map"], &[4]);
    for member in &agreed.members {
        let told = match &member.published {
            Some(told) => [
                told.version.clone(),
                told.config_digest.clone(),
                format!("{:#x}", told.hash_seed),
                told.total_nodes.to_string(),
                told.map.clone().unwrap_or_else(|| "none yet".to_owned()),
            ],
            None => ["not told", "", "", "", ""].map(str::to_owned),
        };
        table.add_row([vec![member.node.clone()], told.to_vec()].concat());
    }
    table.to_string()
}

/// Who would have how much of a node's buckets; nothing of one that has none.
fn if_died(dead: &MemberRow, members: &[MemberRow]) -> String {
    let heirs = members.iter().filter_map(|member| {
        member.inherits.get(&dead.node).map(|buckets| format!("{buckets} to {}", member.node))
    });
    let heirs: Vec<String> = heirs.collect();
    if heirs.is_empty() {
        return String::new();
    }
    format!("if {} died, {} flows would move, its buckets: {}\n", dead.node, dead.flows, heirs.join(", "))
}

/// A node's part in a line.
pub(super) fn summary(cluster: &ClusterStatus) -> String {
    let local = ranges(cluster.buckets.iter().filter(|bucket| bucket.local).map(|bucket| bucket.node));
    let local = if local.is_empty() { "none" } else { &local };
    let invert = if cluster.invert { ", inverted" } else { "" };
    format!("buckets {local} of {} are here{invert}, tracking {}", cluster.total_nodes, cluster.tracking)
}

/// Numbers in their order, those that follow each other as a range: `1-3, 7`.
fn ranges(numbers: impl Iterator<Item = u16>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    text.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{AlarmRow, BucketStatus, HistoryRow, PublishedRow};
    use std::collections::BTreeMap;

    fn member(node: &str, flows: u64, inherits: &[(&str, usize)]) -> MemberRow {
        MemberRow {
            node: node.to_owned(),
            state: "active".to_owned(),
            liveness: "alive".to_owned(),
            weight: 1,
            address: None,
            published: None,
            buckets: 1,
            flows,
            flows_left: None,
            inherits: inherits.iter().map(|(dead, buckets)| ((*dead).to_owned(), *buckets)).collect(),
        }
    }

    fn two_nodes() -> ClusterStatus {
        let published = PublishedRow {
            version: "0.1.0".to_owned(),
            config_digest: "00ff".to_owned(),
            hash_seed: 0xbeef,
            total_nodes: 2,
            map: Some("1/gw1/aa".to_owned()),
        };
        let mine = MemberRow { published: Some(published), ..member("gw1", 5, &[("gw2", 1)]) };
        let alarm = AlarmRow { alarm: "hole".to_owned(), for_s: 61, text: "a hole: fill it".to_owned() };
        let agreed = AgreedStatus {
            node: "gw1".to_owned(),
            map: Some("1/gw1/aa".to_owned()),
            next_map: None,
            orders: vec!["del 2".to_owned()],
            shadows: 8,
            members: vec![mine, member("gw2", 7, &[])],
            owners: Vec::new(),
            alarms: vec![alarm],
            history: vec![HistoryRow { ago_s: 2, what: "ordered: del 2".to_owned() }],
        };
        let buckets = [(1, true), (2, false)].map(|(node, local)| BucketStatus { node, local });
        ClusterStatus {
            total_nodes: 2,
            tracking: "all".to_owned(),
            hash_seed: 0xbeef,
            invert: false,
            buckets: buckets.into(),
            epoch: 3,
            engine: BTreeMap::new(),
            agreed: Some(agreed),
        }
    }

    #[test]
    fn a_cluster_of_named_nodes_is_shown_whole() {
        let text = cluster(&two_nodes());
        for line in [
            "buckets 1 of 2 are here, tracking all, epoch 3",
            "map 1/gw1/aa",
            "5 flows are this node's, 8 are followed as shadows",
            "ordered by hand: del 2",
            "│ gw1 (this) ┆ active ┆ alive    ┆      1 ┆         ┆       1 ┆     5 ┆      │",
            "│ gw1  ┆ 0.1.0    ┆ 00ff          ┆ 0xbeef ┆       2 ┆ 1/gw1/aa │",
            "│ gw2  ┆ not told ┆               ┆        ┆         ┆          │",
            "if gw2 died, 7 flows would move, its buckets: 1 to gw1",
            "alarm: a hole: fill it, for 1 min 1 s",
            "2 s ago: ordered: del 2",
        ] {
            assert!(text.lines().any(|shown| shown == line), "no line {line:?} in\n{text}");
        }
        assert!(!text.contains("if gw1 died"), "nobody inherits");
        let numbers = ClusterStatus { agreed: None, ..two_nodes() };
        assert!(cluster(&numbers).contains("this node"));
    }
}

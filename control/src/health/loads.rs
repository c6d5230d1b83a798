//! The loads that nodes of pools have reported.
//!
//! A node reports for itself alone: a report counts only from its own address. A load is 0 until the first report, and
//! stays what it was when reports end: 0 would draw all new connections to a node whose agent has died. After
//! [`STALE_MS`] without a report it is shown as stale.

use super::{Report, ReportError};
use crate::network::rate::Rate;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// A load without a report for so long is stale.
pub(super) const STALE_MS: u64 = 10_000;

/// Reports of a node that count in a second.
const REPORTS_PER_S: u64 = 10;

/// A node that may report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// Its pool's name.
    pub pool: Arc<str>,
    /// Its name.
    pub node: Arc<str>,
    /// Where its reports come from.
    pub address: IpAddr,
}

/// A node's load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its pool's name.
    pub pool: Arc<str>,
    /// Its name.
    pub node: Arc<str>,
    /// What it has reported last; 0: nothing.
    pub load: u32,
}

/// Why a report does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No node of a pool is there.
    #[error("no node of a pool has this address")]
    Stranger,
    /// The node at this address is another one.
    #[error("the node of this name has another address, or is none of this pool")]
    Other,
    /// The node reports too often.
    #[error("a node's reports count {REPORTS_PER_S} times a second")]
    Limited,
    /// It is no report.
    #[error(transparent)]
    Malformed(#[from] ReportError),
}

/// What an operator is shown of a node's reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadView {
    /// Its pool's name.
    pub pool: String,
    /// Its name.
    pub node: String,
    /// What it has reported last; 0: nothing.
    pub load: u32,
    /// How long ago; `None`: never.
    pub ago_ms: Option<u64>,
    /// Whether that is too long ago, or has never been.
    pub stale: bool,
}

/// The loads of all nodes that may report.
#[derive(Debug, Default)]
pub struct Loads {
    nodes: Vec<Node>,
    has_news: bool,
}

#[derive(Debug)]
struct Node {
    reporter: Reporter,
    load: u32,
    at_ms: Option<u64>,
    rate: Rate,
}

impl Loads {
    /// These may report, and no others. What a node has reported stays where it has kept its names and its address.
    pub fn set(&mut self, reporters: Vec<Reporter>) {
        let mut known = core::mem::take(&mut self.nodes);
        let nodes = reporters.into_iter().map(|reporter| {
            match known.iter().position(|node| node.reporter == reporter) {
                Some(place) => known.swap_remove(place),
                None => Node { reporter, load: 0, at_ms: None, rate: Rate::new(REPORTS_PER_S) },
            }
        });
        self.nodes = nodes.collect();
        self.has_news = true;
    }

    /// Takes a report in that came from `source`.
    ///
    /// # Errors
    /// When it does not count.
    pub fn take(&mut self, source: IpAddr, bytes: &[u8], now_ms: u64) -> Result<(), Refused> {
        let source = source.to_canonical();
        if !self.nodes.iter().any(|node| node.reporter.address == source) {
            return Err(Refused::Stranger);
        }
        let report = Report::parse(bytes)?;
        let node = self.nodes.iter_mut().find(|node| {
            let Reporter { pool, node, address } = &node.reporter;
            *address == source && **pool == *report.pool && **node == *report.node
        });
        let node = node.ok_or(Refused::Other)?;
        if !node.rate.take(now_ms) {
            return Err(Refused::Limited);
        }
        self.has_news |= node.load != report.load;
        (node.load, node.at_ms) = (report.load, Some(now_ms));
        Ok(())
    }

    /// The loads of all nodes, if one has changed since they were last told.
    pub fn news(&mut self) -> Option<Vec<Load>> {
        core::mem::take(&mut self.has_news).then(|| {
            let loads = self.nodes.iter().map(|Node { reporter, load, .. }| Load {
                pool: Arc::clone(&reporter.pool),
                node: Arc::clone(&reporter.node),
                load: *load,
            });
            loads.collect()
        })
    }

    /// What is known of all nodes.
    pub fn view(&self, now_ms: u64) -> Vec<LoadView> {
        let view = self.nodes.iter().map(|Node { reporter, load, at_ms, .. }| {
            let ago_ms = at_ms.map(|at_ms| now_ms.saturating_sub(at_ms));
            LoadView {
                pool: reporter.pool.to_string(),
                node: reporter.node.to_string(),
                load: *load,
                ago_ms,
                stale: ago_ms.is_none_or(|ago_ms| ago_ms >= STALE_MS),
            }
        });
        view.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 2));

    fn reporter(node: &str, address: IpAddr) -> Reporter {
        Reporter { pool: "front".into(), node: node.into(), address }
    }

    fn two() -> Loads {
        let mut loads = Loads::default();
        loads.set(vec![reporter("a", A), reporter("b", B)]);
        loads
    }

    fn told(loads: &mut Loads) -> Option<Vec<(String, u32)>> {
        let news = loads.news()?;
        Some(news.into_iter().map(|load| (load.node.to_string(), load.load)).collect())
    }

    #[test]
    fn a_node_reports_for_itself_alone() {
        let mut loads = two();
        assert_eq!(told(&mut loads), Some(vec![("a".to_owned(), 0), ("b".to_owned(), 0)]));
        let stranger = "192.0.2.1".parse().unwrap();
        assert_eq!(loads.take(stranger, b"weir-load 1 front a 7", 0), Err(Refused::Stranger));
        assert_eq!(loads.take(A, b"weir-load 1 front b 7", 0), Err(Refused::Other));
        assert_eq!(loads.take(A, b"weir-load 1 back a 7", 0), Err(Refused::Other));
        assert_eq!(loads.take(A, b"weir-load", 0), Err(ReportError::Form.into()));
        assert_eq!(told(&mut loads), None, "none of these counts");
        assert_eq!(loads.take(A, b"weir-load 1 front a 7", 0), Ok(()));
        assert_eq!(told(&mut loads), Some(vec![("a".to_owned(), 7), ("b".to_owned(), 0)]));
        assert_eq!(loads.take(A, b"weir-load 1 front a 7", 100), Ok(()));
        assert_eq!(told(&mut loads), None, "the same load is no news");
        let mapped = "::ffff:10.0.1.2".parse().unwrap();
        assert_eq!(
            loads.take(mapped, b"weir-load 1 front b 3", 0),
            Ok(()),
            "as a socket for both families says it"
        );
    }

    #[test]
    fn so_many_reports_a_second_count() {
        let mut loads = two();
        let taken = (0..1_000).filter(|_| loads.take(A, b"weir-load 1 front a 7", 0).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(loads.take(A, b"weir-load 1 front a 7", 0), Err(Refused::Limited));
        assert_eq!(loads.take(B, b"weir-load 1 front b 7", 0), Ok(()), "each node has its own limit");
        assert_eq!(loads.take(A, b"weir-load 1 front a 7", 100), Ok(()));
    }

    #[test]
    fn a_load_stays_when_reports_end_and_is_shown_as_stale() {
        let mut loads = two();
        loads.take(A, b"weir-load 1 front a 7", 1_000).unwrap();
        let a = |loads: &Loads, now_ms| loads.view(now_ms)[0].clone();
        assert!(!a(&loads, 1_000 + STALE_MS - 1).stale);
        let late = a(&loads, 1_000 + STALE_MS);
        assert_eq!((late.load, late.ago_ms, late.stale), (7, Some(STALE_MS), true));
        let silent = &loads.view(0)[1];
        assert_eq!((silent.load, silent.ago_ms, silent.stale), (0, None, true));
    }

    #[test]
    fn another_configuration_forgets_only_what_it_changes() {
        let mut loads = two();
        loads.take(A, b"weir-load 1 front a 7", 0).unwrap();
        loads.take(B, b"weir-load 1 front b 8", 0).unwrap();
        loads.set(vec![reporter("c", B), reporter("a", A)]);
        assert_eq!(told(&mut loads), Some(vec![("c".to_owned(), 0), ("a".to_owned(), 7)]));
    }
}

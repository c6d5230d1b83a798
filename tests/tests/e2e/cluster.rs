//! Nodes of one router that agree by gossip, and what the tests do to them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::conformance::Mode;
use weir_tests::process::wait_until;

use crate::agreement::shows;
use crate::lab::Lab;
use crate::node::{Membership, Plan, Weir};

/// Within what time nodes agree that have just started.
const AGREEMENT: Duration = Duration::from_secs(30);
/// How often the tests look whether a death was noticed.
const GLANCE: Duration = Duration::from_millis(2);

/// The nodes by their places; some may be down.
pub(crate) struct Cluster<'a> {
    lab: &'a Lab,
    nodes: Vec<Option<Weir<'a>>>,
}

impl<'a> Cluster<'a> {
    /// Starts the laboratory's first `count` nodes and waits until they agree.
    pub(crate) fn start(lab: &'a Lab, count: usize) -> Result<Self> {
        let mut cluster = Self { lab, nodes: lab.nodes.iter().map(|_| None).collect() };
        (1..=count).try_for_each(|number| cluster.launch(number))?;
        cluster.agreed()?;
        Ok(cluster)
    }

    /// Starts node `number`, and does not wait for anybody's agreement.
    pub(crate) fn launch(&mut self, number: usize) -> Result<()> {
        let plan = Plan {
            number,
            tracking: Mode::All,
            share: "owner",
            between: self.lab.between,
            membership: Membership::Gossip,
        };
        self.nodes[number - 1] = Some(Weir::start(&self.lab.nodes[number - 1], plan)?);
        Ok(())
    }

    /// Node `number`, which runs.
    pub(crate) fn node(&self, number: usize) -> &Weir<'a> {
        self.nodes[number - 1].as_ref().expect("the node runs")
    }

    /// All that run.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Weir<'a>> {
        self.nodes.iter().flatten()
    }

    /// Waits until all nodes that run see each other serve, and nobody else, and each bucket is one of theirs.
    pub(crate) fn agreed(&self) -> Result<()> {
        let up = self.nodes.iter().enumerate().filter(|(_, node)| node.is_some());
        let serving: Vec<_> = up.map(|(n, _)| format!("gw{}", n + 1)).collect();
        let serving: Vec<_> = serving.iter().map(String::as_str).collect();
        self.nodes().try_for_each(|node| agreed(node, &serving))
    }

    /// Drains node `number` for as long as the flows that it has may take, and waits until it has left.
    pub(crate) fn drain(&self, number: usize, deadline: Duration) -> Result<()> {
        let node = self.node(number);
        node.ask(&["cluster", "drain", "--deadline", &deadline.as_secs().to_string()])?;
        let name = format!("gw{number}");
        wait_until(&format!("{name} to leave"), AGREEMENT, || {
            let status = node.ask(&["cluster", "show"])?;
            let members = status["agreed"]["members"].as_array().context("no members")?;
            Ok(members.iter().any(|member| member["node"] == *name && member["state"] == "leaving"))
        })
    }

    /// Ends node `number` as a crash does; how long it took until node `heir` had inherited from it.
    pub(crate) fn kill(&mut self, number: usize, heir: usize) -> Result<Duration> {
        let node = self.nodes[number - 1].take().context("it runs")?;
        let killed = Instant::now();
        node.kill()?;
        self.noticed(&format!("gw{number}"), heir, killed)
    }

    /// Ends node `number` as a service manager does.
    pub(crate) fn stop(&mut self, number: usize) -> Result<()> {
        let (status, log) = self.nodes[number - 1].take().context("it runs")?.stop()?;
        ensure!(status.success(), "{log}");
        Ok(())
    }

    fn noticed(&self, dead: &str, heir: usize, killed: Instant) -> Result<Duration> {
        let heir = self.node(heir);
        while killed.elapsed() < AGREEMENT {
            if !owners(&shows(heir)?)?.contains(&Some(dead.to_owned())) {
                return Ok(killed.elapsed());
            }
            thread::sleep(GLANCE);
        }
        anyhow::bail!("nobody noticed that {dead} is dead: {}", heir.print(&["cluster", "show"])?)
    }
}

/// Waits until `node` sees these nodes serve, and each bucket is one of theirs.
pub(crate) fn agreed(node: &Weir<'_>, serving: &[&str]) -> Result<()> {
    wait_until(&format!("agreement on {serving:?}"), AGREEMENT, || {
        let agreed = node.ask(&["cluster", "show"])?["agreed"].take();
        let owners = owners(&agreed)?;
        let all = !owners.is_empty()
            && owners
                .iter()
                .all(|owner| owner.as_ref().is_some_and(|owner| serving.contains(&owner.as_str())));
        let each = serving.iter().all(|name| owners.contains(&Some((*name).to_owned())));
        Ok(all && each && agreed["next_map"].is_null())
    })
    .with_context(|| node.print(&["cluster", "show"]).unwrap_or_default() + &node.log())
}

/// Whose each bucket is.
fn owners(agreed: &Value) -> Result<Vec<Option<String>>> {
    let owners = agreed["owners"].as_array().context("no owners")?;
    Ok(owners.iter().map(|owner| owner.as_str().map(str::to_owned)).collect())
}

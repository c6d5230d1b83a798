//! A real Prometheus scrapes a running gateway and answers a query.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use weir_tests::conformance::Mode;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::clients;
use crate::lab::{Between, Lab, Nodes};
use crate::node::{Membership, Plan, Weir};

const METRICS: &str = "127.0.0.1:9475";
const PROMETHEUS: &str = "127.0.0.1:9090";

#[test]
fn prometheus_scrapes_and_answers() {
    if !crate::ready() {
        return;
    }
    weir_tests::netns::installed(&["prometheus", "promtool"]).expect("install what is missing");
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    let namespace = &lab.nodes[0];
    let weir = Weir::start(
        namespace,
        Plan {
            number: 1,
            tracking: Mode::All,
            share: "forward",
            between: Between::Bridge,
            membership: Membership::Numbers,
        },
    )
    .unwrap();
    weir.cluster("add", 2).unwrap();
    clients::ping(&lab.a).unwrap();

    let page = namespace.run(&format!("curl -sS --fail http://{METRICS}/metrics")).unwrap();
    namespace.feed("promtool check metrics", &page).expect("promtool finds fault with the page");

    let folder = tempfile::tempdir().unwrap();
    let _prometheus = prometheus(namespace, folder.path()).unwrap();
    let forwarded = weir.counts().unwrap().forwarded() as f64;
    assert!(forwarded > 0.0);
    let mut last = String::new();
    let answered = wait_until("Prometheus' answer", Duration::from_secs(30), || {
        let sum = "sum(weir_worker_verdicts_total{verdict=\"forward\"})";
        last = query(namespace, sum).unwrap_or_else(|error| format!("{error:#}"));
        Ok(last.parse().is_ok_and(|value: f64| value >= forwarded))
    });
    answered.unwrap_or_else(|error| panic!("{error:#}: {last}"));
}

fn prometheus(namespace: &Namespace, folder: &Path) -> Result<Background> {
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs: [{{ job_name: weir, static_configs: [{{ targets: ['{METRICS}'] }}] }}]\n"
    );
    fs::write(&config, text)?;
    let mut command = namespace.command("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address={PROMETHEUS}"));
    Background::start("prometheus", &mut command)
}

/// The value of an instant query that has one.
fn query(namespace: &Namespace, expression: &str) -> Result<String> {
    let mut command = namespace.command("curl");
    command.args(["-sS", "--fail", "--get", "--data-urlencode", &format!("query={expression}")]);
    command.arg(format!("http://{PROMETHEUS}/api/v1/query"));
    let answer: Value = serde_json::from_str(&weir_tests::netns::output(&mut command)?)?;
    let value = answer["data"]["result"][0]["value"][1].as_str();
    Ok(value.with_context(|| format!("no value in {answer}"))?.to_owned())
}

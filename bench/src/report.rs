//! What the figures are held against, the table for people, and `summary.json` for programs.

use crate::figure::{Figure, Unit};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::collections::BTreeMap;

/// Which side of a target is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// No more than the target.
    AtMost,
    /// No less.
    AtLeast,
}

/// One figure's median over another's.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    key: &'static str,
    title: &'static str,
    of: &'static str,
    to: &'static str,
    bound: Bound,
    target: f64,
}

const fn ratio(
    key: &'static str,
    title: &'static str,
    [of, to]: [&'static str; 2],
    bound: Bound,
    target: f64,
) -> Ratio {
    Ratio { key, title, of, to, bound, target }
}

/// The ratios, which hold on any machine.
pub const RATIOS: &[Ratio] = &[
    ratio(
        "established_to_rte_hash",
        "whole pipeline, 1 M flows, to rte_hash look-up and one touch",
        ["established_1m", "rte_hash_1m"],
        Bound::AtMost,
        1.0,
    ),
    ratio(
        "weir_to_testpmd",
        "weir to testpmd macswap, net_pcap, 4,096 flows",
        ["weir_pcap_4k", "testpmd_macswap_pcap_4k"],
        Bound::AtLeast,
        0.40,
    ),
    ratio("two_workers_to_one", "two workers to one", ["two_workers", "one_worker"], Bound::AtLeast, 1.9),
    ratio(
        "look_up_10m_to_1m",
        "look-up at 10 M flows to 1 M",
        ["flow_table_10m", "flow_table_1m"],
        Bound::AtMost,
        1.3,
    ),
    ratio(
        "served_1000_rules_to_10_10k",
        "known flows served, 10 k flows, 1,000 rules to 10",
        ["served_1000_rules_10k", "served_10_rules_10k"],
        Bound::AtMost,
        1.05,
    ),
    ratio(
        "served_1000_rules_to_10_1m",
        "known flows served, 1 M flows, 1,000 rules to 10",
        ["served_1000_rules_1m", "served_10_rules_1m"],
        Bound::AtMost,
        1.05,
    ),
    ratio(
        "latency_80_to_burst",
        "p99 latency at 80 % of capacity to one burst's time",
        ["latency_p99_80", "burst_time"],
        Bound::AtMost,
        1.0,
    ),
];

/// Figures with a target of their own: what they count is the same everywhere, or the target is for the reference
/// machine, a Zen 5 core at 4.2 GHz.
pub const TARGETS: &[(&str, Bound, f64, bool)] = &[
    ("established_1", Bound::AtMost, 12.0, true),
    ("established_10k", Bound::AtMost, 16.0, true),
    ("established_100k", Bound::AtMost, 20.0, true),
    ("established_1m", Bound::AtMost, 30.0, true),
    ("routed_more_1", Bound::AtMost, 6.0, true),
    ("routed_more_10k", Bound::AtMost, 6.0, true),
    ("routed_more_100k", Bound::AtMost, 6.0, true),
    ("routed_more_1m", Bound::AtMost, 6.0, true),
    ("new_served_more", Bound::AtMost, 60.0, true),
    ("syn_of_others", Bound::AtMost, 12.0, true),
    ("ack_of_others", Bound::AtMost, 12.0, true),
    ("new_flow_expiring", Bound::AtMost, 125.0, true),
    ("hand_over", Bound::AtMost, 15.0, true),
    ("bytes_a_flow_1m", Bound::AtMost, 192.0, false),
    ("bytes_a_flow_10m", Bound::AtMost, 192.0, false),
    ("turn_max_expiry", Bound::AtMost, 100.0, false),
    ("turn_max_reload", Bound::AtMost, 100.0, false),
    ("turn_max_walk", Bound::AtMost, 100.0, false),
    ("turn_max_neighbours", Bound::AtMost, 100.0, false),
    ("turn_max_routes", Bound::AtMost, 100.0, false),
];

/// What was measured where.
#[derive(Debug, Default)]
pub struct Report {
    /// Facts about the machine and the run, in their order.
    pub facts: Vec<(&'static str, String)>,
    /// All figures, in their order.
    pub figures: Vec<Figure>,
    /// Parts that could not run, and why.
    pub unavailable: Vec<(&'static str, String)>,
}

/// A ratio or a figure beside its target.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Judged {
    title: String,
    value: f64,
    bound: Bound,
    target: f64,
    met: bool,
}

impl Judged {
    fn new(title: &str, value: f64, bound: Bound, target: f64) -> Self {
        let met = match bound {
            Bound::AtMost => value <= target,
            Bound::AtLeast => value >= target,
        };
        Self { title: title.to_owned(), value, bound, target, met }
    }
}

#[derive(Serialize)]
struct Measured<'a> {
    title: &'a str,
    unit: Unit,
    median: f64,
    min: f64,
    max: f64,
    samples: &'a [f64],
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
}

#[derive(Serialize)]
struct Target {
    bound: Bound,
    target: f64,
    met: bool,
    /// The target is for the reference machine.
    reference_machine: bool,
}

#[derive(Serialize)]
struct Summary<'a> {
    facts: BTreeMap<&'a str, &'a str>,
    figures: BTreeMap<&'a str, Measured<'a>>,
    ratios: BTreeMap<&'a str, Judged>,
    unavailable: BTreeMap<&'a str, &'a str>,
}

impl Report {
    /// The figure of this key.
    pub fn figure(&self, key: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.key == key)
    }

    fn ratios(&self) -> Vec<(&'static str, Judged)> {
        let judge = |ratio: &Ratio| {
            let value = self.figure(ratio.of)?.median() / self.figure(ratio.to)?.median();
            Some((ratio.key, Judged::new(ratio.title, value, ratio.bound, ratio.target)))
        };
        RATIOS.iter().filter_map(judge).collect()
    }

    fn target(figure: &Figure) -> Option<Target> {
        let (_, bound, target, reference_machine) = *TARGETS.iter().find(|(key, ..)| *key == figure.key)?;
        let met = Judged::new("", figure.median(), bound, target).met;
        Some(Target { bound, target, met, reference_machine })
    }

    /// For programs: `summary.json`, whose keys `bench/README.md` explains.
    pub fn json(&self) -> serde_json::Result<String> {
        let measured = |figure: &'_ Figure| Measured {
            title: "",
            unit: figure.unit,
            median: figure.median(),
            min: figure.min(),
            max: figure.max(),
            samples: &[],
            target: Self::target(figure),
        };
        let figures = self.figures.iter().map(|figure| {
            let measured = Measured { title: &figure.title, samples: &figure.samples, ..measured(figure) };
            (figure.key.as_str(), measured)
        });
        serde_json::to_string_pretty(&Summary {
            facts: self.facts.iter().map(|(key, fact)| (*key, fact.as_str())).collect(),
            figures: figures.collect(),
            ratios: self.ratios().into_iter().collect(),
            unavailable: self.unavailable.iter().map(|(part, why)| (*part, why.as_str())).collect(),
        })
    }

    /// For people: the figures, the ratios, and what did not run.
    pub fn text(&self) -> String {
        let mut figures = table(["figure", "median", "least", "most", "target"]);
        for figure in &self.figures {
            let target = Self::target(figure).map_or_else(String::new, |target| {
                let place =
                    if target.reference_machine { " (reference machine)" } else { verdict(target.met) };
                format!("{} {}{place}", sign(target.bound), number(target.target))
            });
            let [median, least, most] = [figure.median(), figure.min(), figure.max()].map(number);
            figures.add_row([
                figure.title.clone(),
                format!("{median} {}", figure.unit.name()),
                least,
                most,
                target,
            ]);
        }
        let mut ratios = table(["ratio", "", "", "", "target"]);
        for (_, judged) in self.ratios() {
            let target = format!("{} {:.2}{}", sign(judged.bound), judged.target, verdict(judged.met));
            ratios.add_row([
                judged.title,
                format!("{:.2}", judged.value),
                String::new(),
                String::new(),
                target,
            ]);
        }
        let facts: Vec<String> = self.facts.iter().map(|(key, fact)| format!("{key}: {fact}")).collect();
        let not_run: Vec<String> =
            self.unavailable.iter().map(|(part, why)| format!("NOT RUN: {part}: {why}\n")).collect();
        format!("{}\n\n{figures}\n\n{ratios}\n\n{}", facts.join("\n"), not_run.concat())
    }
}

fn table(header: [&str; 5]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

const fn sign(bound: Bound) -> &'static str {
    match bound {
        Bound::AtMost => "≤",
        Bound::AtLeast => "≥",
    }
}

const fn verdict(met: bool) -> &'static str {
    if met { " met" } else { " MISSED" }
}

/// Three digits that count.
fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let figure =
            |key: &str, value| Figure::new(key, key, Unit::Ns, vec![value, value + 1.0, value - 1.0]);
        Report {
            facts: vec![("processor", "one".to_owned())],
            figures: vec![figure("established_1m", 30.0), figure("rte_hash_1m", 40.0)],
            unavailable: vec![("linux", "needs root".to_owned())],
        }
    }

    #[test]
    fn the_summary_has_figures_ratios_and_what_did_not_run() {
        let summary: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(summary["figures"]["established_1m"]["median"], 30.0);
        assert_eq!(summary["figures"]["established_1m"]["target"]["met"], true);
        assert_eq!(summary["ratios"]["established_to_rte_hash"]["value"], 0.75);
        assert_eq!(summary["ratios"]["established_to_rte_hash"]["met"], true);
        assert_eq!(summary["unavailable"]["linux"], "needs root");
        assert!(summary["ratios"].get("weir_to_testpmd").is_none(), "a ratio needs both of its figures");
    }

    #[test]
    fn the_text_says_what_was_missed_and_what_did_not_run() {
        let mut report = report();
        report.figures[0].samples = vec![50.0];
        let text = report.text();
        assert!(text.contains("1.25") && text.contains("MISSED"), "{text}");
        assert!(text.contains("NOT RUN: linux: needs root"), "{text}");
    }
}

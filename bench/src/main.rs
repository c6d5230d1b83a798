//! `weir-bench`: everything that is measured, side by side in one run.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use anyhow::{Context, Result};
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};
use weir_bench::figure::Outcome;
use weir_bench::machine::{self, HugePagesLoan};
use weir_bench::parts::{flows, gateways, latency, linux, routes, scale, services, testpmd, turns, workers};
use weir_bench::picture;
use weir_bench::report::Report;
use weir_dpdk::memory::HugePages;
use weir_dpdk::{Eal, EalOptions, LogLevel, Memory};

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// Measures what a packet costs, beside others, and writes summary.json and throughput.svg.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds that count; in each round every contender has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Small tables and one round: whether it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Where summary.json and throughput.svg go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut report = Report { facts: machine::facts(), ..Report::default() };
    let pages = if options.quick { None } else { HugePagesLoan::take() };
    report.facts.push(("huge_pages", machine::huge_pages()));
    let rounds = if options.quick { 1 } else { options.rounds.max(1) };
    report.facts.push(("rounds", rounds.to_string()));

    let mut run = |name: &'static str, part: &mut dyn FnMut() -> Outcome| {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            return;
        }
        eprintln!("weir-bench: {name}");
        match part() {
            Ok(figures) => report.figures.extend(figures),
            Err(why) => report.unavailable.push((name, why.to_string())),
        }
    };
    if !options.quick {
        run("testpmd", &mut || testpmd::run(rounds, Path::new("target/release/weir"), pages.is_some()));
    }
    run("workers", &mut || workers::run(rounds));
    machine::pin_to_last_core();
    if !options.quick {
        run("linux", &mut || linux::run(rounds));
    }
    in_process(rounds, options.quick, pages.is_some(), &mut run)?;
    drop(pages);

    fs::create_dir_all(&options.out).with_context(|| options.out.display().to_string())?;
    for (name, text) in [("summary.json", report.json()?), ("throughput.svg", picture::svg(&report))] {
        let path = options.out.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("{}", report.text());
    println!("{}", options.out.join("summary.json").display());
    Ok(())
}

/// The parts that run in this process, on its one core.
fn in_process(
    rounds: usize,
    quick: bool,
    huge: bool,
    run: &mut dyn FnMut(&'static str, &mut dyn FnMut() -> Outcome),
) -> Result<()> {
    let mb = if quick { 64 } else { 512 };
    let eal = Eal::init(&EalOptions {
        memory: if huge { Memory::Huge { mb } } else { Memory::NoHuge { mb } },
        file_prefix: "weir-bench".to_owned(),
        log_level: LogLevel::Error,
        ..EalOptions::default()
    })?;
    let million = if quick { 10_000 } else { 1_000_000 };
    let sizes = if quick { &scale::SIZES[..2] } else { &scale::SIZES[..] };
    run("scale", &mut || scale::run(&eal, rounds, sizes));
    run("gateways", &mut || gateways::run(rounds, sizes, million, million / 5));
    run("services", &mut || services::run(rounds, sizes, million, million / 5));
    run("others", &mut || flows::of_others(rounds, million));
    run("udp", &mut || flows::udp(rounds, million));
    run("new_flows", &mut || flows::new_flows(rounds, million));
    run("routes", &mut || routes::run(rounds, million, million / 5));
    run("turns", &mut || turns::run(rounds, million, million, million / 5));
    run("latency", &mut || latency::run(rounds));
    if !quick {
        run("memory", &mut || {
            let mut figures = flows::bytes_a_flow(1_000_000, "1m", "1 M flows")?;
            figures.extend(flows::bytes_a_flow(10_000_000, "10m", "10 M flows")?);
            figures.extend(flows::look_up_at(rounds, 10_000_000, "10m", "10 M flows")?);
            figures.extend(flows::established_at(rounds, 10_000_000, "10m", "10 M flows")?);
            Ok(figures)
        });
    }
    Ok(())
}

//! Prints, capture by capture and in total, how far the gateway agrees with Linux. Ends with 1 when a capture differs
//! otherwise than `docs/conformance.md` says.

use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use weir_tests::conformance::{self, Expectations, Mode, Places, Report};

/// Compares `weir replay` with what Linux answered, frame by frame.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder of the captures, NAME.pcap; $CAPTURES otherwise
    #[arg(long)]
    captures: Option<PathBuf>,
    /// The folder of Linux's answers, NAME.own.jsonl and NAME.all.jsonl; $GOLDENS otherwise
    #[arg(long)]
    goldens: Option<PathBuf>,
    /// The gateway's binary; $WEIR otherwise
    #[arg(long, default_value_os_t = conformance::replay::binary())]
    weir: PathBuf,
    /// Print each frame that differs
    #[arg(long, short)]
    verbose: bool,
    /// Only these captures; all that have answers otherwise
    names: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let places = Places {
        weir: arguments.weir,
        configs: weir_tests::tree().join("configs"),
        captures: given(arguments.captures, "CAPTURES")?,
        goldens: given(arguments.goldens, "GOLDENS")?,
    };
    let expectations = Expectations::listed()?;
    let names =
        if arguments.names.is_empty() { conformance::captures(&places.goldens)? } else { arguments.names };
    let mut totals = [(0, 0); Mode::ALL.len()];
    let mut wrong = Vec::new();
    for name in &names {
        for mode in Mode::ALL {
            let report = conformance::judge(&places, name, mode)?;
            print(&report, arguments.verbose);
            totals[mode as usize].0 += report.compared - report.differences.len();
            totals[mode as usize].1 += report.compared;
            wrong.extend(expectations.judge(&report));
        }
    }
    for (mode, (agreed, compared)) in Mode::ALL.into_iter().zip(totals) {
        println!("{:40} {} {agreed:>6}/{compared}", "total", mode.name());
    }
    for line in &wrong {
        eprintln!("{line}");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn given(folder: Option<PathBuf>, variable: &str) -> Result<PathBuf> {
    let option = variable.to_lowercase();
    folder
        .or_else(|| weir_tests::folder(variable))
        .with_context(|| format!("give --{option} DIR or set {variable}"))
}

fn print(report: &Report, verbose: bool) {
    let agreed = report.compared - report.differences.len();
    let Report { capture, mode, compared, skipped, .. } = report;
    print!("{capture:40} {} {agreed:>6}/{compared:<6}", mode.name());
    println!("{}", if *skipped > 0 { format!(" ({skipped} frames not compared)") } else { String::new() });
    if verbose {
        for (frame, difference) in &report.differences {
            println!("  frame {frame}: Linux: {}; weir: {}", difference.linux, difference.weir);
        }
    }
}

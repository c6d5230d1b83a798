//! Holds instruction counts against `bench/instructions.json`, or records them there. Ends with 1 when a stage is not as
//! recorded. `make instructions` makes the counts and calls it.

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use weir_tests::instructions::{ADVICE, Record, Tools, counts};

/// Compares instruction counts with the recorded ones.
#[derive(Debug, Parser)]
struct Arguments {
    /// The counts: what the benchmark `instructions` prints with --output-format=json
    counts: PathBuf,
    /// Record them
    #[arg(long)]
    record: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let place = weir_tests::tree().join("bench/instructions.json");
    let mut record: Record = serde_json::from_str(&read(&place)?)
        .with_context(|| format!("{} is no record of instructions", place.display()))?;
    let counts = counts(&read(&arguments.counts)?)?;
    let tools = tools()?;
    print!("{}", record.table(&counts));
    if arguments.record {
        (record.tools, record.instructions) = (tools, counts);
        std::fs::write(&place, serde_json::to_string_pretty(&record)? + "\n")
            .with_context(|| format!("{} cannot be written", place.display()))?;
        println!("recorded in bench/instructions.json: commit it with what changed it");
        return Ok(ExitCode::SUCCESS);
    }
    if tools != record.tools {
        println!("NOTE: recorded with {}; here is {tools}", record.tools);
    }
    let Some(margin_percent) = record.margin_percent(&tools) else {
        println!("instructions: NOT CHECKED, the recorded ones are those of another architecture");
        return Ok(if std::env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    };
    let offences = record.offences(&counts, margin_percent);
    offences.iter().for_each(|offence| eprintln!("error: {offence}"));
    if offences.is_empty() {
        println!("all within {margin_percent} % of the record");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{ADVICE}");
    Ok(ExitCode::FAILURE)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Those of this machine.
fn tools() -> Result<Tools> {
    let verbose = output("rustc", "--version --verbose")?;
    let line = |begin| verbose.lines().find_map(|line| line.strip_prefix(begin)).map(Into::into);
    let target = line("host: ").context("rustc does not name its host")?;
    Ok(Tools {
        target,
        rustc: output("rustc", "--version")?,
        rustflags: std::env::var("RUSTFLAGS").unwrap_or_default(),
        valgrind: output("valgrind", "--version")?,
    })
}

fn output(program: &str, arguments: &str) -> Result<String> {
    let output = Command::new(program).args(arguments.split(' ')).output();
    let output = output.with_context(|| format!("{program} cannot be run: is it installed?"))?;
    if !output.status.success() {
        bail!("{program} {arguments} failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

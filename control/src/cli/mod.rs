//! The command line, one file a command.

mod check;
mod cluster;
mod completions;
mod counters;
mod demo;
mod expectations;
mod explain;
mod flows;
mod gateway;
mod import;
mod man;
mod neighbours;
mod output;
mod pool;
mod reference;
mod reload;
mod replay;
mod routes;
mod run;
mod schema;
mod service;
mod status;
mod trace;
mod values;
mod version;
mod vip;

use crate::Failure;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use core::ops::ControlFlow;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes:\n  \
    0  it was done\n  \
    1  it failed while running: a device, a file, the gateway; or its result is bad\n  \
    2  the command line or the configuration is wrong, or the configuration cannot be read";

/// Software gateway on DPDK: bridges, routes and balances, alone or as a node of a cluster.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Replay(replay::Args),
    Demo(demo::Args),
    Status(status::Args),
    Flows(Box<flows::Args>),
    Expectations(expectations::Args),
    Trace(trace::Args),
    Neighbours(neighbours::Args),
    Service(Box<service::Args>),
    Pool(pool::Args),
    Cluster(cluster::Args),
    Vip(vip::Args),
    Explain(explain::Args),
    Routes(routes::Args),
    Counters(counters::Args),
    Reload(reload::Args),
    Import(import::Args),
    Schema(schema::Args),
    Reference(reference::Args),
    Completions(completions::Args),
    Man(man::Args),
    Version(version::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    // clap prints what is wrong and ends with 2, or with 0 after --help.
    let cli = Cli::from_arg_matches(&definition().get_matches()).unwrap_or_else(|error| error.exit());
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "weir: {failure}");
            failure.exit_code()
        }
    }
}

/// The command line's definition, for the command itself, completions and man pages.
pub fn definition() -> clap::Command {
    with_negative_numbers(Cli::command())
}

/// The same where `-1` is a number: so who gives one is told the range, not that there is no such option.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_value = |arg: &clap::Arg| arg.get_action().takes_values();
    command
        .mut_args(|arg| if takes_value(&arg) { arg.allow_negative_numbers(true) } else { arg })
        .mut_subcommands(with_negative_numbers)
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Replay(args) => args.run(),
        Command::Demo(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Flows(args) => args.run(),
        Command::Expectations(args) => args.run(),
        Command::Trace(args) => args.run(),
        Command::Neighbours(args) => args.run(),
        Command::Service(args) => args.run(),
        Command::Pool(args) => args.run(),
        Command::Cluster(args) => args.run(),
        Command::Vip(args) => args.run(),
        Command::Explain(args) => args.run(),
        Command::Routes(args) => args.run(),
        Command::Counters(args) => args.run(),
        Command::Reload(args) => args.run(),
        Command::Import(args) => args.run(),
        Command::Schema(args) => args.run(),
        Command::Reference(args) => args.run(),
        Command::Completions(args) => args.run(),
        Command::Man(args) => args.run(),
        Command::Version(args) => args.run(),
    }
}

/// Says what is worth knowing and stops nothing. Nobody may be there to hear it.
fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "weir: {text}");
}

/// Writes to standard output; a reader that went away is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_more(text).map(|_| ())
}

/// The same for a part of something longer: breaks when nobody reads any more.
fn print_more(text: &str) -> Result<ControlFlow<()>, Failure> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::runtime(format!("cannot write to standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}

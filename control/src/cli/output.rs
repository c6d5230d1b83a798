//! The forms in which flows and expectations are printed.

use super::gateway::Gateway;
use super::print;
use crate::Failure;
use clap::ValueEnum;
use serde::Serialize;

/// Which gateway, and in what form flows are to be printed.
#[derive(Debug, clap::Args)]
pub(super) struct Form {
    #[command(flatten)]
    gateway: Gateway,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t = Output::Weir, conflicts_with = "json")]
    output: Output,
}

/// A form to print in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// A table with all that Weir knows
    Weir,
    /// The lines of Linux's `conntrack -o extended`
    Conntrack,
    /// JSON, as the control socket gives it
    Json,
}

impl Form {
    /// Which gateway.
    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// In what form: `--json` is short for `--output json`.
    pub(super) fn output(&self) -> Output {
        if self.gateway.json() { Output::Json } else { self.output }
    }

    /// Prints an answer: as `weir` shows it, as `conntrack` does, or as JSON.
    pub(super) fn show<T: Serialize>(
        &self,
        answer: &T,
        weir: impl FnOnce(&T) -> String,
        conntrack: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.output() {
            Output::Weir => print(&weir(answer)),
            Output::Conntrack => print(&conntrack(answer)),
            Output::Json => {
                let text = serde_json::to_string_pretty(answer).map_err(Failure::runtime)?;
                print(&format!("{text}\n"))
            }
        }
    }
}

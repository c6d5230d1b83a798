//! `weir flows`

use super::gateway::Gateway;
use super::output::{Form, Output};
use super::{print_more, warn};
use crate::Failure;
use crate::api::{FLOWS_LIMIT_MAX, Selection};
use crate::observe::{Deleted, FlowEvent, Flows, conntrack_text, flow_tables};
use core::ops::ControlFlow;
use hyper::Method;

/// Flows that a table lists unless told otherwise: what a person looks through.
const TABLE_LIMIT: usize = 1000;

/// List live flows of a running gateway, follow what happens to them, or delete them
///
/// All that is said of the flows must be true of them. Options that Linux's conntrack has, have its names.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// List this many at most [default: 1000 in a table, else 100000]
    #[arg(long, value_name = "N", value_parser = limit)]
    limit: Option<usize>,
    /// Follow what happens to them from now on: NEW, UPDATE, DESTROY
    #[arg(short = 'E', long, alias = "event", conflicts_with = "limit")]
    events: bool,
    #[command(flatten)]
    form: Form,
    #[command(flatten, next_help_heading = "Which flows")]
    selection: Selection,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Delete flows: their next packets are those of flows that nobody knows
    Delete(Delete),
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// Delete all flows, if nothing says which
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    gateway: Gateway,
    #[command(flatten, next_help_heading = "Which flows")]
    selection: Selection,
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit) if (1..=FLOWS_LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(format!("a number from 1 to {FLOWS_LIMIT_MAX} is wanted")),
    }
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Some(Action::Delete(delete)) => delete.run(),
            None if self.events => follow(&self.form, &self.selection),
            None => {
                let limit =
                    self.limit.or_else(|| (self.form.output() == Output::Weir).then_some(TABLE_LIMIT));
                list(&self.form, Selection { limit, ..self.selection })
            }
        }
    }
}

impl Delete {
    fn run(self) -> Result<(), Failure> {
        if self.selection.is_everything() && !self.all {
            return Err(Failure::configuration(
                "this would delete all flows: say which, or say --all if all are meant",
            ));
        }
        let selection = Selection { all: self.all, ..self.selection };
        let path = path("/flows", &selection)?;
        self.gateway
            .show::<Deleted>(Method::DELETE, &path, |answer| format!("{} flows deleted\n", answer.deleted))
    }
}

fn list(form: &Form, selection: Selection) -> Result<(), Failure> {
    let answer: Flows = form.gateway().ask(Method::GET, &path("/flows", &selection)?)?;
    if answer.more && form.output() == Output::Conntrack {
        // Standard output carries conntrack's lines and nothing else.
        warn("there are more flows: raise --limit, or say which");
    }
    form.show(&answer, flow_tables::flows, |answer| conntrack_text::flows(&answer.flows))
}

fn follow(form: &Form, selection: &Selection) -> Result<(), Failure> {
    let mut printed = Ok(());
    form.gateway().follow(&path("/flows/events", selection)?, |event: FlowEvent| {
        if let FlowEvent::Lost { worker, events } = event {
            warn(&format!(
                "worker {worker} had more to tell than there was room for: {events} events are lost"
            ));
        }
        let text = match form.output() {
            Output::Weir => flow_tables::event(&event),
            Output::Conntrack => conntrack_text::event(&event),
            Output::Json => serde_json::to_string(&event).ok().map(|line| line + "\n"),
        };
        match text.map_or(Ok(ControlFlow::Continue(())), |text| print_more(&text)) {
            Ok(flow) => flow,
            Err(failure) => {
                printed = Err(failure);
                ControlFlow::Break(())
            }
        }
    })?;
    printed
}

fn path(resource: &str, selection: &Selection) -> Result<String, Failure> {
    let query = serde_urlencoded::to_string(selection).map_err(Failure::runtime)?;
    Ok(format!("{resource}?{query}"))
}

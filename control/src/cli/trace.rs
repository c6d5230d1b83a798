//! `weir trace`

use super::gateway::Gateway;
use super::{print_more, warn};
use crate::Failure;
use crate::api::TraceRequest;
use crate::observe::{TraceEvent, trace_text};
use core::ops::ControlFlow;

/// Follow frames through a running gateway, stage by stage, and see what becomes of each
///
/// Of a flow both directions are shown, and ICMP errors about it. A trace ends by itself; forwarding goes on as it
/// does without, and frames that come faster than they can be told are missed and counted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    gateway: Gateway,
    #[command(flatten, next_help_heading = "Which frames")]
    request: TraceRequest,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let query = serde_urlencoded::to_string(&self.request).map_err(Failure::runtime)?;
        let mut printed = Ok(());
        self.gateway.follow(&format!("/trace?{query}"), |event: TraceEvent| {
            if let Some(remark) = trace_text::remark(&event) {
                warn(&remark);
            }
            let text = if self.gateway.json() {
                serde_json::to_string(&event).ok().map(|line| line + "\n")
            } else {
                trace_text::event(&event)
            };
            match text.map_or(Ok(ControlFlow::Continue(())), |text| print_more(&text)) {
                Ok(_) if matches!(event, TraceEvent::End { .. }) => ControlFlow::Break(()),
                Ok(flow) => flow,
                Err(failure) => {
                    printed = Err(failure);
                    ControlFlow::Break(())
                }
            }
        })?;
        printed
    }
}

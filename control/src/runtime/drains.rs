//! The ends of drains: what a server still has when its time is over is ended beside the control loop.

use super::errands::Errands;
use tokio::task::JoinHandle;
use tracing::{info, warn};
use weir_dataplane::track::filter::{Filter, ServerFilter};
use weir_dataplane::units::ServerId;

/// The servers whose flows are being ended, one after the other.
#[derive(Debug, Default)]
pub(super) struct Drains(Option<JoinHandle<()>>);

impl Drains {
    /// Ends the flows of these servers, each with its name. Is it still at others, these are left until it is asked
    /// again. Call it inside a tokio runtime.
    pub(super) fn end(&mut self, errands: &Errands, servers: Vec<(ServerId, String)>) {
        if servers.is_empty() || self.0.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let errands = errands.clone();
        self.0 = Some(tokio::spawn(async move {
            for (id, server) in servers {
                let filter = Filter { server: Some(ServerFilter::One(id)), ..Filter::default() };
                match errands.delete(filter).await {
                    Ok(ended) => info!(server, ended, "the drain's deadline has passed"),
                    Err(refusal) => warn!(server, "cannot end what a drained server has: {refusal}"),
                }
            }
        }));
    }
}

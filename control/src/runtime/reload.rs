//! A reload up to the moment that it is taken over.
//!
//! A configuration of a million routes takes seconds to read, check and compile. That is done on a thread of its own,
//! so that control goes on with membership, neighbours and answers. One is prepared at a time; who asks meanwhile gets
//! another one, since the file may have changed.

use super::{membership, station};
use crate::api::{Answer, Refusal, Reloaded};
use crate::cluster::Digest;
use crate::cluster::engine::gossip::KeyRing;
use crate::config::{self, Carrier, GatewayConfig, Loaded, Membership, Problem};
use crate::network::kernel_routes::KernelRoute;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tracing::{error, info};
use weir_dataplane::units::PortId;
use weir_dataplane::wire::MacAddr;

/// Who asks for a reload.
#[derive(Debug)]
pub(super) enum Asked {
    /// A client, which waits for the outcome; the log gets it as well.
    Client(Answer<Result<Reloaded, Refusal>>),
    /// SIGHUP: the log gets the outcome.
    Signal,
}

impl Asked {
    /// A client that has gone away needs no answer.
    fn tell(self, outcome: Result<Reloaded, Refusal>) {
        match &outcome {
            Ok(reloaded) => info!(epoch = reloaded.epoch, "configuration reloaded"),
            Err(refusal) => error!("configuration not reloaded: {refusal}"),
        }
        if let Self::Client(answer) = self {
            drop(answer.send(outcome));
        }
    }
}

/// Everything that the control loop needs to go on by another configuration.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) config: GatewayConfig,
    pub(super) warnings: Vec<Problem>,
    /// Of what must be the same on all nodes.
    pub(super) digest: Digest,
    /// The cluster's keys as they are now, with gossip.
    pub(super) keys: Option<KeyRing>,
    /// What a router routes by.
    pub(super) network: Option<station::Compiled>,
}

/// What a configuration is compiled with that no file says.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// The ports' own, in their order.
    pub(super) macs: Vec<MacAddr>,
    /// The kernel's routes.
    pub(super) kernel: Arc<[KernelRoute]>,
}

/// Makes everything ready by the file at `path`.
///
/// # Errors
/// What is wrong with the file, or with that of the keys.
fn prepare(path: &Path, around: Surroundings) -> Result<Prepared, Refusal> {
    let Surroundings { macs, kernel } = around;
    let Loaded { config, warnings } = config::load(path).map_err(Refusal::configuration)?;
    let keys = match config.membership() {
        Some(Membership { carrier: Carrier::Gossip { key_file, .. }, .. }) => {
            Some(KeyRing::read(key_file).map_err(Refusal::configuration)?)
        }
        Some(_) | None => None,
    };
    let mac_of = |port: PortId| macs.get(port.index()).copied().unwrap_or_default();
    let network = config.network().map(|network| station::Compiled::of(network, kernel, mac_of));
    Ok(Prepared { digest: membership::digest(&config), warnings, keys, network, config })
}

/// The reloads that were asked for.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    work: Option<JoinHandle<Result<Prepared, Refusal>>>,
    /// Who waits for the one that is being prepared.
    current: Vec<Asked>,
    /// Who asked since.
    next: Vec<Asked>,
}

impl Reloads {
    /// Takes in that one is asked for, and begins to prepare it once none is under way.
    pub(super) fn ask(&mut self, asked: Asked, path: &Path, around: Surroundings) {
        self.next.push(asked);
        if self.current.is_empty() {
            self.begin(path, around);
        }
    }

    /// Waits for the one that is under way.
    pub(super) async fn prepared(&mut self) -> Result<Prepared, Refusal> {
        let Some(work) = &mut self.work else { return std::future::pending().await };
        let made = work.await;
        self.work = None;
        made.unwrap_or_else(|error| Err(Refusal::failed(format!("the reload broke: {error}"))))
    }

    /// Tells those who asked how it ended, and begins the next one if that was asked for.
    pub(super) fn over(&mut self, outcome: &Result<Reloaded, Refusal>, path: &Path, around: Surroundings) {
        self.current.drain(..).for_each(|asked| asked.tell(outcome.clone()));
        if !self.next.is_empty() {
            self.begin(path, around);
        }
    }

    fn begin(&mut self, path: &Path, around: Surroundings) {
        self.current.append(&mut self.next);
        let path = path.to_owned();
        self.work = Some(tokio::task::spawn_blocking(move || prepare(&path, around)));
    }
}

/// Gives back what was replaced away from the control loop, since a million routes take their time to free.
pub(super) fn discard<T: Send + 'static>(replaced: T) {
    drop(tokio::task::spawn_blocking(move || drop(replaced)));
}

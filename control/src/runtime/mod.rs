//! A gateway's life: launch, control loop, publish, reload, stop.

mod control;
mod crew;
mod drains;
mod ears;
mod errands;
mod followers;
mod gateway;
mod handover;
pub mod health;
mod kernel;
mod launch;
mod links;
pub mod loads;
mod membership;
pub mod ports;
mod pressure;
mod reload;
mod restart;
mod rows;
mod services;
mod state;
mod station;
mod tap;
mod topology;
pub mod traced;
mod tracers;
mod vips;
mod wards;

use crate::Failure;
use crate::api::ControlSocket;
use crate::config::{self, GatewayConfig};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use tracing::{info, warn};

/// Runs the gateway that the file at `path` describes, until a signal stops it.
///
/// # Errors
/// What is wrong with the file, the machine or, later, a worker.
pub fn run(path: &Path) -> Result<(), Failure> {
    let loaded = config::load(path).map_err(Failure::configuration)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let config = loaded.config;
    if let Some(membership) = config.membership() {
        membership::check_files(membership).map_err(Failure::runtime)?;
    }
    // Both are claimed before DPDK starts: a second gateway ends here and disturbs nobody.
    let socket = ControlSocket::claim(config.control_socket()).map_err(Failure::runtime)?;
    let metrics = metrics_listener(&config)?;
    let gateway = launch::launch(path, config).map_err(Failure::runtime)?;
    info!(node = gateway.node(), socket = %gateway.socket().display(), "running");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start the control loop: {error}")))?;
    let outcome = runtime.block_on(control::run(gateway, &socket, metrics));
    // A reload that is being prepared is not waited for.
    runtime.shutdown_background();
    outcome
}

fn metrics_listener(config: &GatewayConfig) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = config.metrics() else { return Ok(None) };
    let bind = |address: SocketAddr| {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(listener)
    };
    match bind(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => Err(Failure::runtime(format!(
            "cannot serve metrics on {address}: {error}; give `metrics.listen` another address, or `off`"
        ))),
    }
}

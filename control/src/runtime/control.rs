//! The control loop: signals, calls from the API, and the workers' ends, one at a time on one thread.

use super::crew::End;
use super::followers::FOLLOW_POLL;
use super::gateway::{Event, Gateway};
use super::reload::Asked;
use super::{links, membership, pressure, services, station};
use crate::Failure;
use crate::api::{self, ControlSocket};
use crate::observe::tables;
use std::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::info;

/// Calls that wait at most; more than that and clients wait to be heard.
const CALLS_MAX: usize = 16;

/// Serves until a signal or a worker ends it.
///
/// # Errors
/// A worker's trouble.
pub(super) async fn run(
    mut gateway: Gateway,
    socket: &ControlSocket,
    metrics: Option<TcpListener>,
) -> Result<(), Failure> {
    // First: the node may speak to the others from an address on a tap.
    gateway.join_kernel().await;
    gateway.join().await.map_err(|error| Failure::runtime(format!("cannot join the cluster: {error}")))?;
    let (sender, mut calls) = mpsc::channel(CALLS_MAX);
    serve(socket, metrics, &sender).map_err(Failure::runtime)?;
    let handler =
        |kind| signal(kind).map_err(|error| Failure::runtime(format!("cannot watch for signals: {error}")));
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut terminate = handler(SignalKind::terminate())?;
    let mut hangup = handler(SignalKind::hangup())?;
    let mut pass_on = tokio::time::interval(FOLLOW_POLL);
    pass_on.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut attend = tokio::time::interval(station::LOOK);
    attend.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch_links = tokio::time::interval(links::LOOK);
    watch_links.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut deliberate = tokio::time::interval(membership::LOOK);
    deliberate.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch_services = tokio::time::interval(services::LOOK);
    watch_services.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut news = gateway.news();
    let mut stopping = false;
    let mut look = tokio::time::interval(pressure::LOOK);
    let trouble = loop {
        tokio::select! {
            Some(call) = calls.recv() => gateway.answer(call).await,
            _ = hangup.recv() => gateway.reload(Asked::Signal),
            // What is this node's goes to the others first; who asks twice does not want to wait for that.
            _ = interrupt.recv() => if stopping || !gateway.hand_over() { break None } else { stopping = true },
            _ = terminate.recv() => if stopping || !gateway.hand_over() { break None } else { stopping = true },
            event = gateway.event() => match event {
                Event::Ended(end) => break Some(end),
                Event::Prepared(prepared) => gateway.take_over(*prepared).await,
            },
            _ = pass_on.tick(), if gateway.is_followed() => gateway.pass_on(),
            _ = attend.tick(), if gateway.is_station() => gateway.attend().await,
            _ = watch_links.tick(), if gateway.is_station() => gateway.watch_links().await,
            _ = watch_services.tick(), if gateway.is_station() => gateway.watch_services().await,
            // What another node gives up is nobody's until this one has heard of it.
            Ok(()) = news.changed() => gateway.deliberate().await,
            _ = deliberate.tick(), if gateway.has_seat() => {
                gateway.deliberate().await;
                if stopping && gateway.has_handed_over() {
                    break None;
                }
            }
            _ = look.tick() => gateway.watch_pressure(),
        }
    };
    gateway.leave().await;
    if trouble.is_none() {
        info!("stopping");
    }
    finish(gateway, trouble)
}

/// Stops the workers, prints the totals, and says what went wrong.
fn finish(gateway: Gateway, trouble: Option<End>) -> Result<(), Failure> {
    let (counters, ends) = gateway.stop();
    crate::cli::print(&tables::counters(&counters, false))?;
    let troubles: Vec<String> = trouble
        .into_iter()
        .chain(ends)
        .map(|end| {
            let why = end.trouble.unwrap_or_else(|| "it returned without being told to".to_owned());
            format!("worker {} failed: {why}", end.worker)
        })
        .collect();
    if troubles.is_empty() { Ok(()) } else { Err(Failure::runtime(troubles.join("\n"))) }
}

fn serve(
    socket: &ControlSocket,
    metrics: Option<TcpListener>,
    calls: &mpsc::Sender<api::Call>,
) -> std::io::Result<()> {
    let listener = socket.listener()?;
    let router = api::router(calls.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    if let Some(listener) = metrics {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let router = api::metrics_router(calls.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    Ok(())
}

//! HTTP routes: requests become calls, answers become JSON.

use super::{Answer, Call, FLOWS_LIMIT_MAX, Refusal, RefusalKind};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use weir_dataplane::units::{BUCKETS_MAX, NodeNumber};

type Calls = mpsc::Sender<Call>;

/// The routes of the control socket.
pub fn router(calls: Calls) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/counters", get(counters))
        .route("/flows", get(flows))
        .route("/cluster", get(cluster))
        .route("/cluster/nodes/{node}", put(add_node).delete(remove_node))
        .route("/reload", post(reload))
        .with_state(calls)
}

/// The route of the metrics listener.
pub fn metrics_router(calls: Calls) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(calls)
}

async fn status(State(calls): State<Calls>) -> Response {
    plain(ask(&calls, Call::Status).await)
}

async fn counters(State(calls): State<Calls>) -> Response {
    plain(ask(&calls, Call::Counters).await)
}

#[derive(Deserialize)]
struct FlowsQuery {
    limit: Option<usize>,
}

async fn flows(State(calls): State<Calls>, Query(query): Query<FlowsQuery>) -> Response {
    let limit = query.limit.unwrap_or(FLOWS_LIMIT_MAX).min(FLOWS_LIMIT_MAX);
    outcome(ask(&calls, |answer| Call::Flows { limit, answer }).await)
}

async fn cluster(State(calls): State<Calls>) -> Response {
    outcome(ask(&calls, Call::Cluster).await)
}

async fn add_node(State(calls): State<Calls>, Path(node): Path<usize>) -> Response {
    set_local(&calls, node, true).await
}

async fn remove_node(State(calls): State<Calls>, Path(node): Path<usize>) -> Response {
    set_local(&calls, node, false).await
}

async fn set_local(calls: &Calls, node: usize, local: bool) -> Response {
    let Some(node) = NodeNumber::new(node) else {
        return refuse(Refusal::configuration(format!(
            "node {node} is out of range: nodes are 1 to {BUCKETS_MAX}"
        )));
    };
    outcome(ask(calls, |answer| Call::SetLocal { node, local, answer }).await)
}

async fn reload(State(calls): State<Calls>) -> Response {
    outcome(ask(&calls, Call::Reload).await)
}

async fn metrics(State(calls): State<Calls>) -> Response {
    match ask(&calls, Call::Metrics).await {
        Ok(page) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
        }
        Err(refusal) => refuse(refusal),
    }
}

/// Hands a call to the control loop and waits for its answer.
async fn ask<T>(calls: &Calls, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, Refusal> {
    let stopping = || Refusal::failed("the gateway is stopping");
    let (answer, reply) = oneshot::channel();
    calls.send(call(answer)).await.map_err(|_| stopping())?;
    reply.await.map_err(|_| stopping())
}

fn plain<T: Serialize>(answer: Result<T, Refusal>) -> Response {
    outcome(answer.map(Ok))
}

fn outcome<T: Serialize>(answer: Result<Result<T, Refusal>, Refusal>) -> Response {
    match answer.and_then(|result| result) {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refuse(refusal),
    }
}

fn refuse(refusal: Refusal) -> Response {
    let code = match refusal.kind {
        RefusalKind::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalKind::Conflict => StatusCode::CONFLICT,
        RefusalKind::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(refusal)).into_response()
}

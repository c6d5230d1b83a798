//! HTTP routes: requests become calls, answers become JSON.

mod services;

use super::events::EventBody;
use super::{
    Answer, Call, ExplainRequest, NeighbourName, NeighbourSelection, Refusal, RefusalKind, Selection,
    TraceRequest,
};
use crate::cluster::{NodeName, Order};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use weir_dataplane::units::{BUCKETS_MAX, NodeNumber};

type Calls = mpsc::Sender<Call>;

/// The routes of the control socket.
pub fn router(calls: Calls) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/counters", get(counters))
        .route("/flows", get(flows).delete(delete_flows))
        .route("/flows/events", get(follow_flows))
        .route("/trace", get(trace))
        .route("/expectations", get(expectations))
        .route("/neighbours", get(neighbours))
        .route("/neighbours/{address}", delete(flush_neighbour))
        .route("/cluster", get(cluster))
        .route("/routes", get(routes))
        .route("/vips", get(vips))
        .route("/vips/{address}", get(vip))
        .route("/vips/{address}/nodes", put(add_vip_node).delete(remove_vip_node))
        .route("/explain/{address}", get(explain))
        .route("/cluster/drain", post(drain).delete(resume))
        .route("/cluster/pins/{bucket}/{node}", put(pin))
        .route("/cluster/pins/{bucket}", delete(unpin))
        .route("/cluster/nodes/{node}", put(add_node).delete(remove_node))
        .route("/cluster/dead/{node}", put(take).delete(give))
        .route("/reload", post(reload))
        .merge(services::routes())
        .with_state(calls)
}

/// The route of the metrics listener.
pub fn metrics_router(calls: Calls) -> Router {
    let elsewhere = || async { (StatusCode::NOT_FOUND, "the metrics are at /metrics\n") };
    Router::new().route("/metrics", get(metrics)).fallback(elsewhere).with_state(calls)
}

async fn status(State(calls): State<Calls>) -> Response {
    plain(ask(&calls, Call::Status).await)
}

async fn counters(State(calls): State<Calls>) -> Response {
    plain(ask(&calls, Call::Counters).await)
}

/// Which flows a request means; what is misspelt must not mean more than what was meant.
type Selected = Result<Query<Selection>, QueryRejection>;

fn selection(selected: Selected) -> Result<Selection, Refusal> {
    selected
        .map(|Query(selection)| selection)
        .map_err(|rejection| Refusal::configuration(rejection.body_text()))
}

async fn flows(State(calls): State<Calls>, selected: Selected) -> Response {
    match selection(selected) {
        Ok(selection) => outcome(ask(&calls, |answer| Call::Flows(selection, answer)).await),
        Err(refusal) => refuse(refusal),
    }
}

async fn delete_flows(State(calls): State<Calls>, selected: Selected) -> Response {
    match selection(selected) {
        Ok(selection) if selection.is_everything() && !selection.all => refuse(Refusal::configuration(
            "this would delete all flows: say which, or say that all are meant (`all`)",
        )),
        Ok(selection) => outcome(ask(&calls, |answer| Call::DeleteFlows(selection, answer)).await),
        Err(refusal) => refuse(refusal),
    }
}

async fn follow_flows(State(calls): State<Calls>, selected: Selected) -> Response {
    let selection = match selection(selected) {
        Ok(selection) => selection,
        Err(refusal) => return refuse(refusal),
    };
    stream(ask(&calls, |answer| Call::FollowFlows(selection, answer)).await)
}

async fn trace(State(calls): State<Calls>, request: Result<Query<TraceRequest>, QueryRejection>) -> Response {
    match request {
        Ok(Query(request)) => stream(ask(&calls, |answer| Call::Trace(request, answer)).await),
        Err(rejection) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

async fn expectations(State(calls): State<Calls>) -> Response {
    outcome(ask(&calls, Call::Expectations).await)
}

async fn neighbours(
    State(calls): State<Calls>,
    selected: Result<Query<NeighbourSelection>, QueryRejection>,
) -> Response {
    match selected {
        Ok(Query(selection)) => outcome(ask(&calls, |answer| Call::Neighbours(selection, answer)).await),
        Err(rejection) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

/// At which interface.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AtInterface {
    interface: Option<String>,
}

async fn flush_neighbour(
    State(calls): State<Calls>,
    Path(address): Path<String>,
    at: Result<Query<AtInterface>, QueryRejection>,
) -> Response {
    match (address.parse(), at) {
        (Ok(address), Ok(Query(AtInterface { interface }))) => {
            let name = NeighbourName { address, interface };
            outcome(ask(&calls, |answer| Call::FlushNeighbour(name, answer)).await)
        }
        (Err(_), _) => refuse(no_address(&address)),
        (_, Err(rejection)) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

async fn routes(State(calls): State<Calls>) -> Response {
    outcome(ask(&calls, Call::Routes).await)
}

async fn vips(State(calls): State<Calls>) -> Response {
    outcome(ask(&calls, Call::Vips).await)
}

async fn vip(State(calls): State<Calls>, Path(address): Path<String>) -> Response {
    match address.parse() {
        Ok(address) => outcome(ask(&calls, |answer| Call::Vip(address, answer)).await),
        Err(_) => refuse(no_address(&address)),
    }
}

/// Which node of a VIP.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct VipNode {
    node: String,
}

async fn add_vip_node(
    State(calls): State<Calls>,
    Path(address): Path<String>,
    node: Result<Query<VipNode>, QueryRejection>,
) -> Response {
    set_vip_node(&calls, &address, node, true).await
}

async fn remove_vip_node(
    State(calls): State<Calls>,
    Path(address): Path<String>,
    node: Result<Query<VipNode>, QueryRejection>,
) -> Response {
    set_vip_node(&calls, &address, node, false).await
}

async fn set_vip_node(
    calls: &Calls,
    address: &str,
    node: Result<Query<VipNode>, QueryRejection>,
    local: bool,
) -> Response {
    match (address.parse(), node) {
        (Ok(address), Ok(Query(VipNode { node }))) => {
            outcome(ask(calls, |answer| Call::SetVipNode { address, node, local, answer }).await)
        }
        (Err(_), _) => refuse(no_address(address)),
        (_, Err(rejection)) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

async fn cluster(State(calls): State<Calls>) -> Response {
    outcome(ask(&calls, Call::Cluster).await)
}

/// How long a drain may take.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    deadline_s: Option<u64>,
}

async fn drain(State(calls): State<Calls>, drain: Result<Query<Drain>, QueryRejection>) -> Response {
    match drain {
        Ok(Query(Drain { deadline_s })) => {
            order(&calls, Order::Drain { deadline_ms: deadline_s.map(|s| s.saturating_mul(1000)) }).await
        }
        Err(rejection) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

async fn resume(State(calls): State<Calls>) -> Response {
    order(&calls, Order::Resume).await
}

async fn pin(State(calls): State<Calls>, Path((bucket, node)): Path<(usize, String)>) -> Response {
    match (NodeNumber::new(bucket), node.parse()) {
        (Some(number), Ok(node)) => order(&calls, Order::Pin { bucket: number.bucket(), node }).await,
        (None, _) => refuse(no_bucket(bucket)),
        (_, Err(error)) => refuse(Refusal::configuration(error.to_string())),
    }
}

async fn take(State(calls): State<Calls>, Path(node): Path<String>) -> Response {
    about(&calls, &node, |node| Order::Take { node }).await
}

async fn give(State(calls): State<Calls>, Path(node): Path<String>) -> Response {
    about(&calls, &node, |node| Order::Give { node }).await
}

async fn about(calls: &Calls, node: &str, make: impl FnOnce(NodeName) -> Order) -> Response {
    match node.parse() {
        Ok(node) => order(calls, make(node)).await,
        Err(error) => refuse(Refusal::configuration(format!("{error}"))),
    }
}

async fn unpin(State(calls): State<Calls>, Path(bucket): Path<usize>) -> Response {
    match NodeNumber::new(bucket) {
        Some(number) => order(&calls, Order::Unpin { bucket: number.bucket() }).await,
        None => refuse(no_bucket(bucket)),
    }
}

fn no_bucket(bucket: usize) -> Refusal {
    Refusal::configuration(format!("bucket {bucket} is out of range: buckets are 1 to {BUCKETS_MAX}"))
}

async fn order(calls: &Calls, order: Order) -> Response {
    outcome(ask(calls, |answer| Call::Order(order, answer)).await)
}

async fn explain(
    State(calls): State<Calls>,
    Path(address): Path<String>,
    request: Result<Query<ExplainRequest>, QueryRejection>,
) -> Response {
    match (address.parse(), request) {
        (Ok(address), Ok(Query(request))) => {
            outcome(ask(&calls, |answer| Call::Explain(address, request, answer)).await)
        }
        (Err(_), _) => refuse(no_address(&address)),
        (_, Err(rejection)) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

fn no_address(text: &str) -> Refusal {
    Refusal::configuration(format!("`{text}` is not an IP address"))
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

/// An answer that does not end: a line for each event.
fn stream<E>(answer: Result<Result<mpsc::Receiver<E>, Refusal>, Refusal>) -> Response
where
    E: Serialize + Send + Unpin + 'static,
{
    match answer.and_then(|result| result) {
        Ok(events) => {
            let body = Body::new(EventBody::new(events));
            ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
        }
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

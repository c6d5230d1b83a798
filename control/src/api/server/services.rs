//! The routes of services and pools.

use super::{Calls, ask, outcome, refuse};
use crate::api::{
    Answer, CacheOrder, CacheQuery, Call, GroupQuery, QueryError, Refusal, ServerOrder, ServerQuery,
};
use crate::service::Change;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, put};
use serde::Serialize;

/// Which change a query asks for.
type Make = fn(&ServerQuery) -> Result<Change, QueryError>;

type Named = Result<Query<GroupQuery>, QueryRejection>;
type Asked = Result<Query<ServerQuery>, QueryRejection>;

/// Of the control socket.
pub(super) fn routes() -> Router<Calls> {
    let server = |make: Make| {
        move |State(calls): State<Calls>, asked: Asked| async move {
            change(&calls, asked, make, Call::ChangeService).await
        }
    };
    let node = |make: Make| {
        move |State(calls): State<Calls>, asked: Asked| async move {
            change(&calls, asked, make, Call::ChangePool).await
        }
    };
    let (add, set, remove): (Make, Make, Make) =
        (ServerQuery::addition, ServerQuery::settings, ServerQuery::removal);
    let (drain, undrain): (Make, Make) = (ServerQuery::drain, ServerQuery::undrain);
    Router::new()
        .route("/services", get(services))
        .route("/services/connections", get(connections))
        .route("/services/cache", get(cache).put(hold).delete(forget))
        .route("/services/servers", put(server(add)).patch(server(set)).delete(server(remove)))
        .route("/services/drains", put(server(drain)).delete(server(undrain)))
        .route("/pools", get(pools))
        .route("/pools/nodes", put(node(add)).patch(node(set)).delete(node(remove)))
        .route("/pools/drains", put(node(drain)).delete(node(undrain)))
}

async fn services(State(calls): State<Calls>, named: Named) -> Response {
    show(&calls, named, Call::Services).await
}

async fn connections(State(calls): State<Calls>, named: Named) -> Response {
    show(&calls, named, Call::Connections).await
}

async fn pools(State(calls): State<Calls>, named: Named) -> Response {
    show(&calls, named, Call::Pools).await
}

/// A query about a cache.
type OfCache = Result<Query<CacheQuery>, QueryRejection>;

async fn cache(State(calls): State<Calls>, asked: OfCache) -> Response {
    match asked {
        Ok(Query(CacheQuery { name, address, .. })) => {
            outcome(ask(&calls, |answer| Call::Cache(name, address, answer)).await)
        }
        Err(rejection) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

async fn hold(State(calls): State<Calls>, asked: OfCache) -> Response {
    change_cache(&calls, asked, |server| server.map_or(CacheOrder::Ban, CacheOrder::Pin)).await
}

async fn forget(State(calls): State<Calls>, asked: OfCache) -> Response {
    change_cache(&calls, asked, |_| CacheOrder::Forget).await
}

async fn change_cache(
    calls: &Calls,
    asked: OfCache,
    order: impl FnOnce(Option<String>) -> CacheOrder,
) -> Response {
    match asked {
        Ok(Query(CacheQuery { name, address: Some(address), server })) => {
            let order = order(server);
            outcome(ask(calls, |answer| Call::HoldCache(name, address, order, answer)).await)
        }
        Ok(_) => refuse(Refusal::configuration("say of which `address`")),
        Err(rejection) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

async fn show<T: Serialize>(
    calls: &Calls,
    named: Named,
    call: impl FnOnce(Option<String>, Answer<Result<T, Refusal>>) -> Call,
) -> Response {
    match named {
        Ok(Query(GroupQuery { name })) => outcome(ask(calls, |answer| call(name, answer)).await),
        Err(rejection) => refuse(Refusal::configuration(rejection.body_text())),
    }
}

async fn change<T: Serialize>(
    calls: &Calls,
    asked: Asked,
    make: Make,
    call: impl FnOnce(ServerOrder, Answer<Result<T, Refusal>>) -> Call,
) -> Response {
    let query = match asked {
        Ok(Query(query)) => query,
        Err(rejection) => return refuse(Refusal::configuration(rejection.body_text())),
    };
    match make(&query) {
        Ok(change) => {
            let order = ServerOrder { group: query.name, server: query.server, change };
            outcome(ask(calls, |answer| call(order, answer)).await)
        }
        Err(error) => refuse(Refusal::configuration(error)),
    }
}

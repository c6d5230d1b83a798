//! The control socket: who may claim it, and what its answers look like to a client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is not as it must be"
)]

use core::ops::ControlFlow;
use core::time::Duration;
use hyper::Method;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use tokio::sync::mpsc;
use weir_control::api::{
    Call, Client, ClientError, ControlSocket, Refusal, RefusalKind, Reloaded, ServerOrder, SocketError,
    router,
};
use weir_control::observe::{FlowEvent, TraceEnd, TraceEvent};
use weir_control::service::Change;

/// A control loop that knows a few answers. It tells `followed` when a client follows no longer.
async fn answer(mut calls: mpsc::Receiver<Call>, followed: std::sync::mpsc::Sender<usize>) {
    while let Some(call) = calls.recv().await {
        match call {
            Call::Reload(answer) => answer.send(Ok(Reloaded { epoch: 7, warnings: Vec::new() })).unwrap(),
            Call::SetLocal { node, answer, .. } => {
                answer.send(Err(Refusal::conflict(format!("node {node} is here already")))).unwrap();
            }
            Call::SetVipNode { address, node, local, answer } => {
                let said = format!("{address} {node} {local}");
                answer.send(Err(Refusal::conflict(said))).unwrap();
            }
            Call::ChangeService(order, answer) => {
                answer.send(Err(Refusal::conflict(format!("{order:?}")))).unwrap();
            }
            Call::ChangePool(ServerOrder { group, server, change }, answer) => {
                answer.send(Err(Refusal::conflict(format!("{group} {server} {change:?}")))).unwrap();
            }
            Call::HoldCache(service, address, order, answer) => {
                answer.send(Err(Refusal::conflict(format!("{service} {address} {order:?}")))).unwrap();
            }
            Call::FollowFlows(selection, answer) => {
                let (client, events) = mpsc::channel(1);
                let worker = usize::from(selection.dport.unwrap());
                answer.send(Ok(events)).unwrap();
                let followed = followed.clone();
                tokio::spawn(async move {
                    while client.send(FlowEvent::Lost { worker, events: 3 }).await.is_ok() {}
                    followed.send(worker).unwrap();
                });
            }
            Call::Trace(request, answer) => {
                let (client, events) = mpsc::channel(4);
                let (count, _) = request.bounds().unwrap();
                answer.send(Ok(events)).unwrap();
                client.send(TraceEvent::Missed { worker: 1, frames: 5 }).await.unwrap();
                let frames = count.into();
                client.send(TraceEvent::End { reason: TraceEnd::Count, frames, missed: 5 }).await.unwrap();
            }
            _ => {}
        }
    }
}

fn serve(path: &Path) -> std::sync::mpsc::Receiver<usize> {
    let socket = ControlSocket::claim(path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (followed, left) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (sender, calls) = mpsc::channel(4);
            let listener = socket.listener().unwrap();
            tokio::spawn(answer(calls, followed));
            axum::serve(listener, router(sender)).await.unwrap();
        });
    });
    left
}

#[test]
fn changes_of_servers_reach_the_control_loop_as_they_were_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weir.sock");
    serve(&path);
    let client = Client::new(&path);
    let told =
        |method: &Method, path: &str| client.request::<()>(method.clone(), path).unwrap_err().to_string();
    let order = ServerOrder { group: "web".to_owned(), server: "a".to_owned(), change: Change::Undrain };
    assert_eq!(told(&Method::DELETE, "/services/drains?name=web&server=a"), format!("{order:?}"));
    for (method, path, expected) in [
        (Method::PUT, "/pools/drains?name=p&server=n&timeout_s=5", "p n Drain { timeout: Some(5s) }"),
        (Method::DELETE, "/pools/nodes?name=p&server=n", "p n Remove"),
        (Method::PUT, "/services/cache?name=c&address=::1&server=s", "c ::1 Pin(\"s\")"),
        (Method::PUT, "/services/cache?name=c&address=::1", "c ::1 Ban"),
        (Method::DELETE, "/services/cache?name=c&address=::1", "c ::1 Forget"),
        (
            Method::PATCH,
            "/services/servers?name=web&server=a",
            "nothing is to be set: give a weight, a threshold, a cost or a state",
        ),
        (Method::PUT, "/services/cache?name=c", "say of which `address`"),
    ] {
        assert_eq!(told(&method, path), expected, "{path}");
    }
}

#[test]
fn answers_and_refusals_reach_the_client() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/weir.sock");
    serve(&path);
    let client = Client::new(&path);
    let reloaded: Reloaded = client.request(Method::POST, "/reload").unwrap();
    assert_eq!(reloaded.epoch, 7);
    let refused = client.request::<()>(Method::PUT, "/cluster/nodes/2").unwrap_err();
    assert_eq!(refused.to_string(), "node 2 is here already");
    let out_of_range = client.request::<()>(Method::PUT, "/cluster/nodes/0").unwrap_err();
    assert!(matches!(&out_of_range, ClientError::Refused(Refusal { kind: RefusalKind::Configuration, .. })));
    let add = client.request::<()>(Method::PUT, "/vips/192.0.2.9/nodes?node=%2B2").unwrap_err();
    assert_eq!(add.to_string(), "192.0.2.9 +2 true");
    let del = client.request::<()>(Method::DELETE, "/vips/2001:db8::9/nodes?node=2").unwrap_err();
    assert_eq!(del.to_string(), "2001:db8::9 2 false");
    // A call that the control loop lets fall is an answer too.
    let stopping = client.request::<()>(Method::GET, "/status").unwrap_err();
    assert_eq!(stopping.to_string(), "the gateway is stopping");
}

#[test]
fn events_come_as_they_happen_and_end_with_the_client() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weir.sock");
    let left = serve(&path);
    let mut events = Vec::new();
    let followed = Client::new(&path).follow("/flows/events?dport=7", |event: FlowEvent| {
        events.push(event);
        if events.len() < 1000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    followed.unwrap();
    assert!(events.iter().all(|event| *event == FlowEvent::Lost { worker: 7, events: 3 }));
    assert_eq!(left.recv_timeout(Duration::from_secs(10)), Ok(7));
}

#[test]
fn a_trace_tells_until_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weir.sock");
    serve(&path);
    let mut events = Vec::new();
    let ended = Client::new(&path).follow("/trace?address=10.0.0.1&count=3", |event: TraceEvent| {
        events.push(event);
        ControlFlow::Continue(())
    });
    let end = TraceEvent::End { reason: TraceEnd::Count, frames: 3, missed: 5 };
    assert_eq!(events, [TraceEvent::Missed { worker: 1, frames: 5 }, end]);
    // Who reads on behind that is told that there is no more.
    assert!(matches!(ended, Err(ClientError::Ended(_))));
}

#[test]
fn a_request_that_is_misspelt_or_means_all_flows_by_accident_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weir.sock");
    serve(&path);
    for (method, path_and_query, reason) in [
        (Method::GET, "/flows?protocl=tcp", "protocl"),
        (Method::GET, "/flows?src=10.0.0", "an address or a prefix is wanted"),
        (Method::GET, "/flows/events?state=OPEN", "a state is wanted: SYN_SENT, "),
        (Method::GET, "/trace?adress=10.0.0.1", "adress"),
        (Method::GET, "/trace?address=10.0.0", "an address or a prefix is wanted"),
        (Method::GET, "/vips/here", "`here` is not an IP address"),
        (Method::PUT, "/vips/here/nodes?node=1", "`here` is not an IP address"),
        (Method::PUT, "/vips/192.0.2.9/nodes", "node"),
        (Method::DELETE, "/flows", "this would delete all flows"),
        (Method::DELETE, "/flows?limit=3", "this would delete all flows"),
    ] {
        let error = Client::new(&path).request::<()>(method, path_and_query).unwrap_err();
        let ClientError::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.kind, RefusalKind::Configuration);
        assert!(refusal.message.contains(reason), "{}", refusal.message);
    }
}

#[test]
fn a_live_socket_is_not_taken_over_and_a_stale_one_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weir.sock");
    let first = ControlSocket::claim(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(matches!(ControlSocket::claim(&path), Err(SocketError::Taken(_))));
    drop(first);
    assert!(!path.exists());
    // A gateway that was killed leaves a socket that nobody listens on.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    ControlSocket::claim(&path).unwrap();
}

#[test]
fn what_is_not_a_socket_stays_and_a_bad_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "keep me").unwrap();
    assert!(matches!(ControlSocket::claim(&file), Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"keep me");
    let beneath_a_file = file.join("weir.sock");
    let error = ControlSocket::claim(&beneath_a_file).unwrap_err();
    assert!(error.to_string().contains(&*beneath_a_file.to_string_lossy()), "{error}");
}

#[test]
fn nobody_there_is_said_plainly() {
    let error =
        Client::new(Path::new("/nonexistent/weir.sock")).request::<()>(Method::GET, "/status").unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

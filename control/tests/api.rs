//! The control socket: who may claim it, and what its answers look like to a client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is not as it must be"
)]

use hyper::Method;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use tokio::sync::mpsc;
use weir_control::api::{
    Call, Client, ClientError, ControlSocket, Refusal, RefusalKind, Reloaded, SocketError, router,
};

/// A control loop that knows two answers.
async fn answer(mut calls: mpsc::Receiver<Call>) {
    while let Some(call) = calls.recv().await {
        match call {
            Call::Reload(answer) => answer.send(Ok(Reloaded { epoch: 7 })).unwrap(),
            Call::SetLocal { node, answer, .. } => {
                answer.send(Err(Refusal::conflict(format!("node {node} is here already")))).unwrap();
            }
            _ => {}
        }
    }
}

fn serve(path: &Path) {
    let socket = ControlSocket::claim(path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (sender, calls) = mpsc::channel(4);
            let listener = socket.listener().unwrap();
            tokio::spawn(answer(calls));
            axum::serve(listener, router(sender)).await.unwrap();
        });
    });
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
    // A call that the control loop lets fall is an answer too.
    let stopping = client.request::<()>(Method::GET, "/status").unwrap_err();
    assert_eq!(stopping.to_string(), "the gateway is stopping");
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

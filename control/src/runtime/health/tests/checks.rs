//! Each kind of check beside servers that answer, that do not, and that do so wrongly.

use super::super::check;
use super::super::script::Remains;
use super::servers::{self, Manner};
use super::{LOCAL, TIMEOUT, ask, job, make, subject};
use crate::config::services::Check;
use crate::health::{Failure, Outcome};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use weir_tests::process::Background;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn http(port: u16) -> Check {
    Check::Http { tls: false, port, path: "/health".to_owned(), host: None, status: 200..=399, body: None }
}

fn with_body(port: u16, text: &str) -> Check {
    match http(port) {
        Check::Http { tls, port, path, host, status, .. } => {
            Check::Http { tls, port, path, host, status, body: Some(text.to_owned()) }
        }
        other => other,
    }
}

fn https(port: u16, host: Option<&str>) -> Check {
    let host = host.map(str::to_owned);
    Check::Http {
        tls: true,
        port,
        path: "/".to_owned(),
        host,
        status: 200..=200,
        body: Some("hello".to_owned()),
    }
}

fn bad(failure: Failure) -> Outcome {
    Outcome::Bad(failure)
}

fn timeout() -> Outcome {
    bad(Failure::Timeout(TIMEOUT))
}

fn is_protocol(outcome: &Outcome, expected: &str) -> bool {
    matches!(outcome, Outcome::Bad(Failure::Protocol { protocol, .. }) if *protocol == expected)
}

fn is_unable(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unable(_))
}

#[tokio::test]
async fn a_connection_is_all_that_tcp_wants() {
    for manner in [Manner::Silent, Manner::Closes, Manner::Says("x")] {
        let port = servers::tcp(manner).await;
        assert_eq!(ask(Check::Tcp { port }).await, Outcome::Good, "{manner:?}");
    }
    let port = servers::nobody().await;
    assert_eq!(ask(Check::Tcp { port }).await, bad(Failure::Refused));
}

#[tokio::test]
async fn a_server_whose_queue_is_full_does_not_answer_in_time() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from((LOCAL, 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(client) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(client);
        assert!(queued.len() < 100, "the queue never fills");
    }
    assert_eq!(ask(Check::Tcp { port: address.port() }).await, timeout());
}

#[tokio::test]
async fn a_page_is_judged_by_its_status_and_what_it_contains() {
    let port = servers::tcp(Manner::Says(OK)).await;
    assert_eq!(ask(http(port)).await, Outcome::Good);
    assert_eq!(ask(with_body(port, "ell")).await, Outcome::Good);
    assert_eq!(ask(with_body(port, "hello!")).await, bad(Failure::Body));
    for (answer, expected) in [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", bad(Failure::Status(404))),
        ("HTTP/1.1 503 Busy\r\n\r\nhello", bad(Failure::Status(503))),
        ("HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n", Outcome::Good),
        ("HTTP/1.0 200 OK\r\n\r\nhello", Outcome::Good),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Outcome::Good),
    ] {
        let port = servers::tcp(Manner::Says(answer)).await;
        assert_eq!(ask(http(port)).await, expected, "{answer:?}");
    }
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let port = servers::tcp(Manner::Says(chunks)).await;
    assert_eq!(ask(with_body(port, "hello")).await, Outcome::Good, "over the border of two chunks");
}

#[tokio::test]
async fn so_much_of_a_page_is_read() {
    let port = servers::tcp(Manner::Long(60_000, "end")).await;
    assert_eq!(ask(with_body(port, "xend")).await, Outcome::Good);
    let port = servers::tcp(Manner::Long(70_000, "end")).await;
    assert_eq!(ask(with_body(port, "xend")).await, bad(Failure::Body));
}

#[tokio::test]
async fn who_answers_wrongly_or_late_is_bad() {
    let slow = |ms| Manner::Slowly(Duration::from_millis(ms), OK);
    for (manner, expected) in [
        (Manner::Silent, timeout()),
        (Manner::Closes, bad(Failure::Closed)),
        (Manner::Resets, bad(Failure::Closed)),
        (Manner::Drips(b'H'), timeout()),
        (Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel"), bad(Failure::Closed)),
        (slow(100), Outcome::Good),
        (slow(1_000), timeout()),
    ] {
        let port = servers::tcp(manner).await;
        assert_eq!(ask(with_body(port, "hello")).await, expected, "{manner:?}");
    }
    let port = servers::tcp(Manner::Says("SSH-2.0-OpenSSH_9.2\r\n")).await;
    let outcome = ask(http(port)).await;
    assert!(is_protocol(&outcome, "HTTP"), "{outcome:?}");
    let port = servers::nobody().await;
    assert_eq!(ask(http(port)).await, bad(Failure::Refused));
}

#[tokio::test]
async fn tls_is_spoken_with_any_certificate() {
    for version in [&TLS12, &TLS13] {
        let port = servers::tls(version, OK).await;
        for host in [None, Some("www.example"), Some("not a name")] {
            assert_eq!(ask(https(port, host)).await, Outcome::Good, "{version:?} {host:?}");
        }
    }
    let plain = servers::tcp(Manner::Says(OK)).await;
    let silent = servers::tcp(Manner::Silent).await;
    let closing = servers::tcp(Manner::Closes).await;
    // A plain server waits for the end of a request that never comes.
    assert_eq!(ask(https(plain, None)).await, timeout());
    assert_eq!(ask(https(silent, None)).await, timeout());
    assert_eq!(ask(https(closing, None)).await, bad(Failure::Closed));
    let nobody = servers::nobody().await;
    assert_eq!(ask(https(nobody, None)).await, bad(Failure::Refused));
}

#[tokio::test]
async fn a_name_is_answered_by_a_real_server() {
    let port = servers::nobody().await;
    let mut command = Command::new("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
    ]);
    command.args(["--bind-interfaces", "--listen-address=127.0.0.1", "--local=/missing.example/"]);
    command.args(["--address=/www.example/192.0.2.1", "--pid-file=", &format!("--port={port}")]);
    let _server = Background::start("dnsmasq", &mut command).expect("dnsmasq is installed");
    let check = |name: &str| Check::Dns { port, name: name.to_owned() };
    let deadline = Instant::now() + Duration::from_secs(5);
    while ask(check("www.example")).await == bad(Failure::Refused) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ask(check("www.example")).await, Outcome::Good);
    assert_eq!(ask(check("www.example.")).await, Outcome::Good);
    assert_eq!(ask(check("missing.example")).await, bad(Failure::Dns("NameError".to_owned())));
    assert_eq!(ask(check("other.example")).await, bad(Failure::Dns("Refused".to_owned())));
    assert!(is_unable(&ask(check(&"x".repeat(64))).await));
}

#[tokio::test]
async fn what_is_no_answer_to_the_question_is_none() {
    let check = |port| Check::Dns { port, name: "www.example".to_owned() };
    let other = servers::udp(|question| [&[!question[0]], &question[1..]].concat()).await;
    assert_eq!(ask(check(other)).await, timeout(), "another identifier");
    let echo = servers::udp(<[u8]>::to_vec).await;
    assert!(is_protocol(&ask(check(echo)).await, "DNS"), "the question is no answer");
    let short = servers::udp(|question| question[..5].to_vec()).await;
    assert!(is_protocol(&ask(check(short)).await, "DNS"));
    let empty = servers::udp(|_| Vec::new()).await;
    assert_eq!(ask(check(empty)).await, timeout());
    assert_eq!(ask(check(servers::nobody().await)).await, bad(Failure::Refused));
}

/// A script of the shell, in a folder that goes with the test.
fn script(folder: &tempfile::TempDir, text: &str) -> Check {
    let program = folder.path().join("check");
    std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    Check::Script { program, arguments: vec!["first".to_owned()], port: None }
}

#[tokio::test]
async fn a_script_says_by_its_status_whether_a_server_lives() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("exit 0", Outcome::Good),
        ("exit 3", bad(Failure::Exit(3))),
        ("kill -TERM $$", bad(Failure::Signal(15))),
        (r#"[ "$*" = "first s 127.0.0.1 8080" ]"#, Outcome::Good),
        (r#"[ "$WEIR_DEVICE" = lo ] && [ "$PWD" = / ] && [ -z "$HOME$CARGO$USER" ]"#, Outcome::Good),
        ("read line; [ $? = 1 ]", Outcome::Good),
    ] {
        assert_eq!(ask(script(&folder, text)).await, expected, "{text}");
    }
    let missing =
        Check::Script { program: PathBuf::from("/nowhere/check"), arguments: Vec::new(), port: None };
    assert!(is_unable(&ask(missing).await));
}

#[tokio::test]
async fn a_script_needs_no_tap_and_is_told_the_port_of_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let told = script(&folder, r#"[ "$4" = 8443 ] && [ -z "$WEIR_DEVICE" ]"#);
    let Check::Script { program, arguments, .. } = told else { unreachable!() };
    let mut tapless = subject("s", LOCAL, "lo");
    tapless.device = None;
    let check = Check::Script { program, arguments, port: Some(8443) };
    assert_eq!(make(check, tapless).await, Outcome::Good);
}

#[tokio::test]
async fn a_script_is_killed_with_its_children_when_its_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let text = format!("trap '' TERM; sleep 60 & echo $$ $! > {}; wait", pids.display());
    assert_eq!(ask(script(&folder, &text)).await, timeout());
    let pids = std::fs::read_to_string(&pids).unwrap();
    for pid in pids.split_whitespace() {
        let is_gone = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            Ok(status.map_or(true, |status| status.contains(") Z ")))
        };
        weir_tests::process::wait_until("its end", Duration::from_secs(5), is_gone).unwrap();
    }
}

#[tokio::test]
async fn who_has_left_a_process_behind_is_not_asked_before_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(script(&folder, "exit 0"), subject("s", LOCAL, "lo"));
    let remains = Remains::default();
    // It ends with the last of its input: none of the kinds that the kernel holds back can be made at will.
    let mut stuck = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let input = stuck.stdin.take();
    remains.leave(job.ticket, stuck);
    let outcome = check::make(&job, &remains).await;
    assert!(is_unable(&outcome), "{outcome:?}");
    drop(input);
    let begin = Instant::now();
    while check::make(&job, &remains).await != Outcome::Good {
        assert!(begin.elapsed() < Duration::from_secs(5), "it has ended");
    }
}

#[tokio::test]
async fn what_this_machine_cannot_ask_says_nothing_about_the_server() {
    let port = servers::tcp(Manner::Says(OK)).await;
    for check in [Check::Tcp { port }, Check::Icmp, http(port), Check::Dns { port, name: "a".to_owned() }] {
        let outcome = make(check.clone(), subject("s", LOCAL, "no-such-tap")).await;
        assert!(is_unable(&outcome), "{check:?}: {outcome:?}");
        let mut tapless = subject("s", LOCAL, "lo");
        tapless.device = None;
        assert!(is_unable(&make(check, tapless).await));
    }
}

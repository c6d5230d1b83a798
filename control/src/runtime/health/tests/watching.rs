//! The watch: who is due is asked, nobody waits for another, and all ends with it.

use super::super::{CHECKS_MAX, Verdicts, Watch};
use super::servers::{self, Manner};
use super::{LOCAL, health, subject};
use crate::config::services::{Check, Health};
use crate::health::{Group, Subject, Tally};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

fn group(service: &str, health: &Health, servers: &[&str]) -> Group {
    let servers = servers.iter().map(|name| subject(name, LOCAL, "lo")).collect();
    Group { service: service.into(), health: health.clone(), servers }
}

/// Waits until the living are these.
async fn living(verdicts: &mut Verdicts, expected: &[(&str, bool)]) {
    let is_so = |verdicts: &std::sync::Arc<[crate::health::Verdict]>| {
        let are: Vec<(&str, bool)> = verdicts.iter().map(|one| (&*one.server, one.alive)).collect();
        are == expected
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), verdicts.wait_for(is_so)).await.is_ok();
    assert!(waited, "never {expected:?}: {:?}", verdicts.borrow());
}

#[tokio::test]
async fn a_server_dies_and_comes_back() {
    let port = servers::nobody().await;
    let watch = Watch::start();
    let mut verdicts = watch.verdicts();
    watch.set(vec![group("cache", &health(Check::Tcp { port }), &["a"])]);
    living(&mut verdicts, &[("a", true)]).await;
    living(&mut verdicts, &[("a", false)]).await;
    let view = watch.view().remove(0).servers.remove(0);
    assert_eq!((view.alive, view.bad, view.falls), (false, 3, 1));
    assert_eq!(view.reason, "3 bad answers in a row, the last: refused");
    let _back = TcpListener::bind((LOCAL, port)).await.unwrap();
    living(&mut verdicts, &[("a", true)]).await;
    let view = watch.view().remove(0).servers.remove(0);
    assert!(view.good >= 2 && view.history.len() == 2, "{view:?}");
}

#[tokio::test]
async fn who_hangs_delays_nobody_and_is_not_asked_again_meanwhile() {
    let silent = servers::tcp(Manner::Silent).await;
    let page = |port| Check::Http {
        tls: false,
        port,
        path: "/".to_owned(),
        host: None,
        status: 200..=200,
        body: None,
    };
    let port = servers::tcp(Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let names: Vec<String> = (0..CHECKS_MAX - 1).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hanging = Health { timeout: Duration::from_secs(60), ..health(page(silent)) };
    let watch = Watch::start();
    watch.set(vec![group("hanging", &hanging, &names), group("good", &health(page(port)), &["a"])]);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    let [hanging, good] = <[_; 2]>::try_from(watch.view()).unwrap();
    let asked = good.servers[0].good;
    assert!((10..=25).contains(&asked), "each 100 ms, more or less: {asked}");
    assert!(hanging.servers.iter().all(|server| server.last.is_none()));
}

#[tokio::test]
async fn another_list_leaves_alone_whom_it_does_not_change() {
    let port = servers::nobody().await;
    let health = health(Check::Tcp { port });
    let watch = Watch::start();
    let mut verdicts = watch.verdicts();
    watch.set(vec![group("cache", &health, &["a", "b"])]);
    living(&mut verdicts, &[("a", false), ("b", false)]).await;
    let slow = Health { interval: Duration::from_secs(60), ..health };
    let held = watch.set(vec![group("cache", &slow, &["b", "c"])]);
    assert!(!held[0].alive && held[1].alive, "which is known at once: {held:?}");
    living(&mut verdicts, &[("b", false), ("c", true)]).await;
    let mut moved = group("cache", &slow, &["b", "c"]);
    moved.servers[0].port = 81;
    assert!(watch.set(vec![moved])[0].alive, "who has moved is another server");
    watch.set(Vec::new());
    living(&mut verdicts, &[]).await;
}

#[tokio::test]
async fn connections_alone_show_it_where_nothing_is_asked() {
    let watch = Watch::start();
    let mut verdicts = watch.verdicts();
    let passive = Health { check: None, passive_fall: Some(3), ..health(Check::Icmp) };
    let place = Subject { address: None, ..subject("a", LOCAL, "lo") };
    watch.set(vec![Group { service: "front".into(), health: passive, servers: vec![place] }]);
    living(&mut verdicts, &[("a", true)]).await;
    watch.traffic([("front", "a", Tally::default())]);
    watch.traffic([("front", "a", Tally { unanswered: 3, ..Tally::default() })]);
    living(&mut verdicts, &[("a", false)]).await;
    living(&mut verdicts, &[("a", true)]).await;
}

#[tokio::test]
async fn who_cannot_be_asked_stays_as_it_is() {
    let watch = Watch::start();
    let place = subject("a", LOCAL, "no-such-tap");
    watch.set(vec![Group { service: "s".into(), health: health(Check::Icmp), servers: vec![place] }]);
    tokio::time::sleep(Duration::from_millis(800)).await;
    let view = watch.view().remove(0).servers.remove(0);
    assert!(view.alive && view.unable >= 4 && view.bad == 0, "{view:?}");
    assert!(view.last.unwrap().outcome.contains("no-such-tap"));
}

#[tokio::test]
async fn all_ends_with_the_watch() {
    let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let page =
        Check::Http { tls: false, port, path: "/".to_owned(), host: None, status: 200..=200, body: None };
    let script = Check::Script {
        program: "/bin/sh".into(),
        arguments: vec![
            "-c".to_owned(),
            format!("echo $$ > {}.new; mv {0}.new {0}; exec sleep 60", pid.display()),
        ],
        port: None,
    };
    let long = |check| Health { timeout: Duration::from_secs(60), ..health(check) };
    let watch = Watch::start();
    watch.set(vec![group("page", &long(page), &["a"]), group("script", &long(script), &["b"])]);
    let (mut client, _) = listener.accept().await.unwrap();
    let mut verdicts = watch.verdicts();
    while !pid.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(watch);
    let ended = tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut Vec::new())).await;
    ended.expect("the connection ends").unwrap();
    while verdicts.changed().await.is_ok() {}
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    for _ in 0..500 {
        match std::fs::read_to_string(&stat) {
            Ok(stat) if !stat.contains(") Z ") => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return,
        }
    }
    panic!("the script goes on");
}

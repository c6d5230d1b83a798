//! A drain ends at its deadline: what a server still has is ended, what it has opened itself as well.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_tests::process::wait_until;

use crate::farm::{Answers, Farm, SHARED, client};
use crate::node::Weir;
use crate::ready;
use crate::visiting::connect_from;

const SERVICE: &str = "\
services:
  - name: web
    protocol: tcp
    address: 192.0.2.80
    port: 80
    scheduler: rr
    servers: [{ name: a, address: 10.82.0.1 }, { name: b, address: 10.82.0.2 }]
";

/// Where a client listens, and from where servers connect.
const PORTS: [u16; 2] = [9000, 20_000];
const DRAIN_S: &str = "2";
const SOON: Duration = Duration::from_secs(6);

/// The sources of the connections that servers have opened.
fn opened(weir: &Weir<'_>) -> Result<usize> {
    let flows = weir.ask(&["flows", "--src", SHARED, "--proto", "tcp"])?;
    Ok(flows["flows"].as_array().context("no flows")?.len())
}

fn state(weir: &Weir<'_>) -> Result<String> {
    let shown = weir.ask(&["service", "show", "web"])?;
    Ok(shown["services"][0]["servers"][0]["state"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_drain_ends_what_its_server_has_opened_and_nobody_elses() {
    if !ready() {
        return;
    }
    let farm = Farm::new(2, Answers::Through).unwrap();
    let weir = farm.weir(SERVICE).unwrap();
    let shared: IpAddr = SHARED.parse().unwrap();
    let to = SocketAddr::new(client(0).parse().unwrap(), PORTS[0]);
    let listener = farm.clients.inside(|| Ok(TcpListener::bind(to)?)).unwrap();
    let connect = |n: usize| {
        let from = SocketAddr::new(shared, PORTS[1] + u16::try_from(n)?);
        let stream = farm.servers[n].inside(|| connect_from(from, to))?;
        Ok([stream, listener.accept()?.0])
    };
    let _open: Vec<_> = (0..2).map(connect).collect::<Result<_>>().with_context(|| weir.log()).unwrap();
    assert_eq!(opened(&weir).unwrap(), 2);

    weir.print(&["service", "drain", "web", "a", "--timeout-s", DRAIN_S]).unwrap();
    assert_eq!((state(&weir).unwrap().as_str(), opened(&weir).unwrap()), ("draining", 2));
    wait_until("the end of the drain", SOON, || Ok(state(&weir)? == "drained")).unwrap();
    wait_until("the end of what it has opened", SOON, || Ok(opened(&weir)? == 1)).unwrap();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(opened(&weir).unwrap(), 1, "the other server's");
    weir.stop().unwrap();
}

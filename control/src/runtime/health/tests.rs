//! Checks against real servers, on loopback and between namespaces.

mod checks;
mod servers;
mod watching;
mod ways;

use super::script::Remains;
use crate::config::services::{Check, Health};
use crate::health::{Job, Outcome, Subject};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Servers that answer do so at once: who has not by then will not.
const TIMEOUT: Duration = Duration::from_millis(400);

fn subject(name: &str, address: IpAddr, device: &str) -> Subject {
    Subject { server: name.into(), address: Some(address), port: 8080, device: Some(device.into()) }
}

fn health(check: Check) -> Health {
    Health {
        check: Some(check),
        interval: Duration::from_millis(100),
        timeout: TIMEOUT,
        rise: 2,
        fall: 3,
        passive_fall: None,
        panic_threshold_percent: 0,
    }
}

async fn make(check: Check, subject: Subject) -> Outcome {
    super::check::make(&job(check, subject), &Remains::default()).await
}

fn job(check: Check, subject: Subject) -> Job {
    let board =
        crate::health::Group { service: "test".into(), health: health(check), servers: vec![subject] };
    let mut jobs = {
        let mut all = crate::health::Board::new(1);
        all.set(vec![board], 0);
        all.due(u64::MAX, 1)
    };
    jobs.remove(0)
}

/// What comes of asking a server on loopback.
async fn ask(check: Check) -> Outcome {
    make(check, subject("s", LOCAL, "lo")).await
}

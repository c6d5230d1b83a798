//! One check of one server.

use super::http::{self, Page};
use super::script::Remains;
use super::socket::Way;
use super::trouble::Trouble;
use super::{dns, icmp, script, tcp};
use crate::config::services::Check;
use crate::health::{Failure, Job, Outcome, Subject};

/// Asks the server; what does not come out in its time is no answer.
pub(super) async fn make(job: &Job, remains: &Remains) -> Outcome {
    let made = tokio::time::timeout(job.timeout, ask(job, remains)).await;
    made.unwrap_or_else(|_| Err(Failure::Timeout(job.timeout).into())).into()
}

async fn ask(Job { ticket, subject, check, .. }: &Job, remains: &Remains) -> Result<(), Trouble> {
    match check {
        Check::Icmp => icmp::check(way(subject)?).await,
        Check::Tcp { port } => tcp::check(way(subject)?, *port).await,
        Check::Http { tls, port, path, host, status, body } => {
            let page = Page { tls: *tls, port: *port, path, host: host.as_deref() };
            http::check(way(subject)?, page, status, body.as_deref()).await
        }
        Check::Dns { port, name } => dns::check(way(subject)?, *port, name).await,
        // It asks however it likes.
        Check::Script { program, arguments, port } => {
            let port = port.unwrap_or(subject.port);
            script::check(program, arguments, port, subject, (*ticket, remains)).await
        }
    }
}

fn way(subject: &Subject) -> Result<Way<'_>, Trouble> {
    let (address, device) = subject.way().map_err(|why| Trouble::Unable(why.to_owned()))?;
    Ok(Way { device, address })
}

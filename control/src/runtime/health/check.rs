//! One check of one server.

use super::http::{self, Page};
use super::socket::Way;
use super::trouble::Trouble;
use super::{dns, icmp, script, tcp};
use crate::config::services::Check;
use crate::health::{Failure, Job, Outcome, Subject};

/// Asks the server; what does not come out in its time is no answer.
pub(super) async fn make(job: &Job) -> Outcome {
    let made = tokio::time::timeout(job.timeout, ask(&job.check, &job.subject)).await;
    made.unwrap_or_else(|_| Err(Failure::Timeout(job.timeout).into())).into()
}

async fn ask(check: &Check, subject: &Subject) -> Result<(), Trouble> {
    let (address, device) = subject.way().map_err(|why| Trouble::Unable(why.to_owned()))?;
    let way = Way { device, address };
    match check {
        Check::Icmp => icmp::check(way).await,
        Check::Tcp { port } => tcp::check(way, *port).await,
        Check::Http { tls, port, path, host, status, body } => {
            let page = Page { tls: *tls, port: *port, path, host: host.as_deref() };
            http::check(way, page, status, body.as_deref()).await
        }
        Check::Dns { port, name } => dns::check(way, *port, name).await,
        Check::Script { program, arguments } => script::check(program, arguments, subject).await,
    }
}

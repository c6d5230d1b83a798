//! Which servers live: what checks, connections and time say about them.
//!
//! The [`Board`] is pure: it is told of answers and of the time, and says whom to ask next and who lives. It opens no
//! socket and reads no clock; [`runtime::health`](crate::runtime::health) asks the servers.
//!
//! # What it promises
//!
//! - A server lives until it is known not to: a new one counts as alive before its first answer, as with keepalived.
//! - `fall` bad answers in a row make a server dead, and `passive_fall` connections in a row without an answer do;
//!   nothing else does. A check that could not be made ([`Outcome::Unable`]) says nothing about the server.
//! - A dead server is kept out for a while: one interval after bad answers, at least 5 s after bad
//!   connections, and twice as long each time that it comes back and does not last, 300 s at most. It comes back when
//!   that is over and, where there is a check, `rise` answers in a row were good.
//! - No server is asked again before its last answer is there. Times between checks differ by a tenth, so that those of
//!   many servers do not fall together.
//! - With fewer servers alive than `panic_threshold_percent` of its list, all of a service count as alive, and the
//!   verdicts say so.
//! - Verdicts are told of all servers at once. Who takes them makes one snapshot of what has changed together.
//! - Another configuration changes nothing about the servers that it leaves as they are.
//!
//! # What it does not do
//!
//! It does not know the operator's orders: whether a server drains is not its affair. Nodes of a cluster do not tell each
//! other; each asks for itself.
//!
//! Beside it stand the loads that nodes of pools report ([`Loads`]).

mod answer;
mod board;
mod hold;
mod loads;
mod report;
mod server;
mod subject;
#[cfg(test)]
mod tests;
mod turn;
mod verdict;
mod view;

pub use answer::{Failure, Outcome};
pub use board::{Board, Job, Ticket};
pub use loads::{Load, LoadView, Loads, Refused, Reporter};
pub use report::{REPORT_MAX, Report, ReportError};
pub use server::Tally;
pub use subject::{Group, Subject};
pub use verdict::{Reason, Verdict};
pub use view::{Change, LastAnswer, ServerView, ServiceView};

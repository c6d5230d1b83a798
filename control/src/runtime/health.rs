//! The checks of servers: who is due is asked, and who lives is told.
//!
//! A check leaves by the tap of the port that its server is behind, so it takes the way that the data plane's frames
//! take: control sends it as the port's frame, by the neighbour that Weir has learned, and its answer comes back through a
//! worker. At most [`CHECKS_MAX`] are under way; each is a task that its timeout ends, and all end with the [`Watch`].

mod check;
mod dns;
mod http;
mod icmp;
mod script;
mod socket;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod trouble;

pub(super) use http::{Page, fetch};
pub(super) use socket::Way;
pub(super) use trouble::Trouble;

use crate::health::{Board, Group, Job, Outcome, Reason, ServiceView, Tally, Ticket, Verdict};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::{info, warn};

/// Checks that are under way at once, at most. So many servers may hang without delaying another.
pub const CHECKS_MAX: usize = 256;

/// Between two looks at the board, at least: what happens in this time is told together.
const LOOK: Duration = Duration::from_millis(10);

/// What is held of all servers that are watched, in the order of the groups. It is news when somebody else lives; a
/// reason alone is not.
pub type Verdicts = watch::Receiver<Arc<[Verdict]>>;

/// The servers that are watched. When it is dropped all checks end.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    verdicts: Verdicts,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    board: Mutex<Board>,
    remains: script::Remains,
    wake: Notify,
    start: Instant,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Watch {
    /// Watches nobody yet. Call it inside a tokio runtime.
    pub fn start() -> Self {
        let board = Mutex::new(Board::new(RandomState::new().hash_one("checks")));
        let shared = Arc::new(Shared {
            board,
            remains: script::Remains::default(),
            wake: Notify::new(),
            start: Instant::now(),
        });
        let (publish, verdicts) = watch::channel(Arc::from([]));
        let task = tokio::spawn(run(Arc::clone(&shared), publish)).abort_handle();
        Self { shared, verdicts, task }
    }

    /// Watches these servers and no others, as in [`Board::set`]; what is held of them now.
    pub fn set(&self, groups: Vec<Group>) -> Vec<Verdict> {
        let mut board = self.shared.board();
        board.set(groups, self.shared.now_ms());
        let verdicts = board.verdicts();
        drop(board);
        self.shared.wake.notify_one();
        verdicts
    }

    /// Takes in what has become of servers' connections: service, server, and its counts.
    pub fn traffic<'a>(&self, tallies: impl IntoIterator<Item = (&'a str, &'a str, Tally)>) {
        let now_ms = self.shared.now_ms();
        let mut board = self.shared.board();
        for (service, server, tally) in tallies {
            board.traffic(service, server, tally, now_ms);
        }
        drop(board);
        self.shared.wake.notify_one();
    }

    /// Where the verdicts are told.
    pub fn verdicts(&self) -> Verdicts {
        self.verdicts.clone()
    }

    /// What is known of all servers.
    pub fn view(&self) -> Vec<ServiceView> {
        self.shared.board().view(self.shared.now_ms())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Checks that are under way; they end with it.
#[derive(Default)]
struct Checks {
    /// What came of each, and when.
    tasks: JoinSet<(Outcome, u64)>,
    servers: HashMap<Id, (Ticket, Arc<str>)>,
    /// Servers that could not be asked the last time.
    unable: HashSet<Ticket>,
}

impl Checks {
    fn begin(&mut self, job: Job, shared: &Arc<Shared>) {
        let (ticket, server, clock) = (job.ticket, Arc::clone(&job.subject.server), Arc::clone(shared));
        let task = self.tasks.spawn(async move { (check::make(&job, &clock.remains).await, clock.now_ms()) });
        self.servers.insert(task.id(), (ticket, server));
    }

    fn end(&mut self, ended: Result<(Id, (Outcome, u64)), JoinError>, shared: &Shared) {
        let (id, (outcome, at_ms)) = ended.unwrap_or_else(|error| {
            (error.id(), (Outcome::Unable(format!("the check broke off: {error}")), shared.now_ms()))
        });
        let Some((ticket, server)) = self.servers.remove(&id) else { return };
        match &outcome {
            Outcome::Unable(why) if self.unable.insert(ticket) => warn!(%server, "cannot be checked: {why}"),
            Outcome::Unable(_) => {}
            Outcome::Good | Outcome::Bad(_) => _ = self.unable.remove(&ticket),
        }
        shared.board().answer(ticket, outcome, at_ms);
    }
}

async fn run(shared: Arc<Shared>, publish: watch::Sender<Arc<[Verdict]>>) {
    let mut checks = Checks::default();
    loop {
        let next_ms = look(&shared, &mut checks, &publish);
        let next = next_ms.map(|next_ms| shared.start + Duration::from_millis(next_ms));
        tokio::select! {
            Some(ended) = checks.tasks.join_next_with_id() => checks.end(ended, &shared),
            () = shared.wake.notified() => {}
            () = sleep_until(next) => {}
        }
        tokio::time::sleep(LOOK).await;
        while let Some(ended) = checks.tasks.try_join_next_with_id() {
            checks.end(ended, &shared);
        }
    }
}

/// Begins the checks that are due and tells what is new; when to look again.
fn look(shared: &Arc<Shared>, checks: &mut Checks, publish: &watch::Sender<Arc<[Verdict]>>) -> Option<u64> {
    let now_ms = shared.now_ms();
    let mut board = shared.board();
    board.look(now_ms);
    let jobs = board.due(now_ms, CHECKS_MAX.saturating_sub(checks.tasks.len()));
    let (news, next_ms) = (board.news(), board.next_ms());
    drop(board);
    if let Some(news) = news {
        tell(publish, news.into());
    }
    for job in jobs {
        checks.begin(job, shared);
    }
    next_ms
}

/// Publishes `news`, and says in the log who has come and gone.
fn tell(publish: &watch::Sender<Arc<[Verdict]>>, news: Arc<[Verdict]>) {
    publish.send_if_modified(|told| {
        let was = |new: &Verdict| {
            told.iter().find(|old| (&old.service, &old.server) == (&new.service, &new.server))
        };
        let changes = |new: &Verdict| was(new).map_or(!new.alive, |old| old.alive != new.alive);
        for verdict in news.iter().filter(|verdict| changes(verdict)) {
            // That all are used because too few live is no good news.
            let is_good = verdict.alive && !matches!(verdict.reason, Reason::Panic { .. });
            if is_good { info!("{verdict}") } else { warn!("{verdict}") }
        }
        let is_news = told.len() != news.len()
            || news.iter().any(|new| was(new).is_none_or(|old| old.alive != new.alive));
        *told = news;
        is_news
    });
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

//! One connection to etcd, from the first word to the last.

use super::lease::OwnLease;
use super::record::{self, Record};
use super::{EtcdConfig, Registration};
use crate::cluster::engine::Count;
use etcd_client::{
    Client, Compare, CompareOp, Event, EventType, GetOptions, KeyValue, LeaseKeepAliveStream, LeaseKeeper,
    PutOptions, Txn, TxnOp, WatchOptions, WatchStream,
};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Etcd(#[from] etcd_client::Error),
    #[error("no answer for {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("it closed the stream of {0}")]
    Closed(&'static str),
    #[error("this node's lease is gone: it ended while etcd was out of reach, or somebody revoked it")]
    LeaseLost,
}

/// A session ended because it was to.
pub(super) struct Left;

/// An open connection, and all that goes over it.
pub(super) struct Session<'a> {
    registration: &'a mut Registration,
    client: Client,
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
    watch: WatchStream,
}

/// `call`, or an error when it has not come back in time.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, Broken> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Broken::Silent(limit)),
    }
}

impl<'a> Session<'a> {
    /// Connects, holds the lease, writes this node's key, reads those of the others and watches them.
    pub(super) async fn open(registration: &'a mut Registration, endpoint: &str) -> Result<Self, Broken> {
        let limit = registration.config.patience();
        let options = registration.config.connect_options()?;
        let mut client = within(limit, Client::connect([endpoint], Some(options))).await?;
        let id = hold_lease(registration, &mut client, limit).await?;
        let (keeper, answers) = match within(limit, client.lease_keep_alive(id)).await {
            Ok(streams) => streams,
            Err(Broken::Etcd(etcd_client::Error::LeaseKeepAliveError(_))) => return Err(Broken::LeaseLost),
            Err(broken) => return Err(broken),
        };
        registration.publish(&mut client).await?;
        let revision = registration.read_all(&mut client).await?;
        let options = WatchOptions::new().with_prefix().with_start_revision(revision + 1);
        let watch = within(limit, client.watch(registration.config.prefix(), Some(options))).await?;
        registration.counts.add(Count::Connections);
        registration.away.over();
        Ok(Self { registration, client, keeper, answers, watch })
    }

    /// Renews, publishes and listens until something breaks or this node is told to leave.
    pub(super) async fn run(&mut self, leaving: &mut oneshot::Receiver<()>) -> Result<Left, Broken> {
        let mut tick = tokio::time::interval(self.registration.config.patience());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.registration.send_view();
        loop {
            let next_change = self.registration.peers.next_change().map(tokio::time::Instant::from_std);
            tokio::select! {
                _ = tick.tick() => self.renew().await?,
                answer = self.answers.message() => {
                    let answer = answer?.ok_or(Broken::Closed("renewals"))?;
                    if answer.ttl() <= 0 {
                        return Err(Broken::LeaseLost);
                    }
                    // A renewal that did not count is not worth waiting a whole tick.
                    if !self.registration.read_back(&mut self.client).await? {
                        tick.reset_immediately();
                    }
                }
                news = self.watch.message() => {
                    let news = news?.ok_or(Broken::Closed("news"))?;
                    if news.canceled() {
                        return Err(Broken::Closed("news"));
                    }
                    self.registration.hear(news.events());
                }
                changed = self.registration.end.member.changed() => match changed {
                    Ok(()) => self.registration.publish(&mut self.client).await?,
                    // Nobody is there any more to renew a lease for.
                    Err(_) => return self.leave().await,
                },
                () = until(next_change) => {}
                _ = &mut *leaving => return self.leave().await,
            }
            self.registration.send_view();
        }
    }

    async fn renew(&mut self) -> Result<(), Broken> {
        let Some(lease) = &mut self.registration.lease else { return Err(Broken::LeaseLost) };
        if lease.is_renewing() {
            return Err(Broken::Silent(self.registration.config.patience()));
        }
        lease.renewing(Instant::now());
        self.keeper.keep_alive().await?;
        if !self.registration.registered {
            self.registration.publish(&mut self.client).await?;
        }
        Ok(())
    }

    /// Gives the lease back, so that the others need not wait for its end.
    async fn leave(&mut self) -> Result<Left, Broken> {
        self.registration.publish(&mut self.client).await?;
        if let Some(lease) = self.registration.lease.take() {
            within(self.registration.config.patience(), self.client.lease_revoke(lease.id)).await?;
        }
        Ok(Left)
    }
}

/// The lease that is there, or a new one.
async fn hold_lease(
    registration: &mut Registration,
    client: &mut Client,
    limit: Duration,
) -> Result<i64, Broken> {
    if let Some(lease) = &registration.lease {
        return Ok(lease.id);
    }
    let sent = Instant::now();
    let length = i64::try_from(registration.config.lease.as_secs()).unwrap_or(i64::MAX);
    let granted = within(limit, client.lease_grant(length, None)).await?;
    // etcd may grant a longer one than it was asked for; it never ends before the one asked for would.
    registration.lease = Some(OwnLease::granted(granted.id(), registration.config.lease, sent));
    Ok(granted.id())
}

async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What a session does with what it reads and writes.
impl Registration {
    /// Writes this node's key, if the name is free or ours.
    async fn publish(&mut self, client: &mut Client) -> Result<(), Broken> {
        let Some(id) = self.lease.as_ref().map(|lease| lease.id) else { return Err(Broken::LeaseLost) };
        let record = Record { member: self.end.member.borrow_and_update().clone(), lease: self.config.lease };
        let key = self.config.key(&record.member.name);
        let ours = Compare::lease(key.as_str(), CompareOp::Equal, id);
        let free = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
        for condition in [ours, free] {
            let put = TxnOp::put(key.as_str(), record.value(), Some(PutOptions::new().with_lease(id)));
            let txn = Txn::new().when([condition]).and_then([put]);
            if within(self.config.patience(), client.txn(txn)).await?.succeeded() {
                self.registered = true;
                self.name_taken.over();
                return Ok(());
            }
        }
        self.registered = false;
        self.counts.add(Count::NameTaken);
        self.name_taken.met(format_args!(
            "{key} is there with another lease; if it is this node's own from before a crash, it ends by itself"
        ));
        Ok(())
    }

    /// Reads the keys of all nodes; the revision they are of.
    async fn read_all(&mut self, client: &mut Client) -> Result<i64, Broken> {
        let options = GetOptions::new().with_prefix();
        let read = within(self.config.patience(), client.get(self.config.prefix(), Some(options))).await?;
        let header = read.header().ok_or(Broken::Closed("reads"))?;
        let names = read.kvs().iter().filter_map(|kv| record::node(&self.config.prefix(), kv.key()).ok());
        self.peers.all(&names.collect::<BTreeSet<_>>(), Instant::now());
        read.kvs().iter().for_each(|kv| self.written(kv));
        if let Some(lease) = &mut self.lease {
            lease.read_back(header.raft_term());
        }
        Ok(header.revision())
    }

    /// Reads this node's own key after a renewal was answered. Whether the renewal counts.
    async fn read_back(&mut self, client: &mut Client) -> Result<bool, Broken> {
        if !self.registered {
            // There is no key to read, nothing is owned, and the next tick tries again.
            if let Some(lease) = &mut self.lease {
                lease.disconnected();
            }
            return Ok(true);
        }
        let key = self.config.key(&self.end.member.borrow().name);
        let read = within(self.config.patience(), client.get(key, None)).await?;
        let Some(lease) = &mut self.lease else { return Err(Broken::LeaseLost) };
        let ours = read.kvs().first().is_some_and(|kv| kv.lease() == lease.id);
        if !ours {
            return Err(Broken::LeaseLost);
        }
        let term = read.header().ok_or(Broken::Closed("reads"))?.raft_term();
        let counts = lease.read_back(term);
        if counts {
            self.counts.add(Count::Renewals);
        }
        Ok(counts)
    }

    fn hear(&mut self, events: &[Event]) {
        for event in events {
            let Some(kv) = event.kv() else { continue };
            match event.event_type() {
                EventType::Put => self.written(kv),
                EventType::Delete => {
                    if let Ok(name) = record::node(&self.config.prefix(), kv.key()) {
                        self.peers.deleted(&name, Instant::now());
                    }
                }
            }
        }
    }

    fn written(&mut self, kv: &KeyValue) {
        match Record::read(&self.config.prefix(), kv.key(), kv.value()) {
            Ok(record) => self.peers.written(record),
            Err(error) => {
                self.counts.add(Count::Malformed);
                self.malformed.met_after(self.config.lease, error);
            }
        }
    }
}

impl EtcdConfig {
    /// The beginning of all keys of the cluster.
    pub(super) fn prefix(&self) -> String {
        format!("{}/{}/", self.prefix.trim_end_matches('/'), self.cluster_id)
    }

    fn key(&self, name: &crate::cluster::NodeName) -> String {
        format!("{}{name}", self.prefix())
    }

    /// How often the lease is renewed, and how long any answer may take: several attempts fit in a lease.
    fn patience(&self) -> Duration {
        self.lease / 5
    }
}

//! etcd, for strict ownership: a node owns while its lease in etcd is certain, and not a moment longer.
//!
//! Each node has a lease and, attached to it, its key `PREFIX/CLUSTER/NODE`, which holds what it publishes. It renews
//! the lease five times within its length, and watches the keys of the others. A key that is deleted is a node whose
//! lease has ended: dead. So the death of a node is noticed after `lease`, 10 s by default, and a clean leave at once.
//!
//! With `on_loss: stop` every view says until when this node's lease is certain, counted from when its last renewal
//! was *sent*. By that moment the node must have stopped owning; etcd ends the lease later than that, and only then may
//! others inherit.
//!
//! - **etcd is killed and restarted**: leases outlive it. While it is away nobody dies and nobody joins, all others are
//!   *suspected*. It may be away for about half of `lease` with every node forwarding on; a new leader begins all
//!   leases anew. When it stays away longer every node stops owning when its lease is no more certain.
//! - **One node is cut off from etcd**: it cannot tell this from the case before. It stops when its lease is no more
//!   certain, and after that etcd deletes its key and the others inherit.
//! - **etcd's data are wiped**: a node whose key is missing is dead when it stays missing for its lease's length.
//!
//! With `on_loss: keep` the views carry no lease, and a node owns on without etcd: its coordinator agrees by liveness,
//! as with gossip. That is for those who would rather have frames forwarded twice than not at all: while one node alone
//! is cut off it and its heirs forward the same.
//!
//! A lease or a key that is deleted by hand takes the guarantee away. So does an etcd of several servers with the bug
//! etcd-io/etcd#15247, by which a leader that has been replaced may end leases early.

mod lease;
mod peers;
mod record;
mod session;

use super::incident::Incident;
use super::{Clock, Count, Counts, Engine};
use crate::cluster::{EngineEnd, Lease, View};
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use lease::OwnLease;
use peers::Peers;
use session::{Broken, Left, Session};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The shortest lease that etcd grants with its usual election timeout.
const LEASE_MIN: Duration = Duration::from_secs(2);
/// After a failure the next endpoint is tried after this long, after the next failure twice as long…
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// How a node uses etcd.
#[derive(Clone, Debug)]
pub struct EtcdConfig {
    /// `http://host:port` or, with `tls`, `https://host:port`. One is used at a time; after an error, the next one.
    pub endpoints: Vec<String>,
    /// What all keys begin with. `/weir` by default.
    pub prefix: String,
    /// The cluster's name: the part of the keys after the prefix, without a `/`.
    pub cluster_id: String,
    /// How long a lease is, in whole seconds from 2. 10 s by default. It is the time in which a death is noticed, and
    /// about twice the time for which etcd may be away.
    pub lease: Duration,
    /// Whether a node owns on when its lease is no more certain. `Stop` by default.
    pub on_loss: OnLoss,
    /// How to trust etcd, and to be trusted by it.
    pub tls: Option<EtcdTls>,
}

/// Files in PEM. They are read at each connection, so they may be replaced under way.
#[derive(Clone, Debug)]
pub struct EtcdTls {
    /// The authority that etcd's certificate is from.
    pub ca: PathBuf,
    /// This node's certificate.
    pub certificate: PathBuf,
    /// This node's private key.
    pub key: PathBuf,
}

/// What a node does when its lease is no more certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// It stops owning: nothing is ever forwarded twice.
    Stop,
    /// It owns on: while etcd is away for all, everything is forwarded.
    Keep,
}

impl EtcdConfig {
    /// With the defaults.
    pub fn new(cluster_id: impl Into<String>, endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            prefix: "/weir".to_owned(),
            cluster_id: cluster_id.into(),
            lease: Duration::from_secs(10),
            on_loss: OnLoss::Stop,
            tls: None,
        }
    }

    /// All that is wrong with it, as far as can be told without the files of TLS.
    pub fn faults(&self) -> impl Iterator<Item = EtcdError> {
        let scheme = if self.tls.is_some() { "https://" } else { "http://" };
        let foreign = self.endpoints.iter().filter(move |endpoint| !endpoint.starts_with(scheme));
        let foreign = foreign.map(move |endpoint| EtcdError::Endpoint { endpoint: endpoint.clone(), scheme });
        let is_no_part = self.cluster_id.is_empty() || self.cluster_id.contains('/');
        let is_no_lease = self.lease < LEASE_MIN || self.lease.subsec_nanos() != 0;
        let none = self.endpoints.is_empty().then_some(EtcdError::NoEndpoint);
        let others = [
            is_no_part.then(|| EtcdError::ClusterId(self.cluster_id.clone())),
            is_no_lease.then_some(EtcdError::Lease(self.lease)),
        ];
        none.into_iter().chain(foreign).chain(others.into_iter().flatten())
    }

    fn connect_options(&self) -> Result<ConnectOptions, Broken> {
        let options = ConnectOptions::new().with_require_leader(true).with_connect_timeout(self.lease / 5);
        let Some(tls) = &self.tls else { return Ok(options) };
        let tls = tls.options().map_err(|(_, error)| Broken::Etcd(error.into()))?;
        Ok(options.with_tls(tls))
    }
}

impl EtcdTls {
    fn options(&self) -> Result<TlsOptions, (PathBuf, std::io::Error)> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| (path.to_owned(), error));
        let identity = Identity::from_pem(read(&self.certificate)?, read(&self.key)?);
        Ok(TlsOptions::new().ca_certificate(Certificate::from_pem(read(&self.ca)?)).identity(identity))
    }
}

/// Why the engine could not begin. That etcd cannot be reached is no reason: it may come.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// Nowhere to go.
    #[error("etcd has no endpoint: name at least one")]
    NoEndpoint,
    /// Not a URL, or one that does not go with TLS or its absence.
    #[error("the etcd endpoint `{endpoint}` must begin with `{scheme}`")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What it should begin with.
        scheme: &'static str,
    },
    /// It would not be one part of a key.
    #[error("the cluster id {0:?} is to be a part of etcd's keys: it must not be empty nor hold a '/'")]
    ClusterId(String),
    /// Too short, or not in whole seconds.
    #[error("etcd grants no lease of {0:?}: give it whole seconds, 2 or more")]
    Lease(Duration),
    /// A file of TLS.
    #[error("cannot read {} for etcd's TLS: {error}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Whether the files of TLS can be read.
///
/// # Errors
/// The first that cannot.
pub fn check_files(config: &EtcdConfig) -> Result<(), EtcdError> {
    let Some(tls) = &config.tls else { return Ok(()) };
    tls.options().map(drop).map_err(|(path, error)| EtcdError::Tls { path, error })
}

/// Begins, in the current tokio runtime, whether etcd is there or not.
///
/// # Errors
/// See [`EtcdError`].
pub fn start(config: EtcdConfig, clock: Clock, end: EngineEnd) -> Result<Engine, EtcdError> {
    config.faults().next().map_or(Ok(()), Err)?;
    check_files(&config)?;
    let counts = Arc::new(Counts::default());
    let registration = Registration::new(config, clock, end, Arc::clone(&counts));
    Ok(Engine::run(counts, async move |leaving| registration.run(leaving).await))
}

/// This node in etcd, over all connections: its lease, its key, and what it has read of the others.
struct Registration {
    config: EtcdConfig,
    clock: Clock,
    end: EngineEnd,
    counts: Arc<Counts>,
    lease: Option<OwnLease>,
    /// Whether our key is there, with our lease.
    registered: bool,
    peers: Peers,
    away: Incident,
    name_taken: Incident,
    malformed: Incident,
}

impl Registration {
    fn new(config: EtcdConfig, clock: Clock, end: EngineEnd, counts: Arc<Counts>) -> Self {
        let own = {
            let member = end.member.borrow();
            (member.name.clone(), member.incarnation)
        };
        let mut registration = Self {
            config,
            clock,
            end,
            counts,
            lease: None,
            registered: false,
            peers: Peers::new(own, clock),
            away: Incident::new("etcd is out of reach"),
            name_taken: Incident::new("this node's name is taken in etcd"),
            malformed: Incident::new("a key in etcd is no member of the cluster"),
        };
        // Strict from the first view on.
        registration.send_view();
        registration
    }

    async fn run(mut self, mut leaving: oneshot::Receiver<()>) {
        let mut pause = PAUSE_MIN;
        for attempt in 0_usize.. {
            let endpoint = self.config.endpoints[attempt % self.config.endpoints.len()].clone();
            let opened = Instant::now();
            match self.session(&endpoint, &mut leaving).await {
                Ok(Left) => return,
                Err(broken) => self.broken(&endpoint, &broken),
            }
            // A connection that lasted was a good one: the next attempt comes soon.
            pause = if opened.elapsed() > self.config.lease {
                PAUSE_MIN
            } else {
                (pause * 2).min(self.config.lease / 10)
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Nobody can be told.
                _ = &mut leaving => return,
            }
        }
    }

    async fn session(&mut self, endpoint: &str, leaving: &mut oneshot::Receiver<()>) -> Result<Left, Broken> {
        Session::open(self, endpoint).await?.run(leaving).await
    }

    fn broken(&mut self, endpoint: &str, broken: &Broken) {
        let now = Instant::now();
        self.counts.add(Count::ConnectionErrors);
        match broken {
            Broken::LeaseLost => {
                self.counts.add(Count::LeasesLost);
                self.lease = None;
                self.registered = false;
            }
            _ => self.lease.iter_mut().for_each(OwnLease::disconnected),
        }
        self.away.met(format_args!("{endpoint}: {broken}"));
        self.peers.out_of_reach(now);
        self.send_view();
    }

    /// Until when this node may own: once it has a lease, its key is there, and it has seen since who else is there.
    fn certainty(&self) -> Option<Lease> {
        match (self.config.on_loss, &self.lease) {
            (OnLoss::Keep, _) => None,
            (OnLoss::Stop, Some(lease)) if self.registered && lease.is_settled() => {
                Some(Lease::Until { end_ms: self.clock.ms(lease.end()) })
            }
            (OnLoss::Stop, _) => Some(Lease::None),
        }
    }

    /// Sends a view if there is something new in it.
    fn send_view(&mut self) {
        let view = View { peers: self.peers.peers(Instant::now()), lease: self.certainty() };
        self.end.views.send_if_modified(|known| {
            let changed = *known != view;
            *known = view;
            changed
        });
    }
}

//! This node in a cluster whose nodes have names: the coordinator between the engine that carries the news and the
//! workers that go by what was agreed.
//!
//! What the coordinator says of this node is told to the others once the workers have acted by it: "released" is true
//! when it is heard.

use crate::cluster::engine::{Clock, Count, Engine, etcd, fixed, gossip};
use crate::cluster::{
    self, Agreement, Alarm, ClusterEnd, Coordinator, Digest, Duty, Incarnation, Member, NodeName, Numbers,
    Order, OrderError, Settings, State, Status, View, link,
};
use crate::config::{Carrier, FixedMember, GatewayConfig, Membership};
use core::hash::{BuildHasher, BuildHasherDefault};
use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tracing::{info, warn};
use weir_dataplane::config::{Cluster, Members};
use weir_dataplane::gate::lease::Lease;
use weir_dataplane::port::Clock as _;
use weir_dataplane::units::{BucketId, Epoch, MemberId, Tick};
use weir_dpdk::TscClock;

/// Between two looks at what the time is, and what the engine knows.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Looks come far more often, unless this thread has stood still.
const STANDSTILL: Duration = Duration::from_millis(200);

/// Why this node cannot be a member.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    /// Gossip.
    #[error(transparent)]
    Gossip(#[from] gossip::GossipError),
    /// The cluster's key.
    #[error(transparent)]
    Key(#[from] gossip::KeyError),
    /// etcd.
    #[error(transparent)]
    Etcd(#[from] etcd::EtcdError),
}

/// Whether the files that membership needs are there and can be used.
///
/// # Errors
/// See [`JoinError`].
pub(super) fn check_files(membership: &Membership) -> Result<(), JoinError> {
    match &membership.carrier {
        Carrier::Gossip { key_file, .. } => drop(gossip::KeyRing::read(key_file)?),
        Carrier::Etcd(config) => etcd::check_files(config)?,
        Carrier::Static(_) => {}
    }
    Ok(())
}

/// The engine, and what only one of them needs.
#[derive(Debug)]
enum Carried {
    Gossip(gossip::Gossip),
    Other(Engine),
}

/// The lease as workers know it, and the clock that they know it by.
#[derive(Debug)]
struct Leased {
    lease: Arc<Lease>,
    clock: TscClock,
}

/// This node's part in its cluster.
#[derive(Debug)]
pub(super) struct Seat {
    coordinator: Coordinator,
    end: ClusterEnd,
    carried: Carried,
    clock: Clock,
    /// Of a node that owns nothing without a lease.
    leased: Option<Leased>,
    numbers: Numbers,
    /// When it went on last.
    advanced: Instant,
    /// The version of the ownership that the workers go by.
    published: u64,
    /// Alarms, and how many changes, that the log has told of.
    told: Vec<Alarm>,
    told_changes: usize,
}

impl Seat {
    /// Begins to take part; `workers` is their clock, and they can hold frames if `hand_over`. Call it inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub(super) async fn take(
        membership: &Membership,
        cluster: &Cluster,
        digest: Digest,
        begun: Instant,
        workers: TscClock,
        hand_over: bool,
    ) -> Result<Self, JoinError> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (pins, waits) = match &membership.carrier {
            Carrier::Static(fixed) => (fixed.pins.clone(), fixed.waits),
            Carrier::Gossip { .. } | Carrier::Etcd(_) => (BTreeMap::new(), false),
        };
        let member = Member {
            name: membership.name.clone(),
            incarnation: Incarnation(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)),
            state: if waits { State::Leaving } else { State::Joining },
            weight: membership.weight,
            address: membership.address,
            hash_seed: cluster.hash_seed,
            total_nodes: cluster.total_nodes,
            config_digest: digest,
            version: env!("CARGO_PKG_VERSION").into(),
            proposal: None,
            released: None,
            active: None,
            electorate: None,
            flows_left: None,
            handover: None,
            holds_for: None,
        };
        let clock = Clock::new(begun);
        let settings = Settings { hand_over, ..membership.settings.clone() };
        let coordinator = Coordinator::new(settings, member, pins, clock.ms(Instant::now()));
        let (engine_end, end) = link(coordinator.member().clone());
        let carried = match &membership.carrier {
            Carrier::Gossip { config, key_file } => {
                let keys = gossip::KeyRing::read(key_file)?;
                Carried::Gossip(gossip::start(config.clone(), keys, clock, engine_end).await?)
            }
            Carrier::Etcd(config) => Carried::Other(etcd::start(config.clone(), clock, engine_end)?),
            Carrier::Static(fixed) => {
                let member = |known: &FixedMember| Member {
                    name: known.name.clone(),
                    weight: known.weight,
                    address: known.address,
                    state: State::Active,
                    ..coordinator.member().clone()
                };
                Carried::Other(fixed::start(fixed.members.iter().map(member).collect(), engine_end))
            }
        };
        let strict = matches!(membership.settings.agreement, Agreement::Leases { .. });
        Ok(Self {
            coordinator,
            end,
            carried,
            clock,
            leased: strict.then(|| Leased { lease: Arc::default(), clock: workers }),
            numbers: Numbers::new(membership.name.clone()),
            advanced: begun,
            published: 0,
            told: Vec::new(),
            told_changes: 0,
        })
    }

    /// Where it is seen that the engine knows something new.
    pub(super) fn news(&self) -> watch::Receiver<View> {
        self.end.views.clone()
    }

    /// Goes on with what the engine knows now. `Some`: the workers are to go by this from `epoch` on, and then
    /// [`Seat::tell`] is due.
    pub(super) fn advance(&mut self, flows: u64, epoch: Epoch) -> Option<Members> {
        // Before what the time is: should this thread stand still in between, the lease ends the sooner for it.
        let workers_ms = self.leased.as_mut().map(|leased| leased.clock.now_ms());
        self.advanced = Instant::now();
        let now_ms = self.clock.ms(self.advanced);
        self.coordinator.count_flows(flows);
        let view = self.end.views.borrow_and_update().clone();
        self.coordinator.advance(&view, now_ms);
        if let (Some(leased), Some(workers_ms)) = (&self.leased, workers_ms) {
            leased.lease.ends_at(Tick::from_ms(workers_ms + left_ms(view.lease, now_ms)));
        }
        self.log(now_ms);
        let ownership = self.coordinator.ownership();
        (ownership.version != self.published).then(|| self.numbers.members(ownership, epoch))
    }

    /// Whether it has not gone on for so long that others may own what it believes to be its own.
    pub(super) fn stood_still(&self) -> bool {
        self.advanced.elapsed() > STANDSTILL
    }

    /// Until when the workers may own anything; `None`: until they are told otherwise.
    pub(super) fn lease(&self) -> Option<Arc<Lease>> {
        self.leased.as_ref().map(|leased| Arc::clone(&leased.lease))
    }

    /// Tells the others of this node, as the workers have acted by now.
    pub(super) fn tell(&mut self) {
        self.published = self.coordinator.ownership().version;
        let member = self.coordinator.member();
        self.end.member.send_if_modified(|told| {
            let differs = told != member;
            if differs {
                told.clone_from(member);
            }
            differs
        });
    }

    /// What the workers are to do for a hand-over, before the others are told.
    pub(super) fn duty(&self) -> Duty {
        self.coordinator.duty()
    }

    /// What another node has forwarded of the flows that are inherited now; once.
    pub(super) fn take_inheritance(&mut self) -> Option<Arc<[u64]>> {
        self.coordinator.take_inheritance()
    }

    /// The workers own nothing any more, and have forwarded this since they noted it.
    pub(super) fn hand_over(&mut self, digests: Option<Arc<[u64]>>) {
        self.coordinator.hand_over(digests);
    }

    /// Takes an operator's order.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub(super) fn order(&mut self, order: &Order) -> Result<(), OrderError> {
        self.coordinator.order(order, self.clock.ms(Instant::now()))
    }

    /// Goes on with another configuration, and with the keys as they are now.
    pub(super) fn configure(&mut self, digest: Digest, keys: Option<gossip::KeyRing>) {
        self.coordinator.configure(digest);
        if let (Carried::Gossip(gossip), Some(keys)) = (&self.carried, keys) {
            gossip.replace_keys(keys);
        }
    }

    /// The cluster as this node sees it.
    pub(super) fn status(&self) -> Status {
        self.coordinator.status(&self.end.views.borrow(), self.clock.ms(Instant::now()))
    }

    /// What the engine has counted, by name.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        let counts = match &self.carried {
            Carried::Gossip(gossip) => gossip.engine.counts(),
            Carried::Other(engine) => engine.counts(),
        };
        Count::ALL.iter().map(|count| (count.name().to_owned(), counts.of(*count))).collect()
    }

    /// Whose a bucket would be if one node died, for each that may own any.
    pub(super) fn heirs(&self, bucket: BucketId) -> BTreeMap<String, Option<String>> {
        let (view, now_ms) = (self.end.views.borrow(), self.clock.ms(Instant::now()));
        let heir = |dead: &NodeName| {
            let owners = self.coordinator.owners_if_dead(dead, &view, now_ms);
            owners.get(bucket.index()).copied().flatten().map(ToString::to_string)
        };
        let living = self.coordinator.ownership().living.keys();
        living.map(|dead| (dead.to_string(), heir(dead))).collect()
    }

    /// A node's number with the workers.
    pub(super) fn number(&self, name: &NodeName) -> Option<MemberId> {
        self.numbers.number(name)
    }

    /// The name behind a worker's number.
    pub(super) fn name(&self, id: MemberId) -> Option<&NodeName> {
        self.numbers.name(id)
    }

    /// Whether what was ordered to stop has handed over all that it had.
    pub(super) fn may_stop(&self) -> bool {
        self.coordinator.may_stop(self.clock.ms(Instant::now()))
    }

    /// Says good-bye.
    pub(super) async fn leave(self) {
        match self.carried {
            Carried::Gossip(gossip) => gossip.engine.leave().await,
            Carried::Other(engine) => engine.leave().await,
        }
    }

    /// Tells the log of changes and alarms that are new.
    fn log(&mut self, now_ms: u64) {
        let (noted, news) = self.coordinator.news(self.told_changes);
        for event in news {
            info!("{}", event.change);
        }
        self.told_changes = noted;
        let raised: Vec<Alarm> = self.coordinator.alarms(now_ms).collect();
        for alarm in raised.iter().filter(|alarm| !self.told.iter().any(|told| told.trouble == alarm.trouble))
        {
            warn!("{alarm}");
        }
        for alarm in self.told.iter().filter(|told| !raised.iter().any(|alarm| alarm.trouble == told.trouble))
        {
            info!("no more: {}", alarm.text);
        }
        self.told = raised;
    }
}

/// How long the lease is certain from now on.
fn left_ms(lease: Option<cluster::Lease>, now_ms: u64) -> u64 {
    match lease {
        Some(cluster::Lease::Until { end_ms }) => end_ms.saturating_sub(now_ms),
        Some(cluster::Lease::None) | None => 0,
    }
}

/// A hash of what must be the same on all nodes beside what members tell of themselves: how flows are tracked, and the
/// routes.
pub(super) fn digest(config: &GatewayConfig) -> Digest {
    let routes = config.network().map(|network| format!("{:?}", network.routes()));
    let same = (format!("{:?}", config.dataplane().conntrack), routes);
    Digest(BuildHasherDefault::<DefaultHasher>::default().hash_one(same))
}

//! Gossip, over the chitchat library: each node tells a few others what it has heard of all, some times a second.
//!
//! Nodes tell the living from the dead by a phi-accrual failure detector: a node is dead when nothing new has been heard
//! of it for `phi_threshold` times as long as is usual. What is usual is bounded on both sides, so that no node is
//! given up later than `detection_time` after its last sign of life, nor earlier than about half of that.
//!
//! While the network between them is cut, each side takes the other for dead and inherits what it owned: two nodes
//! may forward the same. Who cannot have that uses [`etcd`](super::etcd).
//!
//! Every datagram is sealed with the cluster's key. Clocks must agree within `clock_skew_max`.

mod hearing;
mod keys;
mod peers;
mod seal;
mod socket;

pub use keys::{Key, KeyError, KeyRing};

use super::incident::Incident;
use super::{Clock, Count, Counts, Engine};
use crate::cluster::{EngineEnd, Member};
use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat};
use hearing::Hearing;
use peers::Peers;
use socket::SealedUdp;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// Intervals that the failure detector takes the mean of. With chitchat's five assumed ones beside them the mean is
/// never below 5/7 of the assumed interval: a few datagrams close together make nobody impatient.
const INTERVALS: usize = 2;
/// A gossip that broke is started again after this long.
const RESTART_AFTER: Duration = Duration::from_millis(200);

/// How a node gossips.
#[derive(Clone, Debug)]
pub struct GossipConfig {
    /// The cluster's name. Nodes of different ids do not hear each other, even with the same key.
    pub cluster_id: String,
    /// The UDP address this node listens on.
    pub listen: SocketAddr,
    /// The address that others reach it at, if not `listen`; it must name a host.
    pub advertise: Option<SocketAddr>,
    /// Where to find others at the start and after a cut, as `host:port`. This node's own address does no harm.
    pub seeds: Vec<String>,
    /// How often this node speaks, to three others at a time. 100 ms by default.
    pub interval: Duration,
    /// Within what time a dead node is noticed. 1 s by default; at least `interval * (phi_threshold + 2)`.
    pub detection_time: Duration,
    /// How many usual intervals without a sign of life make a node dead. 4 by default; the more, the shorter the
    /// interval that counts as usual.
    pub phi_threshold: f64,
    /// How far the clocks of two nodes may be apart. 5 s by default.
    pub clock_skew_max: Duration,
    /// For how long the dead are remembered. 10 min by default.
    pub forget_after: Duration,
}

impl GossipConfig {
    /// With the default times.
    pub fn new(cluster_id: impl Into<String>, listen: SocketAddr, seeds: Vec<String>) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            listen,
            advertise: None,
            seeds,
            interval: Duration::from_millis(100),
            detection_time: Duration::from_secs(1),
            phi_threshold: 4.0,
            clock_skew_max: Duration::from_secs(5),
            forget_after: Duration::from_secs(600),
        }
    }

    /// The interval that the failure detector takes for the usual one, and the longest that it counts.
    ///
    /// A dead node is noticed after at most `phi_threshold` of them, at the next tick of the gossip. One more tick is
    /// for the last sign of life to come round by other nodes.
    fn usual_interval(&self) -> Result<Duration, GossipError> {
        let phi = self.phi_threshold;
        let silence = self.detection_time.saturating_sub(2 * self.interval);
        let usual = silence.as_secs_f64() / phi;
        if phi >= 1.0 && !self.interval.is_zero() && usual >= self.interval.as_secs_f64() {
            return Ok(Duration::from_secs_f64(usual));
        }
        Err(GossipError::Times {
            interval_ms: self.interval.as_millis(),
            phi,
            detection_time_ms: self.detection_time.as_millis(),
        })
    }
}

/// Why gossip could not begin.
#[derive(Debug, thiserror::Error)]
pub enum GossipError {
    /// The times do not fit each other.
    #[error(
        "gossip every {interval_ms} ms with a phi threshold of {phi} cannot notice a dead node within {detection_time_ms} ms: \
         `detection_time` must be at least `interval * (phi_threshold + 2)`, and `phi_threshold` at least 1"
    )]
    Times {
        /// How often this node speaks.
        interval_ms: u128,
        /// The threshold.
        phi: f64,
        /// The time asked for.
        detection_time_ms: u128,
    },
    /// Nobody can reach it.
    #[error("others cannot reach this node at {0}: give the gossip an address to advertise")]
    Unreachable(SocketAddr),
    /// The socket.
    #[error("gossip: {0:#}; give it an address of this machine with a free UDP port")]
    Listen(anyhow::Error),
}

/// The running gossip.
#[derive(Debug)]
pub struct Gossip {
    /// The task.
    pub engine: Engine,
    keys: watch::Sender<KeyRing>,
}

impl Gossip {
    /// Seals and opens with these keys from now on.
    pub fn replace_keys(&self, keys: KeyRing) {
        self.keys.send_replace(keys);
    }
}

/// Begins to gossip, in the current tokio runtime, once the seeds' names have been looked up. The runtime must not
/// stand still for long: a node that says nothing for about half of `detection_time` may be taken for dead.
///
/// # Errors
/// See [`GossipError`].
pub async fn start(
    config: GossipConfig,
    keys: KeyRing,
    clock: Clock,
    end: EngineEnd,
) -> Result<Gossip, GossipError> {
    config.usual_interval()?;
    let advertised = config.advertise.unwrap_or(config.listen);
    if advertised.ip().is_unspecified() || advertised.port() == 0 {
        return Err(GossipError::Unreachable(advertised));
    }
    let (keys, ring) = watch::channel(keys);
    let counts = Arc::new(Counts::default());
    let transport = SealedUdp {
        cluster: config.cluster_id.clone(),
        clock_skew_max: config.clock_skew_max,
        keys: ring,
        counts: Arc::clone(&counts),
        hearing: Hearing::default(),
    };
    let peers = Peers::new(&config, clock, Arc::clone(&counts), transport.hearing.clone());
    let mut gossiper = Gossiper { config, transport, counts: Arc::clone(&counts), end, peers, generation: 0 };
    let round = gossiper.round().await.map_err(GossipError::Listen)?;
    let engine = Engine::run(counts, async move |leaving| gossiper.run(round, leaving).await);
    Ok(Gossip { engine, keys })
}

/// What lives as long as the engine does.
struct Gossiper {
    config: GossipConfig,
    transport: SealedUdp,
    counts: Arc<Counts>,
    end: EngineEnd,
    peers: Peers,
    generation: u64,
}

/// One life of chitchat: from its start until it breaks.
struct Round {
    chitchat: ChitchatHandle,
    /// Something another node published has come in.
    news: Arc<Notify>,
}

/// Why a round is over.
enum Over {
    Left,
    Broke(String),
}

impl Gossiper {
    /// Starts chitchat.
    async fn round(&mut self) -> anyhow::Result<Round> {
        let member = self.end.member.borrow_and_update().clone();
        // Grows with each life of the node, and with each of chitchat's within it.
        self.generation = member.incarnation.0.max(self.generation.saturating_add(1));
        let pairs = member.pairs().map(|(key, value)| (key.to_owned(), value)).to_vec();
        let config = self.chitchat_config(&member);
        let chitchat = spawn_chitchat(config, pairs, &self.transport).await?;
        let news = Arc::new(Notify::new());
        let notify = Arc::clone(&news);
        chitchat
            .with_chitchat(|state| {
                let notify = Arc::clone(&notify);
                state.subscribe_event("", move |_| notify.notify_one()).forever();
            })
            .await;
        Ok(Round { chitchat, news })
    }

    fn chitchat_config(&self, member: &Member) -> ChitchatConfig {
        let config = &self.config;
        let usual = config.usual_interval().unwrap_or(config.detection_time);
        let advertised = config.advertise.unwrap_or(config.listen);
        ChitchatConfig {
            chitchat_id: ChitchatId::new(member.name.as_str(), self.generation, advertised),
            cluster_id: config.cluster_id.clone(),
            gossip_interval: config.interval,
            listen_addr: config.listen,
            seed_nodes: config.seeds.clone(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: config.phi_threshold,
                sampling_window_size: INTERVALS,
                max_interval: usual,
                initial_interval: usual,
                dead_node_grace_period: config.forget_after,
            },
            marked_for_deletion_grace_period: config.forget_after,
            catchup_callback: None,
            extra_liveness_predicate: None,
        }
    }

    async fn run(mut self, mut round: Round, mut leaving: oneshot::Receiver<()>) {
        let mut broken = Incident::new("the gossip broke and is started again");
        loop {
            match self.follow(&round, &mut leaving).await {
                Over::Left => return,
                Over::Broke(why) => broken.met(why),
            }
            drop(round);
            round = loop {
                tokio::time::sleep(RESTART_AFTER).await;
                match self.round().await {
                    Ok(round) => break round,
                    Err(error) => broken.met(format_args!("{error:#}")),
                }
            };
            self.counts.add(Count::Restarts);
            broken.over();
        }
    }

    /// Publishes what changes here and sends what changes elsewhere, until the round is over.
    async fn follow(&mut self, round: &Round, leaving: &mut oneshot::Receiver<()>) -> Over {
        let broke = round.chitchat.termination_watcher();
        tokio::pin!(broke);
        let mut tick = tokio::time::interval_at(Instant::now(), self.config.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = self.end.member.changed() => match changed {
                    Ok(()) => self.publish(round).await,
                    // Nobody is there any more to gossip for.
                    Err(_) => return Over::Left,
                },
                () = round.news.notified() => {}
                _ = tick.tick() => {}
                result = &mut broke => {
                    return Over::Broke(result.err().map_or_else(String::new, |error| format!("{error:#}")));
                }
                // Also when the handle is gone, whose end ends this task anyway.
                _ = &mut *leaving => {
                    self.publish(round).await;
                    tokio::time::sleep(self.config.interval).await;
                    return Over::Left;
                }
            }
            self.look(round).await;
        }
    }

    /// Tells the others what this node's member says now, without waiting for the next tick.
    async fn publish(&mut self, round: &Round) {
        let pairs = self.end.member.borrow_and_update().pairs();
        let addresses = round
            .chitchat
            .with_chitchat(|state| {
                let own = state.self_node_state();
                pairs.iter().for_each(|(key, value)| own.set(key, value));
                let own = state.self_chitchat_id();
                let others = state.live_nodes().filter(|id| *id != own);
                others.map(|id| id.gossip_advertise_addr).collect::<Vec<_>>()
            })
            .await;
        for address in addresses {
            // Fails when chitchat has ended only, and then it is started again with these pairs.
            let _ = round.chitchat.gossip(address);
        }
    }

    /// Sends a view if there is something new in it.
    async fn look(&mut self, round: &Round) {
        let chitchat = round.chitchat.chitchat();
        let state = chitchat.lock().await;
        let view = self.peers.view(&state);
        drop(state);
        self.end.views.send_if_modified(|known| {
            let changed = *known != view;
            *known = view;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GossipConfig {
        GossipConfig::new("gw", "192.0.2.1:7946".parse().unwrap(), vec![])
    }

    #[test]
    fn the_default_times_notice_a_dead_node_within_a_second() {
        let config = config();
        let usual = config.usual_interval().unwrap();
        assert_eq!(usual, Duration::from_millis(200));
        assert!(usual.mul_f64(config.phi_threshold) + 2 * config.interval <= Duration::from_secs(1));
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        let short = GossipConfig { detection_time: Duration::from_millis(599), ..config() };
        let error = short.usual_interval().unwrap_err().to_string();
        assert!(error.starts_with("gossip every 100 ms with a phi threshold of 4 cannot notice"), "{error}");
        assert!(
            GossipConfig { detection_time: Duration::from_millis(600), ..config() }.usual_interval().is_ok()
        );
        for phi_threshold in [0.0, 0.9, -1.0, f64::NAN, f64::INFINITY] {
            assert!(GossipConfig { phi_threshold, ..config() }.usual_interval().is_err(), "{phi_threshold}");
        }
        assert!(GossipConfig { interval: Duration::ZERO, ..config() }.usual_interval().is_err());
    }
}

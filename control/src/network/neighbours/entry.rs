//! One neighbour: the state machine of RFC 4861 7.3.2, for ARP as well, as Linux has it.
//!
//! ```text
//!              wanted                answered, to us               time
//!   (nothing) ───────▶ incomplete ───────────────────▶ reachable ──────▶ stale ◀── said, unasked
//!                         │  ▲                            ▲                │ used
//!             no answer   ▼  │ wanted            answered │                ▼
//!                        failed ◀────────────────────── probe ◀───────── delay
//!                                    no answer                  time
//! ```
//!
//! An entry changes; it neither sends nor counts. It says what is to be done.

use super::alarm::Window;
use super::config::{Limits, Timers};
use super::counters::Ignored;
use super::message::Weight;
use super::queue::Queue;
use std::fmt;
use std::str::FromStr;
use weir_dataplane::wire::MacAddr;

/// Under pressure a neighbour that nobody uses is safe for this long (Linux's forced collection).
const YOUNG_MS: u64 = 5_000;

/// What is known of a neighbour. Linux's `NUD_` states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for, never heard.
    Incomplete,
    /// Answered not long ago.
    Reachable,
    /// Known, but it may have gone; nobody has used it since.
    Stale,
    /// Known and used; it has a moment to prove alive before it is asked.
    Delay,
    /// Known, used and asked.
    Probe,
    /// It did not answer.
    Failed,
    /// Given by the configuration.
    Permanent,
}

impl State {
    /// All of them in order.
    pub const ALL: [Self; 7] = [
        Self::Incomplete,
        Self::Reachable,
        Self::Stale,
        Self::Delay,
        Self::Probe,
        Self::Failed,
        Self::Permanent,
    ];

    /// Its name, as in `ip neigh`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Delay => "delay",
            Self::Probe => "probe",
            Self::Failed => "failed",
            Self::Permanent => "permanent",
        }
    }
}

/// A text that is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a neighbour's state is wanted: {}", State::ALL.map(State::name).join(", "))]
pub struct NotAState;

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or(NotAState)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is held for each state.
#[derive(Debug)]
enum Phase<P> {
    Incomplete { asked: u8, waiting: Queue<P> },
    Known { mac: MacAddr, trust: Trust },
    Failed,
}

/// How far a known address is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Permanent,
    Reachable,
    Stale,
    Delay,
    Probe { asked: u8 },
}

/// A neighbour.
#[derive(Debug)]
pub(super) struct Entry<P> {
    phase: Phase<P>,
    /// When something is to be done.
    pub(super) deadline_ms: Option<u64>,
    asked_at_ms: Option<u64>,
    pub(super) used_at_ms: Option<u64>,
    pub(super) updated_at_ms: u64,
    mac_at_ms: u64,
    /// Claims of another MAC address for it.
    pub(super) rivals: Window,
    /// Its questions to all for our addresses.
    pub(super) questions: Window,
}

/// Somebody says where a neighbour is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// There; `None`: where it was.
    pub(super) mac: Option<MacAddr>,
    /// In answer to a question of ours, or of another node of the cluster.
    pub(super) solicited: bool,
    /// Whether that holds against what is known.
    pub(super) weight: Weight,
}

/// What a claim has changed.
#[derive(Debug)]
pub(super) struct Learned<P> {
    /// The address that the neighbour had, where the claim was of another one, believed or not.
    pub(super) rival_of: Option<MacAddr>,
    /// What waited for it.
    pub(super) released: Queue<P>,
}

/// What is to be done at a deadline.
#[derive(Debug)]
pub(super) enum Due<P> {
    /// Nothing now.
    Nothing,
    /// To ask: everybody, or the one that had the address.
    Question(Option<MacAddr>),
    /// The neighbour did not answer; what waited for it.
    Failed(Queue<P>),
}

impl<P: AsRef<[u8]>> Entry<P> {
    fn new(phase: Phase<P>, now_ms: u64) -> Self {
        Self {
            phase,
            deadline_ms: None,
            asked_at_ms: None,
            used_at_ms: None,
            updated_at_ms: now_ms,
            mac_at_ms: now_ms,
            rivals: Window::default(),
            questions: Window::default(),
        }
    }

    /// One that nothing is known of; to be asked for at once.
    pub(super) fn incomplete(now_ms: u64) -> Self {
        let mut entry = Self::new(Phase::Failed, now_ms);
        entry.restart(now_ms);
        entry
    }

    /// One that nobody has asked for; a claim follows.
    pub(super) fn unasked(now_ms: u64) -> Self {
        Self::new(Phase::Failed, now_ms)
    }

    /// One of the configuration.
    pub(super) fn permanent(mac: MacAddr) -> Self {
        Self::new(Phase::Known { mac, trust: Trust::Permanent }, 0)
    }

    /// Its state.
    pub(super) const fn state(&self) -> State {
        match &self.phase {
            Phase::Incomplete { .. } => State::Incomplete,
            Phase::Known { trust: Trust::Permanent, .. } => State::Permanent,
            Phase::Known { trust: Trust::Reachable, .. } => State::Reachable,
            Phase::Known { trust: Trust::Stale, .. } => State::Stale,
            Phase::Known { trust: Trust::Delay, .. } => State::Delay,
            Phase::Known { trust: Trust::Probe { .. }, .. } => State::Probe,
            Phase::Failed => State::Failed,
        }
    }

    /// Its address, where one is known.
    pub(super) const fn mac(&self) -> Option<MacAddr> {
        match &self.phase {
            Phase::Known { mac, .. } => Some(*mac),
            Phase::Incomplete { .. } | Phase::Failed => None,
        }
    }

    /// What waits for it.
    pub(super) const fn waiting(&self) -> Option<&Queue<P>> {
        match &self.phase {
            Phase::Incomplete { waiting, .. } => Some(waiting),
            Phase::Known { .. } | Phase::Failed => None,
        }
    }

    /// What waits for it, where it goes away.
    pub(super) fn into_waiting(self) -> Queue<P> {
        match self.phase {
            Phase::Incomplete { waiting, .. } => waiting,
            Phase::Known { .. } | Phase::Failed => Queue::default(),
        }
    }

    /// Whether a question is open.
    pub(super) const fn is_asked(&self) -> bool {
        matches!(self.state(), State::Incomplete | State::Probe)
    }

    /// Its address is wanted and not known. Where there is a packet for it, and room for that, it waits. Says how many
    /// older ones it pushed out.
    pub(super) fn wait(&mut self, packet: Option<P>, limits: &Limits, now_ms: u64) -> usize {
        self.used_at_ms = Some(now_ms);
        if matches!(self.phase, Phase::Failed) {
            self.restart(now_ms);
        }
        match (&mut self.phase, packet) {
            (Phase::Incomplete { waiting, .. }, Some(packet)) => waiting.push(packet, limits),
            _ => 0,
        }
    }

    fn restart(&mut self, now_ms: u64) {
        self.phase = Phase::Incomplete { asked: 0, waiting: Queue::default() };
        self.deadline_ms = Some(now_ms);
        self.updated_at_ms = now_ms;
    }

    /// Packets go to it.
    pub(super) fn used(&mut self, timers: &Timers, now_ms: u64) {
        self.used_at_ms = Some(now_ms);
        if self.state() == State::Stale {
            self.trust(Trust::Delay, Some(now_ms + timers.delay_ms), now_ms);
        }
    }

    /// It is known to be there.
    fn confirmed(&mut self, reachable_ms: u64, now_ms: u64) {
        if !matches!(self.state(), State::Permanent) {
            self.trust(Trust::Reachable, Some(now_ms + reachable_ms), now_ms);
        }
    }

    /// Somebody says where it is (RFC 4861 7.2.3 and 7.2.5).
    pub(super) fn claimed(
        &mut self,
        claim: Claim,
        timers: &Timers,
        reachable_ms: u64,
        now_ms: u64,
    ) -> Result<Learned<P>, Ignored> {
        match self.phase {
            Phase::Incomplete { .. } | Phase::Failed => {
                let mac = claim.mac.ok_or(Ignored::NoMac)?;
                let known = Phase::Known { mac, trust: Trust::Stale };
                let released = match std::mem::replace(&mut self.phase, known) {
                    Phase::Incomplete { waiting, .. } => waiting,
                    Phase::Known { .. } | Phase::Failed => Queue::default(),
                };
                self.mac_at_ms = now_ms;
                self.trust(Trust::Stale, None, now_ms);
                if claim.solicited {
                    self.confirmed(reachable_ms, now_ms);
                } else if released.len() > 0 {
                    self.used(timers, now_ms);
                }
                Ok(Learned { rival_of: None, released })
            }
            Phase::Known { trust: Trust::Permanent, .. } => {
                Ok(Learned { rival_of: None, released: Queue::default() })
            }
            Phase::Known { mac, .. } => {
                let other = claim.mac.filter(|claimed| *claimed != mac);
                let changed = other.is_some() && self.yields_to(claim.weight, timers, now_ms);
                self.weigh(claim, other, changed, reachable_ms, now_ms);
                let rival_of = other.map(|_| mac);
                Ok(Learned { rival_of, released: Queue::default() })
            }
        }
    }

    const fn yields_to(&self, weight: Weight, timers: &Timers, now_ms: u64) -> bool {
        match weight {
            Weight::Weak => false,
            Weight::First => now_ms >= self.mac_at_ms + timers.lock_ms,
            Weight::Strong => true,
        }
    }

    /// What a claim does to a known neighbour, which it puts elsewhere (`other`) and is believed (`changed`) or not.
    fn weigh(&mut self, claim: Claim, other: Option<MacAddr>, changed: bool, reachable_ms: u64, now_ms: u64) {
        match other {
            Some(other) if changed => {
                self.phase = Phase::Known { mac: other, trust: Trust::Stale };
                self.mac_at_ms = now_ms;
                self.trust(Trust::Stale, None, now_ms);
                if claim.solicited {
                    self.confirmed(reachable_ms, now_ms);
                }
            }
            // Two say different things: whoever is used next is asked.
            Some(_) if self.state() == State::Reachable => self.trust(Trust::Stale, None, now_ms),
            Some(_) => {}
            None if claim.solicited => self.confirmed(reachable_ms, now_ms),
            None => {}
        }
    }

    fn trust(&mut self, believed: Trust, deadline_ms: Option<u64>, now_ms: u64) {
        if let Phase::Known { trust, .. } = &mut self.phase {
            *trust = believed;
            self.deadline_ms = deadline_ms;
            self.updated_at_ms = now_ms;
        }
    }

    /// What is to be done now. Where that is a question, [`asked`](Self::asked) or
    /// [`put_off`](Self::put_off) follows.
    pub(super) fn due(&mut self, timers: &Timers, now_ms: u64) -> Due<P> {
        self.deadline_ms = None;
        match &mut self.phase {
            Phase::Incomplete { asked, waiting } => {
                if *asked >= timers.multicast_probes {
                    let given_up = std::mem::take(waiting);
                    return self.fail(given_up, now_ms);
                }
                self.ask(None, timers, now_ms)
            }
            Phase::Known { mac, trust } => match *trust {
                Trust::Permanent | Trust::Stale => Due::Nothing,
                Trust::Reachable => {
                    self.trust(Trust::Stale, None, now_ms);
                    if self.used_at_ms.is_some_and(|used_at| used_at + timers.delay_ms > now_ms) {
                        self.trust(Trust::Delay, Some(now_ms + timers.delay_ms), now_ms);
                    }
                    Due::Nothing
                }
                Trust::Delay => {
                    let mac = *mac;
                    self.trust(Trust::Probe { asked: 0 }, None, now_ms);
                    self.ask(Some(mac), timers, now_ms)
                }
                Trust::Probe { asked } if asked >= timers.unicast_probes => {
                    self.fail(Queue::default(), now_ms)
                }
                Trust::Probe { .. } => {
                    let mac = *mac;
                    self.ask(Some(mac), timers, now_ms)
                }
            },
            Phase::Failed => Due::Nothing,
        }
    }

    /// A question, unless the last one is too young for another.
    fn ask(&mut self, whom: Option<MacAddr>, timers: &Timers, now_ms: u64) -> Due<P> {
        match self.asked_at_ms.map(|asked_at| asked_at + timers.retransmit_ms) {
            Some(again_ms) if again_ms > now_ms => {
                self.deadline_ms = Some(again_ms);
                Due::Nothing
            }
            _ => Due::Question(whom),
        }
    }

    fn fail(&mut self, given_up: Queue<P>, now_ms: u64) -> Due<P> {
        self.phase = Phase::Failed;
        self.updated_at_ms = now_ms;
        Due::Failed(given_up)
    }

    /// The question that was due has been asked.
    pub(super) fn asked(&mut self, timers: &Timers, now_ms: u64) {
        if let Phase::Incomplete { asked, .. } | Phase::Known { trust: Trust::Probe { asked }, .. } =
            &mut self.phase
        {
            *asked += 1;
        }
        self.asked_at_ms = Some(now_ms);
        self.deadline_ms = Some(now_ms + timers.retransmit_ms);
    }

    /// The question that was due has to wait.
    pub(super) const fn put_off(&mut self, until_ms: u64) {
        self.deadline_ms = Some(until_ms);
    }

    /// Whether it may be forgotten: `full`, to make room; else for its age.
    pub(super) fn is_forgettable(&self, timers: &Timers, full: bool, now_ms: u64) -> bool {
        let younger = |at_ms: u64, ms: u64| now_ms < at_ms + ms;
        match self.state() {
            State::Failed => true,
            State::Reachable | State::Stale => {
                let used = self.used_at_ms.is_some_and(|at_ms| younger(at_ms, timers.stale_ms));
                let age_ms = if full { YOUNG_MS } else { timers.stale_ms };
                let old = !younger(self.updated_at_ms, age_ms) && (full || self.state() == State::Stale);
                old && !used
            }
            State::Incomplete | State::Delay | State::Probe | State::Permanent => false,
        }
    }
}

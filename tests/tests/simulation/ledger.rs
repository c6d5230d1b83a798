//! Who forwards what: each frame that a host sends, judged by who heard it and who owns its talk.
//!
//! While the cluster stands, every frame that its owner has heard is forwarded by the owner, once, and by nobody else.
//! Whatever else happens is of a class that docs/cluster.md names, and is counted; the rest is an error.

use crate::gateway::{Heard, SILENCE_MS};
use crate::hosts::{Kind, Talk};
use crate::medium::{Frame, LATE_MAX_US};
use crate::once::Once;
use crate::plan::Plan;
use crate::tally::{Excuse, Tally};
use crate::world::Node;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use weir_dataplane::counters::Verdict;
use weir_dataplane::track::ConnState;

/// All that comes of a frame has been heard after this time.
const SETTLED_US: u64 = 3 * LATE_MAX_US;

/// Since when a node has owned flows without a break, by its own account.
pub(super) type Tenure = (u64, u64);

/// Whose each bucket is.
pub(super) type Owners = Vec<Option<usize>>;

/// How the cluster stands at a moment.
pub(super) struct Standing {
    /// Since when all that live agree on who lives and what is whose.
    pub(super) agreed_since_us: Option<u64>,
    /// Since when nobody has been wrong about who lives.
    pub(super) right_since_us: Option<u64>,
    /// A node that lives is dead to another one, or was, and a map has yet to settle whose each flow is.
    pub(super) parted: bool,
    /// Whose each bucket is, where all agree.
    pub(super) owners: Owners,
    pub(super) tenures: Vec<Option<Tenure>>,
}

/// What a node has heard of a talk.
#[derive(Clone, Copy)]
struct Ear {
    life: u64,
    /// It was learning when it heard of it first.
    learning: bool,
    /// Bit i: step i, from its sender or as somebody forwarded it.
    heard: u64,
    /// It has heard a step later than one that comes after it.
    disordered: bool,
    first: usize,
    last_us: u64,
}

/// A frame that a host has sent.
struct Sent {
    talk: u64,
    step: usize,
    at_us: u64,
    /// Who has heard it from its sender, and what each makes of it.
    made: Vec<Made>,
}

/// What a node makes of a frame.
struct Made {
    node: usize,
    /// As it was then.
    tenure: Option<Tenure>,
    state: Option<ConnState>,
    verdict: Verdict,
    /// It has sent it to another server than the talk is with.
    astray: bool,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let astray = if self.astray { " to another server" } else { "" };
        write!(f, "gw-{} {} {:?}{astray}", self.node, self.state.map_or("-", ConnState::name), self.verdict)
    }
}

impl Sent {
    /// The node, if it has not stopped serving by when it heard this.
    fn serving(&self, node: Option<(usize, Tenure)>, standing: &Standing) -> Option<usize> {
        let (node, since) = node?;
        let made = self.made.iter().find(|made| made.node == node);
        let tenure = made.map_or(standing.tenures[node], |made| made.tenure);
        (tenure == Some(since)).then_some(node)
    }

    fn is_heard_by(&self, node: usize) -> bool {
        self.made.iter().any(|made| made.node == node)
    }

    fn is_established(&self) -> bool {
        self.forwarded().all(|made| made.state == Some(ConnState::Established))
    }

    fn goes_astray_by(&self, node: usize) -> bool {
        self.made.iter().any(|made| made.node == node && made.astray)
    }

    fn forwarders(&self) -> Vec<usize> {
        self.forwarded().map(|made| made.node).collect()
    }

    fn forwarded(&self) -> impl Iterator<Item = &Made> {
        self.made.iter().filter(|made| matches!(made.verdict, Verdict::Forward(_)))
    }
}

/// Whose a talk is.
#[derive(Clone, Copy)]
struct Owned {
    begun_us: u64,
    /// Who has forwarded what its opener said last.
    asked: Option<(usize, Tenure)>,
    /// From the answer on.
    owner: Option<(usize, Tenure)>,
    /// It was heard of while it had no owner and nodes did not agree on one; or a map was to settle whose it is, and it
    /// was heard of, and forwarded by nobody, while the next one was under way.
    on_the_way: bool,
    /// It was heard of while some nodes were wrong about who lives, or had not agreed since; or it was silent while a
    /// node that lives was dead to another one, which has that one's flows in mind as inherited from then on, or before
    /// a map had settled whose they are.
    divided: bool,
}

/// The books.
pub(super) struct Ledger {
    pub(super) tally: Tally,
    pub(super) once: Once,
    gentle: bool,
    planned: bool,
    convergence_us: u64,
    /// The last transmissions, of which not all has been heard.
    sent: VecDeque<Sent>,
    /// Talk and step of each transmission, from number 1 on.
    said: Vec<(u64, usize)>,
    ears: BTreeMap<(u64, usize), Ear>,
    /// By talk and node, as in [`Ear`]: steps of which it has missed a sight.
    missed: BTreeMap<(u64, usize), u64>,
    owned: BTreeMap<u64, Owned>,
}

impl Ledger {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            tally: Tally::default(),
            once: Once::default(),
            gentle: !plan.partitions,
            planned: plan.planned,
            convergence_us: plan.settings.convergence_ms() * 1000,
            sent: VecDeque::new(),
            said: Vec::new(),
            ears: BTreeMap::new(),
            missed: BTreeMap::new(),
            owned: BTreeMap::new(),
        }
    }

    /// A host sends a step of a talk.
    pub(super) fn send(&mut self, talk: u64, step: usize, at_us: u64) -> u64 {
        self.said.push((talk, step));
        self.sent.push_back(Sent { talk, step, at_us, made: Vec::new() });
        self.owned.entry(talk).or_insert(Owned {
            begun_us: at_us,
            asked: None,
            owner: None,
            on_the_way: false,
            divided: false,
        });
        self.said.len() as u64
    }

    /// Talk and step of a transmission.
    pub(super) fn of(&self, transmission: u64) -> (u64, usize) {
        self.said[transmission as usize - 1]
    }

    /// A transmission of which not all has been heard.
    fn sent(&mut self, transmission: u64) -> Option<&mut Sent> {
        let settled = self.said.len() - self.sent.len();
        self.sent.get_mut((transmission as usize - 1).checked_sub(settled)?)
    }

    /// Whether something of a talk has not been judged.
    pub(super) fn concerns(&self, talk: u64) -> bool {
        self.sent.iter().any(|sent| sent.talk == talk)
    }

    /// Some nodes miss a frame.
    pub(super) fn misses(&mut self, nodes: &[usize], transmission: u64) {
        let (talk, step) = self.of(transmission);
        for node in nodes {
            *self.missed.entry((talk, *node)).or_default() |= bit(step);
        }
    }

    /// A node hears a frame of a talk, which it `forgets` when that is silent.
    pub(super) fn hears(&mut self, index: usize, node: &Node, frame: &Frame, forgets: bool, now_us: u64) {
        let (talk, step) = self.of(frame.transmission);
        let learning = node.coordinator.ownership().learning;
        let fresh =
            Ear { life: node.life(), learning, heard: 0, disordered: false, first: step, last_us: now_us };
        let ear = self.ears.entry((talk, index)).or_insert(fresh);
        if ear.life != node.life() || forgets && now_us - ear.last_us >= SILENCE_MS * 1000 {
            *ear = fresh;
        }
        ear.disordered |= ear.heard & bit(step) == 0 && ear.heard > bit(step);
        (ear.heard, ear.last_us) = (ear.heard | bit(step), now_us);
    }

    /// What a node makes of a frame.
    pub(super) fn makes(
        &mut self,
        node: usize,
        tenure: Option<Tenure>,
        frame: &Frame,
        (heard, astray): (&Heard, bool),
    ) -> Result<(), String> {
        let (talk, _) = self.of(frame.transmission);
        let &Heard { state, verdict, .. } = heard;
        if self.planned && frame.forwarder.is_none() {
            let known = state == Some(ConnState::Established) && !matches!(verdict, Verdict::Drop(_));
            let ear = &self.ears[&(talk, node)];
            let guesses = ear.learning || ear.life * 1000 > self.owned[&talk].begun_us;
            self.once.hears(frame.transmission, known, guesses, heard.forwarded.is_some());
        }
        match (frame.forwarder, self.sent(frame.transmission)) {
            (None, Some(sent)) => sent.made.push(Made { node, tenure, state, verdict, astray }),
            (Some(first), _) if heard.forwarded.is_some() => {
                return Err(format!("gw-{node} forwards what gw-{first} has forwarded of talk {talk}"));
            }
            _ => {}
        }
        Ok(())
    }

    /// What has become of a frame that a node has held.
    pub(super) fn releases(&mut self, node: usize, transmission: u64, verdict: Verdict) {
        if self.planned && matches!(verdict, Verdict::Forward(_)) {
            self.once.takes_over(transmission);
        }
        let made = self.sent(transmission).map(|sent| &mut sent.made);
        if let Some(made) = made.and_then(|made| made.iter_mut().find(|made| made.node == node)) {
            made.verdict = verdict;
        }
    }

    /// A talk is over, or one of its hosts has given up.
    pub(super) const fn ends(&mut self, given_up: bool) {
        self.tally.talks[given_up as usize] += 1;
    }

    /// Judges what has settled, and says so if it is to tell.
    pub(super) fn judge(
        &mut self,
        standing: &Standing,
        talks: &BTreeMap<u64, Talk>,
        nodes: &[Option<Node>],
        now_us: u64,
        tell: bool,
    ) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        if standing.parted {
            self.owned.values_mut().for_each(|owned| owned.divided = true);
        }
        let settled = |sent: &Sent| sent.at_us + SETTLED_US <= now_us;
        while self.sent.front().is_some_and(settled)
            && let Some(sent) = self.sent.pop_front()
        {
            let Some(talk) = talks.get(&sent.talk) else { continue };
            let line = |what: &str| {
                let Sent { step, at_us, made, .. } = &sent;
                format!("{:9.2} step {step} of {talk}: {made:?}: {what}", *at_us as f64 / 1000.0)
            };
            match self.judge_one(&sent, talk, standing) {
                Ok(what) if tell => told.push(line(&what)),
                Ok(_) => {}
                Err(broken) => {
                    let believes = |(i, node): (usize, &Option<Node>)| {
                        let node = node.as_ref()?;
                        let heard = self.ears.get(&(sent.talk, i)).map_or(0, |ear| ear.heard);
                        Some(format!(
                            "\n  gw-{i}, which has heard {heard:b}: {}",
                            node.gateway.beliefs(&talk.ends)
                        ))
                    };
                    let beliefs: String = nodes.iter().enumerate().filter_map(believes).collect();
                    return Err(line(&broken) + &beliefs);
                }
            }
        }
        Ok(told)
    }

    fn judge_one(&mut self, sent: &Sent, talk: &Talk, standing: &Standing) -> Result<String, String> {
        let agreed = standing.agreed_since_us.is_some_and(|since| since <= sent.at_us);
        let original = talk.is_original(sent.step);
        let owned = self.owned.get_mut(&sent.talk).unwrap();
        owned.divided |= !self.gentle && !agreed;
        let kept = if original { owned.owner } else { owned.owner.or(owned.asked) };
        let kept = sent.serving(kept, standing);
        let owner = kept.or_else(|| standing.owners[talk.bucket].filter(|_| agreed));
        let forwarders = sent.forwarders();
        let right = standing.right_since_us.is_some_and(|since| since <= sent.at_us);
        let lost = |(owner, _)| forwarders.is_empty() && sent.is_heard_by(owner);
        owned.on_the_way |= owned.divided && right && !agreed && owned.owner.is_some_and(lost);
        let lenient =
            talk.is_served && owner.is_some_and(|owner| self.excuse_of(owner, sent, talk).is_some());
        let tally = &mut self.tally;
        let verdict = match (owner, forwarders.as_slice()) {
            (None, _) => {
                tally.changing += 1;
                Ok("nodes do not agree".into())
            }
            (Some(_), []) if sent.made.iter().any(|made| made.verdict == Verdict::Hold) => {
                tally.changing += 1;
                Ok("its owner has left, and its heirs have yet to hear what it forwarded".into())
            }
            (Some(owner), [one]) if *one == owner && !sent.goes_astray_by(owner) => {
                tally.once += 1;
                // A connection goes on as what it was, whoever goes on with it.
                let stands = talk.kind != Kind::Tcp || sent.step < 3 || sent.is_established();
                let stands = stands || lenient || self.ears[&(talk.id, *one)].learning;
                if stands { Ok("once".into()) } else { Err("it was ESTABLISHED".into()) }
            }
            (Some(owner), []) if !sent.is_heard_by(owner) => {
                tally.missed += 1;
                Ok("missed by its owner".into())
            }
            (Some(owner), _) => match self.excuse(sent, talk, owner, standing) {
                Some(excuse) => {
                    *self.tally.excused.entry(excuse).or_default() += 1;
                    Ok(format!("it is gw-{owner}'s: {excuse:?}"))
                }
                None => Err(format!("it is gw-{owner}'s")),
            },
        };
        self.note_owner(sent, talk, owner, standing, agreed);
        verdict
    }

    /// From its first answer on a talk has an owner, and from his end on an heir.
    fn note_owner(
        &mut self,
        sent: &Sent,
        talk: &Talk,
        expected: Option<usize>,
        standing: &Standing,
        agreed: bool,
    ) {
        let one = self.right_one(sent, talk, expected);
        let owned = self.owned.get_mut(&sent.talk).unwrap();
        if talk.is_original(sent.step) {
            owned.asked = one.or(owned.asked);
        } else if owned.owner.is_none() && !sent.made.is_empty() {
            // Who hears the answer knows whose the talk is, even where its owner misses it.
            owned.owner = owned.asked.filter(|asked| sent.serving(Some(*asked), standing).is_some()).or(one);
            // Or that whose it was has ended, and its heir is not known yet.
            owned.on_the_way |= owned.owner.is_none() && owned.asked.is_some() && !agreed;
        }
        if owned.owner.is_none() || sent.serving(owned.owner, standing).is_some() || sent.made.is_empty() {
            return;
        }
        owned.on_the_way |= !agreed;
        let heir = standing.owners[talk.bucket].filter(|_| agreed);
        let heir = heir.and_then(|heir| Some((heir, standing.tenures[heir]?)));
        if let Some(heir) = one.or(heir) {
            self.tally.inherited += 1;
            owned.owner = Some(heir);
        }
    }

    /// Who has forwarded a frame and is not wrong to have done so.
    fn right_one(&self, sent: &Sent, talk: &Talk, expected: Option<usize>) -> Option<(usize, Tenure)> {
        let alone = sent.forwarded().count() == 1;
        let is_right = |made: &&Made| {
            Some(made.node) == expected
                || alone && expected.is_none()
                || self.excuse_of(made.node, sent, talk).is_none()
        };
        let right: Vec<&Made> = sent.forwarded().filter(is_right).collect();
        match right[..] {
            [one] => one.tenure.map(|tenure| (one.node, tenure)),
            _ => None,
        }
    }

    /// Why it is so; `None`: for no good reason.
    fn excuse(&self, sent: &Sent, talk: &Talk, owner: usize, standing: &Standing) -> Option<Excuse> {
        let forwarders = sent.forwarders();
        let silent = Some(owner).filter(|owner| !forwarders.contains(owner) && sent.is_heard_by(*owner));
        let wrong: Vec<usize> = forwarders
            .into_iter()
            .filter(|one| *one != owner || sent.goes_astray_by(*one))
            .chain(silent)
            .collect();
        let excuse_of = |node: &usize| self.excuse_of(*node, sent, talk);
        let excuses: Option<Vec<Excuse>> = wrong.iter().map(excuse_of).collect();
        let owned = &self.owned[&talk.id];
        let missed = |node: &usize| self.missed.contains_key(&(talk.id, *node));
        let lately = standing.right_since_us.is_none_or(|since| sent.at_us < since + 2 * self.convergence_us);
        // Each of two owners has given it to a server.
        let astray = wrong.iter().any(|node| sent.goes_astray_by(*node));
        let apart = owned.divided && (lately || astray || wrong.iter().any(missed));
        let of_all = [(Excuse::Apart, apart), (Excuse::OnTheWay, owned.on_the_way)];
        let of_all = of_all.into_iter().find(|(_, is_so)| *is_so).map(|(excuse, _)| excuse);
        excuses.and_then(|excuses| excuses.first().copied()).or(of_all)
    }

    /// Why this node may be wrong about a talk.
    fn excuse_of(&self, node: usize, sent: &Sent, talk: &Talk) -> Option<Excuse> {
        let ear = self.ears.get(&(talk.id, node))?;
        let missed = self.missed.get(&(talk.id, node)).copied().unwrap_or(0);
        let unanswered = (0..sent.step)
            .any(|step| !talk.is_original(step) && (missed & bit(step) != 0 || ear.heard & bit(step) == 0));
        let late = ear.life * 1000 > self.owned[&talk.id].begun_us;
        let opening = match talk.kind {
            // And what a segment acknowledges, until that is sent again.
            Kind::Tcp => (bit(3) - 1) | bit(sent.step.saturating_sub(1)),
            Kind::Udp | Kind::Ping => bit(0),
            Kind::Ftp => u64::MAX,
        };
        let because = [
            (Excuse::Guessed, ear.learning),
            (Excuse::Silent, late),
            (Excuse::Mistaken, !talk.is_original(ear.first) && !talk.ports_tell),
            (Excuse::Unknown, missed & opening != 0 || ear.disordered),
            (Excuse::Unanswered, talk.is_datagrams() && unanswered || sent.step < 3 && ear.heard & 0b10 == 0),
        ];
        because.into_iter().find(|(_, is_so)| *is_so).map(|(excuse, _)| excuse)
    }
}

/// A step's, of the first ones.
const fn bit(step: usize) -> u64 {
    1 << if step < 63 { step } else { 63 }
}

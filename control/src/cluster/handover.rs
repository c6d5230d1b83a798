//! A planned leave without a lost frame: when a node may go, and when the others go on with its flows.
//!
//! A node that is to leave **announces** it and notes what it forwards from before then. The others **hold** what they
//! hear of its flows, and say so. When all have, it leaves and **tells** what it has forwarded; until they have heard
//! that it owns its flows for them, though it does not. Whoever is silent is waited for no longer than
//! [`Settings::answer_ms`]; then a leave is as it is without all this: what comes meanwhile is lost, and nothing comes
//! twice. One node hands over at a time, the first by name first.

use super::company::{Company, Life, shares};
use super::coordinator::Coordinator;
use super::history::{Happened, History};
use super::member::{Member, MemberError, NodeName, State};
use super::settings::Settings;
use super::view::View;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What a node publishes of its leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// It is to leave, and notes what it forwards.
    Announced,
    /// It has left: the digests of what it forwarded since. `None`: that is more than can be told, or not known in full.
    Done(Option<Arc<[u64]>>),
}

const ANNOUNCED: &str = "announced";
const TOO_MANY: &str = "too_many";
const DONE: &str = "done:";
/// Times [`Settings::answer_ms`] after which a leaver that announces still cannot be heard any more: it waits one less.
const LEAVE_MAX: u64 = 4;
/// Hexadecimal digits of a digest.
const DIGITS: usize = 16;

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announced => f.write_str(ANNOUNCED),
            Self::Done(None) => f.write_str(TOO_MANY),
            Self::Done(Some(digests)) => {
                f.write_str(DONE)?;
                digests.iter().try_for_each(|digest| write!(f, "{digest:016x}"))
            }
        }
    }
}

impl FromStr for Handover {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let wrong = || MemberError::Value { key: "handover", text: text.chars().take(40).collect() };
        if let Some(digits) = text.strip_prefix(DONE) {
            let digest = |digits: &[u8]| {
                let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == DIGITS)?;
                u64::from_str_radix(digits, 16).ok()
            };
            let digests: Option<Arc<[u64]>> = digits.as_bytes().chunks(DIGITS).map(digest).collect();
            return digests.map(|digests| Self::Done(Some(digests))).ok_or_else(wrong);
        }
        match text {
            ANNOUNCED => Ok(Self::Announced),
            TOO_MANY => Ok(Self::Done(None)),
            _ => Err(wrong()),
        }
    }
}

/// What workers are to do before the node is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Duty {
    /// Nothing more than always.
    #[default]
    None,
    /// Note what they forward: this node is to leave.
    Note,
    /// Hold the frames of this node's flows.
    Hold(NodeName),
}

/// A node's part in leaves, its own and those of others.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// Since when this node would leave if nobody had to hold anything.
    due_since_ms: Option<u64>,
    announced_ms: Option<u64>,
    told: Option<Handover>,
    left_ms: u64,
    leaver: Option<Leaver>,
    /// It has announced its leave for longer than that may take.
    given_up: Option<Life>,
    inheritance: Option<Arc<[u64]>>,
}

/// Another node whose flows are held.
#[derive(Debug)]
struct Leaver {
    /// As it last served.
    member: Member,
    since_ms: u64,
    /// When it was heard that it has left.
    left_ms: Option<u64>,
}

impl Passing {
    /// What workers are to do.
    pub(super) fn duty(&self) -> Duty {
        match (&self.leaver, self.announced_ms) {
            (Some(leaver), _) => Duty::Hold(leaver.member.name.clone()),
            (None, Some(_)) => Duty::Note,
            (None, None) => Duty::None,
        }
    }

    /// What a node in this state publishes of its own leave.
    pub(super) fn own(&self, state: State) -> Option<Handover> {
        match self.announced_ms {
            Some(_) => Some(Handover::Announced),
            None => self.told.clone().filter(|_| state == State::Leaving),
        }
    }

    /// Whose frames are held here.
    pub(super) fn holds_for(&self) -> Option<Life> {
        self.leaver.as_ref().map(|leaver| life_of(&leaver.member))
    }

    /// What a leaver has forwarded, once.
    pub(super) fn take_inheritance(&mut self) -> Option<Arc<[u64]>> {
        self.inheritance.take()
    }

    /// This node has left, and has forwarded this since it announced that.
    pub(super) fn tell(&mut self, digests: Option<Arc<[u64]>>) {
        self.told = Some(Handover::Done(digests));
    }

    /// This node leaves; it has yet to tell what it has forwarded.
    pub(super) fn leave(&mut self, now_ms: u64) {
        (self.due_since_ms, self.announced_ms, self.told) = (None, None, None);
        self.left_ms = now_ms;
    }

    /// Whether this node, if it has `drained`, may leave now.
    pub(super) fn may_leave(
        &mut self,
        drained: bool,
        company: &Company<'_>,
        settings: &Settings,
        now_ms: u64,
    ) -> bool {
        if !drained {
            (self.due_since_ms, self.announced_ms) = (None, None);
            return false;
        }
        if !settings.hand_over || company.other_servers().next().is_none() {
            return true;
        }
        let due_ms = *self.due_since_ms.get_or_insert(now_ms);
        // There may be others that leave before this one.
        if now_ms.saturating_sub(due_ms) >= (LEAVE_MAX - 1) * settings.answer_ms {
            return true;
        }
        let me = company.me();
        let is_first = !company.other_servers().any(|other| announces(other) && other.name < me.name);
        // What this node inherits is taken first.
        let is_free = self.leaver.is_none() && self.inheritance.is_none();
        let holds = |other: &Member| {
            other.holds_for.as_ref().is_some_and(|(name, life)| *name == me.name && *life == me.incarnation)
        };
        // Who still holds for an announcement that was taken back would take that for this one.
        if self.announced_ms.is_none() && is_free && is_first && !company.other_servers().any(holds) {
            self.announced_ms = Some(now_ms);
        }
        self.announced_ms.is_some_and(|since_ms| {
            now_ms.saturating_sub(since_ms) >= settings.answer_ms || company.other_servers().all(holds)
        })
    }

    /// Looks who leaves. What a leaver owned it goes on to own in the view until it has told what it has forwarded.
    pub(super) fn look<'a>(
        &mut self,
        view: Cow<'a, View>,
        me: &Member,
        settings: &Settings,
        history: &mut History,
        now_ms: u64,
    ) -> Cow<'a, View> {
        if !settings.hand_over {
            return view;
        }
        // Who has not heard it by now waits for it no more.
        if now_ms.saturating_sub(self.left_ms) >= 2 * settings.answer_ms {
            self.told = None;
        }
        if self.leaver.is_none()
            && let Some(next) = self.next_leaver(&view, me)
        {
            (self.announced_ms, self.inheritance) = (None, None);
            self.leaver = Some(Leaver { member: next.clone(), since_ms: now_ms, left_ms: None });
        }
        let Some(leaver) = &mut self.leaver else { return view };
        let name = leaver.member.name.clone();
        let before = leaver.member.incarnation.0;
        let peer = view.peers.get(&name).filter(|peer| peer.liveness.lives()).map(|peer| &peer.member);
        match peer {
            Some(member) if announces(member) && member.incarnation.0 == before => {
                if now_ms.saturating_sub(leaver.since_ms) < LEAVE_MAX * settings.answer_ms {
                    leaver.member = member.clone();
                    return view;
                }
                self.given_up = Some(life_of(member));
            }
            Some(member) if member.state == State::Leaving && member.incarnation.0 == before + 1 => {
                let since_ms = *leaver.left_ms.get_or_insert(now_ms);
                match &member.handover {
                    Some(Handover::Done(digests)) => {
                        history.note(now_ms, Happened::HandedOver { node: name, told: digests.is_some() });
                        self.inheritance.clone_from(digests);
                    }
                    _ if now_ms.saturating_sub(since_ms) >= settings.answer_ms => {
                        history.note(now_ms, Happened::HandedOver { node: name, told: false });
                    }
                    _ => return serving(view, leaver),
                }
            }
            // It is dead, has changed its mind, or has lost what it had.
            _ => {}
        }
        self.leaver = None;
        view
    }
}

impl Passing {
    /// Whose frames are to be held next, if this node serves: the first by name of those that announce their leave, and it
    /// goes before this node's own.
    fn next_leaver<'a>(&mut self, view: &'a View, me: &Member) -> Option<&'a Member> {
        let living = view.peers.values().filter(|peer| peer.liveness.lives()).map(|peer| &peer.member);
        let leaves = |other: &&Member| other.name != me.name && shares(other, me) && announces(other);
        let mut leavers = living.filter(leaves);
        // Who has changed its mind may announce anew.
        self.given_up.take_if(|given_up| !leavers.clone().any(|other| life_of(other) == *given_up));
        let is_given_up = |other: &Member| self.given_up.as_ref() == Some(&life_of(other));
        let is_next =
            |other: &&Member| !is_given_up(other) && (self.announced_ms.is_none() || other.name < me.name);
        leavers.find(is_next).filter(|_| me.state.serves())
    }
}

fn life_of(member: &Member) -> Life {
    (member.name.clone(), member.incarnation)
}

fn announces(member: &Member) -> bool {
    member.state.serves() && member.handover == Some(Handover::Announced)
}

/// The view as it is while the leaver serves.
fn serving<'a>(view: Cow<'a, View>, leaver: &Leaver) -> Cow<'a, View> {
    let mut view = view.into_owned();
    if let Some(peer) = view.peers.get_mut(&leaver.member.name) {
        peer.member = leaver.member.clone();
    }
    Cow::Owned(view)
}

impl Coordinator {
    /// What workers are to do for a hand-over before the member is published.
    pub fn duty(&self) -> Duty {
        self.passing.duty()
    }

    /// What another node has forwarded of the flows that are inherited with this ownership; once.
    pub fn take_inheritance(&mut self) -> Option<Arc<[u64]>> {
        self.passing.take_inheritance()
    }

    /// Takes in what this node has forwarded since it announced its leave, when its workers have stopped to own
    /// anything. `None`: more than can be told, or a worker began to note too late.
    pub fn hand_over(&mut self, digests: Option<Arc<[u64]>>) {
        self.passing.tell(digests);
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_tells_survives_its_text() {
        let digests: Arc<[u64]> = [0, 7, u64::MAX].into();
        for told in [
            Handover::Announced,
            Handover::Done(None),
            Handover::Done(Some([].into())),
            Handover::Done(Some(digests)),
        ] {
            assert_eq!(told.to_string().parse(), Ok(told));
        }
        for wrong in ["done", "done:1", "done:000000000000000g", "done:00000000000000001", "gone"] {
            assert!(wrong.parse::<Handover>().is_err(), "{wrong}");
        }
    }
}

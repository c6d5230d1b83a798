//! Hearing: what others say of themselves, and what they ask of us.

use super::action::{Action, At, Neighbour};
use super::alarm::Alarm;
use super::counters::Ignored;
use super::entry::{Claim, Entry};
use super::link::Link;
use super::message::{Kind, Message, Weight};
use super::{Neighbours, speech};
use std::net::IpAddr;
use weir_dataplane::units::InterfaceId;
use weir_dataplane::wire::MacAddr;

/// An address of ours is defended against another claim this often at most (RFC 5227 2.4, `DEFEND_INTERVAL`).
const DEFEND_INTERVAL_MS: u64 = 10_000;

/// So many claims of another MAC address for one neighbour...
const RIVAL_CLAIMS: u32 = 3;
/// ...within this time are more than a move.
const RIVAL_SPAN_MS: u64 = 60_000;

/// So many questions to all for one address of ours, each answered...
const REFUSAL_QUESTIONS: u32 = 5;
/// ...within this time are those of a neighbour that does not believe the answer.
const REFUSAL_SPAN_MS: u64 = 30_000;

/// A message on an interface, at a time.
#[derive(Clone, Copy)]
struct Heard<'a> {
    interface: InterfaceId,
    link: &'a Link,
    message: &'a Message,
    now_ms: u64,
}

impl Heard<'_> {
    const fn at(&self, address: IpAddr) -> At {
        At { interface: self.interface, address }
    }
}

impl<P: AsRef<[u8]>> Neighbours<P> {
    /// A frame with ARP or neighbour discovery has come in by an interface, with its VLAN tag or without.
    ///
    /// `owns` says whether this node is the one to answer whoever has this address; of all nodes of a cluster it is
    /// true on one. It is not asked for addresses that are this node's alone.
    pub fn heard(
        &mut self,
        interface: InterfaceId,
        frame: &[u8],
        owns: impl Fn(IpAddr) -> bool,
        now_ms: u64,
    ) {
        self.counters.heard += 1;
        match self.hear(interface, frame, &owns, now_ms) {
            Ok(()) => self.counters.accepted += 1,
            Err(ignored) => self.counters.ignored[ignored as usize] += 1,
        }
        self.tick(now_ms);
    }

    fn hear(
        &mut self,
        interface: InterfaceId,
        frame: &[u8],
        owns: &impl Fn(IpAddr) -> bool,
        now_ms: u64,
    ) -> Result<(), Ignored> {
        let link = self.link(interface).ok_or(Ignored::Interface)?;
        let message = Message::parse(frame)?;
        let heard = Heard { interface, link: &link, message: &message, now_ms };
        self.judge(heard, owns)?;
        match (message.kind, message.speaker) {
            (Kind::Question { target }, _) if link.has(target) => {
                let learned = self.learn_asker(heard, Weight::Strong);
                self.answer(heard, target, owns);
                learned
            }
            // Who asks others in ARP may be at another place than we think (RFC 826).
            (Kind::Question { target: IpAddr::V4(_) }, Some(asker))
                if self.table.find(heard.at(asker)).is_some() =>
            {
                self.learn_asker(heard, Weight::First)
            }
            (Kind::Question { .. }, _) => Err(Ignored::Unasked),
            (Kind::Answer { told, weight }, Some(speaker)) => self.learn_answer(heard, speaker, told, weight),
            (Kind::Answer { .. }, None) => Err(Ignored::Address),
        }
    }

    /// Whether the speaker can be a neighbour at all.
    fn judge(&mut self, heard: Heard<'_>, owns: &impl Fn(IpAddr) -> bool) -> Result<(), Ignored> {
        let Heard { link, message, .. } = heard;
        let mac = message.mac.unwrap_or(message.source);
        if let Some(ours) = message.speaker.filter(|speaker| link.has(*speaker)) {
            if mac == link.announced_as(ours) {
                return Err(Ignored::Cluster);
            }
            self.contest(heard.at(ours), mac, link.is_management(ours) || owns(ours), heard.now_ms);
            return Err(Ignored::Conflict);
        }
        if mac.is_group() || mac == MacAddr::default() {
            return Err(Ignored::GroupMac);
        }
        if link.goes_by(mac) {
            return Err(Ignored::OurMac);
        }
        // A router outside of our networks, but asked for, is none of the strangers.
        let stranger = |speaker| !link.may_have(speaker) && self.table.find(heard.at(speaker)).is_none();
        if message.speaker.is_some_and(stranger) { Err(Ignored::Foreign) } else { Ok(()) }
    }

    /// Somebody claims an address of ours: its owner says again whose it is, and the operator has to know.
    fn contest(&mut self, at: At, mac: MacAddr, owned: bool, now_ms: u64) {
        let contest = self.contested.entry(at).or_default();
        if contest.claims.happened(1, DEFEND_INTERVAL_MS, now_ms) {
            self.actions.push_back(Action::Alarm(Alarm::Conflict { at, mac }));
        }
        let defended = contest.defended_at_ms.is_some_and(|at_ms| now_ms < at_ms + DEFEND_INTERVAL_MS);
        if !defended && owned {
            contest.defended_at_ms = Some(now_ms);
            self.announce_one(at);
        }
    }

    /// Who asks says where it is itself, but for one that asks whether an address is free.
    fn learn_asker(&mut self, heard: Heard<'_>, weight: Weight) -> Result<(), Ignored> {
        let (Some(asker), Some(mac)) = (heard.message.speaker, heard.message.mac) else { return Ok(()) };
        self.learn(heard, asker, Claim { mac: Some(mac), solicited: false, weight })
    }

    fn learn_answer(
        &mut self,
        heard: Heard<'_>,
        speaker: IpAddr,
        told: Option<IpAddr>,
        weight: Weight,
    ) -> Result<(), Ignored> {
        let Heard { link, message, .. } = heard;
        let told = told.filter(|told| link.has(*told) && link.goes_by(message.destination));
        let known = self.table.find(heard.at(speaker));
        // What we have not asked for another node of the cluster has, and the answer came to all of us.
        let solicited =
            told.is_some_and(|told| link.is_shared(told) || known.is_some_and(|entry| entry.is_asked()));
        if known.is_none() && !solicited {
            return Err(Ignored::Unasked);
        }
        self.learn(heard, speaker, Claim { mac: message.mac, solicited, weight })
    }

    /// Takes a claim to heart. A neighbour that is not known yet is remembered while there is plenty of room.
    fn learn(&mut self, heard: Heard<'_>, speaker: IpAddr, claim: Claim) -> Result<(), Ignored> {
        let (at, now_ms) = (heard.at(speaker), heard.now_ms);
        let known = self.table.find(at);
        // Some honest stations send from another address than they announce; what they answer is believed.
        let asked = known.is_some_and(|entry| entry.is_asked());
        let news = claim.mac.is_some_and(|mac| known.and_then(Entry::mac) != Some(mac));
        if news && !asked && claim.mac != Some(heard.message.source) {
            return Err(Ignored::Disagrees);
        }
        if known.is_none() {
            let limit = self.config.limits.gc_thresh2;
            claim.mac.ok_or(Ignored::NoMac)?;
            if !self.admit(at, Entry::unasked(now_ms), limit, now_ms) {
                return Err(Ignored::TableFull);
            }
        }
        let (timers, reachable_ms) = (self.config.timers, self.reachable_ms());
        let learned = self.table.update(at, |entry| entry.claimed(claim, &timers, reachable_ms, now_ms));
        let learned = learned.ok_or(Ignored::Unasked)??;
        if let Some(mac) = claim.mac {
            learned.released.into_iter().for_each(|packet| self.release(Neighbour { at, mac }, packet));
            if let Some(other) = learned.rival_of {
                self.watch_rivals(at, [other, mac], now_ms);
            }
        }
        Ok(())
    }

    fn watch_rivals(&mut self, at: At, macs: [MacAddr; 2], now_ms: u64) {
        let often = |entry: &mut Entry<P>| entry.rivals.happened(RIVAL_CLAIMS, RIVAL_SPAN_MS, now_ms);
        if self.table.update(at, often) == Some(true) {
            self.actions.push_back(Action::Alarm(Alarm::Rivals { at, macs }));
        }
    }

    /// Answers, if that is this node's part. One that asks whether our address is free has none to be owned by: the
    /// owner of the address answers it.
    fn answer(&mut self, heard: Heard<'_>, target: IpAddr, owns: &impl Fn(IpAddr) -> bool) {
        let Heard { interface, link, message, .. } = heard;
        if !link.is_management(target) && !owns(message.speaker.unwrap_or(target)) {
            return;
        }
        if let Some(frame) = speech::answer(link, message, target) {
            self.counters.answers += 1;
            self.send(interface, frame);
        }
        self.watch_refusal(heard, target);
    }

    /// Who has believed an answer asks the one that it knows, not all.
    fn watch_refusal(&mut self, heard: Heard<'_>, target: IpAddr) {
        let Heard { link, message, now_ms, .. } = heard;
        let mac = link.announced_as(target);
        let to_all = message.destination.is_group() && message.destination != mac;
        let Some(at) = message.speaker.map(|asker| heard.at(asker)).filter(|_| to_all && mac.is_group())
        else {
            return;
        };
        let often =
            |entry: &mut Entry<P>| entry.questions.happened(REFUSAL_QUESTIONS, REFUSAL_SPAN_MS, now_ms);
        if self.table.update(at, often) == Some(true) {
            self.actions.push_back(Action::Alarm(Alarm::RefusesGroupMac { at, address: target, mac }));
        }
    }
}

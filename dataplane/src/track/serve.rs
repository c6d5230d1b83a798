//! Flows that a server is given: which one, and what it carries.
//!
//! The tracker does not choose. It says which flow waits for a choice ([`Tracker::take_pending`]), is told the outcome,
//! and keeps it with the flow; and it counts what each server carries, as IPVS does.

use super::answer::class_of_served;
use super::flow::{Touch, reclass};
use super::record::{Cold, Detail, Flags, Hot, Origin, Steering};
use super::served::{Sight, State};
use super::table::RecordId;
use super::{End, Owners, Packet, Tracker, tcp};
use crate::config;
use crate::counters::{Cell, DropReason, FlowClass, FlowProtocol, ServerCells, WorkerCounters};
use crate::key::FlowKey;
use crate::parse::{Parsed, Transport};
use crate::tally::{Activity, Counts, Tallies};
use crate::units::{Direction, Mark, ServerId, ServiceId, Span, Tick};
use crate::wire::Tcp;

/// How long a flow of datagrams to a server lives without another one: IPVS's.
pub(super) const DATAGRAM_TIMEOUT: Span = match Span::from_s(300) {
    Some(span) => span,
    None => Span::MAX,
};

impl Tracker {
    /// What this worker counts.
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// What each server carries.
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Servers are configured so.
    pub(crate) fn know_servers(&mut self, servers: &[config::service::Server]) {
        servers.iter().for_each(|server| self.tallies.set(server));
    }

    /// What the other workers' connections to a server come to.
    pub(crate) fn hear_counts(&mut self, server: ServerId, others: Counts) {
        self.tallies.hear(server, others);
    }

    /// The flow of the packet that was tracked last, if it waits to be told who takes it: it is new, or nobody has
    /// chosen yet.
    #[inline]
    pub fn take_pending(&mut self) -> Option<RecordId> {
        self.pending.take()
    }

    /// A flow and its mark.
    pub fn mark(&mut self, record: RecordId, mark: Mark) {
        self.table.hot_mut(record).mark = mark;
    }

    /// The server of the flow that announced this one.
    #[inline]
    pub fn server_of_master(&self, record: RecordId) -> Option<ServerId> {
        self.server_of(self.table.extra(record)?.master.as_ref()?)
    }

    #[inline(never)]
    fn server_of(&self, master: &Origin) -> Option<ServerId> {
        self.table.cold(self.table.find_key(&master.key)?).steering.server()
    }

    /// A flow is this service's, and this node is not the one to choose.
    pub fn leave_open(&mut self, record: RecordId, service: ServiceId, now: Tick) {
        self.follow_alone(record, now);
        self.table.lines_mut(record).1.steering = Steering::of(service);
    }

    /// Another node has given a flow to a server. It counts there, until this node inherits it.
    pub fn learn(&mut self, record: RecordId, server: ServerId, now: Tick) {
        self.follow_alone(record, now);
        self.table.lines_mut(record).1.steering = Steering::learned(server);
        self.counters.server(server).shadows.add(1);
    }

    /// A server has answered: the flow is its, whichever one it was given to.
    pub fn settle(&mut self, record: RecordId, server: ServerId, is_ours: bool, now: Tick) {
        self.unbind(record);
        if is_ours {
            self.bind(record, server, now);
        } else {
            self.learn(record, server, now);
        }
    }

    /// Who takes a flow.
    pub fn steering(&self, record: RecordId) -> Steering {
        self.table.cold(record).steering
    }

    /// The flow that a packet belongs to which another node has forwarded, if this node wonders to whom.
    pub fn wondered_at<O: Owners>(&self, parsed: &Parsed, owners: &O) -> Option<(RecordId, ServiceId)> {
        if parsed.key == FlowKey::NONE {
            return None;
        }
        let record = self.table.find_key(&parsed.key)?;
        let hot = self.table.hot(record);
        let is_settled = hot.class.kind() != FlowProtocol::Tcp || is_settled(hot);
        let is_meant = parsed.side == hot.origin() && is_settled && !owners.is_me(hot.owner);
        let service = self.steering(record).service().filter(|_| is_meant)?;
        Some((record, service))
    }

    /// A flow is no service's, or no longer. Of an association that a server had nothing is known that it could be followed
    /// by: it ends, and what comes next of it begins one anew.
    pub fn route(&mut self, record: RecordId, now: Tick) {
        let (hot, cold) = self.table.lines_mut(record);
        let before = core::mem::replace(&mut cold.steering, Steering::ROUTE);
        if before != Steering::ROUTE
            && hot.class.kind() == FlowProtocol::Sctp
            && matches!(cold.detail, Detail::None)
        {
            self.end(record, End::Closed, now);
        }
    }

    /// A server takes a flow.
    pub fn bind(&mut self, record: RecordId, server: ServerId, now: Tick) {
        self.follow_alone(record, now);
        let (hot, cold) = self.table.lines_mut(record);
        cold.steering = Steering::to(server);
        hot.flags.clear(Flags::ASKED_AGAIN);
        let activity = activity(hot, cold);
        self.tallies.bind(server, activity);
    }

    /// A server has opened a flow from an address that others have as well, and it is not known which one: that is asked
    /// with its next packet.
    pub fn seek_opener(&mut self, record: RecordId) -> Steering {
        self.table.lines_mut(record).1.steering = Steering::OPEN;
        Steering::OPEN
    }

    /// A server has opened a flow from an address that others have as well; `ours`: this node forwards it.
    pub fn bind_opener(&mut self, record: RecordId, server: ServerId, ours: bool) -> Steering {
        let steering = if ours { Steering::from(server) } else { Steering::overheard_from(server) };
        self.table.lines_mut(record).1.steering = steering;
        self.opened_by(server, steering).add(1);
        steering
    }

    /// Where flows that a server has opened count.
    fn opened_by(&self, server: ServerId, steering: Steering) -> &Cell {
        let cells = self.counters.server(server);
        if steering.opened().is_some() { &cells.opened } else { &cells.shadows }
    }

    /// No server can take a flow: it ends.
    pub fn refuse(&mut self, record: RecordId, now: Tick) {
        self.end(record, End::Closed, now);
    }

    /// There is no way for what opens a flow: it is not kept, as in Linux, and what comes next of it is asked about anew.
    #[cold]
    pub fn give_up(&mut self, key: &FlowKey, now: Tick) {
        if let Some(record) = self.table.find_key(key) {
            self.end(record, End::Closed, now);
        }
    }

    /// A flow that is given to a server is followed by what its client says, since the server's answers need not pass
    /// here.
    #[inline(always)]
    fn follow_alone(&mut self, record: RecordId, now: Tick) {
        let (hot, cold) = self.table.lines_mut(record);
        match (hot.class, &cold.detail) {
            (_, Detail::Served(_)) => {}
            (FlowClass::TcpSynSent, _) => self.follow_from(record, State::SynRecv, now),
            _ => self.follow_later(record, now),
        }
    }

    /// The same of what is no new connection.
    #[inline(never)]
    fn follow_later(&mut self, record: RecordId, now: Tick) {
        let (hot, cold) = self.table.lines_mut(record);
        match hot.class.kind() {
            FlowProtocol::Tcp => self.follow_from(record, State::Established, now),
            FlowProtocol::Sctp => {
                cold.detail = Detail::None;
                self.table.set_deadline(record, now.after(DATAGRAM_TIMEOUT));
            }
            _ => {}
        }
    }

    #[inline(always)]
    fn follow_from(&mut self, record: RecordId, state: State, now: Tick) {
        let (hot, cold) = self.table.lines_mut(record);
        cold.detail = Detail::Served(state);
        reclass(hot, class_of_served(state), &self.counters);
        self.table.set_deadline(record, now.after(state.timeout()));
    }

    /// A flow loses its server, because the server is dead or the flow ends.
    #[inline]
    pub(super) fn unbind(&mut self, record: RecordId) {
        let steering = self.table.cold(record).steering;
        if let Some(server) = steering.server() {
            self.unbind_from(server, record);
        } else if let Some(server) = steering.opener() {
            self.opened_by(server, steering).sub(1);
        }
    }

    #[inline(never)]
    fn unbind_from(&mut self, server: ServerId, record: RecordId) {
        let (hot, cold) = self.table.lines_mut(record);
        let (activity, was_learned) = (activity(hot, cold), cold.steering.is_learned());
        cold.steering = Steering::OPEN;
        if was_learned {
            self.counters.server(server).shadows.sub(1);
            return;
        }
        self.tallies.unbind(server, activity);
    }

    /// A flow becomes this node's, or another's: with it goes what its server carries for this node.
    pub(super) fn change_hands(&mut self, record: RecordId, was_ours: bool, is_ours: bool) {
        let steering = self.table.cold(record).steering;
        if was_ours == is_ours {
            return;
        }
        if let Some(server) = steering.opener() {
            self.opened_by(server, steering).sub(1);
            self.bind_opener(record, server, is_ours);
            return;
        }
        let Some(server) = steering.server() else { return };
        let (hot, cold) = self.table.lines_mut(record);
        let (activity, shadows) = (activity(hot, cold), &self.counters.server(server).shadows);
        if is_ours {
            cold.steering = Steering::to(server);
            shadows.sub(1);
            return self.tallies.bind(server, activity);
        }
        self.tallies.unbind(server, activity);
        // Until its server has answered, the new owner may choose another one.
        cold.steering = if is_settled(hot) {
            shadows.add(1);
            Steering::learned(server)
        } else {
            Steering::OPEN
        };
    }

    /// A packet of a flow whose server is dead begins the choice anew, where its flow can begin anew elsewhere: a
    /// datagram, or a SYN.
    #[inline]
    pub(super) fn leave_the_dead<O: Owners>(&mut self, packet: &Packet<'_>, record: RecordId, owners: &O) {
        let Some(server) = self.table.cold(record).steering.server() else { return };
        if owners.is_dead(server) && may_begin_anew(packet) {
            self.unbind(record);
        }
    }

    /// A segment of a flow that a server was given, as IPVS sees it. `Err(None)`: the flow has ended, and the segment
    /// begins another one.
    pub(super) fn see_half(
        &mut self,
        packet: &Packet<'_>,
        record: RecordId,
        direction: Direction,
        now: Tick,
    ) -> Result<Touch, Option<DropReason>> {
        let header =
            Tcp::new(packet.parsed.transport(packet.bytes)).ok_or(Some(DropReason::InvalidHeader))?;
        let class = tcp::Class::of(header.flags());
        let (hot, cold) = self.table.lines_mut(record);
        let Detail::Served(state) = cold.detail else { return Err(Some(DropReason::InvalidTcpState)) };
        let hears_replies = hot.flags.has(Flags::SEEN_REPLY) && cold.steering != Steering::HERE;
        let sight = match direction {
            Direction::Reply => Sight::Server,
            Direction::Original if hears_replies => Sight::Client,
            Direction::Original => Sight::ClientAlone,
        };
        let is_over = matches!(state, State::TimeWait | State::Close)
            || state == State::FinWait && sight == Sight::ClientAlone;
        if class == tcp::Class::Syn && direction == Direction::Original && is_over {
            self.end(record, End::Closed, now);
            return Err(None);
        }
        let before = activity(hot, cold);
        let after = state.after(class, sight);
        cold.detail = Detail::Served(after);
        reclass(hot, class_of_served(after), &self.counters);
        let (now_is, steering) = (activity(hot, cold), cold.steering);
        if let Some(server) = steering.given() {
            if before != now_is {
                self.tallies.change(server, before, now_is);
            }
            if state == State::SynRecv {
                count_answer(self.counters.server(server), &mut hot.flags, (class, sight), after);
            }
        }
        Ok(Touch::Refresh(after.timeout(), after == State::Established))
    }
}

/// Counts what a segment says of a server that is yet to answer a connection. That the connection ends says nothing: it may
/// have been evicted or deleted, or never been meant.
fn count_answer(cells: &ServerCells, flags: &mut Flags, heard: (tcp::Class, Sight), after: State) {
    match (heard, after) {
        (_, State::Established) => cells.answered.add(1),
        ((tcp::Class::Rst, Sight::Server), State::Close) => cells.refused.add(1),
        ((tcp::Class::Syn, Sight::ClientAlone), State::SynRecv) if !flags.has(Flags::ASKED_AGAIN) => {
            flags.set(Flags::ASKED_AGAIN);
            cells.unanswered.add(1);
        }
        _ => {}
    }
}

/// Whether the server of a flow has answered, as far as can be told.
const fn is_settled(hot: &Hot) -> bool {
    hot.flags.has(Flags::SEEN_REPLY) || hot.flags.has(Flags::ASSURED)
}

/// Which of its server's counts a flow is in.
fn activity(hot: &Hot, cold: &Cold) -> Activity {
    debug_assert!(hot.flags.has(Flags::LIVE), "only live flows count");
    match cold.detail {
        Detail::Served(state) if state.is_active() => Activity::Active,
        Detail::Served(_) => Activity::Inactive,
        _ => Activity::Datagrams,
    }
}

/// Whether what a packet belongs to loses nothing when another server gets it.
fn may_begin_anew(packet: &Packet<'_>) -> bool {
    match packet.parsed.class {
        crate::parse::Class::Flow(Transport::Tcp) => Tcp::new(packet.parsed.transport(packet.bytes))
            .is_some_and(|header| tcp::Class::of(header.flags()) == tcp::Class::Syn),
        crate::parse::Class::Flow(_) => true,
        _ => false,
    }
}

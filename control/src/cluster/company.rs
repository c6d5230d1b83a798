//! Whom a node counts on at one moment: itself and the others that live.

use super::member::{Incarnation, Member, NodeName, State};
use super::proposal::{MapEpoch, Seat};
use super::settings::Agreement;
use super::view::{Liveness, View};

/// A node and its life.
pub(super) type Life = (NodeName, Incarnation);

/// The nodes that count. Those that cut the hash space in another way, and a second node of this one's name, do not:
/// nothing can be shared with them.
pub(super) struct Company<'a> {
    me: &'a Member,
    /// Whether this node may own anything.
    serving: bool,
    others: Vec<&'a Member>,
}

impl<'a> Company<'a> {
    /// Whom `me`, which may own buckets if `may_serve`, counts on.
    pub(super) fn of(
        view: &'a View,
        me: &'a Member,
        may_serve: bool,
        agreement: Agreement,
        now_ms: u64,
    ) -> Self {
        let counts = |member: &Member| member.name != me.name && shares(member, me);
        let lives = |liveness| match (liveness, agreement) {
            (Liveness::Dead { since_ms }, Agreement::Leases { margin_ms }) => now_ms < since_ms + margin_ms,
            (liveness, _) => liveness.lives(),
        };
        let peers = view.peers.values().filter(|peer| lives(peer.liveness) && counts(&peer.member));
        // With leases, a node owns nothing before the others can know that it may.
        let told = match agreement {
            Agreement::Leases { .. } => view
                .peers
                .get(&me.name)
                .is_none_or(|peer| peer.member.incarnation == me.incarnation && peer.member.state.serves()),
            Agreement::ByHand | Agreement::Liveness => true,
        };
        Self {
            me,
            serving: may_serve && told && me.state.serves(),
            others: peers.map(|peer| &peer.member).collect(),
        }
    }

    /// This node.
    pub(super) const fn me(&self) -> &'a Member {
        self.me
    }

    /// Whether this node may own anything.
    pub(super) const fn serving(&self) -> bool {
        self.serving
    }

    /// The others that live.
    pub(super) fn others(&self) -> impl Iterator<Item = &'a Member> {
        self.others.iter().copied()
    }

    /// The others that may own flows: whose word on a map counts.
    pub(super) fn other_servers(&self) -> impl Iterator<Item = &'a Member> {
        self.others().filter(|member| member.state.serves())
    }

    /// All that may own flows.
    pub(super) fn servers(&self) -> impl Iterator<Item = &'a Member> {
        self.serving.then_some(self.me).into_iter().chain(self.other_servers())
    }

    /// Whether the very node that `seat` was given to may own flows.
    pub(super) fn serves(&self, seat: &Seat) -> bool {
        self.servers().any(|member| member.incarnation == seat.incarnation && member.name == seat.name)
    }

    /// Whether it is for this node to propose maps: for the first by name of those that may own.
    pub(super) fn leads(&self) -> bool {
        self.serving && self.other_servers().all(|other| self.me.name < other.name)
    }

    /// Who should have a seat. Those that drain keep theirs while there is nobody else.
    pub(super) fn seats(&self) -> Vec<Seat> {
        let seats = |state| {
            let members = self.servers().filter(move |member| member.state == state);
            let seat = |member: &Member| Seat {
                name: member.name.clone(),
                incarnation: member.incarnation,
                weight: member.weight,
            };
            let mut seats: Vec<_> = members.map(seat).collect();
            seats.sort();
            seats
        };
        let active = seats(State::Active);
        if active.is_empty() { seats(State::Draining) } else { active }
    }

    /// Whether all that may own act by `epoch`.
    pub(super) fn act_by(&self, epoch: Option<&MapEpoch>) -> bool {
        self.other_servers().all(|other| other.active.as_ref() == epoch)
    }
}

/// Whether two nodes cut the hash space alike.
pub(super) fn shares(one: &Member, other: &Member) -> bool {
    one.hash_seed == other.hash_seed && one.total_nodes == other.total_nodes
}

//! Whose a flow is: decided when it begins, and asked again when the answers have changed since.
//!
//! A flow's owner is that of its master, else the map's for the bucket of the address that opened it. Until a flow is
//! answered that is the map of the moment when its opener speaks: while a bucket goes from one node to another, it has
//! no owner for the time of a message, and a first packet that is sent again finds the new one. The answer fixes who was
//! the owner then, since that node has forwarded what is answered: whose the bucket is by now does not matter, and on
//! its way it is nobody's. From there on the owner stays the owner for as long as it lives; then the map says who
//! inherits the flow, for good. Each node works this out for itself from the packets that all of them hear, so nodes
//! agree where they have heard the same.
//!
//! Where the answer to a first packet comes late, its opener may have asked again while the bucket was on its way. Who
//! gained the bucket knows what was asked while it was the owner, and so that the answer is to the first; who gave it up
//! does not know when that began, and forwards nothing. So who gave up datagrams, and has heard them asked on the way and
//! answered before they were asked again, listens: if they are answered once more, somebody forwards them; if not for a
//! while ([`PATIENCE`]) though their opener goes on, nobody does, and it takes them back. It is wrong to, and they are
//! forwarded twice, if the next one had its bucket when they were asked again, and nobody answers them for so long. A
//! connection that this befalls is not opened, and its client tries another one.
//!
//! A node that has just come ([`Owners::is_learning`]) hears flows that have begun before. It picks them up, also TCP
//! in mid-stream, guesses who has opened them ([`Hot::opener`]), and takes the map's word for whose they are. It
//! forwards none of them until it inherits some. The map is wrong about a flow that a third node has inherited or kept
//! from an earlier map; that shows when the node dies that the map names: then the flow is forwarded twice if its heir
//! by the map is the newcomer, and not at all if the third one dies and that is its heir. What is silent for all the
//! time that a node learns is unknown to it: a connection whose owner then dies and whose heir it is ends.
//!
//! A node that alone misses a first packet may be wrong as well. An answer opens no flow of TCP, SCTP or ICMP, so of
//! these it knows nothing; a later SYN or INIT corrects that. A datagram of UDP does not tell an answer from a
//! request. Where the ports do ([`ports_tell`]), they say who has opened the flow, whoever was heard first: then all
//! nodes agree. Where they do not, what comes first is taken for the first, and a server may count as who has opened
//! the flow.
//!
//! - The owner is never wrong so: it hears the first packet, or nobody forwards that and there is no answer.
//! - Another node is wrong to a purpose if the server's bucket is its own: it forwards the flow beside its owner. And
//!   where the owner dies, it may not know that it is the heir.
//! - Nothing that it hears later tells it better. The packets of both directions look alike from either end; and that
//!   another node forwards what this one does is as true of a node that is right, where a cluster is parted. So it
//!   lasts as long as the flow does: until that has been silent for its timeout.

use super::expect::Used;
use super::leads::Leads;
use super::record::{Cold, Decided, Detail, Flags, GivenUp, Heritage, Hot, Origin, Steering};
use super::table::RecordId;
use super::{Context, Tracked, Tracker};
use crate::counters::{FlowClass, FlowProtocol};
use crate::key::{FlowKey, Side};
use crate::parse::{Class, Parsed, Transport};
use crate::units::{BucketId, Direction, Epoch, MemberId, PortId, ServerId, Span};
use crate::wire::IpProtocol;

/// How long datagrams that were given up go unanswered before they are taken back.
const PATIENCE: Span = match Span::from_s(2) {
    Some(span) => span,
    None => Span::MAX,
};

/// Whose flows are whose.
pub trait Owners {
    /// Since when the answers have been these: what was decided then still holds.
    fn ownership_epoch(&self) -> Epoch;

    /// Which node this is.
    fn me(&self) -> MemberId;

    /// The part of the hash space of a flow, by where it, or its master, came from.
    fn bucket(&self, origin: &Origin) -> BucketId;

    /// Whose a flow of `bucket` is that begins now; `None`: nobody's, or that of a node of which nothing is known.
    fn owner(&self, bucket: BucketId) -> Option<MemberId>;

    /// Whether a flow that was `owner`'s at the epoch `then` still is.
    fn keeps(&self, owner: MemberId, then: Epoch) -> bool;

    /// Whether owners are named, so that it matters who opened a flow that is picked up in mid-stream. Otherwise its
    /// first packet here tells, as in Linux.
    fn names_owners(&self) -> bool;

    /// Whether this node has come so lately that no packet need be its flow's first.
    fn is_learning(&self) -> bool;

    /// Whether this node tracks the flows of `owner`.
    fn tracks(&self, owner: Option<MemberId>) -> bool;

    /// The port at which a packet that comes in by `port` is seen as well, if it is not this node that forwards the
    /// flows of `owner`, and it hears both sides.
    fn other_side(&self, owner: Option<MemberId>, port: PortId) -> Option<PortId>;

    /// Whether a packet that comes in by `port` is one of `owner`'s flows that somebody has forwarded, though that is
    /// this node's to do.
    fn is_stray(&self, owner: Option<MemberId>, port: PortId) -> bool;

    /// Whether [`Owners::other_side`] may have an answer.
    fn hears_both_sides(&self) -> bool;

    /// Whether a server is dead, or is none any more: what can begin anew need not stay with it.
    fn is_dead(&self, server: ServerId) -> bool;

    /// Whether this node forwards the flows of `owner`.
    #[inline]
    fn is_me(&self, owner: Option<MemberId>) -> bool {
        owner == Some(self.me())
    }

    /// Whose a flow is now for which this was decided once.
    fn heir(&self, decided: Decided, bucket: BucketId) -> Option<MemberId> {
        match decided {
            Decided { owner: Some(owner), epoch: Some(then) } if self.keeps(owner, then) => Some(owner),
            _ => self.owner(bucket),
        }
    }
}

/// Whether the first packet of a flow here need not be the flow's first, so that its ports say who opened it.
pub(super) fn is_picked_up<O: Owners>(
    key: &FlowKey,
    transport: Transport,
    class: FlowClass,
    owners: &O,
) -> bool {
    match transport {
        Transport::Tcp => class != FlowClass::TcpSynSent && owners.names_owners(),
        Transport::Udp | Transport::UdpLite => {
            owners.is_learning() || owners.names_owners() && ports_tell(key)
        }
        // The first packet of all others shows that it is, or has no port to guess by.
        _ => false,
    }
}

/// Whether the ports of a flow's ends are of two kinds, so that the higher one is a client's: system ports (RFC 6335),
/// registered ones, and those that systems give to clients, on Linux from 32768 on. Two of one kind tell nothing: a
/// server may well listen on a port that is higher than a client's.
fn ports_tell(key: &FlowKey) -> bool {
    const KINDS: [u16; 2] = [1024, 32_768];
    let [one, other] = [Side::First, Side::Second].map(|side| key.endpoint(side).port);
    KINDS.iter().any(|first| (one < *first) != (other < *first))
}

/// Any other flow begins.
#[inline]
pub(super) fn decide<O: Owners>(hot: &mut Hot, owners: &O) {
    hot.epoch = Some(owners.ownership_epoch());
    hot.bucket = owners.bucket(&Origin { key: hot.key, side: hot.opener() });
    hot.owner = owners.owner(hot.bucket);
}

impl Tracker {
    /// Whose a flow is for a packet in this direction, decided anew when the answers have changed since.
    #[inline]
    pub(super) fn owner<O: Owners>(
        &mut self,
        record: RecordId,
        direction: Direction,
        owners: &O,
    ) -> Option<MemberId> {
        let hot = self.table.hot(record);
        if hot.epoch == Some(owners.ownership_epoch()) {
            hot.owner
        } else {
            self.decide_anew(record, direction, owners)
        }
    }

    #[inline(never)]
    fn decide_anew<O: Owners>(
        &mut self,
        record: RecordId,
        direction: Direction,
        owners: &O,
    ) -> Option<MemberId> {
        let bucket = owners.bucket(&self.origin(record));
        let (hot, cold) = self.table.lines_mut(record);
        let answered = direction == Direction::Reply || hot.flags.has(Flags::SEEN_REPLY);
        // A server's answers need not pass here: what its client goes on with has been answered.
        let bound = answered || hot.flags.has(Flags::EXPECTED) || hot.flags.has(Flags::ASSURED);
        let after = if bound { owners.heir(hot.decided(), bucket) } else { owners.owner(bucket) };
        if !bound && owners.names_owners() {
            match (after, cold.detail) {
                (None, _) if owners.is_me(hot.owner) => give_up(hot, cold),
                // Asked again of the one who has it now.
                (Some(_), Detail::GivenUp(given_up)) => cold.detail = given_up.into(),
                _ => {}
            }
        }
        hot.bucket = bucket;
        self.hand_to(record, after, owners);
        after
    }

    fn hand_to<O: Owners>(&mut self, record: RecordId, after: Option<MemberId>, owners: &O) {
        let (hot, cold) = self.table.lines_mut(record);
        let before = hot.owner;
        (hot.owner, hot.epoch) = (after, Some(owners.ownership_epoch()));
        cold.leads = Leads::default();
        if before != after {
            self.counters.flows_of(before).sub(1);
            self.counters.flows_of(after).add(1);
            self.change_hands(record, owners.is_me(before), owners.is_me(after));
        }
    }

    /// A packet of datagrams that this node gave up, which are of another node since, or of nobody yet.
    #[cold]
    pub(super) fn doubt<O: Owners>(
        &mut self,
        record: RecordId,
        given_up: GivenUp,
        direction: Direction,
        context: &Context<'_, O>,
    ) {
        let Context { now, owners, .. } = *context;
        let (hot, cold) = self.table.lines_mut(record);
        let (arrived, ours) = (hot.owner.is_some(), owners.is_me(hot.owner));
        match (direction, given_up.asked) {
            (Direction::Reply, None) if !ours => {}
            (Direction::Original, None) if !ours => {
                let asked = (arrived && hot.flags.has(Flags::SEEN_REPLY)).then_some(now);
                cold.detail = Detail::GivenUp(GivenUp { asked, ..given_up });
            }
            (Direction::Original, Some(asked)) if !ours && !now.reached(asked.after(PATIENCE)) => {}
            (Direction::Original, Some(_))
                if !ours && owners.keeps(owners.me(), owners.ownership_epoch()) =>
            {
                cold.detail = given_up.into();
                self.hand_to(record, Some(owners.me()), owners);
            }
            _ => cold.detail = given_up.into(),
        }
    }

    /// Whose the flow of a packet is by now that was tracked before, and who takes it, as for a packet that comes now.
    pub fn ask_again<O: Owners>(&mut self, parsed: &Parsed, tracked: &mut Tracked, owners: &O) {
        self.pending = None;
        // A packet of a call has the call's name.
        let named = Some(parsed).filter(|parsed| parsed.key.protocol() == IpProtocol::GRE.0);
        let named = named.and_then(|parsed| self.calls.name(parsed));
        let parsed = named.as_ref().unwrap_or(parsed);
        let Some(record) = self.table.find_key(&parsed.key) else {
            tracked.owner = None;
            return;
        };
        let is_error = matches!(parsed.class, Class::IcmpError);
        let direction = match parsed.side.direction(self.table.hot(record).origin()) {
            // An error is no answer: it fixes no owner.
            _ if is_error => Direction::Original,
            direction => direction,
        };
        tracked.owner = self.owner(record, direction, owners);
        tracked.steering = self.table.cold(record).steering;
        if tracked.steering.is_open() && !is_error {
            self.pending = Some(record);
        }
    }

    /// An expected flow begins: what it has from its master, as that is now.
    pub(super) fn decide_expected<O: Owners>(&mut self, hot: &mut Hot, used: &Used, owners: &O) {
        let (heritage, bucket) = self.inherited(used, owners);
        hot.mark = heritage.mark;
        hot.epoch = Some(owners.ownership_epoch());
        hot.bucket = bucket;
        hot.owner = owners.heir(heritage.decided, bucket);
    }

    /// Whose a flow would be that is expected so.
    pub(super) fn owner_of_expected<O: Owners>(&mut self, used: &Used, owners: &O) -> Option<MemberId> {
        let (heritage, bucket) = self.inherited(used, owners);
        owners.heir(heritage.decided, bucket)
    }

    /// What an expected flow has from its master, as that is now, and its part of the hash space.
    fn inherited<O: Owners>(&mut self, used: &Used, owners: &O) -> (Heritage, BucketId) {
        let heritage = match used.master {
            Some(master) => {
                // Whose a flow to a shared address is is that address's to say, when its own packets come.
                if !self.is_shared(master) {
                    self.owner(master, Direction::Original, owners);
                }
                self.heritage(master)
            }
            None => used.heritage,
        };
        (heritage, owners.bucket(&heritage.origin))
    }

    /// What the flows that a flow announces have from it now.
    pub(super) fn heritage(&self, record: RecordId) -> Heritage {
        let hot = self.table.hot(record);
        Heritage { origin: self.itself(record), decided: hot.decided(), mark: hot.mark }
    }

    /// Where a flow's bucket comes from: its master if it has one, one level as in Linux, else itself.
    pub fn origin(&self, record: RecordId) -> Origin {
        let master = self.table.extra(record).and_then(|extra| extra.master);
        master.unwrap_or_else(|| self.itself(record))
    }

    /// A flow's own name and side: what its children take their bucket from, even when it has a master.
    pub(super) fn itself(&self, record: RecordId) -> Origin {
        let hot = self.table.hot(record);
        Origin { key: hot.key, side: hot.opener() }
    }
}

/// Datagrams go with their bucket, before they have been answered.
fn give_up(hot: &Hot, cold: &mut Cold) {
    let stream = match (cold.detail, hot.class.kind()) {
        _ if cold.steering == Steering::HERE => return,
        (Detail::Stream { from }, _) => Some(from),
        (Detail::None, kind) if kind != FlowProtocol::Sctp => None,
        _ => return,
    };
    cold.detail = Detail::GivenUp(GivenUp { stream, asked: None });
}

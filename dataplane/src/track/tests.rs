//! The short ways of the tracker against the general one: two trackers see the same packets, one of them without
//! short ways, and must say the same of each and end with the same flows.
#![cfg(test)]

use super::*;
use crate::config::Conntrack;
use crate::parse::{Offload, Rules, parse};
use crate::units::{BucketId, Epoch, MemberId, ServerId};
use crate::wire::{TcpFlags, tcp};
use proptest::prelude::*;

/// Node 0 of two: even clients are its own. Tracks what it is told to; hears both sides of ports 0 and 1.
struct TwoNodes {
    epoch: Epoch,
    tracks_all: bool,
    /// Owners keep their flows, and a new epoch gives new ones to the other node.
    named: bool,
    learning: bool,
    /// Nobody but this node forwards what is its own.
    routed: bool,
}

impl Owners for TwoNodes {
    fn ownership_epoch(&self) -> Epoch {
        self.epoch
    }

    fn bucket(&self, origin: &Origin) -> BucketId {
        let [.., last] = origin.key.head(origin.side);
        BucketId::new(usize::from(last % 2)).unwrap()
    }

    fn me(&self) -> MemberId {
        MemberId::FIRST
    }

    fn owner(&self, bucket: BucketId) -> Option<MemberId> {
        let moved = self.named && self.epoch.number().is_multiple_of(2);
        MemberId::new(if moved { 1 - bucket.index() } else { bucket.index() })
    }

    fn keeps(&self, _: MemberId, _: Epoch) -> bool {
        self.named
    }

    fn names_owners(&self) -> bool {
        self.named
    }

    fn is_learning(&self) -> bool {
        self.learning
    }

    fn tracks(&self, owner: Option<MemberId>) -> bool {
        self.tracks_all || self.is_me(owner)
    }

    fn other_side(&self, owner: Option<MemberId>, port: PortId) -> Option<PortId> {
        (!self.is_me(owner)).then(|| PortId::new(1 - port.index()).unwrap())
    }

    fn is_stray(&self, owner: Option<MemberId>, port: PortId) -> bool {
        self.routed && self.is_me(owner) && port == PortId::SECOND
    }

    fn hears_both_sides(&self) -> bool {
        self.tracks_all
    }

    fn is_dead(&self, _: ServerId) -> bool {
        false
    }
}

#[derive(Clone, Debug)]
struct Step {
    client: u8,
    udp: bool,
    reply: bool,
    port: usize,
    flags: u8,
    /// Off what would be next.
    seq: i32,
    ack: i32,
    window: u16,
    options: &'static [u8],
    payload_len: usize,
    wait_ms: u64,
    reload: bool,
}

const TIMESTAMPS: &[u8] = &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
const SACK: &[u8] = &[1, 1, 5, 10, 0, 0, 3, 0xe8, 0, 0, 7, 0xd0];
const SACK_PERMITTED: &[u8] = &[4, 2, 3, 3, 7, 0, 0, 0];

fn step() -> impl Strategy<Value = Step> {
    const SYN: u8 = TcpFlags::SYN.0;
    const ACK: u8 = TcpFlags::ACK.0;
    let flags = prop_oneof![
        12 => Just(ACK),
        4 => Just(ACK | TcpFlags::PSH.0),
        3 => Just(SYN),
        3 => Just(SYN | ACK),
        1 => Just(ACK | TcpFlags::FIN.0),
        1 => Just(TcpFlags::RST.0),
        1 => Just(ACK | TcpFlags::URG.0),
    ];
    let off = || prop_oneof![12 => Just(0i32), 2 => -70_000i32..70_000, 1 => any::<i32>()];
    let options = prop_oneof![
        4 => Just([].as_slice()),
        4 => Just(TIMESTAMPS),
        1 => Just(SACK),
        2 => Just(SACK_PERMITTED)
    ];
    let wait = prop_oneof![12 => Just(0u64), 3 => 0u64..3000, 1 => 0u64..400_000];
    (
        (0u8..3, prop::bool::weighted(0.2), any::<bool>(), prop::bool::weighted(0.8)),
        (flags, off(), off(), prop_oneof![4 => Just(64_000u16), 1 => Just(0), 1 => any::<u16>()]),
        (options, prop_oneof![2 => Just(0usize), 1 => 0usize..1400], wait, prop::bool::weighted(0.02)),
    )
        .prop_map(
            |(
                (client, udp, reply, usual),
                (flags, seq, ack, window),
                (options, payload_len, wait_ms, reload),
            )| {
                // A client is on port 0; what another node forwards is heard on the other port again.
                let port = usize::from(reply == usual);
                Step {
                    client,
                    udp,
                    reply,
                    port,
                    flags,
                    seq,
                    ack,
                    window,
                    options,
                    payload_len,
                    wait_ms,
                    reload,
                }
            },
        )
}

/// What each side of a client's connection has sent.
type Sent = [[u32; 2]; 3];

fn frame(step: &Step, sent: &mut Sent) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, step.client], [192, 0, 2, 80]);
    let (source, destination) = if step.reply { (server, client) } else { (client, server) };
    let (from, to) = if step.reply { (80u16, 4000u16) } else { (4000, 80) };
    let header_len = if step.udp { 8 } else { tcp::HEADER_LEN + step.options.len() };
    let len = header_len + step.payload_len;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(u16::try_from(20 + len).unwrap().to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, if step.udp { 17 } else { 6 }, 0, 0]);
    frame.extend([source, destination].as_flattened());
    frame.extend(from.to_be_bytes());
    frame.extend(to.to_be_bytes());
    if step.udp {
        frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        frame.extend([0, 0]);
    } else {
        let [mine, other] = [step.reply, !step.reply].map(usize::from);
        let sent = &mut sent[usize::from(step.client)];
        let (seq, ack) =
            (sent[mine].wrapping_add_signed(step.seq), sent[other].wrapping_add_signed(step.ack));
        let counts = TcpFlags::SYN.0 | TcpFlags::FIN.0;
        let grows = step.payload_len + usize::from(step.flags & counts != 0);
        sent[mine] = sent[mine].wrapping_add(u32::try_from(grows).unwrap());
        frame.extend(seq.to_be_bytes());
        frame.extend(ack.to_be_bytes());
        frame.extend([u8::try_from(header_len / 4 * 16).unwrap(), step.flags]);
        frame.extend(step.window.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(step.options);
    }
    frame.resize(frame.len() + step.payload_len, 0);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn tracker() -> Tracker {
    Tracker::new(64, 8, 7, Peers::ALONE, Arc::new(WorkerCounters::default()))
}

/// Everything that can be seen of the flows.
fn flows(tracker: &Tracker, now: Tick) -> Vec<String> {
    let mut flows: Vec<_> = (0..64).filter_map(|record| tracker.view(record, now)).collect();
    flows.sort_by_key(|flow| format!("{flow:?}"));
    flows.iter().map(|flow| format!("{flow:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn say_what_the_general_way_says(
        steps in proptest::collection::vec(step(), 1..80),
        (tracks_all, loose, be_liberal, named, learning) in any::<(bool, bool, bool, bool, bool)>(),
        (handshake, routed, served) in any::<(bool, bool, bool)>(),
    ) {
        let mut config = Conntrack::default();
        (config.tcp.loose, config.tcp.be_liberal) = (loose, be_liberal);
        let mut owners = TwoNodes { epoch: Epoch::FIRST, tracks_all, named, learning: named && learning, routed };
        let (mut short, mut general) = (tracker(), tracker());
        let rules = Rules { vlan_tags_max: 2, ..Rules::default() };
        let offload = Offload { ip: crate::port::Checksum::Good, ..Offload::default() };
        let mut sent: Sent = [[u32::MAX - 5000, 70_000]; 3];
        let mut now_ms = 0;
        let opening = [(false, TcpFlags::SYN.0), (true, TcpFlags::SYN.0 | TcpFlags::ACK.0), (false, TcpFlags::ACK.0)];
        let opening = opening.into_iter().filter(|_| handshake).map(|(reply, flags)| Step {
            client: 0, udp: false, reply, port: usize::from(reply), flags, seq: 0, ack: 0, window: 64_000,
            options: &[], payload_len: 0, wait_ms: 0, reload: false,
        });
        for step in opening.chain(steps) {
            now_ms += step.wait_ms;
            if step.reload {
                owners.epoch = owners.epoch.next();
            }
            let bytes = frame(&step, &mut sent);
            let parsed = parse(&bytes, rules, offload);
            let packet = Packet { bytes: &bytes, parsed: &parsed, port: PortId::new(step.port).unwrap() };
            let context = Context { now: Tick::from_ms(now_ms), config: &config, owners: &owners };
            for tracker in [&mut short, &mut general] {
                tracker.expire(context.now, 64);
            }
            let mut lookup = short.prepare(&parsed);
            short.fetch(&mut lookup);
            let changes = short.changes();
            let mut said = Tracked::default();
            let told = if routed && tracks_all && step.port == 1 {
                short.glance_again(packet, &lookup, &context, &mut said)
            } else {
                let told = short.glance(packet, &lookup, changes, &context, None, &mut said);
                told.or_else(|| short.glance_half(packet, &lookup, &context, None, &mut said))
            };
            if told.is_none() {
                said = short.track(&packet, &lookup, changes, &context);
            }
            let mut lookup = general.prepare(&parsed);
            general.fetch(&mut lookup);
            let changes = general.changes();
            prop_assert_eq!(said, general.track(&packet, &lookup, changes, &context), "{:?}", step);
            for tracker in [&mut short, &mut general] {
                if let Some(record) = tracker.take_pending().filter(|_| served && owners.is_me(said.owner)) {
                    tracker.bind(record, ServerId::FIRST, context.now);
                }
            }
            prop_assert_eq!(flows(&short, context.now), flows(&general, context.now), "{:?}", step);
        }
    }
}

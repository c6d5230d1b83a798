//! The hosts on both sides and what they say to each other: step by step, each sent again until it has arrived.

use crate::gateway::cluster_mac;
use crate::world::BUCKETS;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weir_tests::conversation::{Conversation, Host, Passage, Side, TcpSession};
use weir_tests::model::ClusterModel;
use weir_tests::node::HASH_SEED;
use weir_tests::packet::Mac;
use weir_tests::rng::Rng;
use weir_tests::scenario::Family;
use weir_tests::scenario::ftp::{self, DataMode, Transfer};

pub(super) const CLIENTS: u32 = 24;
pub(super) const SERVERS: u32 = 8;
/// The first of the servers have an address together, and what clients send there is for one of them.
pub(super) const TOGETHER: u32 = 3;
/// The number of that address.
const SHARED: u32 = 99;
/// As likely a client's as a server's.
const AMBIGUOUS: u16 = 51_820;
const MODEL: ClusterModel = ClusterModel { total_nodes: BUCKETS, hash_seed: HASH_SEED };

/// Where a host is.
pub(super) struct Place {
    pub(super) mac: Mac,
    pub(super) addresses: [IpAddr; 2],
}

/// Number `n` in the clients' net.
pub(super) fn client(n: u32) -> Place {
    Place {
        mac: Mac::host(0x0100_0000 | n),
        addresses: [Ipv4Addr::client(n).into(), Ipv6Addr::client(n).into()],
    }
}

/// Number `n` in the servers' net.
pub(super) fn server(n: u32) -> Place {
    Place {
        mac: Mac::host(0x0200_0000 | n),
        addresses: [Ipv4Addr::server(n).into(), Ipv6Addr::server(n).into()],
    }
}

/// What some servers have together.
pub(super) fn shared() -> [IpAddr; 2] {
    [Ipv4Addr::server(SHARED).into(), Ipv6Addr::server(SHARED).into()]
}

/// Which server has this MAC address.
fn server_at(mac: &[u8]) -> Option<u32> {
    (0..TOGETHER).find(|n| server(*n).mac.0 == *mac)
}

/// What a talk is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Ping,
    Ftp,
}

/// Two hosts that speak in turn.
pub(super) struct Talk {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) ends: [IpAddr; 2],
    pub(super) opener: Side,
    /// Of its opener; of datagrams whose ports tell a client, of him.
    pub(super) bucket: usize,
    /// Whoever hears it in the middle can tell who opened it.
    pub(super) ports_tell: bool,
    /// It is with one of the servers that have an address together.
    pub(super) is_served: bool,
    /// Which of them it is, from what it got first on.
    server: Option<u32>,
    script: Vec<Passage>,
    /// What is to arrive next.
    pub(super) step: usize,
    /// How often that has been sent.
    pub(super) tries: u32,
}

impl fmt::Display for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, bucket, opener, ends, .. } = self;
        write!(f, "{kind:?} {id} of bucket {bucket}, opened from {opener:?} between {ends:?}")
    }
}

impl Talk {
    /// A new one, of any kind.
    pub(super) fn new(id: u64, rng: &mut Rng) -> Self {
        let (n, m) = (id as u32 % CLIENTS, rng.index(SERVERS as usize) as u32);
        let six = rng.chance(30);
        let kind = match rng.below(100) {
            0..40 => Kind::Tcp,
            40..75 => Kind::Udp,
            75..85 => Kind::Ping,
            _ => Kind::Ftp,
        };
        let opener = if kind != Kind::Ftp && rng.chance(15) { Side::Wan } else { Side::Lan };
        let is_served = matches!(kind, Kind::Tcp | Kind::Udp) && opener == Side::Lan && rng.chance(40);
        let at = if is_served { SHARED } else { m };
        let server_port = *rng.pick(&[53, 4500, AMBIGUOUS]);
        let ports = [33_000 + (id % 30_000) as u16, server_port];
        let mut script = if six {
            script(kind, opener, ports, [Ipv6Addr::client(n), Ipv6Addr::server(at)], [n, m], rng)
        } else {
            script(kind, opener, ports, [Ipv4Addr::client(n), Ipv4Addr::server(at)], [n, m], rng)
        };
        for said in &mut script {
            said.bytes[..6].copy_from_slice(&cluster_mac(said.side).0);
        }
        let ends = [client(n), server(at)].map(|place| place.addresses[usize::from(six)]);
        let ports_tell = kind != Kind::Udp || server_port != AMBIGUOUS;
        let origin = if kind == Kind::Udp && ports_tell { Side::Lan } else { opener };
        let bucket = MODEL.bucket(ends[origin as usize]);
        let (server, step, tries) = (None, 0, 0);
        Self { id, kind, ends, opener, bucket, ports_tell, is_served, server, script, step, tries }
    }

    /// What is said at a step, and on which side.
    pub(super) fn said(&self, step: usize) -> (Side, Vec<u8>) {
        let Passage { side, bytes, .. } = &self.script[step];
        let mut bytes = bytes.clone();
        if let Some(server) = self.server.filter(|_| *side == Side::Wan) {
            bytes[6..12].copy_from_slice(&self::server(server).mac.0);
        }
        (*side, bytes)
    }

    /// Whether a frame that is to leave on a side goes to another server than the talk is with.
    pub(super) fn is_astray(&self, side: Side, frame: &[u8]) -> bool {
        let server = self.server.filter(|_| side == Side::Wan);
        server.is_some_and(|server| server_at(&frame[..6]) != Some(server))
    }

    /// A frame arrives on a side: the first one says with which server the talk is.
    pub(super) fn meet(&mut self, side: Side, frame: &[u8]) {
        if self.is_served && side == Side::Wan && self.server.is_none() {
            self.server = server_at(&frame[..6]);
        }
    }

    /// Whether all has arrived.
    pub(super) fn is_over(&self) -> bool {
        self.step == self.script.len()
    }

    /// Whether a frame goes in the direction that its talk was opened in.
    pub(super) fn is_original(&self, step: usize) -> bool {
        self.script[step].side == self.opener
    }

    /// Whether it is of a kind whose answers look like questions.
    pub(super) fn is_datagrams(&self) -> bool {
        matches!(self.kind, Kind::Udp | Kind::Ping)
    }

    /// What was said at a step has arrived; what is to be said now.
    pub(super) fn arrived(&mut self, step: usize) -> Option<usize> {
        if step == self.step {
            (self.step, self.tries) = (step + 1, 0);
            return Some(self.step).filter(|_| !self.is_over());
        }
        // Who is asked again answers again.
        let again = self.is_datagrams() && step.is_multiple_of(2) && step + 1 == self.step;
        Some(self.step).filter(|_| again)
    }

    /// What is said again when nothing arrives.
    pub(super) fn again(&self) -> Vec<usize> {
        match (self.is_datagrams(), self.step) {
            (true, step) => vec![step - step % 2],
            (false, 0) => vec![0],
            // Nor has what came before been acknowledged.
            (false, step) => vec![step - 1, step],
        }
    }
}

fn script<A: Family>(
    kind: Kind,
    opener: Side,
    [port, server_port]: [u16; 2],
    [client, server]: [A; 2],
    [n, m]: [u32; 2],
    rng: &mut Rng,
) -> Vec<Passage> {
    let hosts =
        (Host { mac: self::client(n).mac, ip: client }, Host { mac: self::server(m).mac, ip: server });
    let mut talk = Conversation::new(hosts.0, hosts.1, 0, Rng::new(rng.next()));
    let rounds = 1 + rng.below(6);
    match kind {
        Kind::Tcp => {
            let mut tcp = TcpSession::open(&mut talk, opener, port, 443);
            for _ in 0..rounds {
                let side = *rng.pick(&[Side::Lan, Side::Wan]);
                tcp.send(&mut talk, side, &vec![0x5a; 1 + rng.index(300)]);
            }
            tcp.close(&mut talk, Side::Lan);
        }
        Kind::Udp => {
            let ports = |side| if side == Side::Lan { (port, server_port) } else { (server_port, port) };
            for (number, side) in [opener, opener.other()].repeat(rounds as usize).into_iter().enumerate() {
                let (from, to) = ports(side);
                let frame =
                    talk.ip(side).udp(from, to).payload(format!("datagram {number}").as_bytes()).build();
                talk.say(side, frame);
            }
        }
        Kind::Ping => {
            for sequence in 0..rounds as u16 {
                let request = talk.ip(opener).echo_request(port, sequence).build();
                talk.say(opener, request);
                let reply = talk.ip(opener.other()).echo_reply(port, sequence).build();
                talk.say(opener.other(), reply);
            }
        }
        Kind::Ftp => {
            let modes = [DataMode::Eprt, DataMode::Epsv];
            let file = Transfer {
                mode: *rng.pick(&modes),
                from: *rng.pick(&[Side::Lan, Side::Wan]),
                size: 1 + rng.index(2000),
                client_port: port.wrapping_add(1 << 15) | 1 << 14,
                server_port: 61_000,
            };
            ftp::session(&mut talk, port, &[file]);
        }
    }
    talk.finish()
}

//! What one worker tells the others of its expectations, and of what its schedulers have learned.
//!
//! A worker knows by the address pair which worker a packet will come to ([`crate::spread`]). An expectation with a
//! known source is told to that one, one with an open source to all. The teller fills its `Outbound` while it works on
//! a burst; its worker hands that on before the burst's frames leave, and every worker listens before it works on a
//! burst: so the news is there before a packet that was caused by them.

use super::record::Heritage;
use crate::config::HelperKind;
use crate::helper::{Expected, Source};
use crate::lesson::{Lesson, Visit};
use crate::spread;
use crate::units::{ServiceId, Tick, WorkerId};
use crate::wire::IpProtocol;
use core::net::SocketAddr;
use std::collections::VecDeque;

/// Things that may wait to be told. One packet announces a few at most.
const OUTBOUND_MAX: usize = 1024;
/// Of those, the room that is kept for ends of expectations.
const FOR_ENDS: usize = OUTBOUND_MAX / 2;

/// Where a worker stands among its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Which it is.
    pub me: WorkerId,
    /// How many there are.
    pub workers: usize,
}

impl Peers {
    /// The only worker.
    pub const ALONE: Self = Self { me: WorkerId::FIRST, workers: 1 };
}

/// An expectation's number, unlike any other's of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial(u64);

/// An expectation of another worker's flow.
#[derive(Clone, Copy, Debug)]
pub struct Announced {
    /// What is expected.
    pub expected: Expected,
    /// What there was to have from the master when it announced it.
    pub heritage: Heritage,
    /// The master's helper.
    pub helper: HelperKind,
    /// When it runs out.
    pub deadline: Tick,
    /// Its number.
    pub serial: Serial,
}

/// What a worker tells another.
#[derive(Clone, Debug)]
pub enum News {
    /// Wait for this, or wait for it differently.
    Announced(Announced),
    /// It was used, or its master withdrew it.
    Withdrawn {
        /// Its protocol.
        protocol: IpProtocol,
        /// Where it was to go.
        destination: SocketAddr,
        /// Its number.
        serial: Serial,
    },
    /// A service's scheduler has learned something.
    Learned {
        /// The service.
        service: ServiceId,
        /// What.
        lesson: Lesson,
    },
    /// A client has come to its server.
    Visited {
        /// The server's service.
        service: ServiceId,
        /// Who, and where.
        visit: Visit,
    },
}

/// News and who is to hear them.
#[derive(Clone, Debug)]
pub struct Post {
    /// One worker, or all others.
    pub to: Option<WorkerId>,
    /// What.
    pub news: News,
}

/// What waits to be told.
#[derive(Debug)]
pub(super) struct Outbound {
    peers: Peers,
    posts: VecDeque<Post>,
    serial: u64,
}

/// Who must know an expectation besides its master's worker.
enum Audience {
    Nobody,
    One(WorkerId),
    All,
}

impl Outbound {
    pub(super) fn new(peers: Peers) -> Self {
        let room = if peers.workers > 1 { OUTBOUND_MAX } else { 0 };
        Self { peers, posts: VecDeque::with_capacity(room), serial: (peers.me.index() as u64) << 48 }
    }

    pub(super) fn serial(&mut self) -> Serial {
        self.serial += 1;
        Serial(self.serial)
    }

    /// Whether another expectation can be told.
    pub(super) fn has_room(&self) -> bool {
        self.posts.len() < OUTBOUND_MAX - FOR_ENDS
    }

    pub(super) fn announce(&mut self, announced: Announced) {
        let audience = self.audience(&announced.expected);
        self.push(&audience, News::Announced(announced));
    }

    /// Copies that are not withdrawn for want of room run out by themselves.
    pub(super) fn withdraw(&mut self, expected: &Expected, serial: Serial) {
        let destination = SocketAddr::new(expected.destination, expected.destination_port);
        let news = News::Withdrawn { protocol: expected.protocol, destination, serial };
        let audience = match self.audience(expected) {
            // The worker that packets come to has used it up, and the master's has the other copy.
            Audience::Nobody if owner_of(serial) != self.peers.me => Audience::One(owner_of(serial)),
            audience => audience,
        };
        self.push(&audience, news);
    }

    pub(super) fn take(&mut self) -> Option<Post> {
        self.posts.pop_front()
    }

    fn audience(&self, expected: &Expected) -> Audience {
        if self.peers.workers <= 1 {
            return Audience::Nobody;
        }
        let Source::Host(source) = expected.source else { return Audience::All };
        match spread::home_of_pair(source, expected.destination, self.peers.workers) {
            Some(home) if home != self.peers.me => Audience::One(home),
            Some(_) => Audience::Nobody,
            None => Audience::All,
        }
    }

    fn push(&mut self, audience: &Audience, news: News) {
        let to = match audience {
            Audience::Nobody => return,
            Audience::One(worker) => Some(*worker),
            Audience::All => None,
        };
        if self.posts.len() < OUTBOUND_MAX {
            self.posts.push_back(Post { to, news });
        }
    }
}

fn owner_of(serial: Serial) -> WorkerId {
    usize::try_from(serial.0 >> 48).ok().and_then(WorkerId::new).unwrap_or_default()
}

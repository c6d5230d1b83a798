//! Services: connections that are spread over servers.

use super::Rule;
use crate::counters::named_enum;
use crate::units::{InterfaceId, Mark, ServerId, ServiceId, Span};
use crate::wire::{IpProtocol, MacAddr};
use core::net::{IpAddr, Ipv4Addr};

/// All services, and which connections are theirs.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// The first that the first packet of a flow agrees with gives the flow its mark, or none.
    pub marks: Vec<(Rule, Option<Mark>)>,
    /// The first that the packet, marked so, agrees with says where its flow goes, before any selector is asked.
    pub assignments: Vec<(Rule, Assignment)>,
    /// No two have the same selector.
    pub services: Vec<Service>,
    /// Servers that no service has any more, and that still carry connections.
    pub retired: Vec<Server>,
}

/// Where a rule sends a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// To one of the servers of this service.
    Service(ServiceId),
    /// To this server, whatever it carries.
    Server(ServerId),
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its number, which no other service has.
    pub id: ServiceId,
    /// Which connections are its; `None`: those that [`Services::assignments`] send there.
    pub selector: Option<Selector>,
    /// Who of the servers gets a new one.
    pub scheduler: Scheduler,
    /// Whether, and for how long, a client stays with a server.
    pub persistence: Option<Persistence>,
    /// In the order of the list.
    pub servers: Vec<Server>,
    /// What becomes of a new connection that no server can take.
    pub fallback: Fallback,
}

/// A client's new connections go to the server that its last one went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// So long after the client's last new connection.
    pub timeout: Span,
    /// IPv4 addresses that agree in so many bits are one client.
    pub ipv4_prefix_len: u8,
    /// The same of IPv6.
    pub ipv6_prefix_len: u8,
    /// Clients that one worker remembers, at most.
    pub clients_max: u32,
}

/// What names a service, as in `ipvsadm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Packets with this mark, wherever they go.
    Mark(Mark),
    /// Packets to an address.
    Address {
        /// TCP, UDP or SCTP.
        protocol: IpProtocol,
        /// Where to.
        address: IpAddr,
        /// Which port; 0: any.
        port: u16,
    },
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its number, which no other server of any service has.
    pub id: ServerId,
    /// Where it is.
    pub place: Place,
    /// Its port, which `mh` hashes; direct routing leaves ports alone.
    pub port: u16,
    /// How packets get there.
    pub method: Method,
    /// Whether it may have connections.
    pub state: ServerState,
    /// Its share of new connections beside the others'; 0: none.
    pub weight: u16,
    /// Its last weight that was not 0.
    pub last_weight: u16,
    /// With so many connections it gets no new ones; 0: however many it has.
    pub upper_threshold: u32,
    /// With fewer than these it gets new ones again; 0: with fewer than three quarters of `upper_threshold`.
    pub lower_threshold: u32,
    /// What a connection adds to its load, for [`Scheduler::LeastLoad`].
    pub cost: u16,
    /// The load that it has reported, for the same.
    pub reported_load: u32,
}

impl Server {
    /// A server of weight 1 without thresholds, reached directly.
    pub const fn new(id: ServerId, place: Place) -> Self {
        Self {
            id,
            place,
            port: 0,
            method: Method::Direct,
            state: ServerState::Up,
            weight: 1,
            last_weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            cost: 1,
            reported_load: 0,
        }
    }
}

/// Where a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// It is found as any next hop is.
    Address(IpAddr),
    /// It has no address of its own.
    Mac(InterfaceId, MacAddr),
}

impl Place {
    /// Its address; 0.0.0.0 of what has none.
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Address(address) => address,
            Self::Mac(..) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }
}

named_enum! {
    /// How packets get to a server; the words of `/proc/net/ip_vs`.
    pub enum Method {
        /// By its MAC address: nothing else of the packet changes but what any router changes.
        Direct = "direct",
        /// In an IP packet to its address (RFC 2003, RFC 2473).
        Ipip = "ipip",
    }
}

named_enum! {
    /// Whether a server may have connections.
    pub enum ServerState {
        /// It may.
        Up = "up",
        /// It keeps those that it has, and gets no new ones.
        Draining = "draining",
        /// It gets none. Of those that it has, datagrams and new beginnings go to another one.
        Dead = "dead",
        /// Its drain's deadline has passed: as dead, and what it opens from an address that others have as well is no longer
        /// its.
        Drained = "drained",
    }
}

impl ServerState {
    /// Whether new beginnings of what it has go to another one.
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Dead | Self::Drained)
    }
}

/// The schedulers and their flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Least connections.
    Lc,
    /// Weighted least connections.
    Wlc,
    /// Shortest expected delay.
    Sed,
    /// Never queue.
    Nq,
    /// Failover.
    Fo,
    /// Overflow.
    Ovf,
    /// Destination hashing.
    Dh,
    /// Source hashing.
    Sh(SourceHashing),
    /// Maglev hashing.
    Mh(MaglevHashing),
    /// The power of two choices.
    Twos,
    /// Locality-based least connections.
    Lblc(Locality),
    /// The same with replication.
    Lblcr(Locality),
    /// The least of reported load and cost of connections together; ties go to the first.
    LeastLoad,
}

/// How `sh` hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceHashing {
    /// Its table has 2^`bits` buckets, 4 to 20.
    pub bits: u32,
    /// `sh-port`: the port counts as well.
    pub port: bool,
    /// `sh-fallback`: instead of a server that is not usable another one is taken.
    pub fallback: bool,
}

impl Default for SourceHashing {
    fn default() -> Self {
        Self { bits: 8, port: false, fallback: false }
    }
}

/// How `mh` hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaglevHashing {
    /// Slots of its table, one of [`MAGLEV_SIZES`].
    pub size: u32,
    /// `mh-port`: the source port counts as well.
    pub port: bool,
    /// `mh-fallback`: instead of a server that is not usable another one is taken.
    pub fallback: bool,
}

/// The primes that Linux can be built with.
pub const MAGLEV_SIZES: [u32; 10] = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071];

impl Default for MaglevHashing {
    fn default() -> Self {
        Self { size: 4093, port: false, fallback: false }
    }
}

/// How much `lblc` and `lblcr` remember, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locality {
    /// Addresses, at most.
    pub entries_max: u32,
    /// Servers of all addresses together, at most.
    pub members_max: u32,
    /// An address that nobody has asked for in this time is forgotten; a set that has not changed in this time loses
    /// its most loaded server.
    pub expiration: Span,
    /// The same while the table is full.
    pub idle: Span,
}

impl Default for Locality {
    /// Linux's: sixteen addresses in each of 1024 buckets, a day, six minutes.
    fn default() -> Self {
        Self {
            entries_max: 16 * 1024,
            members_max: 64 * 1024,
            expiration: Span::from_s(86_400).unwrap_or(Span::MAX),
            idle: Span::from_s(360).unwrap_or(Span::MAX),
        }
    }
}

named_enum! {
    /// What becomes of a new connection that no server can take.
    pub enum Fallback {
        /// Its sender is told: RST, or ICMP port unreachable.
        Reject = "reject",
        /// It goes where it would go without the service.
        Bypass = "bypass",
        /// Nothing.
        Drop = "drop",
    }
}

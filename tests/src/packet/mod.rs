//! Builds frames, layer by layer: `eth(a, b).vlan(7).ip(c, s).tcp(5000, 80).syn().build()`.
//!
//! Each layer is a type that offers only what may follow it, so a TCP segment without an IP header, or an IPv4
//! source with an IPv6 destination, does not compile. Lengths and checksums are right unless a test asks for a
//! wrong one. The checksum code is this module's own, so that it can judge the data plane's.
//! What no sane stack holds, a test makes by changing bytes of a built frame.

pub mod checksum;
pub mod icmp;
pub mod ip;
pub mod link;
pub mod raw;
pub mod sctp;
pub mod tcp;
pub mod udp;
pub mod udp_lite;

pub use icmp::Icmp;
pub use ip::{Address, Ip};
pub use link::{Link, Mac, Pppoe, eth, packet_of};
pub use raw::Raw;
pub use sctp::{Sctp, chunk};
pub use tcp::{Flags, Tcp, TcpOption};
pub use udp::Udp;
pub use udp_lite::UdpLite;

//! Views of protocol headers in place: nothing is copied, nothing is owned.
//!
//! Each file is one protocol in the same order: layout, view, getters, setters, tests. A view is made by `new`,
//! which answers `None` when the fixed part of the header is not there in full. The view then holds that part as
//! an array of its exact size, so **no accessor panics after construction** and the compiler needs no bounds
//! check. What a header says about lengths is never trusted: slices end where the bytes end.
//!
//! A view checks no meaning: a version, a length or a checksum may be wrong; `parse` judges.

pub mod arp;
pub mod checksum;
pub mod ecn;
pub mod ethernet;
pub mod gre;
pub mod icmp;
pub mod icmpv6;
pub mod ip_protocol;
pub mod ipv4;
pub mod ipv6;
pub mod pppoe;
pub mod sctp;
pub mod tcp;
pub mod udp;
pub mod udp_lite;
pub mod vlan;

pub use arp::Arp;
pub use ecn::{Ecn, EcnSet};
pub use ethernet::{EtherType, Ethernet, EthernetMut, MacAddr};
pub use gre::Gre;
pub use icmp::{Icmp, IcmpType};
pub use icmpv6::{Icmpv6, Icmpv6Type};
pub use ip_protocol::IpProtocol;
pub use ipv4::{Ipv4, Ipv4Mut};
pub use ipv6::{Extension, Ipv6, Ipv6Mut};
pub use pppoe::Pppoe;
pub use sctp::{Chunk, ChunkType, Sctp};
pub use tcp::{Tcp, TcpFlags, TcpMut, TcpOption};
pub use udp::{Udp, UdpMut};
pub use udp_lite::UdpLite;
pub use vlan::Vlan;

/// The 16-bit number at `at` of a fixed header.
#[inline(always)]
const fn be16<const N: usize>(header: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

/// The 32-bit number at `at` of a fixed header.
#[inline(always)]
const fn be32<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes(octets(header, at))
}

/// The `M` bytes from `at` on of a fixed header.
#[inline(always)]
const fn octets<const N: usize, const M: usize>(header: &[u8; N], at: usize) -> [u8; M] {
    let mut taken = [0; M];
    let mut i = 0;
    while i < M {
        taken[i] = header[at + i];
        i += 1;
    }
    taken
}

/// Writes `value` at `at` of a fixed header.
#[inline(always)]
fn set<const N: usize, const M: usize>(header: &mut [u8; N], at: usize, value: [u8; M]) {
    header[at..at + M].copy_from_slice(&value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_view_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let bytes = bytes.as_slice();
            if let Some(v) = Ethernet::new(bytes) { let _ = (v.destination(), v.source(), v.ethertype(), v.payload()); }
            if let Some(v) = Vlan::new(bytes) { let _ = (v.id(), v.priority(), v.ethertype(), v.payload()); }
            if let Some(v) = Pppoe::new(bytes) { let _ = (v.is_session(), v.session(), v.ethertype(), v.payload()); }
            if let Some(v) = Arp::new(bytes) { let _ = (v.operation(), v.sender_mac(), v.sender_ip(), v.target_ip()); }
            if let Some(v) = Ipv4::new(bytes) {
                let _ = (v.options(), v.payload(), v.checksum_verifies(), v.is_fragment(), v.fragment_offset());
            }
            if let Some(v) = Ipv6::new(bytes) {
                let _ = v.payload();
                let mut next = Extension::new(v.next_header(), v.payload());
                while let Some(extension) = next {
                    prop_assert!(extension.len() >= 8);
                    let _ = (extension.body(), extension.fragment_offset(), extension.more_fragments());
                    next = extension.payload().and_then(|rest| Extension::new(extension.next_header(), rest));
                }
            }
            if let Some(v) = Tcp::new(bytes) {
                let _ = (v.flags(), v.payload());
                for option in v.options() {
                    if let TcpOption::Sack(blocks) = option {
                        prop_assert!(blocks.count() >= 1);
                    }
                }
            }
            if let Some(v) = Udp::new(bytes) { let _ = (v.length(), v.payload()); }
            if let Some(v) = Icmp::new(bytes) { let _ = (v.kind(), v.id(), v.payload()); }
            if let Some(v) = Icmpv6::new(bytes) { let _ = (v.kind(), v.id(), v.payload()); }
            if let Some(v) = Sctp::new(bytes) {
                let _ = (v.verification_tag(), v.checksum_verifies());
                for chunk in v.chunks() {
                    let _ = (chunk.length(), chunk.initiate_tag());
                }
            }
            if let Some(v) = UdpLite::new(bytes) { let _ = (v.coverage(), v.checksum()); }
            if let Some(v) = Gre::new(bytes) { let _ = (v.version(), v.ethertype(), v.key(), v.call_id()); }
        }
    }
}

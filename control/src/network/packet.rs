//! Packets that came, read as far as answering them needs.

use weir_dataplane::wire::{Extension, IpProtocol, Ipv4, Ipv6, ipv4, ipv6};

/// An IPv4 packet that is whole and true; padding may follow.
pub(super) fn ipv4(bytes: &[u8]) -> Option<Ipv4<'_>> {
    let ip = Ipv4::new(bytes)?;
    let whole = ip.header_len() >= ipv4::HEADER_LEN
        && ip.total_len() >= ip.header_len()
        && ip.total_len() <= bytes.len();
    (ip.version() == 4 && whole && ip.checksum_verifies()).then_some(ip)
}

/// An IPv6 packet that is whole; padding may follow.
pub(super) fn ipv6(bytes: &[u8]) -> Option<Ipv6<'_>> {
    let ip = Ipv6::new(bytes)?;
    let whole = ipv6::HEADER_LEN + ip.payload_len() <= bytes.len();
    (ip.version() == 6 && whole).then_some(ip)
}

/// Where the extension headers of an IPv6 packet lead.
pub(super) enum Upper<'a> {
    /// To this protocol.
    Protocol {
        protocol: IpProtocol,
        /// Which byte of the packet names it.
        named_at: usize,
        payload: &'a [u8],
    },
    /// Into the middle of a datagram.
    LaterFragment,
    /// Out of the packet.
    Cut,
}

/// Follows the extension headers.
pub(super) fn upper<'a>(ip: &Ipv6<'a>) -> Upper<'a> {
    let (mut protocol, mut payload, mut named_at) = (ip.next_header(), ip.payload(), ipv6::NEXT_HEADER);
    while protocol.is_extension() {
        let Some(extension) = Extension::new(protocol, payload) else { return Upper::Cut };
        if protocol == IpProtocol::FRAGMENT && extension.fragment_offset() != 0 {
            return Upper::LaterFragment;
        }
        named_at = ipv6::HEADER_LEN + ip.payload().len() - payload.len();
        protocol = extension.next_header();
        let Some(rest) = extension.payload() else { return Upper::Cut };
        payload = rest;
    }
    Upper::Protocol { protocol, named_at, payload }
}

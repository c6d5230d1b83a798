//! The frames that nearly all frames are, read at fixed places: untagged Ethernet; IPv4 without options, or IPv6
//! without extension headers; no fragment; TCP or UDP with nothing wrong.
//!
//! Whatever else a frame is, the answer is `None`, and the general way says what it is. What is read here is read
//! as there: a test holds the two against each other. The result is written where it stays: moving it costs as much
//! as half of the reading.

use super::transport::flags_valid;
use super::{Class, Offload, Parsed, Rules, Transport};
use crate::key::{Address, Endpoint, Family, FlowKey};
use crate::port::Checksum;
use crate::wire::checksum::Sum;
use crate::wire::{EtherType, Ethernet, IpProtocol, Ipv4, Ipv6, Tcp, Udp, ethernet, ipv4, ipv6, tcp, udp};

/// Where the transport begins.
const AT_IPV4: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
const AT_IPV6: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN;

/// Bytes that must be there; a UDP datagram that is shorter goes the general way.
const HEAD_IPV4: usize = AT_IPV4 + tcp::HEADER_LEN;
const HEAD_IPV6: usize = AT_IPV6 + tcp::HEADER_LEN;

#[inline(always)]
pub(super) fn parse(frame: &[u8], rules: Rules, offload: Offload, parsed: &mut Parsed) -> Option<()> {
    let head: &[u8; HEAD_IPV4] = frame.first_chunk()?;
    let ethernet = Ethernet::new(head)?;
    let source = ethernet.source();
    if source.is_group() || source.0 == [0; 6] || ethernet.destination().is_link_local() {
        return None;
    }
    match ethernet.ethertype() {
        EtherType::IPV4 => parse_ipv4(frame, head, rules, offload, parsed),
        EtherType::IPV6 => parse_ipv6(frame, rules, offload, parsed),
        _ => None,
    }
}

#[inline(always)]
fn parse_ipv4(
    frame: &[u8],
    head: &[u8; HEAD_IPV4],
    rules: Rules,
    offload: Offload,
    parsed: &mut Parsed,
) -> Option<()> {
    let ip = Ipv4::new(&head[ethernet::HEADER_LEN..])?;
    if ip.version() != 4 || ip.header_len() != ipv4::HEADER_LEN || ip.is_fragment() {
        return None;
    }
    let intact = match offload.ip {
        Checksum::Good => true,
        Checksum::Unchecked => ip.checksum_verifies(),
        Checksum::Bad => false,
    };
    if !intact {
        return None;
    }
    let bytes = frame.get(AT_IPV4..ethernet::HEADER_LEN + ip.total_len())?;
    let (source, destination, protocol) = (ip.source(), ip.destination(), ip.protocol());
    let pseudo = |len| Sum::pseudo_ipv4(source, destination, protocol, len);
    let (_, header) = head.split_last_chunk()?;
    let transport = transport(protocol, header, bytes, rules, offload, pseudo)?;
    let ports = Ports::of(header);
    let (key, side) = FlowKey::sorted_ipv4(
        protocol.0,
        (source.octets(), ports.source),
        (destination.octets(), ports.destination),
    );
    *parsed = Parsed { class: Class::Flow(transport), key, side, at: AT_IPV4 as u16, len: len_of(bytes) };
    Some(())
}

#[inline(always)]
fn parse_ipv6(frame: &[u8], rules: Rules, offload: Offload, parsed: &mut Parsed) -> Option<()> {
    let head: &[u8; HEAD_IPV6] = frame.first_chunk()?;
    let ip = Ipv6::new(&head[ethernet::HEADER_LEN..])?;
    if ip.version() != 6 {
        return None;
    }
    let bytes = frame.get(AT_IPV6..AT_IPV6 + ip.payload_len())?;
    let (source, destination, protocol) = (ip.source(), ip.destination(), ip.next_header());
    let pseudo = |len| Sum::pseudo_ipv6(source, destination, protocol, u32::from(len));
    let (_, header) = head.split_last_chunk()?;
    let transport = transport(protocol, header, bytes, rules, offload, pseudo)?;
    let ports = Ports::of(header);
    let (key, side) = FlowKey::sorted(
        Family::V6,
        protocol.0,
        Endpoint::new(Address::v6(source.octets()), ports.source),
        Endpoint::new(Address::v6(destination.octets()), ports.destination),
    );
    *parsed = Parsed { class: Class::Flow(transport), key, side, at: AT_IPV6 as u16, len: len_of(bytes) };
    Some(())
}

/// What follows IP, if it is sane. `header` may run past the end of `bytes`, which are the transport's by IP's word.
#[inline(always)]
fn transport(
    protocol: IpProtocol,
    header: &[u8; tcp::HEADER_LEN],
    bytes: &[u8],
    rules: Rules,
    offload: Offload,
    pseudo: impl FnOnce(u16) -> Sum,
) -> Option<Transport> {
    let (transport, sane, summed) = match protocol {
        IpProtocol::TCP => {
            let tcp = Tcp::new(header)?;
            let len = tcp.header_len();
            let sane = len >= tcp::HEADER_LEN && len <= bytes.len() && flags_valid(tcp.flags());
            (Transport::Tcp, sane, true)
        }
        IpProtocol::UDP => {
            let udp = Udp::new(header)?;
            let sane = udp.length() >= udp::HEADER_LEN && udp.length() <= bytes.len();
            (Transport::Udp, sane, udp.checksum() != 0)
        }
        _ => return None,
    };
    let intact = match offload.l4 {
        Checksum::Good => true,
        _ if !(summed && rules.checksum) => true,
        Checksum::Unchecked => pseudo(u16::try_from(bytes.len()).ok()?).and(bytes).verifies(),
        Checksum::Bad => false,
    };
    (sane && intact).then_some(transport)
}

/// Where TCP and UDP both have them.
struct Ports {
    source: u16,
    destination: u16,
}

impl Ports {
    #[inline(always)]
    fn of(header: &[u8; tcp::HEADER_LEN]) -> Self {
        let [a, b, c, d, ..] = *header;
        Self { source: u16::from_be_bytes([a, b]), destination: u16::from_be_bytes([c, d]) }
    }
}

/// IP's lengths have 16 bits, so that of what it carries does.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "IP's lengths have 16 bits")]
const fn len_of(transport: &[u8]) -> u16 {
    transport.len() as u16
}

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
    let (key, side) =
        FlowKey::sorted_ipv4(protocol.0, [source.octets(), destination.octets()], ports(header));
    *parsed =
        Parsed { class: Class::Flow(transport), key, side, at: short(AT_IPV4), len: short(bytes.len()) };
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
    let [source_port, destination_port] = ports(header);
    let (key, side) = FlowKey::sorted(
        Family::V6,
        protocol.0,
        Endpoint::new(Address::v6(source.octets()), source_port),
        Endpoint::new(Address::v6(destination.octets()), destination_port),
    );
    *parsed =
        Parsed { class: Class::Flow(transport), key, side, at: short(AT_IPV6), len: short(bytes.len()) };
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

/// Source and destination port, where TCP and UDP both have them.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "each half of a word is a port")]
const fn ports(&[a, b, c, d, ..]: &[u8; tcp::HEADER_LEN]) -> [u16; 2] {
    let both = u32::from_be_bytes([a, b, c, d]);
    [(both >> u16::BITS) as u16, both as u16]
}

/// A place or a length in a packet whose own length has 16 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "IP's lengths have 16 bits")]
const fn short(len: usize) -> u16 {
    len as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{parse, parse_any};
    use proptest::prelude::*;

    /// A sane frame of each kind, with its checksums right; 0 where UDP has none.
    fn sane(ipv6: bool, protocol: IpProtocol, payload_len: usize, summed: bool) -> Vec<u8> {
        let header_len = if protocol == IpProtocol::TCP { tcp::HEADER_LEN } else { udp::HEADER_LEN };
        let len = header_len + payload_len;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let total = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
        let pseudo = if ipv6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(total(len));
            frame.extend([protocol.0, 64]);
            frame.extend([[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].as_flattened());
            let address = core::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            Sum::pseudo_ipv6(address, address, protocol, u32::try_from(len).unwrap())
        } else {
            let [a, b] = total(ipv4::HEADER_LEN + len);
            let mut header = [0x45, 0, a, b, 0, 1, 0x40, 0, 64, protocol.0, 0, 0, 10, 0, 0, 1, 192, 0, 2, 80];
            let sum = Sum::of(&header).checksum().to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            frame.extend([8, 0]);
            frame.extend(header);
            Sum::pseudo_ipv4(
                [10, 0, 0, 1].into(),
                [192, 0, 2, 80].into(),
                protocol,
                u16::try_from(len).unwrap(),
            )
        };
        let at = frame.len();
        frame.extend([0x12, 0x34, 0, 80]);
        if protocol == IpProtocol::TCP {
            frame.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            frame.extend(total(len));
            frame.extend([0, 0]);
        }
        frame.extend((0..payload_len).map(|i| u8::try_from(i % 251).unwrap()));
        if summed || protocol == IpProtocol::TCP {
            let sum = pseudo.and(&frame[at..]).checksum().to_be_bytes();
            let place = at + if protocol == IpProtocol::TCP { 16 } else { 6 };
            frame[place..place + 2].copy_from_slice(&sum);
        }
        frame.resize(frame.len().max(60), 0);
        frame
    }

    fn checksum() -> impl Strategy<Value = Checksum> {
        prop_oneof![3 => Just(Checksum::Unchecked), 3 => Just(Checksum::Good), 1 => Just(Checksum::Bad)]
    }

    #[test]
    fn sane_frames_are_plain() {
        for (ipv6, protocol) in [(false, IpProtocol::TCP), (true, IpProtocol::UDP)] {
            let frame = sane(ipv6, protocol, 30, true);
            let mut parsed = Parsed::default();
            let rules = Rules { checksum: true, ..Rules::default() };
            super::parse(&frame, rules, Offload::default(), &mut parsed).unwrap();
            assert!(matches!(parsed.class, Class::Flow(_)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn what_is_read_here_is_read_as_the_general_way_reads_it(
            (ipv6, tcp, summed) in any::<(bool, bool, bool)>(),
            payload_len in 0usize..100,
            changes in proptest::collection::vec((0usize..110, any::<u8>()), 0..3),
            cut in prop_oneof![3 => Just(0usize), 1 => 0usize..60],
            (sums, helpers, stp) in any::<(bool, bool, bool)>(),
            (ip, l4) in (checksum(), checksum()),
        ) {
            let protocol = if tcp { IpProtocol::TCP } else { IpProtocol::UDP };
            let mut frame = sane(ipv6, protocol, payload_len, summed);
            for (at, byte) in changes {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            frame.truncate(frame.len() - cut.min(frame.len()));
            let rules = Rules {
                checksum: sums,
                vlan_tags_max: 2,
                forward_stp: stp,
                tcp_helpers: helpers,
                udp_helpers: helpers,
            };
            let offload = Offload { ip, l4 };
            prop_assert_eq!(parse(&frame, rules, offload), parse_any(&frame, rules, offload));
        }
    }
}

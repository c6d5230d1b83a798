//! What the scenarios must know of an address family.

use crate::conversation::{Conversation, Fate, Side};
use crate::packet::{Address, Mac, eth};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Type and code of an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
}

/// An address family as scenarios use it.
pub trait Family: Address {
    /// Nobody listens on that port.
    const PORT_UNREACHABLE: IcmpError;
    /// The packet ran out of hops.
    const TIME_EXCEEDED: IcmpError;
    /// DNS type of an address record (RFC 1035, RFC 3596).
    const DNS_TYPE: u16;
    /// FTP's number of the family (RFC 2428).
    const FTP_FAMILY: u8;

    /// The first router behind the gateway, that answers for packets without hops.
    const ROUTER: Self;

    /// The `n`th client.
    fn client(n: u32) -> Self;

    /// The `n`th server.
    fn server(n: u32) -> Self;

    /// The client looks up the server's MAC: ARP or neighbour discovery.
    fn resolve(talk: &mut Conversation<Self>);
}

impl Family for Ipv4Addr {
    const PORT_UNREACHABLE: IcmpError = IcmpError { kind: 3, code: 3 };
    const TIME_EXCEEDED: IcmpError = IcmpError { kind: 11, code: 0 };
    const DNS_TYPE: u16 = 1;
    const FTP_FAMILY: u8 = 1;
    const ROUTER: Self = Self::new(198, 18, 255, 254);

    fn client(n: u32) -> Self {
        // 198.18.0.0/15 is for benchmarks (RFC 2544): the clients have its lower half.
        Self::from_bits(0xc612_0000 + 10 + n)
    }

    fn server(n: u32) -> Self {
        Self::from_bits(0xc613_0000 + 10 + n)
    }

    fn resolve(talk: &mut Conversation<Self>) {
        let (client, server) = (talk.host(Side::Lan), talk.host(Side::Wan));
        talk.say_with(
            Fate::Loose,
            Side::Lan,
            eth(client.mac, Mac::BROADCAST).arp_request(client.ip, server.ip),
        );
        talk.say_with(Fate::Loose, Side::Wan, eth(server.mac, client.mac).arp_reply(server.ip, client.ip));
    }
}

impl Family for Ipv6Addr {
    const PORT_UNREACHABLE: IcmpError = IcmpError { kind: 1, code: 4 };
    const TIME_EXCEEDED: IcmpError = IcmpError { kind: 3, code: 0 };
    const DNS_TYPE: u16 = 28;
    const FTP_FAMILY: u8 = 2;
    const ROUTER: Self = Self::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfffe);

    fn client(n: u32) -> Self {
        // 3fff::/20 is for documentation (RFC 9637). Each client has a /32 of its own: Linux's cluster match looks
        // no further.
        Self::from_bits((u128::from(0x3fff_0000 | (n & 0xfff)) << 96) + 10 + u128::from(n))
    }

    fn server(n: u32) -> Self {
        Self::from_bits((0x2001_0db8_u128 << 96) + (2 << 32) + 10 + u128::from(n))
    }

    fn resolve(talk: &mut Conversation<Self>) {
        let (client, server) = (talk.host(Side::Lan), talk.host(Side::Wan));
        let group = Self::from_bits((0xff02 << 112) | 0x1_ff00_0000 | (server.ip.to_bits() & 0xff_ffff));
        let question = eth(client.mac, Mac::multicast_v6(group)).ip(client.ip, group);
        talk.say_with(Fate::Loose, Side::Lan, question.neighbor_solicitation(server.ip, client.mac));
        let answer = eth(server.mac, client.mac).ip(server.ip, client.ip);
        talk.say_with(Fate::Loose, Side::Wan, answer.neighbor_advertisement(server.ip, server.mac));
    }
}

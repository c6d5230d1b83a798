//! What a gateway must stand: scans, strays, broken frames.

use super::Family;
use super::family::IcmpError;
use crate::conversation::{Conversation, Fate, Side, TcpSession};
use crate::packet::{Flags, Mac, eth};

const ETHERTYPE_LLDP: u16 = 0x88cc;
const LLDP_MULTICAST: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 0x0e]);

/// The client tries these ports of the server and finds one in ten open.
pub fn syn_scan<A: Family>(talk: &mut Conversation<A>, client_port: u16, ports: std::ops::Range<u16>) {
    for port in ports {
        let mut tcp = TcpSession::new(talk, client_port, port);
        tcp.syn(talk, Side::Lan);
        if port % 10 == 0 {
            tcp.syn_ack(talk, Side::Wan);
            tcp.reset(talk, Side::Lan);
        } else {
            tcp.refuse(talk, Side::Wan);
        }
    }
}

/// Segments that no connection tracker may take: in mid-stream of no flow, with senseless flags, with wrong
/// checksums, cut short; and an error that quotes a flow that never was.
pub fn invalid<A: Family>(talk: &mut Conversation<A>, client_port: u16) {
    let stray = talk.ip(Side::Lan).tcp(client_port, 443).seq(1).ack(1).payload(b"lost").build();
    let christmas = Flags::FIN | Flags::PSH | Flags::URG;
    let christmas = talk.ip(Side::Lan).tcp(client_port, 444).flags(christmas).build();
    let bad_tcp = talk.ip(Side::Lan).tcp(client_port, 445).syn().bad_checksum().build();
    let bad_udp = talk.ip(Side::Lan).udp(client_port, 446).payload(b"broken").bad_checksum().build();
    let whole = talk.ip(Side::Lan).tcp(client_port, 447).syn().build();
    let cut = whole[..whole.len() - 12].to_vec();
    for frame in [stray, christmas, bad_tcp, bad_udp, cut] {
        talk.say_with(Fate::Dropped, Side::Lan, frame);
    }
    let never = talk.ip(Side::Lan).udp(client_port, 448).build();
    let IcmpError { kind, code } = A::PORT_UNREACHABLE;
    let error = talk.ip(Side::Wan).icmp(kind, code, [0; 4]).quote(&never, 576).build();
    talk.say_with(Fate::Dropped, Side::Wan, error);
}

/// A neighbour announces itself to its own link: it must not cross.
pub fn link_local<A: Family>(talk: &mut Conversation<A>) {
    let mac = talk.host(Side::Lan).mac;
    // Chassis (a MAC address), port (a name), lifetime (120 s), end: the least that IEEE 802.1AB asks for.
    let message = [&[2, 7, 4][..], &mac.0, &[4, 2, 7, b'1', 6, 2, 0, 120, 0, 0]].concat();
    talk.say_with(Fate::Dropped, Side::Lan, eth(mac, LLDP_MULTICAST).ethertype(ETHERTYPE_LLDP, &message));
}

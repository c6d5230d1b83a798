//! FTP control connections: right commands, wrong ones, and data connections to what they announced.

use super::tcp::Tcp;
use super::{Ends, Mischievous, World};
use crate::rng::Rng;

/// Ports that data connections go to: few, so that expectations meet again.
const DATA_PORTS: [u16; 4] = [50_001, 50_002, 50_003, 50_004];
/// Where a server connects from.
const SERVER_DATA_PORT: u16 = 20;

/// Says one thing on the control connection; at times opens a data connection, in either direction, that fits or
/// not.
pub(super) fn act<A: Mischievous>(
    tcp: &mut Tcp,
    world: &mut World<A>,
    ends: Ends<A>,
) -> Option<(Ends<A>, Tcp)> {
    let port = *world.rng.pick(&DATA_PORTS);
    tcp.act(world, ends, |rng| {
        if rng.chance(60) { A::ftp_line(rng, ends[0], ends[1], port) } else { chatter(rng) }
    });
    if !world.rng.chance(15) {
        return None;
    }
    let rng = &mut world.rng;
    let client_port = 41_000 + rng.below(4) as u16;
    Some(if rng.chance(50) {
        (ends, Tcp::new(rng, [client_port, port]))
    } else {
        let from = if rng.chance(80) { SERVER_DATA_PORT } else { client_port };
        ([ends[1], ends[0]], Tcp::new(rng, [from, port]))
    })
}

fn chatter(rng: &mut Rng) -> Vec<u8> {
    let lines: [&[u8]; 6] =
        [b"", b"USER me\r\n", b"331 go on\r\n", b"no end of line", b"200 PORT accepted.\r\n", b"\r\n"];
    rng.pick(&lines).to_vec()
}

/// `a,b,c,d,p,q`, at times without its last digits.
pub(super) fn comma_place(rng: &mut Rng, address: std::net::Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = address.octets();
    let mut text = format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff);
    if rng.chance(8) {
        text.truncate(text.len() - 4);
    }
    text
}

/// `EPRT` or the reply to `EPSV`.
pub(super) fn extended_line(rng: &mut Rng, family: u8, client: std::net::IpAddr, port: u16) -> String {
    let family = if rng.chance(5) { 3 - family } else { family };
    let mark = *rng.pick(&['|', '|', '|', '!']);
    if rng.chance(50) {
        let word = *rng.pick(&["EPRT", "EPRT", "eprt"]);
        format!("{word} {mark}{family}{mark}{client}{mark}{port}{mark}\r\n")
    } else {
        format!("229 Entering Extended Passive Mode ({mark}{mark}{mark}{port}{mark})\r\n")
    }
}

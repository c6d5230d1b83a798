//! An echo (RFC 792, RFC 4443 4.1).

use super::socket::{Way, nonce};
use super::trouble::Trouble;
use std::net::IpAddr;
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::icmp::HEADER_LEN;
use weir_dataplane::wire::{IcmpType, Icmpv6Type};

/// More than any answer to so short a request, with all of IPv4's options.
const ANSWER_MAX: usize = 256;

/// Asks for an echo; back when it is there.
pub(super) async fn check(way: Way<'_>) -> Result<(), Trouble> {
    let socket = way.icmp()?;
    let (asks, answers) = match way.address {
        IpAddr::V4(_) => (IcmpType::ECHO.0, IcmpType::ECHO_REPLY.0),
        IpAddr::V6(_) => (Icmpv6Type::ECHO.0, Icmpv6Type::ECHO_REPLY.0),
    };
    // Others ask the same server at the same time: identifier, number and data say whose the answer is.
    let nonce = nonce();
    let request = message(asks, &nonce, way.address);
    socket.send(&request).await.map_err(|error| Trouble::network(&error))?;
    loop {
        let mut answer = [0; ANSWER_MAX];
        let len = socket.recv(&mut answer).await.map_err(|error| Trouble::network(&error))?;
        if is_answer(answer.get(..len).unwrap_or(&[]), answers, &nonce, way.address) {
            return Ok(());
        }
    }
}

/// The message; of ICMPv6 the kernel makes the checksum (RFC 3542 3.1).
fn message(kind: u8, nonce: &[u8; 8], to: IpAddr) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0], &nonce[..]].concat();
    if to.is_ipv4() {
        let checksum = Sum::of(&message).checksum();
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    message
}

/// Whether this came back of what was sent. Over IPv4 a raw socket hears the IP header as well.
fn is_answer(heard: &[u8], kind: u8, nonce: &[u8; 8], from: IpAddr) -> bool {
    let header_len = match (from, heard.first()) {
        (IpAddr::V4(_), Some(first)) => usize::from(first & 0xf) * 4,
        _ => 0,
    };
    heard.get(header_len..).is_some_and(|message| {
        message.len() >= HEADER_LEN && message[..2] == [kind, 0] && message[4..] == nonce[..]
    })
}

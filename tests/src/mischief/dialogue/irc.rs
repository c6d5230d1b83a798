//! IRC: direct client connections (DCC), announced within a message.

use std::net::IpAddr;

use super::{Child, ChildKind, Script, mostly};
use crate::mischief::{Ends, Mischievous};
use crate::rng::Rng;

pub(in crate::mischief) struct Irc<A>(Ends<A>);

impl<A: Mischievous> Script<A> for Irc<A> {
    const TCP: bool = true;
    const PORT: u16 = 6667;

    fn new(_: &mut Rng, ends: Ends<A>, _: u16) -> Self {
        Self(ends)
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        let [client, _] = self.0;
        let side = usize::from(rng.chance(10));
        if rng.chance(30) {
            return (side, b":me PRIVMSG you :hello\r\n".to_vec(), Vec::new());
        }
        let at = if rng.chance(10) { self.0[1] } else { mostly(rng, client) };
        let number = match at.into() {
            IpAddr::V4(address) => address.to_bits(),
            IpAddr::V6(_) => 0,
        };
        let port = *rng.pick(&[6001, 6002, 6003, 0, 80, 65_535]);
        let word =
            *rng.pick(&["SEND file", "CHAT chat", "MOVE file", "TSEND f", "SCHAT c", "RESUME f", "send f"]);
        let word = if rng.chance(10) { word.replace(' ', "  ") } else { word.to_owned() };
        let end = *rng.pick(&["\x01\r\n", "\x01\n", " 999\x01\r\n", "\x01", ""]);
        let line = format!("PRIVMSG you :\x01DCC {word} {number} {port}{end}");
        let line = if rng.chance(20) { line.repeat(2) } else { line };
        let from = A::client(rng.below(3) as u32);
        let child = Child { kind: ChildKind::Tcp, ends: [from, client], ports: [43_000, port] };
        (side, line.into_bytes(), vec![child])
    }
}

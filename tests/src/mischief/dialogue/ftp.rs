//! FTP (RFC 959, RFC 2428): ports announced by commands and replies.

use super::{Child, ChildKind, Script};
use crate::mischief::{Ends, Mischievous};
use crate::rng::Rng;

const CHATTER: [(usize, &[u8]); 7] = [
    (0, b"USER me\r\n"),
    (0, b"LIST\r\n"),
    (0, b"PASV\r\n"),
    (1, b"331 go on\r\n"),
    (1, b"150 here it comes\r\n"),
    (1, b"no end of line"),
    (0, b"\r\n"),
];

pub(in crate::mischief) struct Ftp<A>(Ends<A>);

impl<A: Mischievous> Script<A> for Ftp<A> {
    const TCP: bool = true;
    const PORT: u16 = 21;

    fn new(_: &mut Rng, ends: Ends<A>, _: u16) -> Self {
        Self(ends)
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        let [client, server] = self.0;
        if rng.chance(40) {
            let (side, line) = *rng.pick(&CHATTER);
            return (side, line.to_vec(), Vec::new());
        }
        let port = 50_000 + rng.below(4) as u16;
        let line = A::ftp_line(rng, client, server, port);
        let passive = line.starts_with(b"2");
        let side = usize::from(passive) ^ usize::from(rng.chance(5));
        let own = 42_000 + rng.below(3) as u16;
        let child = if passive {
            Child { kind: ChildKind::Tcp, ends: self.0, ports: [own, port] }
        } else {
            Child { kind: ChildKind::Tcp, ends: [server, client], ports: [*rng.pick(&[20, own]), port] }
        };
        (side, line, vec![child])
    }
}

//! Amanda and SANE: a reply names ports.

use super::{Child, ChildKind, Script};
use crate::mischief::{Ends, Mischievous};
use crate::rng::Rng;

pub(in crate::mischief) struct Amanda<A>(Ends<A>);

impl<A: Mischievous> Script<A> for Amanda<A> {
    const TCP: bool = false;
    const PORT: u16 = 10_080;

    fn new(_: &mut Rng, ends: Ends<A>, _: u16) -> Self {
        Self(ends)
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        if rng.chance(40) {
            return (0, b"Amanda 2.4 REQ HANDLE 000 SEQ 1\nSERVICE sendbackup\n".to_vec(), Vec::new());
        }
        let first = 51_000 + rng.below(3) as u16;
        let words: String = ["DATA", "MESG", "INDEX", "STATE"]
            .iter()
            .zip(first..)
            .map(|(word, port)| match rng.below(8) {
                0 => String::new(),
                1 => format!(" {word} 0"),
                _ => format!(" {word} {port}"),
            })
            .collect();
        let head = *rng.pick(&["CONNECT", "CONNECT", "CONNECT", "connect", "OPTIONS"]);
        let end = *rng.pick(&["\n", "\n", ""]);
        let line = format!("Amanda 2.4 REP HANDLE 000 SEQ 1\n{head}{words}{end}OPTIONS ;\n");
        let children = (first..first + 4)
            .map(|port| Child { kind: ChildKind::Tcp, ends: self.0, ports: [44_000, port] })
            .collect();
        (usize::from(rng.chance(95)), line.into_bytes(), children)
    }
}

/// SANE's call that asks for the data port.
const NET_START: u32 = 7;

pub(in crate::mischief) struct Sane<A>(Ends<A>);

impl<A: Mischievous> Script<A> for Sane<A> {
    const TCP: bool = true;
    const PORT: u16 = 6566;

    fn new(_: &mut Rng, ends: Ends<A>, _: u16) -> Self {
        Self(ends)
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        if rng.chance(50) {
            let call = *rng.pick(&[NET_START, NET_START, NET_START, 1, 4]);
            let request = [call.to_be_bytes(), [0; 4]].concat();
            return (0, request, Vec::new());
        }
        let port = 52_000 + rng.below(3) as u16;
        let [high, low] = port.to_be_bytes();
        let status = *rng.pick(&[0, 0, 0, 0, 4]);
        let reserved = *rng.pick(&[0, 0, 0, 0, 1]);
        // Status, zeros, port, byte order.
        let mut reply = vec![0, 0, 0, status, 0, reserved, high, low, 0, 0, 0x12, 0x34];
        reply.truncate(*rng.pick(&[12, 12, 12, 8, 7]));
        let child = Child { kind: ChildKind::Tcp, ends: self.0, ports: [44_000, port] };
        (1, reply, vec![child])
    }
}

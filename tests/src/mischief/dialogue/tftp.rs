//! TFTP (RFC 1350): the server answers from a port of its own.

use super::{Child, ChildKind, Script};
use crate::mischief::{Ends, Mischievous};
use crate::rng::Rng;

pub(in crate::mischief) struct Tftp<A> {
    ends: Ends<A>,
    port: u16,
}

impl<A: Mischievous> Script<A> for Tftp<A> {
    const TCP: bool = false;
    const PORT: u16 = 69;

    fn new(_: &mut Rng, ends: Ends<A>, port: u16) -> Self {
        Self { ends, port }
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        // Read, write, data, acknowledgement, error, and what nobody knows.
        let kind = *rng.pick(&[1, 1, 1, 2, 2, 3, 4, 5, 9]);
        let mut request = vec![0, kind];
        request.extend(b"file\0octet\0");
        request.truncate(*rng.pick(&[13, 13, 13, 2, 1, 0]));
        let [client, server] = self.ends;
        let ports = [60_000 + rng.below(3) as u16, self.port];
        let child = Child { kind: ChildKind::Udp, ends: [server, client], ports };
        (usize::from(rng.chance(10)), request, vec![child])
    }
}

//! SIP (RFC 3261) with SDP (RFC 4566): calls and registrations, over UDP and TCP.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{Child, ChildKind, Script, mostly};
use crate::mischief::{Ends, Mischievous};
use crate::rng::Rng;

/// Over UDP.
pub(in crate::mischief) struct SipUdp<A>(Calls<A>);
/// Over TCP.
pub(in crate::mischief) struct SipTcp<A>(Calls<A>);

const PORT: u16 = 5060;

impl<A: Mischievous> Script<A> for SipUdp<A> {
    const TCP: bool = false;
    const PORT: u16 = PORT;

    fn new(rng: &mut Rng, ends: Ends<A>, port: u16) -> Self {
        Self(Calls::new(rng, ends, port))
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        self.0.next(rng, "UDP")
    }
}

impl<A: Mischievous> Script<A> for SipTcp<A> {
    const TCP: bool = true;
    const PORT: u16 = PORT;

    fn new(rng: &mut Rng, ends: Ends<A>, port: u16) -> Self {
        Self(Calls::new(rng, ends, port))
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        let (side, mut message, children) = self.0.next(rng, "TCP");
        if rng.chance(10) {
            // Two at once.
            let (_, second, _) = self.0.next(rng, "TCP");
            message.extend(second);
        }
        (side, message, children)
    }
}

struct Calls<A> {
    ends: Ends<A>,
    port: u16,
    call: u64,
    cseq: u32,
    method: &'static str,
    media: [u16; 2],
}

const METHODS: [&str; 9] =
    ["INVITE", "INVITE", "INVITE", "REGISTER", "REGISTER", "UPDATE", "PRACK", "OPTIONS", "MESSAGE"];
const CODES: [&str; 9] = [
    "100 Trying",
    "180 Ringing",
    "183 Progress",
    "200 OK",
    "200 OK",
    "200 OK",
    "404 No",
    "486 Busy",
    "603 No",
];

impl<A: Mischievous> Calls<A> {
    fn new(rng: &mut Rng, ends: Ends<A>, port: u16) -> Self {
        let media = [4000 + 2 * rng.below(4) as u16, 5000 + rng.below(6) as u16];
        Self { ends, port, call: rng.below(1000), cseq: 1 + rng.below(5) as u32, method: "INVITE", media }
    }

    fn next(&mut self, rng: &mut Rng, transport: &str) -> (usize, Vec<u8>, Vec<Child<A>>) {
        match rng.below(10) {
            0..=3 => {
                self.method = METHODS[rng.index(METHODS.len())];
                self.cseq += rng.below(3) as u32;
                let side = usize::from(rng.chance(15));
                self.message(rng, transport, side, self.method, None)
            }
            4..=7 => {
                let code = *rng.pick(&CODES);
                let side = usize::from(rng.chance(85));
                self.message(rng, transport, side, self.method, Some(code))
            }
            8 => self.message(rng, transport, 0, "ACK", None),
            _ => {
                let side = rng.index(2);
                let method = *rng.pick(&["BYE", "CANCEL"]);
                self.message(rng, transport, side, method, None)
            }
        }
    }

    fn message(
        &self,
        rng: &mut Rng,
        transport: &str,
        side: usize,
        method: &str,
        code: Option<&str>,
    ) -> (usize, Vec<u8>, Vec<Child<A>>) {
        let own = host(mostly(rng, self.ends[side]));
        let peer = host(self.ends[1 - side]);
        let mut text = match code {
            None => format!("{method} sip:{peer} SIP/2.0\r\n"),
            Some(code) => format!("SIP/2.0 {code}\r\n"),
        };
        let compact = rng.chance(20);
        let name = |long: &'static str, short: &'static str| if compact { short } else { long };
        let contact_port = if rng.chance(70) { self.port } else { PORT };
        let (call, cseq) = (self.call, self.cseq);
        let mut lines = vec![
            format!("{}: SIP/2.0/{transport} {own}:{};branch=z9", name("Via", "v"), self.port),
            format!("{}: <sip:a@{own}>;tag=1", name("From", "f")),
            format!("{}: <sip:b@{peer}>", name("To", "t")),
            format!("{}: {call}@here", name("Call-ID", "i")),
            format!("CSeq: {cseq} {method}"),
        ];
        if rng.chance(80) {
            let expires = if rng.chance(30) { ";expires=60" } else { "" };
            lines.push(format!("{}: <sip:a@{own}:{contact_port}>{expires}", name("Contact", "m")));
        }
        if rng.chance(50) {
            lines.push(format!("Expires: {}", *rng.pick(&[3600, 60, 0])));
        }
        let (sdp, children) = if rng.chance(70) { self.sdp(rng, side) } else { Default::default() };
        if !sdp.is_empty() {
            lines.push("Content-Type: application/sdp".to_owned());
        }
        let length = if rng.chance(5) { sdp.len() + 7 } else { sdp.len() };
        lines.push(format!("{}: {length}", name("Content-Length", "l")));
        for line in lines {
            // A header may be missing, folded or spaced out.
            match rng.below(60) {
                0 => {}
                1 => text += &(line.replacen(": ", ":\r\n ", 1) + "\r\n"),
                2 => text += &(line.replacen(": ", " :  ", 1) + "\r\n"),
                _ => text += &(line + "\r\n"),
            }
        }
        text += "\r\n";
        text += &sdp;
        (side, text.into_bytes(), children)
    }

    fn sdp(&self, rng: &mut Rng, side: usize) -> (String, Vec<Child<A>>) {
        let at = mostly(rng, self.ends[side]);
        let family = if at.into().is_ipv4() { "IP4" } else { "IP6" };
        let line = format!("c=IN {family} {}\r\n", at.into());
        let mut text = format!("v=0\r\no=a 1 1 IN {family} {}\r\ns=-\r\n", at.into());
        if rng.chance(80) {
            text += &line;
        }
        text += "t=0 0\r\n";
        let mut children = Vec::new();
        for medium in ["audio", "video", "image"] {
            if !rng.chance(if medium == "audio" { 90 } else { 25 }) {
                continue;
            }
            let port = match rng.below(12) {
                0 => 0,
                1 => 80,
                _ => self.media[side] + rng.below(2) as u16 * 10,
            };
            // Writing to a String cannot fail.
            let _ = write!(text, "m={medium} {port} RTP/AVP 0\r\n");
            if rng.chance(25) {
                text += &line;
            }
            text += "a=sendrecv\r\n";
            let from = self.ends[1 - side];
            children.extend([port & !1, port | 1].map(|port| Child {
                kind: ChildKind::Udp,
                ends: [from, at],
                ports: [self.media[1 - side], port],
            }));
        }
        (text, children)
    }
}

/// As in a URI.
fn host<A: Mischievous>(address: A) -> String {
    match address.into() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

//! H.323 messages, written bit by bit in aligned packed encoding (ITU-T X.691).

use std::net::{IpAddr, SocketAddr};

/// A message in the making.
#[derive(Clone, Debug, Default)]
pub struct Per {
    bytes: Vec<u8>,
    /// Bits of the last byte that are used, 0 when it is full.
    used: u32,
}

impl Per {
    fn bits(mut self, count: u32, value: u32) -> Self {
        for bit in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let set = (value >> bit & 1) as u8;
            *self.bytes.last_mut().expect("just pushed") |= set << (7 - self.used);
            self.used = (self.used + 1) % 8;
        }
        self
    }

    fn octets(mut self, octets: &[u8]) -> Self {
        self.used = 0;
        self.bytes.extend(octets);
        self
    }

    fn word(self, value: u16) -> Self {
        self.octets(&value.to_be_bytes())
    }

    fn long(self, value: u32) -> Self {
        self.bits(2, 3).octets(&value.to_be_bytes())
    }

    fn then(self, write: impl FnOnce(Self) -> Self) -> Self {
        write(self)
    }

    /// Something behind its length.
    fn open(self, inner: &Self) -> Self {
        assert!(inner.bytes.len() < 1 << 14, "longer than two octets tell");
        match u8::try_from(inner.bytes.len()) {
            Ok(len @ ..0x80) => self.octets(&[len]),
            _ => self.word(0x8000 | inner.bytes.len() as u16),
        }
        .octets(&inner.bytes)
    }

    /// The extensions of a sequence: this one, behind so many that are not there.
    fn extension(self, number: u32, inner: &Self) -> Self {
        self.bits(7, number).bits(number + 1, 1).open(inner)
    }

    fn oid(self) -> Self {
        self.octets(&[6, 0, 8, 0x91, 0x4a, 0, 4])
    }

    /// EndpointType with nothing optional.
    fn endpoint(self) -> Self {
        self.bits(7, 0).bits(2, 0)
    }

    fn socket(self, address: SocketAddr) -> Self {
        match address.ip() {
            IpAddr::V4(ip) => self.octets(&ip.octets()),
            IpAddr::V6(ip) => self.octets(&ip.octets()),
        }
        .word(address.port())
    }

    /// TransportAddress of H.225.0.
    fn h225_address(self, address: SocketAddr) -> Self {
        if address.is_ipv4() { self.bits(4, 0) } else { self.bits(4, 3).bits(1, 0) }.socket(address)
    }

    /// TransportAddress of H.245.
    fn h245_address(self, address: SocketAddr) -> Self {
        let kind = if address.is_ipv4() { 0 } else { 2 };
        self.bits(2, 0).bits(4, kind).bits(1, 0).socket(address)
    }

    /// The message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn per() -> Per {
    Per::default()
}

/// A message of a stream, behind its header (RFC 1006).
pub fn tpkt(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len() + 4).expect("a short message");
    [&[3, 0], &len.to_be_bytes()[..], message].concat()
}

/// A message of call signalling in its own framing (Q.931), without TPKT.
pub fn q931(user_information: &Per) -> Vec<u8> {
    let content = &user_information.bytes;
    let len = u16::try_from(content.len() + 1).expect("a short message").to_be_bytes();
    [&[8, 2, 0x10, 0x20, 5, 4, 3, 0x88, 0x93, 0x95, 0x7e], &len[..], &[5], content].concat()
}

/// User information with a message body, and H.245 messages within.
fn user_information(tunnelled: &[Per], body: impl FnOnce(Per) -> Per) -> Per {
    let pdu = per().bits(2, 0).bits(2, u32::from(!tunnelled.is_empty()) << 1).then(body);
    if tunnelled.is_empty() {
        return pdu;
    }
    let count = u8::try_from(tunnelled.len()).expect("a few");
    let control = tunnelled.iter().fold(per().octets(&[count]), Per::open);
    pdu.extension(2, &control)
}

/// Setup: where the caller's control channel listens, and channels that are proposed at once.
pub fn setup(h245: Option<SocketAddr>, fast_start: &[Per], tunnelled: &[Per]) -> Per {
    user_information(tunnelled, |pdu| {
        let message = pdu
            .bits(1, 0)
            .bits(3, 0)
            .bits(1, u32::from(!fast_start.is_empty()))
            .bits(7, u32::from(h245.is_some()) << 6)
            .oid()
            .then(|it| match h245 {
                Some(address) => it.h225_address(address),
                None => it,
            })
            .endpoint()
            .bits(1, 0)
            .octets(&[7; 16])
            .bits(3, 0)
            .bits(3, 0);
        if fast_start.is_empty() {
            return message;
        }
        let count = u8::try_from(fast_start.len()).expect("a few");
        message.extension(6, &fast_start.iter().fold(per().octets(&[count]), Per::open))
    })
}

/// Connect: where the called one's control channel listens.
pub fn connect(h245: SocketAddr) -> Per {
    user_information(&[], |pdu| {
        pdu.bits(1, 0).bits(3, 2).bits(2, 1).oid().h225_address(h245).endpoint().octets(&[7; 16])
    })
}

/// Facility: the call is forwarded to this address; or, with `false`, there is another reason to name it.
pub fn facility(to: SocketAddr, forwarded: bool) -> Per {
    user_information(&[], |pdu| {
        pdu.bits(1, 0).bits(3, 6).bits(1, 0).bits(3, 4).oid().h225_address(to).bits(3, u32::from(forwarded))
    })
}

/// H2250LogicalChannelParameters.
fn channel(rtp: Option<SocketAddr>, rtcp: Option<SocketAddr>) -> Per {
    let optional = u32::from(rtp.is_some()) << 7 | u32::from(rtcp.is_some()) << 5;
    let head = per().bits(1, 0).bits(10, optional).octets(&[1]);
    [rtp, rtcp].into_iter().flatten().fold(head, Per::h245_address)
}

/// OpenLogicalChannel for G.711 audio that is received there; `reverse`: what the other end will receive.
pub fn audio_channel(rtp: Option<SocketAddr>, rtcp: Option<SocketAddr>, reverse: Option<SocketAddr>) -> Per {
    let forward = per()
        .bits(1, 0)
        .bits(1, u32::from(reverse.is_some()))
        .word(100)
        .bits(2, 0)
        .bits(4, 3)
        .bits(5, 3)
        .octets(&[19])
        .bits(8, 0x80)
        .open(&channel(rtp, rtcp));
    match reverse {
        // A data type, then the parameters, which are optional here.
        Some(_) => forward
            .bits(1, 0)
            .bits(1, 1)
            .bits(4, 3)
            .bits(5, 3)
            .octets(&[19])
            .bits(8, 0x80)
            .open(&channel(reverse, None)),
        None => forward,
    }
}

/// OpenLogicalChannel for T.120 data over a stack of its own that listens there.
pub fn t120_channel(stack: SocketAddr) -> Per {
    let access = per().bits(1, 0).bits(2, 0).bits(3, 2).h245_address(stack).bits(1, 0);
    per()
        .bits(2, 2)
        .word(101)
        .bits(2, 0)
        .bits(4, 4)
        .bits(1, 0)
        .bits(5, 1)
        .bits(8, 0x83)
        .open(&per().octets(&[0]))
        .long(64)
        .bits(8, 0x80)
        .open(&channel(None, None))
        .extension(0, &access)
}

/// The H.245 message that asks for a channel.
pub fn open_channel(channel: &Per) -> Per {
    // The request's five bits and the channel's share octets: the channel is written behind them bit by bit.
    let head = per().bits(3, 0).bits(5, 3);
    Per { bytes: [head.bytes, channel.bytes.clone()].concat(), used: channel.used }
}

/// The H.245 message that accepts a channel and says where it is received.
pub fn open_channel_ack(rtp: SocketAddr, rtcp: SocketAddr) -> Per {
    let parameters = per().bits(1, 0).bits(1, 0).bits(5, 6).h245_address(rtp).h245_address(rtcp);
    per().bits(3, 1).bits(6, 5).bits(2, 2).word(100).extension(1, &parameters)
}

/// RegistrationRequest: where calls to the endpoint shall go.
pub fn registration_request(call_signal: SocketAddr, ras: SocketAddr, time_to_live: Option<u32>) -> Per {
    let message = per()
        .bits(1, 0)
        .bits(5, 3)
        .bits(1, u32::from(time_to_live.is_some()))
        .bits(3, 0)
        .word(1)
        .oid()
        .bits(1, 0)
        .octets(&[1])
        .h225_address(call_signal)
        .octets(&[1])
        .h225_address(ras)
        .endpoint()
        .bits(3, 0)
        .bits(1, 0)
        .octets(&[0xb5, 0])
        .word(7);
    match time_to_live {
        Some(seconds) => message.extension(1, &per().long(seconds - 1)),
        None => message,
    }
}

/// AdmissionConfirm: where the called one is.
pub fn admission_confirm(call_signal: SocketAddr) -> Per {
    per().bits(1, 0).bits(5, 10).bits(3, 0).word(2).long(640).bits(2, 0).h225_address(call_signal)
}

/// LocationConfirm: where the called one is, and its gatekeeper.
pub fn location_confirm(call_signal: SocketAddr, ras: SocketAddr) -> Per {
    per().bits(1, 0).bits(5, 19).bits(2, 0).word(3).h225_address(call_signal).h225_address(ras)
}

/// GatekeeperConfirm: where the gatekeeper listens.
pub fn gatekeeper_confirm(ras: SocketAddr) -> Per {
    per().bits(1, 0).bits(5, 1).bits(3, 0).word(4).oid().h225_address(ras)
}

/// UnregistrationRequest, as far as the first elements.
pub fn unregistration_request(call_signal: SocketAddr) -> Per {
    per().bits(1, 0).bits(5, 6).bits(1, 0).bits(3, 0).word(5).octets(&[1]).h225_address(call_signal)
}

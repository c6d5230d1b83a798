//! Helpers read the payload of control connections and say which connections will follow from them.
//!
//! A helper knows no table and no record: a [`Segment`], its own small state and a [`Book`] go in, an [`Outcome`]
//! comes out. The tracker keeps the state beside the flow and calls for each packet that is let through, be the flow
//! new or answered; a helper that wants answered flows only looks at [`Segment::established`]. A helper never waits
//! for more of a message: it must stand in one segment, or in one reassembled datagram.

pub mod amanda;
pub mod book;
mod broadcast;
pub mod ftp;
pub mod h323;
pub mod irc;
pub mod netbios_ns;
pub mod pptp;
pub mod sane;
pub mod sip;
pub mod snmp;
mod text;
pub mod tftp;

pub use book::{Book, Booked, Class, Expected, Found, Refused, Source, Subnet};

use crate::config::HelperKind;
use crate::units::Direction;
use crate::wire::IpProtocol;
use core::net::SocketAddr;

/// A helper at work on one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// FTP.
    Ftp(ftp::State),
    /// TFTP.
    Tftp,
    /// IRC.
    Irc,
    /// SIP.
    Sip(sip::State),
    /// H.323: call signalling.
    Q931(h323::q931::State),
    /// H.323: media control, on a connection that call signalling announced.
    H245(h323::h245::State),
    /// H.323: registration, admission, status.
    Ras(h323::ras::State),
    /// PPTP.
    Pptp(pptp::State),
    /// Amanda.
    Amanda,
    /// SANE.
    Sane(sane::State),
    /// NetBIOS name service.
    NetbiosNs,
    /// SNMP.
    Snmp,
}

const _: () = assert!(size_of::<Helper>() <= 40);

impl Helper {
    /// A helper that has seen nothing.
    pub fn new(kind: HelperKind) -> Self {
        match kind {
            HelperKind::Ftp => Self::Ftp(ftp::State::default()),
            HelperKind::Tftp => Self::Tftp,
            HelperKind::Irc => Self::Irc,
            HelperKind::Sip => Self::Sip(sip::State::default()),
            HelperKind::Q931 => Self::Q931(h323::q931::State::default()),
            HelperKind::H245 => Self::H245(h323::h245::State::default()),
            HelperKind::Ras => Self::Ras(h323::ras::State::default()),
            HelperKind::Pptp => Self::Pptp(pptp::State::default()),
            HelperKind::Amanda => Self::Amanda,
            HelperKind::Sane => Self::Sane(sane::State::default()),
            HelperKind::NetbiosNs => Self::NetbiosNs,
            HelperKind::Snmp => Self::Snmp,
        }
    }

    /// Which it is.
    pub const fn kind(&self) -> HelperKind {
        match self {
            Self::Ftp(_) => HelperKind::Ftp,
            Self::Tftp => HelperKind::Tftp,
            Self::Irc => HelperKind::Irc,
            Self::Sip(_) => HelperKind::Sip,
            Self::Q931(_) => HelperKind::Q931,
            Self::H245(_) => HelperKind::H245,
            Self::Ras(_) => HelperKind::Ras,
            Self::Pptp(_) => HelperKind::Pptp,
            Self::Amanda => HelperKind::Amanda,
            Self::Sane(_) => HelperKind::Sane,
            Self::NetbiosNs => HelperKind::NetbiosNs,
            Self::Snmp => HelperKind::Snmp,
        }
    }

    /// Looks into one packet.
    pub fn inspect<B: Book>(&mut self, segment: &Segment<'_>, book: &mut B) -> Outcome {
        match self {
            Self::Ftp(state) => ftp::inspect(state, segment, book),
            Self::Tftp => tftp::inspect(segment, book),
            Self::Irc => irc::inspect(segment, book),
            Self::Sip(state) => sip::inspect(state, segment, book),
            Self::Q931(state) => h323::q931::inspect(state, segment, book),
            Self::H245(state) => h323::h245::inspect(state, segment, book),
            Self::Ras(state) => h323::ras::inspect(state, segment, book),
            Self::Pptp(state) => pptp::inspect(state, segment, book),
            Self::Amanda => amanda::inspect(segment, book),
            Self::Sane(state) => sane::inspect(state, segment, book),
            Self::NetbiosNs => netbios_ns::inspect(segment, book),
            Self::Snmp => snmp::inspect(segment, book),
        }
    }
}

/// One packet of a flow that has a helper.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// Its transport.
    pub protocol: IpProtocol,
    /// Its flow has been answered, or it is the answer.
    pub established: bool,
    /// Its flow was expected itself.
    pub expected: bool,
    /// Nothing of its flow's other direction is heard.
    pub alone: bool,
    /// TCP: sequence number of the payload's first byte.
    pub seq: u32,
    /// Behind the transport header, without padding. May be empty.
    pub payload: &'a [u8],
    /// Its source in the flow's tuple of this direction.
    pub source: SocketAddr,
    /// Its destination in the flow's tuple of this direction.
    pub destination: SocketAddr,
    /// Set when the box itself sent it: the network of the interface it leaves by.
    pub local: Option<Subnet>,
}

impl Segment<'_> {
    /// TCP: sequence number behind the payload.
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
    pub const fn end(&self) -> u32 {
        self.seq.wrapping_add(self.payload.len() as u32)
    }
}

/// What a helper made of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes.
    Pass,
    /// It is dropped: what it announces cannot be read, or could not be booked. A sender that repeats it has another
    /// try.
    Drop,
}

impl Outcome {
    /// [`Outcome::Drop`] for what could not be booked.
    pub fn of<T>(booked: Result<T, Refused>) -> Self {
        if booked.is_ok() { Self::Pass } else { Self::Drop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    /// The ends of the flows that helpers are tested with; the client's port is 4000.
    pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

    /// A segment of an answered TCP flow to the server's `port`.
    pub(super) fn segment(direction: Direction, port: u16, payload: &[u8]) -> Segment<'_> {
        let (client, server) = ((CLIENT, 4000).into(), (SERVER, port).into());
        let (source, destination) = match direction {
            Direction::Original => (client, server),
            Direction::Reply => (server, client),
        };
        Segment {
            direction,
            protocol: IpProtocol::TCP,
            established: true,
            expected: false,
            alone: false,
            seq: 1000,
            payload,
            source,
            destination,
            local: None,
        }
    }

    /// A datagram of a UDP flow to the server's `port`; the first one of the original direction.
    pub(super) fn datagram(direction: Direction, port: u16, payload: &[u8]) -> Segment<'_> {
        let established = direction == Direction::Reply;
        Segment { protocol: IpProtocol::UDP, established, seq: 0, ..segment(direction, port, payload) }
    }
}

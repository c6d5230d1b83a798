//! Helpers read the payload of control connections and say which connections will follow from them.
//!
//! A helper knows no table and no record: a [`Segment`] and its own small state go in, an [`Outcome`] comes out.
//! The tracker keeps the state beside the flow, calls only for packets of established flows, and books what is
//! expected. A helper never waits for more of a message: it must stand in one segment.

pub mod ftp;
mod text;

use crate::config::HelperKind;
use crate::units::{Direction, Span};
use crate::wire::IpProtocol;
use core::net::IpAddr;

pub use ftp::FtpState;

/// A helper at work on one flow.
#[derive(Clone, Copy, Debug)]
pub enum Helper {
    /// FTP.
    Ftp(FtpState),
}

const _: () = assert!(size_of::<Helper>() <= 40);

impl Helper {
    /// A helper that has seen nothing.
    pub fn new(kind: HelperKind) -> Self {
        match kind {
            HelperKind::Ftp => Self::Ftp(FtpState::default()),
        }
    }

    /// Looks into one packet.
    pub fn inspect(&mut self, segment: &Segment<'_>) -> Outcome {
        match self {
            Self::Ftp(state) => ftp::inspect(state, segment),
        }
    }
}

/// One packet of an established control connection.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// TCP: sequence number of the payload's first byte.
    pub seq: u32,
    /// Behind the transport header, without padding. May be empty.
    pub payload: &'a [u8],
    /// Its source in the flow's tuple of this direction.
    pub source: IpAddr,
    /// Its destination in the flow's tuple of this direction.
    pub destination: IpAddr,
}

/// What a helper made of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing in it.
    Pass,
    /// It announces a connection. The packet passes if that could be booked, else it is dropped.
    Expect(Expected),
    /// It may announce a connection, but not readably: dropped, so that the sender repeats it in one piece.
    Drop,
}

/// A connection to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// From this address, by any port.
    pub source: IpAddr,
    /// To this address.
    pub destination: IpAddr,
    /// To this port.
    pub destination_port: u16,
    /// Over this transport.
    pub protocol: IpProtocol,
    /// Its kind among those of its helper.
    pub class: &'static Class,
}

/// A kind of expectations that a helper makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Position among those of its helper, from 0.
    pub index: u8,
    /// Expectations of this class that a flow may have at once; one more replaces the oldest.
    pub expectations_max: u8,
    /// How long one waits.
    pub timeout: Span,
}

//! H.323: registration (RAS), call signalling (Q.931 with H.225.0) and media control (H.245).
//!
//! Reads as Linux's helpers do with their usual settings: calls are expected from the gatekeeper only
//! (`gkrouted_only`), and a forwarded call is expected wherever it goes, since nothing here knows routes
//! (`callforward_filter`). A message that cannot be decoded passes unread; one whose addresses cannot be booked is
//! dropped.

mod h225_types;
pub mod h245;
mod h245_types;
mod per;
pub mod q931;
pub mod ras;
mod tpkt;

use super::{Book, Class, Expected, Refused, Segment, Source};
use crate::wire::IpProtocol;
use core::net::SocketAddr;
use h245_types::{DATA, SEPARATE_LAN_STACK, T120};
use per::{Mark, Value};

static H245: Class = Class::new(0, 18, 240);
static Q931: Class = Class::new(0, 20, 240);
static RAS: Class = Class::new(0, 32, 240);

/// A flow from this segment's receiver to `destination`.
fn from_receiver(
    segment: &Segment<'_>,
    protocol: IpProtocol,
    destination: SocketAddr,
    class: &'static Class,
) -> Expected {
    Expected::once(protocol, Source::Host(segment.destination.ip()), destination, class)
}

/// Whether the sender of a segment announces itself there.
fn is_own(segment: &Segment<'_>, address: SocketAddr) -> bool {
    address.ip() == segment.source.ip() && address.port() != 0
}

/// The logical channels of a message, as they come by.
#[derive(Clone, Copy, Debug, Default)]
struct Channels {
    /// What the one that is being read is for, so far.
    data_type: Option<u32>,
    application: Option<u32>,
    protocol: Option<u32>,
    /// An acknowledgement does not repeat it.
    opened: bool,
}

impl Channels {
    /// Takes in the next thing that was picked out, and books what it announces.
    fn see<B: Book>(
        &mut self,
        mark: Mark,
        value: Value,
        segment: &Segment<'_>,
        class: &'static Class,
        book: &mut B,
    ) -> Result<(), Refused> {
        match (mark, value) {
            (Mark::Channel, _) => *self = Self { opened: true, ..Self::default() },
            (Mark::DataType, Value::Number(number)) => drop(self.data_type.get_or_insert(number)),
            (Mark::Application, Value::Number(number)) => drop(self.application.get_or_insert(number)),
            (Mark::DataProtocol, Value::Number(number)) => drop(self.protocol.get_or_insert(number)),
            (Mark::Media, Value::Address(address)) if is_own(segment, address) => {
                return media(address, segment, class, book);
            }
            (Mark::SeparateStack, Value::Address(address)) if is_own(segment, address) && self.is_t120() => {
                let channel = from_receiver(segment, IpProtocol::TCP, address, class);
                book.expect(&Expected { permanent: true, ..channel })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_t120(&self) -> bool {
        let wanted = (Some(DATA), Some(T120), Some(SEPARATE_LAN_STACK));
        !self.opened || (self.data_type, self.application, self.protocol) == wanted
    }
}

/// RTP to the even port, RTCP to the odd one behind it.
fn media<B: Book>(
    address: SocketAddr,
    segment: &Segment<'_>,
    class: &'static Class,
    book: &mut B,
) -> Result<(), Refused> {
    let [rtp, rtcp] = [address.port() & !1, address.port() | 1]
        .map(|port| from_receiver(segment, IpProtocol::UDP, SocketAddr::new(address.ip(), port), class));
    let booked = book.expect(&rtp)?;
    book.expect(&rtcp).map(drop).inspect_err(|_| book.withdraw(booked))
}

//! What the table wants done.

use super::alarm::Alarm;
use std::net::IpAddr;
use weir_dataplane::units::InterfaceId;
use weir_dataplane::wire::MacAddr;

/// An address on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// The interface.
    pub interface: InterfaceId,
    /// The address.
    pub address: IpAddr,
}

/// A neighbour whose MAC address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Who.
    pub at: At,
    /// Its MAC address.
    pub mac: MacAddr,
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<P> {
    /// To send a frame by an interface. It is complete but for the interface's VLAN tag.
    Send {
        /// By which interface.
        interface: InterfaceId,
        /// From the destination MAC on.
        frame: Vec<u8>,
    },
    /// To send a packet that waited on to its neighbour.
    Release {
        /// To whom.
        to: Neighbour,
        /// What.
        packet: P,
    },
    /// To tell the sender of a packet that its next hop does not answer.
    GiveUp {
        /// Who does not answer.
        at: At,
        /// What was for it.
        packet: P,
    },
    /// To tell the operator.
    Alarm(Alarm),
    /// To tell the workers: the set of known neighbours is another.
    Publish,
}

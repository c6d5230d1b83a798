//! Which packets something is for.

use crate::subnet::Subnet;
use crate::units::{Mark, PortId, VlanId};
use crate::wire::IpProtocol;
use core::ops::RangeInclusive;

/// Packets that agree with all that is said; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Where they come from.
    pub source: Option<Subnet>,
    /// Where they go.
    pub destination: Option<Subnet>,
    /// Their protocol.
    pub protocol: Option<IpProtocol>,
    /// The port they come from; of a protocol without ports it is 0.
    pub source_port: Option<RangeInclusive<u16>>,
    /// The port they go to.
    pub destination_port: Option<RangeInclusive<u16>>,
    /// The port of the gateway that they come in by.
    pub port: Option<PortId>,
    /// Their VLAN.
    pub vlan: Option<VlanId>,
    /// Their mark.
    pub mark: Option<Mark>,
}

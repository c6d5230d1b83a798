//! Which neighbours a client means: the same words on the command line and in the query of a request.

use super::Refusal;
use super::words::text;
use crate::config::Network;
use crate::network::neighbours::State;
use crate::observe::Neighbours;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::InterfaceId;

/// Which neighbours; all that is given must be true of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct NeighbourSelection {
    /// At this interface, such as lan or lan.20
    #[arg(short, long, alias = "dev", value_name = "INTERFACE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// With this address, or one of this prefix
    #[arg(short, long, alias = "to", value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub address: Option<Subnet>,
    /// In this state, such as stale
    #[arg(short, long, alias = "nud", value_name = "STATE")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

impl NeighbourSelection {
    /// Those of `all`, neighbours of a gateway in `network`.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn of(&self, all: Neighbours, network: &Network) -> Result<Neighbours, Refusal> {
        self.interface.as_deref().map(|name| interface(name, network)).transpose()?;
        let mut meant = all;
        meant.neighbours.retain(|row| {
            self.interface.as_ref().is_none_or(|name| row.interface == *name)
                && self.address.is_none_or(|net| net.contains(row.address))
                && self.state.is_none_or(|state| row.state == state.name())
        });
        Ok(meant)
    }
}

/// One neighbour, at one interface or at any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourName {
    /// Its address.
    pub address: IpAddr,
    /// The interface's name.
    pub interface: Option<String>,
}

/// The interface of this name.
///
/// # Errors
/// When there is none; the message names those that there are.
pub fn interface(name: &str, network: &Network) -> Result<InterfaceId, Refusal> {
    let all = network.interfaces();
    let found = all.iter().position(|named| named.name() == name).and_then(InterfaceId::new);
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|named| named.name()).collect();
        Refusal::configuration(format!("there is no interface `{name}`; there are {}", names.join(", ")))
    })
}

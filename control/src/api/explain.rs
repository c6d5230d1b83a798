//! To whom an address is explained. The same words on the command line and in the query of a request: those of
//! [`Selection`](super::Selection).

use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// What of a flow to the address is known besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct ExplainRequest {
    /// Of flows to ADDRESS: from this address
    #[arg(short, long, alias = "orig-src", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    /// Of flows to ADDRESS: from this port
    #[arg(long, alias = "orig-port-src", value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// Of flows to ADDRESS: to this port
    #[arg(long, alias = "orig-port-dst", value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
}

//! Whom to ask, and how.

use crate::config::services::{Check, Health};
use std::net::IpAddr;
use std::sync::Arc;

/// A service or a pool whose servers are watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name; no other group has it.
    pub service: Arc<str>,
    /// How its servers are known to live.
    pub health: Health,
    /// No two have the same name.
    pub servers: Vec<Subject>,
}

/// A server that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub server: Arc<str>,
    /// Where it is; `None`: it has no address, and its connections alone show whether it lives.
    pub address: Option<IpAddr>,
    /// Its port, or that of its service, which scripts are told; 0: none.
    pub port: u16,
    /// The network interface that checks leave by: the tap of the port that the server is behind. `None`: there is none,
    /// and only a script can ask.
    pub device: Option<Arc<str>>,
}

impl Subject {
    /// Whether a check of it can come out.
    pub(super) const fn can_be_asked(&self, check: &Check) -> bool {
        self.address.is_some() && (self.device.is_some() || matches!(check, Check::Script { .. }))
    }

    /// Where to ask, and by which device.
    ///
    /// # Errors
    /// Why no check can be made.
    pub fn way(&self) -> Result<(IpAddr, &str), &'static str> {
        let address = self.address.ok_or("it has no address to ask")?;
        let no_tap = "the port that it is behind has no `tap` to ask by: give it one";
        Ok((address, self.device.as_deref().ok_or(no_tap)?))
    }
}

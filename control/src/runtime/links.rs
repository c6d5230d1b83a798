//! Watches the ports' links, and says in the log when one goes or comes back.

use super::ports::OpenPort;
use std::collections::BTreeSet;
use std::time::Duration;
use tracing::{info, warn};
use weir_dataplane::units::PortId;

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// The ports that have no link.
#[derive(Debug, Default)]
pub(super) struct Links {
    down: BTreeSet<PortId>,
}

impl Links {
    /// Looks at all ports; those without a link, if they are others than before. One whose driver does not tell counts
    /// as up.
    pub(super) fn look(&mut self, ports: &[OpenPort]) -> Option<BTreeSet<PortId>> {
        let is_down = |open: &&OpenPort| open.port.link().is_ok_and(|link| !link.up);
        let down: BTreeSet<PortId> = ports.iter().filter(is_down).map(|open| open.id).collect();
        if down == self.down {
            return None;
        }
        for open in ports {
            match (self.down.contains(&open.id), down.contains(&open.id)) {
                (false, true) => warn!(port = open.port.name(), "the link is down"),
                (true, false) => info!(port = open.port.name(), "the link is up again"),
                _ => {}
            }
        }
        self.down.clone_from(&down);
        Some(down)
    }
}

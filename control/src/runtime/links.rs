//! The ports' links: whether they are up, and a line in the log when one goes or comes back.

use super::ports::OpenPort;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;
use tracing::{info, warn};
use weir_dataplane::units::PortId;
use weir_dpdk::{Error, Link};

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
        let is_down = |open: &&OpenPort| link(open).is_ok_and(|link| !link.up);
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

/// A port's link now. DPDK's driver for AF_PACKET says of every link that it is up: there the kernel is asked.
pub(super) fn link(open: &OpenPort) -> Result<Link, Error> {
    let link = open.port.link()?;
    let interface = open.device.strip_prefix("net_af_packet").and_then(kernel_interface);
    Ok(Link { up: link.up && interface.is_none_or(has_carrier), ..link })
}

/// The kernel's interface that a device stands on, by its arguments.
fn kernel_interface(arguments: &str) -> Option<&str> {
    arguments.split(',').find_map(|argument| argument.strip_prefix("iface="))
}

/// Whether a kernel's interface has a carrier; one that sysfs does not know counts as if it had.
fn has_carrier(interface: &str) -> bool {
    match fs::read_to_string(format!("/sys/class/net/{interface}/carrier")) {
        Ok(carrier) => carrier.trim() == "1",
        // An interface that is not up has no carrier to tell of: reading fails with EINVAL.
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_stands_among_the_arguments() {
        assert_eq!(kernel_interface("_lan,iface=lan,qpairs=2"), Some("lan"));
        assert_eq!(kernel_interface("0,qpairs=2,iface=eth0.20"), Some("eth0.20"));
        assert_eq!(kernel_interface("0"), None);
    }

    #[test]
    fn the_kernel_is_believed_where_it_knows() {
        assert!(has_carrier("lo"), "loopback is up");
        assert!(has_carrier("no-such-interface"));
    }
}

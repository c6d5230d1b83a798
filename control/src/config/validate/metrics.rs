//! Checks `metrics`.

use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use core::net::{IpAddr, SocketAddr};

/// Where metrics are served; the inner `None` when they are off.
pub(super) fn validate(
    raw: &raw::Metrics,
    path: &Path,
    findings: &mut Findings,
) -> Option<Option<SocketAddr>> {
    let target = Target::Value(path.key("listen"));
    if raw.listen == "off" {
        return Some(None);
    }
    match raw.listen.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => {
            let message = "port 0 cannot be scraped".to_owned();
            findings.error(target, message, format!("a port from 1 on: `{}:9475`", shown(address.ip())));
            None
        }
        Ok(address) => {
            if !address.ip().is_loopback() {
                let message =
                    format!("metrics are served to everybody who reaches {address}, without a password");
                findings.warning(target, message, "listen on 127.0.0.1, or guard the port".to_owned());
            }
            Some(Some(address))
        }
        Err(_) => {
            let (message, hint) = match raw.listen.parse::<IpAddr>() {
                Ok(address) => (
                    format!("`{}` has no port", raw.listen),
                    format!("for example `{}:9475`", shown(address)),
                ),
                Err(_) => (
                    format!("`{}` is not an IP address with a port", raw.listen),
                    "for example `127.0.0.1:9475` or `[::1]:9475`, or `off`".to_owned(),
                ),
            };
            findings.error(target, message, hint);
            None
        }
    }
}

/// As it stands before a port.
fn shown(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

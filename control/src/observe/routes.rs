//! The routes in force, for people and programs.

use super::tables::table;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// The routes in force, one for each network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// In order of their networks.
    pub routes: Vec<RouteRow>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    /// The network.
    pub to: String,
    /// Whose word it is.
    pub origin: Origin,
    /// `unicast`, `blackhole` or `unreachable`.
    pub kind: String,
    /// The ways there, of a unicast route.
    pub next_hops: Vec<NextHopRow>,
}

/// Whose word a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An interface has an address of the network.
    Connected,
    /// The configuration's.
    Static,
    /// The kernel's.
    Kernel,
}

impl Origin {
    const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Static => "static",
            Self::Kernel => "kernel",
        }
    }
}

/// A way to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHopRow {
    /// The next router; none where the destination itself is there.
    pub via: Option<IpAddr>,
    /// The interface.
    pub dev: String,
    /// Its share of the flows, beside those of the others.
    pub weight: u8,
}

/// What `weir routes` prints: a line for each next hop.
pub fn routes(routes: &Routes) -> String {
    let mut table = table(&["to", "origin", "via", "dev", "weight"], &[4]);
    for route in &routes.routes {
        let origin = route.origin.name();
        if route.next_hops.is_empty() {
            table.add_row([&route.to, origin, &route.kind, "", ""]);
        }
        for hop in &route.next_hops {
            let via = hop.via.map_or_else(String::new, |via| via.to_string());
            table.add_row([&route.to, origin, &via, &hop.dev, &hop.weight.to_string()]);
        }
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_next_hop_has_a_line_and_what_ends_here_says_so() {
        let hop = |via: &str, weight| NextHopRow { via: via.parse().ok(), dev: "wan".to_owned(), weight };
        let row = |to: &str, origin, kind: &str, next_hops| RouteRow {
            to: to.to_owned(),
            origin,
            kind: kind.to_owned(),
            next_hops,
        };
        let shown = routes(&Routes {
            routes: vec![
                row("10.0.0.0/8", Origin::Static, "blackhole", Vec::new()),
                row("10.9.0.0/16", Origin::Kernel, "unicast", vec![hop("192.0.2.8", 1), hop("192.0.2.9", 2)]),
                row("192.0.2.0/24", Origin::Connected, "unicast", vec![hop("", 1)]),
            ],
        });
        let shown = shown.replace(['│', '┆'], " ");
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["10.0.0.0/8", "static", "blackhole"]), "{shown}");
        assert!(lines.contains(&vec!["10.9.0.0/16", "kernel", "192.0.2.9", "wan", "2"]), "{shown}");
        assert!(lines.contains(&vec!["192.0.2.0/24", "connected", "wan", "1"]), "{shown}");
    }
}

//! The station's routes as the model shows them.

use super::Station;
use crate::config::NamedInterface;
use crate::observe::{NextHopRow, Origin, RouteRow, Routes};
use std::collections::BTreeMap;
use weir_dataplane::config::route::{NextHop, Target};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::InterfaceId;

impl Station {
    /// The routes in force. Of two to one network the later holds: the kernel's come first, then those of the
    /// configuration, then the interfaces' own networks.
    pub(in crate::runtime) fn routes(&self, interfaces: &[NamedInterface]) -> Routes {
        let dev = |id: InterfaceId| {
            interfaces.get(id.index()).map_or_else(String::new, |named| named.name().to_owned())
        };
        let mut rows = BTreeMap::new();
        let mut put = |to: Subnet, origin, kind: &str, next_hops| {
            let to = to.network();
            let row = RouteRow { to: to.to_string(), origin, kind: kind.to_owned(), next_hops };
            rows.insert((to.address, to.prefix_len), row);
        };
        for (i, route) in self.routing.routes.iter().enumerate() {
            let origin = if i < self.kernel.count { Origin::Kernel } else { Origin::Static };
            let hop = |hop: &NextHop| NextHopRow {
                via: hop.gateway,
                dev: dev(hop.interface),
                weight: hop.weight.get(),
            };
            match &route.target {
                Target::Via(hops) => put(route.to, origin, "unicast", hops.iter().map(hop).collect()),
                Target::Blackhole => put(route.to, origin, "blackhole", Vec::new()),
                Target::Unreachable => put(route.to, origin, "unreachable", Vec::new()),
            }
        }
        for (id, interface) in self.routing.interface_ids() {
            for own in &interface.addresses {
                let hop = NextHopRow { via: None, dev: dev(id), weight: 1 };
                put(*own, Origin::Connected, "unicast", vec![hop]);
            }
        }
        Routes { routes: rows.into_values().collect() }
    }
}

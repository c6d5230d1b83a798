//! The kernel's routes through the taps: listed once, then as its notifications say.
//!
//! What notifications do not tell, such as the routes that go with an address or a link, is listed again; so is
//! everything when the kernel says that it has dropped notifications. What has changed is published a fifth of a second
//! after it began to, however much more follows.

use super::{Interface, KernelError, RETRY};
use crate::network::kernel_routes::{KernelHop, KernelRoute, KernelRoutes, Link};
use core::num::NonZeroU8;
use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHopFlags, RouteProtocol, RouteType,
    RouteVia,
};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info};
use weir_dataplane::subnet::Subnet;

/// From the first of several changes to their publication; and from one listing to the next.
const PUBLISH_AFTER: Duration = Duration::from_millis(200);

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// The kernel's interfaces that lead to the gateway's ports, by the kernel's numbers.
type Links = BTreeMap<u32, Link>;

type Publish = watch::Sender<Arc<[KernelRoute]>>;

/// Why a listing is not good any more.
enum Stale {
    /// It has to be made again.
    Resync,
    /// Routes are not followed any more, or the gateway has ended.
    Unwanted,
}

/// Publishes the kernel's routes as long as they are followed, until nobody reads them.
pub(super) async fn follow(
    mut interfaces: watch::Receiver<Vec<Interface>>,
    mut is_followed: watch::Receiver<bool>,
    publish: Publish,
) {
    while is_followed.wait_for(|is| *is).await.is_ok() && !publish.is_closed() {
        match session(&mut interfaces, &mut is_followed, &publish).await {
            Ok(Stale::Resync) => tokio::time::sleep(PUBLISH_AFTER).await,
            Ok(Stale::Unwanted) => drop(publish.send(Arc::from([]))),
            Err(error) => {
                error!("the kernel's routes cannot be followed: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Lists the routes and follows them as long as that is enough.
async fn session(
    interfaces: &mut watch::Receiver<Vec<Interface>>,
    is_followed: &mut watch::Receiver<bool>,
    publish: &Publish,
) -> Result<Stale, KernelError> {
    let (connection, handle, mut messages) = rtnetlink::new_multicast_connection(&GROUPS)?;
    let connection = Task(tokio::spawn(connection));
    let wanted = interfaces.borrow_and_update().clone();
    let links = links(&handle, &wanted).await?;
    let mut table = list(&handle, &links).await?;
    tell(&table, publish);
    let mut due: Option<Instant> = None;
    let stale = loop {
        tokio::select! {
            message = messages.next() => {
                let Some((message, _)) = message else { break Stale::Resync };
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => match hear(message, &links, &wanted, &mut table) {
                        Heard::Nothing => {}
                        Heard::Change => due = due.or_else(|| Some(Instant::now() + PUBLISH_AFTER)),
                        Heard::More => break Stale::Resync,
                    },
                    NetlinkPayload::Overrun(_) => break Stale::Resync,
                    _ => {}
                }
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                tell(&table, publish);
            }
            changed = interfaces.changed() => {
                break if changed.is_ok() { Stale::Resync } else { Stale::Unwanted };
            }
            changed = is_followed.wait_for(|is| !is) => {
                drop(changed);
                break Stale::Unwanted;
            }
        }
    };
    drop(connection);
    Ok(stale)
}

/// A task that ends with its owner.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tell(table: &KernelRoutes, publish: &Publish) {
    let best: Arc<[KernelRoute]> = table.best().into();
    let changes = publish.send_if_modified(|published| {
        let changes = *published != best;
        *published = Arc::clone(&best);
        changes
    });
    if changes {
        info!(routes = best.len(), "the kernel's routes have changed");
    }
}

/// What a notification means for a listing.
enum Heard {
    Nothing,
    Change,
    /// There is more to it than it says.
    More,
}

fn hear(
    message: RouteNetlinkMessage,
    links: &Links,
    wanted: &[Interface],
    table: &mut KernelRoutes,
) -> Heard {
    match message {
        RouteNetlinkMessage::NewRoute(message) => match route(&message, links) {
            Some(route) => {
                table.add(route);
                Heard::Change
            }
            None => Heard::Nothing,
        },
        RouteNetlinkMessage::DelRoute(message) => match route(&message, links) {
            Some(route) => {
                table.remove(&route);
                Heard::Change
            }
            None => Heard::Nothing,
        },
        RouteNetlinkMessage::DelAddress(message) if links.contains_key(&message.header.index) => Heard::More,
        RouteNetlinkMessage::DelLink(link) if links.contains_key(&link.header.index) => Heard::More,
        RouteNetlinkMessage::NewLink(link) => {
            let named = |name: &str| wanted.iter().any(|one| one.name == name);
            let ours = link
                .attributes
                .iter()
                .any(|attribute| matches!(attribute, LinkAttribute::IfName(name) if named(name)));
            // It is new; or it has gone down, and its routes with it.
            if ours { Heard::More } else { Heard::Nothing }
        }
        _ => Heard::Nothing,
    }
}

async fn links(handle: &Handle, wanted: &[Interface]) -> Result<Links, KernelError> {
    let mut all = Box::pin(handle.link().get().execute());
    let mut links = Links::new();
    while let Some(link) =
        all.try_next().await.map_err(|error| refused("list the network interfaces", error))?
    {
        let named = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => wanted.iter().find(|one| one.name == *name),
            _ => None,
        });
        links.extend(named.map(|one| (link.header.index, one.link)));
    }
    Ok(links)
}

async fn list(handle: &Handle, links: &Links) -> Result<KernelRoutes, KernelError> {
    let mut table = KernelRoutes::default();
    let ipv4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let ipv6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
    for question in [ipv4, ipv6] {
        let mut routes = Box::pin(handle.route().get(question).execute());
        while let Some(message) =
            routes.try_next().await.map_err(|error| refused("list the routes", error))?
        {
            if let Some(route) = route(&message, links) {
                table.add(route);
            }
        }
    }
    Ok(table)
}

fn refused(what: &str, error: rtnetlink::Error) -> KernelError {
    KernelError::Refused { what: what.to_owned(), error }
}

/// A route of the main table that somebody has set, with those of its next hops that are ours; none may be.
fn route(message: &RouteMessage, links: &Links) -> Option<KernelRoute> {
    let header = &message.header;
    let mut table = u32::from(header.table);
    let mut to = match header.address_family {
        rtnetlink::packet_route::AddressFamily::Inet => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        rtnetlink::packet_route::AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut metric, mut single, mut hops) = (0, Hop::default(), Vec::new());
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(address) => to = ip(address)?,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::MultiPath(several) => {
                let dead = RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown;
                for one in several.iter().filter(|one| !one.flags.intersects(dead)) {
                    let mut hop = Hop { index: Some(one.interface_index), ..Hop::default() };
                    one.attributes.iter().for_each(|attribute| hop.hear(attribute));
                    hops.extend(hop.on(links, one.hops));
                }
            }
            other => single.hear(other),
        }
    }
    let set = header.protocol != RouteProtocol::Kernel && header.tos == 0 && header.source_prefix_length == 0;
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) || !set {
        return None;
    }
    hops.extend(single.on(links, 0));
    if header.kind != RouteType::Unicast {
        hops.clear();
    }
    Some(KernelRoute {
        to: Subnet { address: to, prefix_len: header.destination_prefix_length },
        metric,
        hops,
    })
}

/// A next hop as the kernel's attributes tell it.
#[derive(Clone, Copy, Default)]
struct Hop {
    index: Option<u32>,
    gateway: Option<IpAddr>,
}

impl Hop {
    fn hear(&mut self, attribute: &RouteAttribute) {
        match attribute {
            RouteAttribute::Oif(index) => self.index = Some(*index),
            RouteAttribute::Gateway(address) => self.gateway = ip(address),
            RouteAttribute::Via(RouteVia::Inet(address)) => self.gateway = Some((*address).into()),
            RouteAttribute::Via(RouteVia::Inet6(address)) => self.gateway = Some((*address).into()),
            _ => {}
        }
    }

    /// The same if it is behind one of these links. The kernel's weights begin at 0.
    fn on(self, links: &Links, weight: u8) -> Option<KernelHop> {
        let link = *links.get(&self.index?)?;
        let weight = NonZeroU8::MIN.saturating_add(weight);
        Some(KernelHop { link, gateway: self.gateway, weight })
    }
}

const fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

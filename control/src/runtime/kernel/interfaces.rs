//! The kernel's network interfaces: there, up, and with the gateway's addresses.
//!
//! What an administrator adds to an interface stays; what was there before the first address was set goes. The kernel
//! makes up no address of its own, asks nobody whether an address is free, and believes no router advertisement.

use super::{Interface, KernelError, RETRY};
use futures_util::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkUnspec, LinkVlan};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info};
use weir_dataplane::subnet::Subnet;

/// What the kernel goes on refusing is tried again after this long at last.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// An interface's name and an address on it.
type Placed = (String, IpAddr, u8);

/// The addresses that have been set; nothing before the first time.
type Set = Option<BTreeSet<Placed>>;

/// What has been done about the kernel's interfaces.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    set: Set,
    /// Whether the kernel has refused something.
    is_refused: bool,
}

impl Keeper {
    /// Makes the interfaces and sets their addresses; the log has what the kernel refuses.
    pub(super) async fn place(&mut self, wanted: &[Interface]) {
        let done = apply(wanted, &mut self.set).await;
        self.is_refused = done.is_err();
        match done {
            Ok(()) => info!(interfaces = wanted.len(), "the kernel has the gateway's addresses"),
            Err(error) => error!("the kernel has not all of the gateway's addresses: {error}"),
        }
    }

    /// Keeps the interfaces as they are wanted, until nobody wants any more.
    pub(super) async fn keep(mut self, mut wanted: watch::Receiver<Vec<Interface>>) {
        let mut retry = RETRY;
        loop {
            let changed = if self.is_refused {
                tokio::time::timeout(retry, wanted.changed()).await.unwrap_or(Ok(()))
            } else {
                wanted.changed().await
            };
            if changed.is_err() {
                return;
            }
            retry = if self.is_refused { RETRY_MAX.min(retry * 2) } else { RETRY };
            let now = wanted.borrow_and_update().clone();
            self.place(&now).await;
        }
    }
}

async fn apply(wanted: &[Interface], set: &mut Set) -> Result<(), KernelError> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let done = with(&handle, wanted, set).await;
    connection.abort();
    done
}

async fn with(handle: &Handle, wanted: &[Interface], set: &mut Set) -> Result<(), KernelError> {
    let mut trouble = None;
    for interface in wanted {
        // Without one VLAN the others are of use.
        trouble = prepare(handle, interface).await.err().or(trouble);
    }
    let indices = indices(handle).await?;
    let placed: BTreeSet<Placed> = wanted
        .iter()
        .flat_map(|one| one.addresses.iter().map(|own| (one.name.clone(), own.address, own.prefix_len)))
        .collect();
    let there = addresses(handle, &indices, wanted).await?;
    let ours = |place: &Placed| set.as_ref().is_none_or(|set| set.contains(place));
    for (place, message) in there.iter().filter(|(place, _)| !placed.contains(*place) && ours(place)) {
        let gone = handle.address().del(message.clone()).execute().await;
        gone.map_err(|error| refused(&format!("take {} from {}", place.1, place.0), error))?;
    }
    // With the first address of a network the kernel takes away the others.
    let there = addresses(handle, &indices, wanted).await?;
    for interface in wanted {
        let Some(index) = indices.get(&interface.name) else { continue };
        for own in &interface.addresses {
            let place = (interface.name.clone(), own.address, own.prefix_len);
            if !there.contains_key(&place) {
                add(handle, *index, *own).await.map_err(|error| {
                    refused(&format!("give {} to {}", own.address, interface.name), error)
                })?;
            }
        }
    }
    *set = Some(placed);
    trouble.map_or(Ok(()), Err)
}

/// Keeps the kernel from hearing a port's frames beside its tap: a driver that reads a network interface of the kernel
/// leaves it them as well, and the kernel would answer for the tap's addresses there, with the port's MAC address.
fn deafen(underlying: &str) -> Result<(), KernelError> {
    // Whatever comes from where the taps lead does not come from there, and no address is there to be asked for.
    for setting in ["ipv4/conf/IF/rp_filter", "ipv4/conf/IF/arp_ignore", "ipv6/conf/IF/disable_ipv6"] {
        let path = format!("/proc/sys/net/{}", setting.replace("IF", underlying));
        if fs::exists(&path).unwrap_or(false) {
            fs::write(&path, "1").map_err(|error| KernelError::Setting { path, error })?;
        }
    }
    Ok(())
}

/// Makes the interface if it is a VLAN's, and sets it up.
async fn prepare(handle: &Handle, interface: &Interface) -> Result<(), KernelError> {
    interface.underlying.as_deref().map_or(Ok(()), deafen)?;
    let known = indices(handle).await?;
    if let (Some(parent), Some(vlan), false) =
        (&interface.parent, interface.link.vlan, known.contains_key(&interface.name))
    {
        let parent = known.get(parent).copied().unwrap_or_default();
        let message = LinkVlan::new(&interface.name, parent, vlan.number()).build();
        let made = handle.link().add(message).execute().await;
        let what = format!("make the VLAN interface {}, for which it needs its module 8021q", interface.name);
        made.map_err(|error| refused(&what, error))?;
    }
    settle_ipv6(interface)?;
    let up = LinkUnspec::new_with_name(&interface.name).mtu(interface.mtu.into()).up().build();
    let set = handle.link().set(up).execute().await;
    set.map_err(|error| refused(&format!("set {} up", interface.name), error))
}

/// IPv6 with the gateway's addresses alone, or none at all. A kernel without IPv6 has no such settings.
fn settle_ipv6(interface: &Interface) -> Result<(), KernelError> {
    let folder = format!("/proc/sys/net/ipv6/conf/{}", interface.name);
    if !fs::exists(&folder).unwrap_or(false) {
        return Ok(());
    }
    let has_ipv6 = interface.addresses.iter().any(|own| own.address.is_ipv6());
    let settings = [
        ("addr_gen_mode", "1"),
        ("accept_dad", "0"),
        ("accept_ra", "0"),
        ("disable_ipv6", if has_ipv6 { "0" } else { "1" }),
    ];
    for (setting, value) in settings {
        let path = format!("{folder}/{setting}");
        fs::write(&path, value).map_err(|error| KernelError::Setting { path, error })?;
    }
    Ok(())
}

/// The kernel's number of each interface.
async fn indices(handle: &Handle) -> Result<BTreeMap<String, u32>, KernelError> {
    let mut links = Box::pin(handle.link().get().execute());
    let mut indices = BTreeMap::new();
    let failed = |error| refused("list the network interfaces", error);
    while let Some(link) = links.try_next().await.map_err(failed)? {
        let name = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        });
        indices.extend(name.map(|name| (name, link.header.index)));
    }
    Ok(indices)
}

/// The addresses on the interfaces that are wanted.
async fn addresses(
    handle: &Handle,
    indices: &BTreeMap<String, u32>,
    wanted: &[Interface],
) -> Result<BTreeMap<Placed, AddressMessage>, KernelError> {
    let mut all = Box::pin(handle.address().get().execute());
    let mut there = BTreeMap::new();
    let failed = |error| refused("list the addresses", error);
    while let Some(message) = all.try_next().await.map_err(failed)? {
        let at = wanted.iter().find(|one| indices.get(&one.name) == Some(&message.header.index));
        let (mut local, mut address) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(ip) => local = Some(*ip),
                AddressAttribute::Address(ip) => address = Some(*ip),
                _ => {}
            }
        }
        if let (Some(at), Some(address)) = (at, local.or(address)) {
            there.insert((at.name.clone(), address, message.header.prefix_len), message);
        }
    }
    Ok(there)
}

async fn add(handle: &Handle, index: u32, own: Subnet) -> Result<(), rtnetlink::Error> {
    let mut request = handle.address().add(index, own.address, own.prefix_len).replace();
    if request.message_mut().header.family == AddressFamily::Inet6 {
        request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    request.execute().await
}

fn refused(what: &str, error: rtnetlink::Error) -> KernelError {
    KernelError::Refused { what: what.to_owned(), error }
}

//! VIPs at run time: the numbers that workers count by, and the nodes that an operator gives and takes.
//!
//! What an operator has changed holds until a reload changes that VIP's entry in the file.

use crate::api::Refusal;
use crate::config::Network;
use crate::observe::VipRow;
use core::net::IpAddr;
use weir_dataplane::config::vip::Nodes;
use weir_dataplane::config::{Cluster, Config, Vip};
use weir_dataplane::counters::WorkerCounters;
use weir_dataplane::units::{BucketId, NodeNumber, VIPS_MAX, VipId};

/// What workers did with the packets to a VIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    taken: u64,
    left: u64,
}

impl Counted {
    /// What all of these workers have counted under a number, whichever VIP had it.
    pub(super) fn of<'a>(vip: VipId, workers: impl IntoIterator<Item = &'a WorkerCounters>) -> Self {
        workers.into_iter().map(|worker| worker.vip(vip)).fold(Self::default(), |sum, cells| Self {
            taken: sum.taken.wrapping_add(cells.taken.read()),
            left: sum.left.wrapping_add(cells.left.read()),
        })
    }

    const fn since(self, before: Self) -> Self {
        Self { taken: self.taken.wrapping_sub(before.taken), left: self.left.wrapping_sub(before.left) }
    }
}

/// Which VIP has which number. A VIP that comes back goes on with its counts, as long as no other needed the number.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// By number: the VIP that had it last, and what had been counted when it got it.
    given: Vec<(IpAddr, Counted)>,
}

impl Numbers {
    /// Gives each VIP its number; `counted` knows what has been counted under one.
    pub(super) fn assign(&mut self, vips: &mut [Vip], counted: impl Fn(VipId) -> Counted) {
        let wanted: Vec<IpAddr> = vips.iter().map(|vip| vip.address).collect();
        for vip in vips {
            let known = self.given.iter().position(|(address, _)| *address == vip.address);
            let fresh = || (self.given.len() < VIPS_MAX).then_some(self.given.len());
            let unused = || self.given.iter().position(|(address, _)| !wanted.contains(address));
            let Some(place) = known.or_else(fresh).or_else(unused) else { continue };
            let Some(id) = VipId::new(place) else { continue };
            vip.id = id;
            if known.is_none() {
                let given = (vip.address, counted(id));
                match self.given.get_mut(place) {
                    Some(old) => *old = given,
                    None => self.given.push(given),
                }
            }
        }
    }

    /// What has been counted of a VIP; `all` is what has been counted under its number.
    fn counted(&self, vip: VipId, all: Counted) -> Counted {
        self.given.get(vip.index()).map_or(all, |(_, before)| all.since(*before))
    }

    /// A VIP as it is shown.
    pub(super) fn row(
        &self,
        vip: &Vip,
        network: &Network,
        cluster: Option<&Cluster>,
        all: Counted,
    ) -> VipRow {
        let has = |vips: &[weir_dataplane::config::route::VipAddress]| {
            vips.iter().find(|own| own.address == vip.address).map(|own| own.mac)
        };
        let named = network.interfaces().iter();
        let mut found = named.filter_map(|named| Some((named.name(), has(&named.interface().vips)?)));
        let (interface, mac) = found.next().unzip();
        let is_local = |bucket: &BucketId| match &vip.nodes {
            Nodes::Local(nodes) => nodes.contains(*bucket),
            Nodes::Cluster => cluster.is_none_or(|cluster| cluster.owns(*bucket)),
        };
        let buckets = (0..usize::from(vip.total_nodes)).filter_map(BucketId::new);
        let Counted { taken, left } = self.counted(vip.id, all);
        VipRow {
            address: vip.address,
            interface: interface.unwrap_or_default().to_owned(),
            mac: mac.map(|mac| mac.to_string()).unwrap_or_default(),
            hash_mode: vip.hash_mode.name().to_owned(),
            total_nodes: vip.total_nodes,
            hash_init: vip.hash_init,
            local_nodes: buckets.filter(is_local).map(|bucket| bucket.number().number()).collect(),
            by_cluster: vip.nodes == Nodes::Cluster,
            taken,
            left,
        }
    }
}

/// Keeps what an operator has changed in `running` in those VIPs of `new` that are in the file as they were.
pub(super) fn keep(new: &mut [Vip], file_before: &[Vip], running: &[Vip]) {
    for vip in new {
        let same = |old: &&Vip| Vip { id: vip.id, ..(*old).clone() } == *vip;
        let is_unchanged = file_before.iter().any(|old| same(&old));
        let running = running.iter().find(|running| running.address == vip.address);
        if let Some(running) = running.filter(|_| is_unchanged) {
            vip.nodes = running.nodes.clone();
        }
    }
}

/// Makes a node of a VIP this gateway's, or no longer. `node` is as an operator writes it.
///
/// # Errors
/// Those of writing to `/proc/net/ipt_CLUSTERIP/ADDRESS`, in words.
pub(super) fn set_node(
    config: &mut Config,
    address: IpAddr,
    node: &str,
    local: bool,
) -> Result<NodeNumber, Refusal> {
    let vip = find(&config.vips, address)?;
    let total_nodes = vip.total_nodes;
    let Ok(number) = node.parse::<u64>() else {
        return Err(Refusal::configuration(format!(
            "`{node}` is not the number of a node: {address} has nodes 1 to {total_nodes}"
        )));
    };
    let in_range = usize::try_from(number).ok().and_then(NodeNumber::new);
    let Some(node) = in_range.filter(|node| node.number() <= total_nodes) else {
        return Err(Refusal::configuration(format!(
            "node {number} is out of range: {address} has nodes 1 to {total_nodes}"
        )));
    };
    let nodes = config.vips.iter_mut().find(|vip| vip.address == address).and_then(Vip::local_nodes_mut);
    let Some(nodes) = nodes else {
        return Err(Refusal::conflict(format!(
            "the nodes of {address} here are this node's buckets of the cluster: use `weir cluster`"
        )));
    };
    let changed = if local { nodes.insert(node.bucket()) } else { nodes.remove(node.bucket()) };
    if !changed {
        let already = if local { "is here already" } else { "is not here" };
        return Err(Refusal::conflict(format!("node {node} of {address} {already}; nothing has changed")));
    }
    Ok(node)
}

/// The VIP of that address.
///
/// # Errors
/// There is none.
pub(super) fn find(vips: &[Vip], address: IpAddr) -> Result<&Vip, Refusal> {
    vips.iter().find(|vip| vip.address == address).ok_or_else(|| {
        Refusal::configuration(format!("{address} is no VIP of this gateway; `weir vip list` has them"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_dataplane::config::BucketSet;
    use weir_dataplane::config::vip::HashMode;

    fn vip(last: u8, nodes: &[usize]) -> Vip {
        Vip {
            id: VipId::default(),
            address: [192, 0, 2, last].into(),
            hash_mode: HashMode::Source,
            total_nodes: 40,
            hash_init: 0,
            nodes: Nodes::Local(set(nodes)),
        }
    }

    fn set(nodes: &[usize]) -> BucketSet {
        nodes.iter().map(|number| NodeNumber::new(*number).unwrap().bucket()).collect()
    }

    fn ids(vips: &[Vip]) -> Vec<usize> {
        vips.iter().map(|vip| vip.id.index()).collect()
    }

    #[test]
    fn a_vip_keeps_its_number_and_counts_from_its_beginning() {
        let mut numbers = Numbers::default();
        let none = |_| Counted::default();
        let mut vips = [vip(1, &[]), vip(2, &[])];
        numbers.assign(&mut vips, none);
        assert_eq!(ids(&vips), [0, 1]);
        let mut vips = [vip(3, &[]), vip(2, &[])];
        numbers.assign(&mut vips, none);
        assert_eq!(ids(&vips), [2, 1], "a number is not used again while there are others");
        let mut many: Vec<Vip> = (4..4 + 124).map(|last| vip(last, &[])).collect();
        many.push(vip(2, &[]));
        numbers.assign(&mut many, none);
        many.push(vip(200, &[]));
        many.push(vip(201, &[]));
        many.push(vip(202, &[]));
        let counted = Counted { taken: 5, left: 7 };
        numbers.assign(&mut many, |_| counted);
        let mut all = ids(&many);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), VIPS_MAX, "no two have the same");
        let last = many.last().unwrap();
        let now = Counted { taken: 6, left: 9 };
        assert_eq!(numbers.counted(last.id, now), Counted { taken: 1, left: 2 }, "one of another before");
    }

    #[test]
    fn nodes_are_given_and_taken_with_the_errors_of_linux() {
        let mut config = Config { vips: vec![vip(9, &[1])], ..Config::default() };
        let address: IpAddr = "192.0.2.9".parse().unwrap();
        let mut set_node = |node: &str, local| {
            set_node(&mut config, address, node, local)
                .map(|node| node.number())
                .map_err(|refusal| refusal.message)
        };
        assert_eq!(set_node("40", true), Ok(40));
        assert_eq!(set_node("1", false), Ok(1));
        let said = "node 40 of 192.0.2.9 is here already; nothing has changed";
        assert_eq!(set_node("40", true).unwrap_err(), said);
        let said = "node 1 of 192.0.2.9 is not here; nothing has changed";
        assert_eq!(set_node("1", false).unwrap_err(), said);
        for number in ["0", "41", "65537", "99999999999"] {
            let said = format!("node {number} is out of range: 192.0.2.9 has nodes 1 to 40");
            for local in [true, false] {
                assert_eq!(set_node(number, local).unwrap_err(), said);
            }
        }
        for text in ["x", "-1", "", "1.5", "0x2"] {
            let said = format!("`{text}` is not the number of a node: 192.0.2.9 has nodes 1 to 40");
            assert_eq!(set_node(text, true).unwrap_err(), said);
        }
        assert_eq!(config.vips[0].nodes, Nodes::Local(set(&[40])));
        config.vips[0].nodes = Nodes::Cluster;
        let refusal = super::set_node(&mut config, address, "1", true).unwrap_err();
        assert!(refusal.message.contains("weir cluster"), "{refusal}");
        let other = "192.0.2.8".parse().unwrap();
        let refusal = super::set_node(&mut config, other, "1", true).unwrap_err();
        assert!(refusal.message.contains("no VIP"), "{refusal}");
    }

    #[test]
    fn a_reload_keeps_what_was_changed_of_a_vip_that_it_does_not_change() {
        let file = [vip(1, &[1]), vip(2, &[1]), vip(3, &[1])];
        let running = [vip(1, &[1, 2]), vip(2, &[]), vip(3, &[4])];
        let mut new = [vip(3, &[2]), Vip { id: VipId::new(9).unwrap(), ..vip(2, &[1]) }, vip(5, &[5])];
        keep(&mut new, &file, &running);
        let nodes: Vec<Nodes> = new.into_iter().map(|vip| vip.nodes).collect();
        assert_eq!(nodes, [set(&[2]), set(&[]), set(&[5])].map(Nodes::Local));
    }
}

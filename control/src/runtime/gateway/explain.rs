//! What there is to say of an address: of the flows that it opens, and of those that are opened to it.

use super::Gateway;
use crate::api::{ExplainRequest, Refusal};
use crate::observe::{Explanation, Opened, VipPart};
use core::net::IpAddr;
use std::collections::BTreeMap;
use weir_dataplane::config::Vip;
use weir_dataplane::config::vip::{HashMode, Nodes};
use weir_dataplane::gate::cluster_match::ClusterMatch;
use weir_dataplane::gate::vip::NodeHash;
use weir_dataplane::units::BucketId;

impl Gateway {
    /// What is known of an address.
    pub(super) fn explain(&self, address: IpAddr, request: ExplainRequest) -> Result<Explanation, Refusal> {
        if request.src.is_some_and(|src| src.is_ipv4() != address.is_ipv4()) {
            return Err(Refusal::configuration("both addresses are to be of one IP version"));
        }
        let opened = self.opened(address);
        let vip = self.dataplane.vips.iter().find(|vip| vip.address == address);
        let vip = vip.map(|vip| self.vip_part(vip, request));
        let taken_by = self.running.services.takers(address, request);
        if opened.is_none() && vip.is_none() && taken_by.is_empty() {
            return Err(Refusal::conflict(format!(
                "this gateway is in no cluster, and no VIP, service or pool of it is at {address}"
            )));
        }
        Ok(Explanation { address, opened, vip, taken_by })
    }

    /// Whose the flows are that an address opens.
    fn opened(&self, address: IpAddr) -> Option<Opened> {
        let cluster = self.dataplane.cluster.as_ref()?;
        let matcher = ClusterMatch::compile(cluster);
        let bucket = matcher.bucket(address);
        let (hash, total_nodes) = (matcher.hash(address), cluster.total_nodes);
        let heirs = self.running.seat.as_ref().map_or_else(BTreeMap::new, |seat| seat.heirs(bucket));
        let owner = self.owner_of(bucket);
        Some(Opened { hash, bucket: bucket.number().number(), total_nodes, owner, heirs })
    }

    /// Who answers a VIP.
    fn vip_part(&self, vip: &Vip, request: ExplainRequest) -> VipPart {
        let bucket = bucket_of(vip, request);
        let owner = bucket.and_then(|bucket| match &vip.nodes {
            Nodes::Local(nodes) => nodes.contains(bucket).then(|| self.node().to_owned()),
            Nodes::Cluster => self.owner_of(bucket),
        });
        VipPart {
            hash_mode: vip.hash_mode.name().to_owned(),
            total_nodes: vip.total_nodes,
            node: bucket.map(|bucket| bucket.number().number()),
            owner,
        }
    }

    /// Who has a bucket of the cluster, if that is known here.
    fn owner_of(&self, bucket: BucketId) -> Option<String> {
        let agreed = self.cluster().ok().and_then(|status| status.agreed);
        let owns = || self.dataplane.cluster.as_ref().is_some_and(|cluster| cluster.owns(bucket));
        match agreed {
            Some(agreed) if self.running.seat.is_some() => {
                agreed.owners.get(bucket.index()).cloned().flatten()
            }
            _ => owns().then(|| self.node().to_owned()),
        }
    }
}

/// The part of a VIP's hash space that packets fall into, if enough of them is known.
fn bucket_of(vip: &Vip, ExplainRequest { src, sport, dport }: ExplainRequest) -> Option<BucketId> {
    let ports = match vip.hash_mode {
        HashMode::Source => (0, 0),
        HashMode::SourcePort => (sport?, 0),
        HashMode::SourceDestinationPort => (sport?, dport?),
    };
    Some(NodeHash::compile(vip.hash_mode, vip.total_nodes, vip.hash_init).bucket(src?, ports))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_dataplane::gate::vip::Vips;
    use weir_dataplane::key::{Address, Endpoint, Family, FlowKey};
    use weir_dataplane::units::VipId;
    use weir_dataplane::wire::IpProtocol;

    #[test]
    fn the_node_of_a_vip_is_named_as_soon_as_its_hash_can_be() {
        let address = IpAddr::from([192, 0, 2, 9]);
        let source = IpAddr::from([198, 51, 100, 7]);
        let vip = |hash_mode| Vip {
            id: VipId::default(),
            address,
            hash_mode,
            total_nodes: 16,
            hash_init: 7,
            nodes: Nodes::Cluster,
        };
        let end = |address, port| Endpoint::new(Address::from_ip(address), port);
        let (key, side) =
            FlowKey::sorted(Family::V4, IpProtocol::TCP.0, end(source, 40_000), end(address, 80));
        let known = [(None, None, None), (Some(source), None, None), (Some(source), Some(40_000), None)];
        let known = known.into_iter().chain([(Some(source), Some(40_000), Some(80))]);
        for (needed, (src, sport, dport)) in known.enumerate() {
            for (place, &mode) in HashMode::ALL.iter().enumerate() {
                let said = bucket_of(&vip(mode), ExplainRequest { src, sport, dport });
                let taken = Vips::compile(&[vip(mode)]).find(address).unwrap().bucket_of_flow(&key, side);
                assert_eq!(said, (needed > place).then_some(taken), "{mode}");
            }
        }
    }
}

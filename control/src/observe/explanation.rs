//! What `weir explain` says of an address: whose the flows are that it opens, and where those go that are opened to it.

use core::fmt::Write as _;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What there is to say of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The address.
    pub address: IpAddr,
    /// Whose the flows are that it opens; nothing without a cluster.
    #[serde(flatten)]
    pub opened: Option<Opened>,
    /// Who answers it, if it is a VIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vip: Option<VipPart>,
    /// The services and pools that take flows to it, those first that are asked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_by: Vec<Taker>,
}

/// Whose the flows are that an address opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its hash.
    pub hash: u32,
    /// The bucket that the hash falls into, from 1.
    pub bucket: u16,
    /// How many there are.
    pub total_nodes: u16,
    /// Whose new flows from there are; nothing for nobody's, or for another node's where only this one is known.
    pub owner: Option<String>,
    /// Whose they would be if that node died, of each node that lives.
    pub heirs: BTreeMap<String, Option<String>>,
}

/// Who answers a VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipPart {
    /// What of a packet names its node.
    pub hash_mode: String,
    /// Nodes that have the address.
    pub total_nodes: u16,
    /// The node that answers who was asked about; nothing where the hash needs more than was said.
    pub node: Option<u16>,
    /// The gateway that stands for that node; nothing for nobody, or for another one where only this one is known.
    pub owner: Option<String>,
}

/// A service or pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taker {
    /// `service` or `pool`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Which flows.
    pub traffic: String,
    /// How it chooses; nothing where one node gets them all.
    pub scheduler: Option<String>,
    /// The server that gets them, where that follows from the addresses alone.
    pub server: Option<String>,
}

/// What `weir explain` prints.
pub fn text(explanation: &Explanation) -> String {
    let Explanation { address, opened, vip, taken_by } = explanation;
    let name = |owner: &Option<String>| owner.as_deref().unwrap_or("nobody known here").to_owned();
    let mut text = String::new();
    if let Some(Opened { hash, bucket, total_nodes, owner, heirs }) = opened {
        let owner = name(owner);
        text += &format!("{address}: hash {hash:#010x}, bucket {bucket} of {total_nodes}, owner {owner}\n");
        for (dead, heir) in heirs {
            text += &format!("if {dead} died: {}\n", name(heir));
        }
    }
    if let Some(VipPart { hash_mode, total_nodes, node, owner }) = vip {
        let _ = write!(text, "to {address}: a VIP of {total_nodes} nodes, {hash_mode}");
        text += &node.map_or_else(String::new, |node| format!(", node {node}, owner {}", name(owner)));
        text.push('\n');
    }
    for Taker { kind, name, traffic, scheduler, server } in taken_by {
        let _ = write!(text, "to {address}, {traffic}: {kind} {name}");
        text += &scheduler.as_ref().map_or_else(String::new, |scheduler| format!(", {scheduler}"));
        text += &server.as_ref().map_or_else(String::new, |server| format!(", {server}"));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_names_the_heirs() {
        let opened = Opened {
            hash: 0xab,
            bucket: 2,
            total_nodes: 4,
            owner: Some("gw1".to_owned()),
            heirs: BTreeMap::from([("gw1".to_owned(), None)]),
        };
        let address = [192, 0, 2, 1].into();
        let explained = Explanation { address, opened: Some(opened), vip: None, taken_by: Vec::new() };
        let expected =
            "192.0.2.1: hash 0x000000ab, bucket 2 of 4, owner gw1\nif gw1 died: nobody known here\n";
        assert_eq!(text(&explained), expected);
        let json = serde_json::to_value(&explained).unwrap();
        assert_eq!((&json["bucket"], &json["vip"]), (&2.into(), &serde_json::Value::Null));
        assert_eq!(serde_json::from_value::<Explanation>(json).unwrap(), explained);
    }

    #[test]
    fn an_explanation_says_who_takes_what_goes_to_an_address() {
        let vip = |node| VipPart {
            hash_mode: "sourceip".to_owned(),
            total_nodes: 2,
            node,
            owner: Some("gw1".to_owned()),
        };
        let taker = |kind: &str, name: &str, scheduler: Option<&str>, server: Option<&str>| Taker {
            kind: kind.to_owned(),
            name: name.to_owned(),
            traffic: "tcp port 80".to_owned(),
            scheduler: scheduler.map(str::to_owned),
            server: server.map(str::to_owned),
        };
        let mut explained = Explanation {
            address: [192, 0, 2, 9].into(),
            opened: None,
            vip: Some(vip(None)),
            taken_by: vec![
                taker("pool", "front", None, Some("a")),
                taker("pool", "front", Some("least_load"), None),
                taker("service", "web", Some("sh"), Some("web2")),
            ],
        };
        let json = serde_json::to_value(&explained).unwrap();
        assert_eq!(
            (&json["vip"]["hash_mode"], &json["hash"]),
            (&"sourceip".into(), &serde_json::Value::Null)
        );
        assert_eq!(serde_json::from_value::<Explanation>(json).unwrap(), explained);
        let lines = "to 192.0.2.9: a VIP of 2 nodes, sourceip\n\
                     to 192.0.2.9, tcp port 80: pool front, a\n\
                     to 192.0.2.9, tcp port 80: pool front, least_load\n\
                     to 192.0.2.9, tcp port 80: service web, sh, web2\n";
        assert_eq!(text(&explained), lines);
        explained.vip = Some(vip(Some(2)));
        assert!(
            text(&explained).starts_with("to 192.0.2.9: a VIP of 2 nodes, sourceip, node 2, owner gw1\n")
        );
    }
}

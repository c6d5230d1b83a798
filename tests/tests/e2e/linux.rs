//! A Linux machine as one of two nodes of the router, by the recipe of its cluster match: what falls to the other node
//! is dropped in PREROUTING, and conntrack knows nothing of it.
//!
//! Neighbours of IPv6 are told to both sides, for which Linux has no recipe.

use anyhow::Result;
use weir_tests::netns::Namespace;

use crate::lab::{
    A4, A6, B4, B6, LAN4, LAN6, Lab, NARROW, NEAR4, NEAR6, WAN4, WAN6, clients4, clients6, mac,
};
use crate::node::CLUSTER_MACS;

/// One node; its kernel routes.
pub(crate) struct LinuxRouter<'a> {
    namespace: &'a Namespace,
}

impl<'a> LinuxRouter<'a> {
    /// Makes the place of node `number` in the laboratory a router that owns that node's share.
    pub(crate) fn start(lab: &'a Lab, number: usize) -> Result<Self> {
        let router = Self { namespace: &lab.nodes[number - 1] };
        router.filter(1 << (number - 1))?;
        for (key, value) in [
            ("ipv4/ip_forward", 1),
            ("ipv4/conf/all/send_redirects", 0),
            ("ipv4/conf/lan/send_redirects", 0),
            ("ipv4/conf/wan/send_redirects", 0),
            ("ipv6/conf/all/forwarding", 1),
            ("netfilter/nf_conntrack_tcp_loose", 0),
        ] {
            router.namespace.sysctl(&format!("net/{key}"), value)?;
        }
        router.number()?;
        router.introduce(lab)?;
        Ok(router)
    }

    /// Owns the shares of `node_mask`, as a keepalived script would tell it.
    pub(crate) fn own(&self, node_mask: u32) -> Result<()> {
        let table = mangle(node_mask);
        ["iptables", "ip6tables"]
            .iter()
            .try_for_each(|program| self.namespace.feed(&format!("{program}-legacy-restore -w"), &table))
    }

    /// Falls silent.
    pub(crate) fn die(&self) -> Result<()> {
        ["lan", "wan"].iter().try_for_each(|side| self.namespace.ip(&format!("link set {side} down")))
    }

    fn filter(&self, node_mask: u32) -> Result<()> {
        let helpers = "*raw\n-A PREROUTING -p tcp --dport 21 -j CT --helper ftp\nCOMMIT\n";
        for program in ["iptables", "ip6tables"] {
            self.namespace.feed(&format!("{program}-legacy-restore -w"), helpers)?;
        }
        self.own(node_mask)?;
        ["lan", "wan"].iter().zip(CLUSTER_MACS).try_for_each(|(side, cluster_mac)| {
            self.namespace.run(&format!(
                "arptables-legacy -A OUTPUT -o {side} --h-length 6 -j mangle --mangle-mac-s {cluster_mac}"
            ))?;
            self.namespace.ip(&format!("maddr add {cluster_mac} dev {side}"))
        })
    }

    fn number(&self) -> Result<()> {
        for side in ["lan", "wan"] {
            self.namespace.enable_ipv6(side)?;
        }
        self.batch(&format!(
            "link set wan mtu {NARROW}\n\
             addr add {LAN4}/24 dev lan\naddr add {LAN6}/64 dev lan\n\
             addr add {WAN4}/24 dev wan\naddr add {WAN6}/64 dev wan\n\
             route add {A4}/32 dev lan\nroute add {A6}/128 dev lan\nroute add fd77::/16 dev lan\n"
        ))
    }

    /// Tells it who the hosts are, and the hosts whose the router's IPv6 addresses are.
    fn introduce(&self, lab: &Lab) -> Result<()> {
        let first = [A4, A6, NEAR4, NEAR6].map(str::to_owned);
        let at_a: Vec<_> = clients4().chain(clients6()).chain(first).collect();
        let at_b = [B4, B6].map(str::to_owned).to_vec();
        for (side, host, addresses) in [("lan", &lab.a, at_a), ("wan", &lab.b, at_b)] {
            let mac = mac(host, "eth0")?;
            let known =
                |address: &String| format!("neigh replace {address} lladdr {mac} dev {side} nud permanent\n");
            self.batch(&addresses.iter().map(known).collect::<String>())?;
        }
        for (host, gateway, cluster_mac) in [(&lab.a, LAN6, CLUSTER_MACS[0]), (&lab.b, WAN6, CLUSTER_MACS[1])]
        {
            host.ip(&format!("neigh replace {gateway} lladdr {cluster_mac} dev eth0 nud permanent"))?;
        }
        Ok(())
    }

    fn batch(&self, lines: &str) -> Result<()> {
        self.namespace.feed(&format!("ip -n {} -batch -", self.namespace.name()), lines)
    }
}

/// The match marks what falls to `node_mask`, and all else is dropped.
fn mangle(node_mask: u32) -> String {
    let side = |side| {
        format!(
            "-A PREROUTING -i {side} -m cluster --cluster-total-nodes 2 --cluster-local-nodemask {node_mask} \
             --cluster-hash-seed 0xdeadbeef -j MARK --set-mark 0xffff\n\
             -A PREROUTING -i {side} -m mark ! --mark 0xffff -j DROP\n"
        )
    };
    format!("*mangle\n{}{}COMMIT\n", side("lan"), side("wan"))
}

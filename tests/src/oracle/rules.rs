//! What Linux is told: the sysctls, the helpers, the cluster match, and how a packet's mark says what it thinks.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use weir_dataplane::config::Transport;

use crate::conformance::{LinuxVerdict, Mode};
use crate::netns::Namespace;

/// Where the oracle listens.
pub(super) const NFLOG_GROUP: u16 = 1;

/// By how much every timeout is raised, so that none runs out while a capture is answered.
pub const TIMEOUT_FACTOR: u32 = 1000;
/// The longest raised timeout: the kernel counts in jiffies, in 31 bits.
pub const TIMEOUT_MAX_S: u32 = 2_000_000;

const STATES: [&str; 5] = ["INVALID", "NEW", "ESTABLISHED", "RELATED", "UNTRACKED"];
const STATE_MASK: u32 = 0x0f;
const REPLY: u32 = 0x10;
const CLUSTER: u32 = 0x20;

/// One of Linux's helpers and where it is attached.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    name: &'static str,
    transport: Transport,
    port: u16,
    ipv6: bool,
}

const fn helper(name: &'static str, transport: Transport, port: u16, ipv6: bool) -> Helper {
    Helper { name, transport, port, ipv6 }
}

/// FTP's control connection.
pub const FTP: Helper = helper("ftp", Transport::Tcp, 21, true);

/// Every helper of Linux's at its usual port.
pub const EVERY_HELPER: [Helper; 12] = [
    FTP,
    helper("tftp", Transport::Udp, 69, true),
    helper("irc", Transport::Tcp, 6667, false),
    helper("sip", Transport::Udp, 5060, true),
    helper("sip", Transport::Tcp, 5060, true),
    helper("Q.931", Transport::Tcp, 1720, true),
    helper("RAS", Transport::Udp, 1719, true),
    helper("pptp", Transport::Tcp, 1723, false),
    helper("amanda", Transport::Udp, 10_080, true),
    helper("sane", Transport::Tcp, 6566, true),
    helper("netbios-ns", Transport::Udp, 137, false),
    helper("snmp", Transport::Udp, 161, false),
];

/// A cluster node's rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `--cluster-total-nodes`.
    pub total_nodes: u32,
    /// `--cluster-local-nodemask`.
    pub node_mask: u32,
    /// `--cluster-hash-seed`.
    pub hash_seed: u32,
    /// Own: what the match leaves to others is dropped in PREROUTING. All: nothing is.
    pub mode: Mode,
    /// Attached by CT target rules.
    pub helpers: Vec<Helper>,
    /// `nf_conntrack_tcp_loose`: an ACK in mid-stream opens a flow.
    pub tcp_loose: bool,
    /// `nf_conntrack_tcp_be_liberal`: segments outside the TCP window are not INVALID.
    pub tcp_be_liberal: bool,
    /// `nf_conntrack_tcp_ignore_invalid_rst`: RSTs below the acknowledged sequence are not INVALID.
    pub tcp_ignore_invalid_rst: bool,
    /// `nf_conntrack_checksum`: a packet with a wrong checksum is INVALID.
    pub checksum: bool,
}

impl Rules {
    /// Node 1 of 2 with the seed 0xdeadbeef, the FTP helper, and windows checked.
    pub fn new(mode: Mode) -> Self {
        Self {
            total_nodes: 2,
            node_mask: 1,
            hash_seed: 0xdead_beef,
            mode,
            helpers: vec![FTP],
            tcp_loose: false,
            tcp_be_liberal: false,
            tcp_ignore_invalid_rst: false,
            checksum: true,
        }
    }

    /// Makes the bridges of `namespace` a cluster node.
    pub fn apply(&self, namespace: &Namespace) -> Result<()> {
        bridge_netfilter(namespace)?;
        for (key, on) in [
            ("tcp_loose", self.tcp_loose),
            ("tcp_be_liberal", self.tcp_be_liberal),
            ("tcp_ignore_invalid_rst", self.tcp_ignore_invalid_rst),
            ("checksum", self.checksum),
        ] {
            namespace.sysctl(&format!("net/netfilter/nf_conntrack_{key}"), u8::from(on))?;
        }
        namespace.feed("iptables-legacy-restore -w", &self.tables(false))?;
        namespace.feed("ip6tables-legacy-restore -w", &self.tables(true))
    }

    fn tables(&self, ipv6: bool) -> String {
        let mut text = String::from("*raw\n");
        for helper in self.helpers.iter().filter(|helper| helper.ipv6 || !ipv6) {
            let Helper { name, transport, port, .. } = helper;
            let transport = transport.name();
            line(&mut text, format_args!("-p {transport} --dport {port} -j CT --helper {name}"));
        }
        text.push_str("COMMIT\n*mangle\n");
        for (mark, state) in STATES.iter().enumerate() {
            line(&mut text, format_args!("-m conntrack --ctstate {state} -j MARK --set-mark {mark}"));
        }
        line(&mut text, format_args!("-m conntrack --ctdir REPLY -j MARK --or-mark {REPLY}"));
        line(&mut text, format_args!("{} -j MARK --or-mark {CLUSTER}", self.cluster_match()));
        line(&mut text, format_args!("-j NFLOG --nflog-group {NFLOG_GROUP} --nflog-threshold 1"));
        if self.mode == Mode::Own {
            line(&mut text, format_args!("-m mark ! --mark {CLUSTER}/{CLUSTER} -j DROP"));
        }
        text.push_str("COMMIT\n");
        text
    }

    /// The match's words on an iptables command line.
    fn cluster_match(&self) -> String {
        let Self { total_nodes, node_mask, hash_seed, .. } = self;
        format!(
            "-m cluster --cluster-total-nodes {total_nodes} --cluster-local-nodemask {node_mask} \
             --cluster-hash-seed {hash_seed}"
        )
    }
}

fn line(text: &mut String, rule: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "-A PREROUTING {rule}");
}

/// Turns a bridge's packets over to netfilter, VLAN and PPPoE ones too.
fn bridge_netfilter(namespace: &Namespace) -> Result<()> {
    for key in ["call-iptables", "call-ip6tables", "filter-vlan-tagged", "filter-pppoe-tagged"] {
        namespace.sysctl(&format!("net/bridge/bridge-nf-{key}"), 1)?;
    }
    Ok(())
}

/// Raises every timeout of conntrack and of reassembly, each in its proportion to the others.
pub(super) fn freeze(namespace: &Namespace) -> Result<()> {
    namespace.inside(|| {
        let mut paths = vec![PathBuf::from("/proc/sys/net/ipv4/ipfrag_time")];
        for entry in fs::read_dir("/proc/sys/net/netfilter")? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().contains("timeout") {
                paths.push(entry.path());
            }
        }
        paths
            .iter()
            .try_for_each(|path| raise(path).with_context(|| format!("cannot raise {}", path.display())))
    })
}

fn raise(path: &Path) -> Result<()> {
    let usual: u32 = fs::read_to_string(path)?.trim().parse()?;
    let raised = usual.saturating_mul(TIMEOUT_FACTOR).min(TIMEOUT_MAX_S);
    Ok(fs::write(path, raised.to_string())?)
}

/// Reads a mark that [`Rules`] made.
pub(super) fn verdict(mark: u32) -> Result<LinuxVerdict> {
    let Some(state) = STATES.get((mark & STATE_MASK) as usize) else {
        bail!("no rule sets the mark {mark:#x}")
    };
    Ok(LinuxVerdict { state: (*state).to_owned(), reply: mark & REPLY != 0, cluster: mark & CLUSTER != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_the_rules_write_it() {
        let said = verdict(2 | REPLY).unwrap();
        assert_eq!((said.state.as_str(), said.reply, said.cluster), ("ESTABLISHED", true, false));
        assert!(verdict(9).is_err());
    }
}

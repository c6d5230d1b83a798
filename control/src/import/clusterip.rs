//! iptables' CLUSTERIP and cluster match: `vips` and `cluster`.

use super::iptables::{self, Line, Rule, RuleOption};
use super::{Mistake, Mistakes};
use crate::config::MacAddr;
use core::fmt::Write;
use core::net::Ipv4Addr;

/// Bits of the cluster match's mask.
const LINUX_NODES_MAX: u32 = 32;

/// Matches that narrow a rule down to a part of the traffic, with their options. Here all of it is shared.
const NARROWING: &[(&str, &[&str])] = &[
    ("tcp", &["--dport", "--sport", "--tcp-flags", "--syn"]),
    ("udp", &["--dport", "--sport"]),
    ("sctp", &["--dport", "--sport"]),
    ("icmp", &["--icmp-type"]),
    ("multiport", &["--dports", "--sports", "--ports"]),
    ("comment", &["--comment"]),
    ("state", &["--state"]),
    ("conntrack", &["--ctstate"]),
    ("pkttype", &["--pkt-type"]),
];

/// The YAML that says what the rules of `text` say, as far as they are of CLUSTERIP or the cluster match.
///
/// Rules that say more than there is here are left out, with a comment.
///
/// # Errors
/// The rules that iptables would not take, and those that contradict others.
pub fn clusterip(text: &str) -> Result<String, Mistakes> {
    let mut import = Import::default();
    let mut mistakes = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let taken = iptables::read(i + 1, line).map_err(Refusal::Mistake).and_then(|read| import.take(read));
        match taken {
            Ok(()) => {}
            Err(Refusal::LeftOut(why)) => {
                import.left_out.push(format!("line {}: {}", i + 1, line.trim()));
                import.left_out.push(format!("  {why}"));
            }
            Err(Refusal::Mistake(message)) => {
                mistakes.push(Mistake { file: None, line: i + 1, text: line.trim().to_owned(), message });
            }
        }
    }
    if mistakes.is_empty() { Ok(import.yaml()) } else { Err(Mistakes(mistakes)) }
}

/// Why a rule is not carried over.
#[derive(Debug)]
enum Refusal {
    /// It is left out: the others mean the same without it.
    LeftOut(String),
    /// The whole is not to be had.
    Mistake(String),
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::Mistake(message)
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self::Mistake(message.to_owned())
    }
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Import {
    vips: Vec<Vip>,
    cluster: Option<Cluster>,
    /// Rules of CLUSTERIP and the cluster match that are not carried over, and why.
    left_out: Vec<String>,
    /// Rules and policies that say something else.
    others: Vec<String>,
}

/// A VIP, with what its rules say.
#[derive(Debug)]
struct Vip {
    address: Ipv4Addr,
    interface: String,
    new: New,
    notes: Vec<String>,
}

/// What stands behind `--new`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct New {
    hash_mode: String,
    mac: MacAddr,
    total_nodes: u16,
    local_node: u16,
    hash_init: u32,
}

/// The cluster match, with what its rules say.
#[derive(Debug)]
struct Cluster {
    line: usize,
    says: Says,
    notes: Vec<String>,
}

/// What all rules of the cluster match must say alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Says {
    total_nodes: u32,
    mask: u32,
    hash_seed: u32,
    /// The node owns what is not in the mask.
    invert: bool,
}

impl Import {
    fn take(&mut self, line: Line) -> Result<(), Refusal> {
        match line {
            Line::Frame => Ok(()),
            Line::Policy { chain, policy } => {
                if policy != "ACCEPT" && policy != "-" {
                    self.others.push(format!("the policy {policy} of {chain}"));
                }
                Ok(())
            }
            Line::Rule(rule) => {
                let is_vip = rule.target.as_ref().is_some_and(|(name, _)| name == "CLUSTERIP");
                let matches_cluster = rule.matches.iter().any(|option| {
                    option.name.starts_with("--cluster-")
                        || option.name == "-m" && option.values == ["cluster"]
                });
                match (is_vip, matches_cluster) {
                    (true, true) => Err("CLUSTERIP behind a cluster match: a packet has one owner".into()),
                    (true, false) => self.vip(&rule),
                    (false, true) => self.cluster(&rule),
                    (false, false) => {
                        self.others.push(format!("line {}: {}", rule.line, rule.text));
                        Ok(())
                    }
                }
            }
        }
    }

    fn vip(&mut self, rule: &Rule) -> Result<(), Refusal> {
        let (mut address, mut interface, mut interfaces) = (None, None, None);
        let narrowing = narrowing(rule, |option| match &*option.name {
            "-d" if option.inverted => Err("`! -d` is all addresses but one: a VIP is one".to_owned()),
            "-d" => {
                let value = option.value()?;
                let host = value.strip_suffix("/32").unwrap_or(value);
                address = Some(host.parse::<Ipv4Addr>().map_err(|_| "`-d` names one address".to_owned())?);
                Ok(true)
            }
            "-i" if option.inverted || option.value()?.ends_with('+') => {
                interfaces = Some(option.written());
                Ok(false)
            }
            "-i" => {
                interface = Some(option.value()?.to_owned());
                Ok(true)
            }
            _ => Ok(false),
        })?;
        let address = address.ok_or("a rule of CLUSTERIP names its address with `-d`")?;
        let options = rule.target.as_ref().map_or(&[][..], |(_, options)| options);
        let new = new(options)?;
        let mut notes = vec![format!("line {}: {}", rule.line, rule.text)];
        if let Some(only) = narrowing.only()? {
            notes
                .push(format!("Only `{only}` went by this rule; here all that is sent to the address does."));
        }
        let known = self.vips.iter_mut().find(|vip| vip.address == address);
        match (known, new) {
            (None, None) => {
                let why = format!("no rule before this one makes {address} with `--new`");
                let is_known = self.left_out.iter().any(|line| line.contains(&address.to_string()));
                Err(if is_known { Refusal::LeftOut(why) } else { Refusal::Mistake(why) })
            }
            (None, Some(new)) => {
                if let Some(interfaces) = interfaces {
                    return Err(Refusal::LeftOut(format!(
                        "`{interfaces}` names no single interface: say `-i NAME`, the one that {address} is at"
                    )));
                }
                let interface = interface.ok_or("with `--new` a rule names its interface with `-i`")?;
                self.vips.push(Vip { address, interface, new, notes });
                Ok(())
            }
            (Some(vip), Some(new)) if new.mac != vip.new.mac => {
                Err(format!("{address} has the MAC address {} already", vip.new.mac).into())
            }
            (Some(vip), new) => {
                vip.notes.append(&mut notes);
                if new.is_some_and(|new| new != vip.new) {
                    vip.notes.push("Linux ignored what this rule says otherwise than the first.".to_owned());
                }
                if interface.is_some_and(|interface| interface != vip.interface) {
                    vip.notes.push("Here the address is at one port.".to_owned());
                }
                Ok(())
            }
        }
    }

    fn cluster(&mut self, rule: &Rule) -> Result<(), Refusal> {
        let (mut total_nodes, mut mask, mut seed, mut inverted) = (None, None, None, false);
        let narrowing = narrowing(rule, |option| {
            match &*option.name {
                "--cluster-total-nodes" => {
                    let total = number(option)?;
                    if !(1..=LINUX_NODES_MAX).contains(&total) {
                        return Err(format!("Linux has 1 to {LINUX_NODES_MAX} nodes"));
                    }
                    total_nodes = Some(total);
                }
                "--cluster-local-node" => {
                    let node = number(option)?;
                    if !(1..=LINUX_NODES_MAX).contains(&node) {
                        return Err(format!("nodes are 1 to {LINUX_NODES_MAX}"));
                    }
                    (mask, inverted) = (Some(1 << (node - 1)), option.inverted);
                }
                "--cluster-local-nodemask" => (mask, inverted) = (Some(number(option)?), option.inverted),
                "--cluster-hash-seed" => seed = Some(number(option)?),
                "-m" => return Ok(option.values == ["cluster"]),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let missing = |key: &str| format!("`{key}` is missing");
        let total_nodes = total_nodes.ok_or_else(|| missing("--cluster-total-nodes"))?;
        let mask = mask.ok_or_else(|| missing("--cluster-local-node"))?;
        let hash_seed = seed.ok_or_else(|| missing("--cluster-hash-seed"))?;
        if u64::from(mask) >> total_nodes != 0 {
            return Err(format!("the local nodes are not among the {total_nodes} of the cluster").into());
        }
        let target = rule.target.as_ref().map(|(name, _)| &**name);
        let refuses = match target {
            Some("DROP" | "REJECT") => true,
            Some("ACCEPT" | "MARK" | "CONNMARK" | "RETURN") => false,
            _ => {
                let why = "what its target does with the node's packets is not known: ACCEPT, MARK, CONNMARK, RETURN, DROP and REJECT are";
                return Err(Refusal::LeftOut(why.to_owned()));
            }
        };
        let says = Says { total_nodes, mask, hash_seed, invert: inverted != refuses };
        let mut notes = vec![format!("line {}: {}", rule.line, rule.text)];
        if let Some(only) = narrowing.only()? {
            notes.push(format!("Only `{only}` went by this rule; here all flows do."));
        }
        match &mut self.cluster {
            Some(known) if known.says != says => Err(format!(
                "it says something else than line {}, and a gateway is in one cluster",
                known.line
            )
            .into()),
            Some(known) => {
                known.notes.append(&mut notes);
                Ok(())
            }
            None => {
                self.cluster = Some(Cluster { line: rule.line, says, notes });
                Ok(())
            }
        }
    }

    fn yaml(&self) -> String {
        let mut yaml = String::new();
        if !self.left_out.is_empty() {
            yaml += "# LEFT OUT, since there is nothing here that does the same:\n";
            comment(&mut yaml, "", &self.left_out);
        }
        if !self.vips.is_empty() {
            comment(&mut yaml, "", VIPS);
            yaml += "vips:\n";
            self.vips.iter().for_each(|vip| vip.write(&mut yaml));
        }
        if let Some(cluster) = &self.cluster {
            comment(&mut yaml, "", CLUSTER);
            cluster.write(&mut yaml);
        }
        if self.vips.is_empty() && self.cluster.is_none() && self.left_out.is_empty() {
            yaml += "# No rule is of CLUSTERIP or of the cluster match.\n";
        }
        if !self.others.is_empty() {
            yaml += "# Not carried over, since it is neither CLUSTERIP nor the cluster match:\n";
            comment(&mut yaml, "", &self.others);
        }
        yaml
    }
}

const VIPS: &[&str] = &[
    "CLUSTERIP. What is different here:",
    "- `port` is the name of a port of this file: put it in place of that of the network interface.",
    "- Leave the address out of the port's `addresses`. With `tap` at the port the kernel's servers have it.",
    "- The number of the node is the mark of flows that are tracked: with `local_nodes` those are related flows",
    "  and their masters, with `sourceip` besides none. The kernel sees no mark.",
    "- Nodes that were added through /proc stand in no rule: compare `cat /proc/net/ipt_CLUSTERIP/ADDRESS`.",
];

const CLUSTER: &[&str] = &[
    "The cluster match. What is different here:",
    "- Marks, and rules that drop what is not marked, are not needed: what is another node's is not forwarded.",
    "- A flow is tracked on all nodes; for a cluster with Linux nodes say `tracking: own`.",
    "- In place of rules and arptables that rewrite MAC addresses give each port a `cluster_mac`, or `multicast_macs`.",
];

impl Vip {
    fn write(&self, yaml: &mut String) {
        let Self { address, interface, new, notes } = self;
        comment(yaml, "  ", notes);
        let _ = writeln!(yaml, "  - port: {interface}");
        let _ = writeln!(yaml, "    address: {address}");
        let _ = writeln!(yaml, "    mac: {}", new.mac);
        let _ = writeln!(yaml, "    hash_mode: {}", new.hash_mode);
        let _ = writeln!(yaml, "    total_nodes: {}", new.total_nodes);
        let _ = writeln!(yaml, "    local_nodes: [{}]", new.local_node);
        let _ = writeln!(yaml, "    hash_init: {}", new.hash_init);
    }
}

impl Cluster {
    fn write(&self, yaml: &mut String) {
        let Says { total_nodes, mask, hash_seed, invert } = self.says;
        comment(yaml, "", &self.notes);
        let nodes = (0..LINUX_NODES_MAX).filter(|bit| mask >> bit & 1 == 1);
        let nodes: Vec<String> = nodes.map(|bit| (bit + 1).to_string()).collect();
        let _ = writeln!(yaml, "cluster:\n  total_nodes: {total_nodes}");
        let _ = writeln!(yaml, "  local_nodes: [{}]", nodes.join(", "));
        let _ = writeln!(yaml, "  hash_seed: {hash_seed:#x}");
        if invert {
            yaml.push_str("  invert: true\n");
        }
    }
}

fn comment<T: AsRef<str>>(yaml: &mut String, indent: &str, lines: &[T]) {
    for line in lines {
        let _ = writeln!(yaml, "{indent}# {}", line.as_ref());
    }
}

/// What narrows a rule down to a part of the traffic.
#[derive(Debug, Default)]
struct Narrowing {
    /// As it is written. Here all of the traffic is shared.
    only: Vec<String>,
    /// Matches of which it is not known what they do.
    strange: Vec<String>,
}

impl Narrowing {
    /// Its words; an error if the rule is to be left out.
    fn only(self) -> Result<Option<String>, Refusal> {
        if self.strange.is_empty() {
            return Ok((!self.only.is_empty()).then(|| self.only.join(" ")));
        }
        let names: Vec<String> = self.strange.iter().map(|name| format!("`-m {name}`")).collect();
        Err(Refusal::LeftOut(format!("there is no {} here", names.join(" and no "))))
    }
}

/// The options of a rule that narrow it down; `own` takes those that mean something, and says whether it did.
fn narrowing(
    rule: &Rule,
    mut own: impl FnMut(&RuleOption) -> Result<bool, String>,
) -> Result<Narrowing, String> {
    let mut narrowing = Narrowing::default();
    let mut known: Vec<&str> = Vec::new();
    for option in &rule.matches {
        if own(option)? {
            continue;
        }
        match &*option.name {
            "-A" | "-I" | "-t" | "--comment" => {}
            "-m" => {
                let name = option.value()?;
                match NARROWING.iter().find(|(module, _)| *module == name) {
                    Some((_, options)) => known.extend(*options),
                    None => narrowing.strange.push(name.to_owned()),
                }
            }
            // iptables loads a protocol's match by itself.
            "--dport" | "--sport" | "-p" | "-s" | "-d" | "-i" => narrowing.only.push(option.written()),
            name if known.contains(&name) => narrowing.only.push(option.written()),
            // It may be the strange match's.
            _ if !narrowing.strange.is_empty() => {}
            name => return Err(format!("`{name}` is not understood")),
        }
    }
    Ok(narrowing)
}

/// The options of the target; `None`: it is no `--new`.
fn new(options: &[RuleOption]) -> Result<Option<New>, String> {
    let is_new = options.iter().any(|option| option.name == "--new");
    let (mut hash_mode, mut mac, mut total, mut local, mut init) = (None, None, None, None, 0);
    for option in options {
        match &*option.name {
            "--new" if option.values.is_empty() => {}
            _ if !is_new => return Err(format!("`{}` stands with `--new` only", option.name)),
            "--hashmode" => hash_mode = Some(mode(option.value()?)?),
            "--clustermac" => {
                let mac_of = MacAddr::parse(option.value()?).filter(|mac| mac.is_multicast());
                mac = Some(mac_of.ok_or("`--clustermac` is a multicast MAC address")?);
            }
            "--total-nodes" => total = Some(number(option)?),
            "--local-node" => local = Some(number(option)?),
            "--hash-init" => init = number(option)?,
            name => return Err(format!("`{name}` is not understood")),
        }
    }
    if !is_new {
        return Ok(None);
    }
    let missing = |key: &str| format!("`{key}` is missing");
    let total: u32 = total.ok_or_else(|| missing("--total-nodes"))?;
    let local: u32 = local.ok_or_else(|| missing("--local-node"))?;
    if !(1..=16).contains(&total) || !(1..=total).contains(&local) {
        return Err("CLUSTERIP has 1 to 16 nodes, and the local one is among them".to_owned());
    }
    Ok(Some(New {
        hash_mode: hash_mode.ok_or_else(|| missing("--hashmode"))?,
        mac: mac.ok_or_else(|| missing("--clustermac"))?,
        total_nodes: u16::try_from(total).unwrap_or_default(),
        local_node: u16::try_from(local).unwrap_or_default(),
        hash_init: init,
    }))
}

fn mode(text: &str) -> Result<String, String> {
    let modes = weir_dataplane::config::vip::HashMode::ALL;
    let known = modes.iter().find(|mode| mode.name() == text);
    known.map(ToString::to_string).ok_or_else(|| format!("`{text}` is no hash mode"))
}

/// A number as iptables reads it: decimal, or hexadecimal behind `0x`.
fn number(option: &RuleOption) -> Result<u32, String> {
    let text = option.value()?;
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is not a number of 32 bits"))
}

//! Services and servers of another system, as our YAML.
//!
//! What may stand in the result and is not known here, such as ports and routes, its header asks for.

use core::fmt::{self, Display, Write};
use core::net::IpAddr;

/// Linux's schedulers, all of which are here.
const SCHEDULERS: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "dh", "sh", "mh", "twos", "lblc", "lblcr"];

/// Which connections are a service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// Those with this mark.
    Mark(u32),
    /// Those to this address.
    Address {
        /// `tcp`, `udp` or `sctp`.
        protocol: &'static str,
        /// Where to.
        address: IpAddr,
        /// Which port; 0: any.
        port: u16,
    },
}

/// As it may be part of a name.
impl Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark(mark) => write!(f, "mark-{mark}"),
            Self::Address { protocol, address, port } => write!(f, "{protocol}-{}-{port}", word(*address)),
        }
    }
}

/// A service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// Its line in the text.
    pub(super) line: usize,
    pub(super) selector: Selector,
    /// Whether it is for IPv4, and for IPv6, where that is said of a mark.
    pub(super) versions: [bool; 2],
    pub(super) scheduler: &'static str,
    /// Of `sh` and `mh`: the port counts, another server is taken instead.
    pub(super) flags: Flags,
    pub(super) persistence: Option<Persistence>,
    pub(super) servers: Vec<Server>,
    /// `health`, its keys and values.
    pub(super) health: Vec<(&'static str, String)>,
    /// What is different, or is not carried over.
    pub(super) notes: Vec<String>,
}

/// Flags of `sh` and `mh`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// The source port counts as well.
    pub(super) port: bool,
    /// Instead of a server that cannot be used another one is taken.
    pub(super) fallback: bool,
}

/// A client stays with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Persistence {
    pub(super) timeout_s: u32,
    /// How many bits of a client's address count; `None`: all.
    pub(super) ipv4_prefix_len: Option<u8>,
    pub(super) ipv6_prefix_len: Option<u8>,
}

impl Persistence {
    /// For clients of one IP version.
    pub(super) fn new(timeout_s: u32, prefix_len: Option<u8>, is_ipv6: bool) -> Self {
        let (ipv4_prefix_len, ipv6_prefix_len) =
            if is_ipv6 { (None, prefix_len) } else { (prefix_len, None) };
        Self { timeout_s, ipv4_prefix_len, ipv6_prefix_len }
    }
}

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: IpAddr,
    /// 0: that of the service.
    pub(super) port: u16,
    pub(super) method: Method,
    pub(super) weight: u32,
    pub(super) upper_threshold: u32,
    pub(super) lower_threshold: u32,
    pub(super) notes: Vec<String>,
}

/// How packets get to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Direct,
    Ipip,
    /// With the server's address in place of the service's.
    Masquerading,
    /// In a tunnel of another kind.
    Tunnel,
}

impl Service {
    /// A service as Linux makes it when nothing else is said.
    pub(super) const fn new(line: usize, selector: Selector) -> Self {
        Self {
            line,
            selector,
            versions: [false; 2],
            scheduler: "wlc",
            flags: Flags { port: false, fallback: false },
            persistence: None,
            servers: Vec::new(),
            health: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a server, if it fits the service.
    pub(super) fn add(&mut self, server: Server) -> Result<(), String> {
        let (address, port) = (server.address, server.port);
        if self.servers.iter().any(|known| (known.address, known.port) == (address, port)) {
            return Err(format!("the server {address} is there twice"));
        }
        if let (Selector::Address { address: own, .. }, Method::Direct | Method::Masquerading) =
            (self.selector, server.method)
            && own.is_ipv4() != address.is_ipv4()
        {
            return Err(format!("the server {address} is not of the same IP version as {own}"));
        }
        if server.lower_threshold > server.upper_threshold {
            return Err("the lower threshold is above the upper one".to_owned());
        }
        self.servers.push(server);
        Ok(())
    }

    /// Whether all that has been said of it fits together; says what means nothing.
    pub(super) fn check(&mut self) -> Result<(), String> {
        if self.flags != Flags::default() && !matches!(self.scheduler, "sh" | "mh") {
            let note = format!("Flags mean nothing to `{}`: `sh` and `mh` have some.", self.scheduler);
            self.notes.push(note);
        }
        let is_long = |said: &Persistence| said.ipv4_prefix_len.is_some_and(|len| len > 32);
        if self.persistence.as_ref().is_some_and(is_long) {
            return Err("the mask has more bits than an IPv4 address".to_owned());
        }
        if self.persistence.is_none() && self.port() == Some(0) {
            return Err("a service of any port needs persistence".to_owned());
        }
        Ok(())
    }

    /// Whether the order of the servers matters.
    fn is_ordered(&self) -> bool {
        matches!(self.scheduler, "dh" | "sh" | "mh")
    }

    fn write(&self, name: &str, yaml: &mut String) -> fmt::Result {
        comment(yaml, "  ", &self.notes)?;
        writeln!(yaml, "  - name: {name}")?;
        match self.selector {
            Selector::Mark(mark) => writeln!(yaml, "    mark: {mark}")?,
            Selector::Address { protocol, address, port } => {
                writeln!(yaml, "    protocol: {protocol}")?;
                writeln!(yaml, "    address: {}", quoted(address))?;
                writeln!(yaml, "    port: {port}")?;
            }
        }
        writeln!(yaml, "    scheduler: {}", self.scheduler)?;
        if matches!(self.scheduler, "sh" | "mh") && self.flags != Flags::default() {
            let Flags { port, fallback } = self.flags;
            writeln!(yaml, "    {}: {{ port: {port}, fallback: {fallback} }}", self.scheduler)?;
        }
        if let Some(Persistence { timeout_s, ipv4_prefix_len, ipv6_prefix_len }) = self.persistence {
            write!(yaml, "    persistence: {{ timeout_s: {timeout_s}")?;
            for (version, len) in [(4, ipv4_prefix_len), (6, ipv6_prefix_len)] {
                if let Some(len) = len {
                    write!(yaml, ", ipv{version}_prefix_len: {len}")?;
                }
            }
            writeln!(yaml, " }}")?;
        }
        self.write_servers(yaml)?;
        if !self.health.is_empty() {
            writeln!(yaml, "    health:")?;
            self.health.iter().try_for_each(|(key, value)| writeln!(yaml, "      {key}: {value}"))?;
        }
        Ok(())
    }

    /// Whether its clients have IPv6 addresses.
    pub(super) fn is_ipv6(&self) -> bool {
        match self.selector {
            Selector::Mark(_) => self.servers.iter().any(|server| server.address.is_ipv6()),
            Selector::Address { address, .. } => address.is_ipv6(),
        }
    }

    fn write_servers(&self, yaml: &mut String) -> fmt::Result {
        writeln!(yaml, "    servers:{}", if self.servers.is_empty() { " []" } else { "" })?;
        for server in &self.servers {
            comment(yaml, "      ", &server.all_notes(self.selector))?;
            let shared = self.servers.iter().filter(|other| other.address == server.address).count() > 1;
            let port = if shared { format!("-{}", server.port) } else { String::new() };
            write!(yaml, "      - {{ name: rs-{}{port}", word(server.address))?;
            write!(yaml, ", address: {}", quoted(server.address))?;
            if server.port != 0 && Some(server.port) != self.port() {
                write!(yaml, ", port: {}", server.port)?;
            }
            if matches!(server.method, Method::Ipip | Method::Tunnel) {
                write!(yaml, ", method: ipip")?;
            }
            write!(yaml, ", weight: {}", server.weight.min(u16::MAX.into()))?;
            for (key, value) in
                [("upper_threshold", server.upper_threshold), ("lower_threshold", server.lower_threshold)]
            {
                if value != 0 {
                    write!(yaml, ", {key}: {value}")?;
                }
            }
            writeln!(yaml, " }}")?;
        }
        Ok(())
    }

    const fn port(&self) -> Option<u16> {
        match self.selector {
            Selector::Mark(_) => None,
            Selector::Address { port, .. } => Some(port),
        }
    }
}

impl Server {
    fn all_notes(&self, selector: Selector) -> Vec<String> {
        let mut notes = self.notes.clone();
        match self.method {
            Method::Direct | Method::Ipip => {}
            Method::Masquerading => {
                let who = match selector {
                    Selector::Address { address, port, .. } => {
                        format!("has {address} without ARP, and listens on port {port}")
                    }
                    Selector::Mark(_) => {
                        "has the clients' destinations without ARP, or captures what comes".to_owned()
                    }
                };
                notes.push(format!(
                    "Was masquerading (NAT): here packets come unchanged. See that the server {who}."
                ));
            }
            Method::Tunnel => {
                notes
                    .push("Was a tunnel of another kind: here IP in IP. Change the server's end.".to_owned());
            }
        }
        if self.weight > u16::MAX.into() {
            notes.push(format!("Its weight was {}; {} is the most here.", self.weight, u16::MAX));
        }
        notes
    }
}

/// The scheduler of this name.
pub(super) fn scheduler(name: &str) -> Result<&'static str, String> {
    let known = SCHEDULERS.into_iter().find(|known| *known == name);
    known.ok_or_else(|| format!("`{name}` is no scheduler: {}", SCHEDULERS.join(", ")))
}

/// Takes a flag of a scheduler; whether it is one.
pub(super) fn flag(flags: &mut Flags, name: &str) -> bool {
    match name {
        "sh-port" | "mh-port" | "flag-2" => flags.port = true,
        "sh-fallback" | "mh-fallback" | "flag-1" => flags.fallback = true,
        _ => return false,
    }
    true
}

/// Leading bits of a mask: `255.255.255.0`, or their number.
pub(super) fn prefix_len(text: &str) -> Result<u8, String> {
    if let Some(len) = text.parse().ok().filter(|len| (1..=128).contains(len)) {
        return Ok(len);
    }
    let mask = text.parse::<core::net::Ipv4Addr>().map(core::net::Ipv4Addr::to_bits).ok();
    let len = mask.filter(|mask| mask.leading_ones() + mask.trailing_zeros() == 32 && *mask != 0);
    let len = len.and_then(|mask| u8::try_from(mask.leading_ones()).ok());
    len.ok_or_else(|| format!("`{text}` is no mask of leading bits"))
}

/// A number.
pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// The whole of it as YAML; `from` says where it is from, `others` what else stood there.
pub(super) fn yaml(from: &str, services: &[Service], others: &[String]) -> String {
    let mut yaml = String::new();
    // Writing to a string does not fail.
    let _ = write_all(from, services, others, &mut yaml);
    yaml
}

fn write_all(from: &str, services: &[Service], others: &[String], yaml: &mut String) -> fmt::Result {
    writeln!(yaml, "# From {from}. To be a configuration it wants `node`, `ports` with `addresses`,")?;
    writeln!(
        yaml,
        "# `forwarding: {{ mode: route }}` and `routes`; `weir check FILE` says what is missing."
    )?;
    if services.iter().any(Service::is_ordered) {
        comment(
            yaml,
            "",
            &[
                "`dh`, `sh` and `mh` go by the order of servers: here as in IPVS the last that is listed stands first.",
                "`ipvsadm -S` sorts them by address; `ipvsadm -Ln --nosort` has them as they are, the first on top.",
            ],
        )?;
    }
    let marks: Vec<u32> = services
        .iter()
        .filter_map(|service| match service.selector {
            Selector::Mark(mark) => Some(mark),
            Selector::Address { .. } => None,
        })
        .collect();
    if !marks.is_empty() {
        writeln!(
            yaml,
            "# Which packets get which mark stands in the packet filter (iptables -t mangle -S, nft list ruleset):"
        )?;
        writeln!(yaml, "# marks:")?;
        for mark in marks {
            writeln!(yaml, "#   - {{ port: lan, protocol: tcp, destination_port: 80, mark: {mark} }}")?;
        }
    }
    writeln!(yaml, "services:{}", if services.is_empty() { " []" } else { "" })?;
    for service in services {
        service.write(&service.selector.to_string(), yaml)?;
    }
    if !others.is_empty() {
        writeln!(yaml, "# Not carried over:")?;
        comment(yaml, "", others)?;
    }
    Ok(())
}

fn comment<T: AsRef<str>>(yaml: &mut String, indent: &str, lines: &[T]) -> fmt::Result {
    lines.iter().try_for_each(|line| writeln!(yaml, "{indent}# {}", line.as_ref()))
}

/// As part of a name.
fn word(address: IpAddr) -> String {
    address.to_string().replace(':', "-")
}

/// As YAML wants it: colons would make a key.
fn quoted(address: IpAddr) -> String {
    if address.is_ipv4() { address.to_string() } else { format!("\"{address}\"") }
}

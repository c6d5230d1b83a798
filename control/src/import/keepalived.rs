//! keepalived's `virtual_server` blocks.

use super::blocks::{self, Statement};
use super::checkers::{self, Timing, is_checker};
use super::combined::{Checked, combine, left_out};
use super::ipvsadm::{ONE_PACKET, PERSISTENCE_ENGINE};
use super::lines::{self, Line, Lines, Origin};
use super::services::{
    self, Method, Persistence, Selector, Server, Service, flag, number, prefix_len, scheduler,
};
use super::{Mistake, Mistakes};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

/// What `persistence_timeout` means without a time, in seconds.
const PERSISTENCE_S: u32 = 360;

/// Addresses of a range that become services, at most.
const RANGE_MAX: u128 = 256;

/// Where a mistake is among all lines, and what.
type Wrong = (usize, String);

/// The YAML that says what the `virtual_server` blocks of `text` say, and of the files that it includes.
///
/// # Errors
/// The lines that are not understood.
pub fn keepalived(text: &str, origin: &Origin) -> Result<String, Mistakes> {
    let lines =
        lines::read(text, origin).map_err(|(line, message)| Mistakes(vec![mistake(&line, message)]))?;
    let at = |(at, message): Wrong| mistake(&lines.all.get(at).cloned().unwrap_or_default(), message);
    let statements = blocks::read(&lines.all).map_err(|wrong| Mistakes(vec![at(wrong)]))?;
    let mut wrongs = Vec::new();
    let mut services: Vec<Service> = Vec::new();
    let mut others = lines.notes.clone();
    let groups = statements.iter().filter(|statement| statement.name() == "virtual_server_group");
    let groups: BTreeMap<&str, &Statement> =
        groups.filter_map(|group| Some((group.values().first()?.as_str(), group))).collect();
    for statement in &statements {
        let place = || lines.all.get(statement.line).map(Line::place).unwrap_or_default();
        match statement.name() {
            "virtual_server" | "virtual_server_group" => {
                let before = wrongs.len();
                unexplained(statement, &lines, &mut wrongs);
                if wrongs.len() == before && statement.name() == "virtual_server" {
                    match virtual_server(statement, &groups) {
                        Ok(found) => services.extend(found),
                        Err(wrong) => wrongs.push(wrong),
                    }
                }
            }
            name if name.starts_with(['$', '@', '~']) => unexplained(statement, &lines, &mut wrongs),
            _ => others.push(format!("{}: {}", place(), statement.words.join(" "))),
        }
    }
    for (i, service) in services.iter().enumerate() {
        if services[..i].iter().any(|other| other.selector == service.selector) {
            let message = "these connections are another virtual server's already".to_owned();
            wrongs.push((service.line, message));
        }
    }
    wrongs.sort_by_key(|(line, _)| *line);
    if !wrongs.is_empty() {
        return Err(Mistakes(wrongs.into_iter().map(at).collect()));
    }
    Ok(services::yaml("keepalived.conf", &services, &others))
}

fn mistake(line: &Line, message: String) -> Mistake {
    Mistake { file: line.file.clone(), line: line.number, text: line.written.clone(), message }
}

/// Adds what stands in a statement, or in its block, for something that is not known.
fn unexplained(statement: &Statement, lines: &Lines, wrongs: &mut Vec<Wrong>) {
    let text = lines.all.get(statement.line).map_or("", |line| line.text.as_str());
    let name = statement.name();
    if name.starts_with('@') {
        let message = format!("whether `{name}` is meant says `--config-id`");
        wrongs.push((statement.line, message));
    } else if name.starts_with(['$', '~']) {
        wrongs.push((statement.line, format!("`{name}` is not understood: write out what it stands for")));
    } else if let Some(name) = lines.definitions.unknown_in(text) {
        let message = format!(
            "what `{name}` stands for is not known: say whose file this is with `--config-id`, or write it out"
        );
        wrongs.push((statement.line, message));
    }
    statement.block.iter().for_each(|inner| unexplained(inner, lines, wrongs));
}

/// A service for each address and mark that a virtual server has.
fn virtual_server(block: &Statement, groups: &BTreeMap<&str, &Statement>) -> Result<Vec<Service>, Wrong> {
    let protocol = protocol(block)?;
    let selectors = match block.values() {
        [group, name] if group == "group" => {
            let found = groups.get(name.as_str());
            let group =
                found.ok_or_else(|| (block.line, format!("there is no virtual_server_group `{name}`")))?;
            let each = group
                .block
                .iter()
                .filter(|entry| !is_range_of_marks(entry))
                .map(|entry| selectors(&entry.words, protocol).map_err(|message| (entry.line, message)));
            each.collect::<Result<Vec<_>, _>>()?.concat()
        }
        words => selectors(words, protocol).map_err(|message| (block.line, message))?,
    };
    let mut services =
        selectors.into_iter().map(|selector| service(block, selector)).collect::<Result<Vec<_>, _>>()?;
    if let [group, name] = block.values()
        && group == "group"
        && let Some(group) = groups.get(name.as_str())
    {
        for entry in group.block.iter().filter(|entry| is_range_of_marks(entry)) {
            let said = entry.words.join(" ");
            let note = format!("`{said}`: keepalived knows no ranges of marks, and passes this over.");
            services.iter_mut().for_each(|service| service.notes.push(note.clone()));
        }
    }
    Ok(services)
}

fn is_range_of_marks(entry: &Statement) -> bool {
    entry.name() == "fwmark" && entry.values().first().is_some_and(|mark| mark.contains('-'))
}

fn protocol(block: &Statement) -> Result<&'static str, Wrong> {
    let Some(said) = block.block.iter().find(|statement| statement.name() == "protocol") else {
        return Ok("tcp");
    };
    let at = |message| (said.line, message);
    match said.value().map_err(at)?.to_ascii_lowercase().as_str() {
        "tcp" => Ok("tcp"),
        "udp" => Ok("udp"),
        "sctp" => Ok("sctp"),
        other => Err(at(format!("`{other}` is not TCP, UDP or SCTP"))),
    }
}

/// `fwmark 1`, or an address or a range of them, with a port or without.
fn selectors(words: &[String], protocol: &'static str) -> Result<Vec<Selector>, String> {
    let (place, port) = match words {
        [fwmark, mark, ..] if fwmark == "fwmark" => {
            let mark = number(mark)?;
            return if mark == 0 { Err("mark 0 is none".to_owned()) } else { Ok(vec![Selector::Mark(mark)]) };
        }
        [place] => (place, 0),
        [place, port] => (place, port_number(port)?),
        _ => return Err("an address with a port, `fwmark` or `group` is wanted".to_owned()),
    };
    let of = |address| Selector::Address { protocol, address, port };
    addresses(place).map(|all| all.into_iter().map(of).collect())
}

fn port_number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is not the number of a port"))
}

/// `10.0.0.1`, `10.0.0.1-9`, `10.0.0.250-10.0.1.9` or `10.0.0.8/29`.
fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let wrong = || format!("`{text}` is neither an address nor a range of them");
    let (first, count) = if let Some((first, last)) = text.split_once('-') {
        let first: IpAddr = first.parse().map_err(|_| wrong())?;
        let (first_bits, last_bits) = (bits(first), end_of_range(first, last).ok_or_else(wrong)?);
        (first, last_bits.checked_sub(first_bits).ok_or_else(wrong)?.saturating_add(1))
    } else if text.contains('/') {
        let subnet: weir_dataplane::subnet::Subnet = text.parse().map_err(|_| wrong())?;
        let all = if subnet.address.is_ipv4() { 32 } else { 128 };
        (
            subnet.network().address,
            1_u128.checked_shl(all - u32::from(subnet.prefix_len)).unwrap_or(u128::MAX),
        )
    } else {
        (text.parse().map_err(|_| wrong())?, 1)
    };
    if count > RANGE_MAX {
        return Err(format!("`{text}` has more than {RANGE_MAX} addresses: mark them with `marks`"));
    }
    (0..count).map(|i| nth(first, i).ok_or_else(wrong)).collect()
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The end of a range: an address, or the last part of one.
fn end_of_range(first: IpAddr, last: &str) -> Option<u128> {
    match (first, last.parse::<IpAddr>()) {
        (IpAddr::V4(_), Ok(last @ IpAddr::V4(_))) | (IpAddr::V6(_), Ok(last @ IpAddr::V6(_))) => {
            Some(bits(last))
        }
        (IpAddr::V4(_), Err(_)) => Some(bits(first) & !0xff | u128::from(last.parse::<u8>().ok()?)),
        (IpAddr::V6(_), Err(_)) => {
            Some(bits(first) & !0xffff | u128::from(u16::from_str_radix(last, 16).ok()?))
        }
        _ => None,
    }
}

fn nth(first: IpAddr, i: u128) -> Option<IpAddr> {
    let bits = bits(first).checked_add(i)?;
    match first {
        IpAddr::V4(_) => Some(Ipv4Addr::from_bits(u32::try_from(bits).ok()?).into()),
        IpAddr::V6(_) => Some(Ipv6Addr::from_bits(bits).into()),
    }
}

/// What a virtual server says for its real servers.
#[derive(Clone, Debug)]
struct Common {
    method: Method,
    timing: Timing,
    virtual_host: Option<String>,
    is_inhibited: bool,
    weight: u32,
}

/// What is said of life and death elsewhere, or to nobody here.
const LIFE: [&str; 9] = [
    "alpha",
    "omega",
    "quorum",
    "hysteresis",
    "quorum_up",
    "quorum_down",
    "ha_suspend",
    "notify_up",
    "notify_down",
];

fn service(block: &Statement, selector: Selector) -> Result<Service, Wrong> {
    let mut service = Service::new(block.line, selector);
    let mut common = Common {
        method: Method::Masquerading,
        timing: Timing::default(),
        virtual_host: None,
        is_inhibited: false,
        weight: 1,
    };
    let (mut timeout_s, mut mask) = (None, None);
    for statement in &block.block {
        let at = |message| (statement.line, message);
        match statement.name() {
            "real_server" | "protocol" | "snmp_name" | "ip_family" => {}
            "weight" => common.weight = statement.value().and_then(number).map_err(at)?,
            "lb_algo" | "lvs_sched" => {
                service.scheduler = statement.value().and_then(scheduler).map_err(at)?;
            }
            "lb_kind" | "lvs_method" => common.method = method(statement).map_err(at)?,
            "persistence_timeout" => {
                let said = statement.values().first().map(|text| number(text)).transpose().map_err(at)?;
                timeout_s = Some(said.unwrap_or(PERSISTENCE_S)).filter(|said| *said != 0);
                if timeout_s.is_none() {
                    service.notes.push("`persistence_timeout 0` is none, as in keepalived.".to_owned());
                }
            }
            "persistence_granularity" => mask = Some(statement.value().and_then(prefix_len).map_err(at)?),
            "persistence_engine" => {
                let engine = statement.value().map_err(at)?;
                service.notes.push(format!("`persistence_engine {engine}`: {PERSISTENCE_ENGINE}"));
            }
            "ops" => service.notes.push(ONE_PACKET.to_owned()),
            "virtualhost" => common.virtual_host = Some(statement.value().map_err(at)?.to_owned()),
            "inhibit_on_failure" => common.is_inhibited = is_on(statement),
            "sorry_server" => service.notes.push(format!(
                "`{}`: there is no server of last resort; `fallback` says what becomes of connections then.",
                statement.words.join(" ")
            )),
            "sorry_server_inhibit" | "sorry_server_lvs_method" => {
                service.notes.push(format!("`{}` is not carried over.", statement.name()));
            }
            name if LIFE.contains(&name) => service.notes.push(format!("`{name}` is not carried over.")),
            name if flag(&mut service.flags, name) => {}
            name if left_out(name).is_some() => {
                common.timing.take(statement).map_err(at)?;
                service.notes.extend(left_out(name));
            }
            _ if common.timing.take(statement).map_err(at)? => {}
            name => return Err(at(format!("`{name}` is not understood"))),
        }
    }
    if timeout_s.is_none() && mask.is_some() {
        service
            .notes
            .push("`persistence_granularity` means nothing without `persistence_timeout`.".to_owned());
    }
    real_servers(block, &common, &mut service)?;
    service.persistence = timeout_s.map(|timeout_s| Persistence::new(timeout_s, mask, service.is_ipv6()));
    service.check().map_err(|message| (block.line, message))?;
    Ok(service)
}

fn real_servers(block: &Statement, common: &Common, service: &mut Service) -> Result<(), Wrong> {
    let mut all: Vec<Checked> = Vec::new();
    for statement in block.block.iter().filter(|statement| statement.name() == "real_server") {
        let (server, checked) = real_server(statement, service.selector, common)?;
        service.add(server).map_err(|message| (statement.line, message))?;
        all.push(checked);
    }
    combine(&all, service);
    let mut notes: Vec<String> = Vec::new();
    for note in core::mem::take(&mut service.notes) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    service.notes = notes;
    Ok(())
}

/// A switch: it is on without a value.
fn is_on(statement: &Statement) -> bool {
    !matches!(statement.value(), Ok("off" | "false" | "no"))
}

fn real_server(block: &Statement, selector: Selector, common: &Common) -> Result<(Server, Checked), Wrong> {
    let at = |message| (block.line, message);
    let service_port = match selector {
        Selector::Mark(_) => 0,
        Selector::Address { port, .. } => port,
    };
    let (address, port) = match block.values() {
        [address] => (address, 0),
        [address, port] => (address, port_number(port).map_err(at)?),
        _ => return Err(at("an address with a port is wanted".to_owned())),
    };
    let address = address.parse().map_err(|_| at(format!("`{address}` is not an address")))?;
    let mut common = common.clone();
    let mut server = Server {
        address,
        port: if port == service_port { 0 } else { port },
        method: common.method,
        weight: common.weight,
        upper_threshold: 0,
        lower_threshold: 0,
        notes: Vec::new(),
    };
    let mut checkers = Vec::new();
    for statement in &block.block {
        let at = |message| (statement.line, message);
        match statement.name() {
            "weight" => server.weight = statement.value().and_then(number).map_err(at)?,
            "lb_kind" | "lvs_method" => server.method = method(statement).map_err(at)?,
            "uthreshold" => server.upper_threshold = statement.value().and_then(number).map_err(at)?,
            "lthreshold" => server.lower_threshold = statement.value().and_then(number).map_err(at)?,
            "virtualhost" => common.virtual_host = Some(statement.value().map_err(at)?.to_owned()),
            "inhibit_on_failure" => common.is_inhibited = is_on(statement),
            "snmp_name" => {}
            name if is_checker(name) => checkers.push(statement),
            name if LIFE.contains(&name) => server.notes.push(format!("`{name}` is not carried over.")),
            name if left_out(name).is_some() => {
                common.timing.take(statement).map_err(at)?;
                server.notes.extend(left_out(name));
            }
            _ if common.timing.take(statement).map_err(at)? => {}
            name => return Err(at(format!("`{name}` is not understood"))),
        }
    }
    if common.is_inhibited {
        server.notes.push(
            "`inhibit_on_failure`: here every server that fails keeps what it has, and gets nothing new."
                .to_owned(),
        );
    }
    let port = if port == 0 { service_port } else { port };
    let mut health = None;
    for checker in checkers {
        let found = checkers::health(checker, common.timing, common.virtual_host.as_deref(), port)?;
        match found {
            Some(found) if health.is_none() => health = Some(found),
            Some(_) => {
                server.notes.push(format!("{} is not carried over: one checker holds.", checker.name()))
            }
            None => server
                .notes
                .push(format!("{} is not carried over: there is none of its kind.", checker.name())),
        }
    }
    Ok((server, Checked { address, port, health }))
}

/// `NAT`, `DR` or `TUN`, with the type of a tunnel.
fn method(statement: &Statement) -> Result<Method, String> {
    let words: Vec<&str> = statement.values().iter().map(String::as_str).collect();
    match words.as_slice() {
        ["NAT"] => Ok(Method::Masquerading),
        ["DR"] => Ok(Method::Direct),
        ["TUN"] | ["TUN", "type", "ipip", ..] => Ok(Method::Ipip),
        ["TUN", "type", "gue" | "gre", ..] => Ok(Method::Tunnel),
        _ => Err(format!("`{}` is not understood", statement.words.join(" "))),
    }
}

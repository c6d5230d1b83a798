//! What `ipvsadm -Sn` prints, which is what `ipvsadm -R` reads.

use super::services::{
    self, Method, Persistence, Selector, Server, Service, flag, number, prefix_len, scheduler,
};
use super::{Mistake, Mistakes};
use core::net::{IpAddr, Ipv6Addr};
use std::borrow::Cow;

/// What `-p` means without a time, in seconds.
const PERSISTENCE_S: u32 = 300;

/// The YAML that says what the commands of `text` make.
///
/// # Errors
/// The lines that are not understood.
pub fn ipvsadm(text: &str) -> Result<String, Mistakes> {
    let mut services: Vec<Service> = Vec::new();
    let mut mistakes = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if let Err(message) = take(i + 1, line, &mut services) {
            mistakes.push(Mistake { file: None, line: i + 1, text: line.trim().to_owned(), message });
        }
    }
    for service in &mut services {
        if let Err(message) = service.check() {
            let line = text.lines().nth(service.line - 1).unwrap_or_default();
            mistakes.push(Mistake { file: None, line: service.line, text: line.trim().to_owned(), message });
        }
    }
    if services.is_empty() && mistakes.is_empty() {
        let message = "there is no service here: what `ipvsadm -Sn` prints, as root, is wanted".to_owned();
        mistakes.push(Mistake { file: None, line: 1, text: String::new(), message });
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    if mistakes.is_empty() { Ok(services::yaml("ipvsadm", &services, &[])) } else { Err(Mistakes(mistakes)) }
}

fn take(line: usize, text: &str, services: &mut Vec<Service>) -> Result<(), String> {
    let mut words = text.split_whitespace().peekable();
    words.next_if(|word| word.rsplit('/').next() == Some("ipvsadm"));
    if words.peek().is_none_or(|word| word.starts_with('#')) {
        return Ok(());
    }
    let words = apart(words)?;
    let Some((command, words)) = words.split_first() else { return Ok(()) };
    match &**command {
        "-C" | "--clear" => services.clear(),
        "-A" | "--add-service" => {
            let options = options(words)?;
            let service = service(line, &options)?;
            match services.iter_mut().find(|known| known.selector == service.selector) {
                Some(known) => both_versions(known, service, is_ipv6(&options))?,
                None => services.push(service),
            }
        }
        "-a" | "--add-server" => {
            let options = options(words)?;
            let selector = selector(&options)?;
            let known = services.iter_mut().find(|known| known.selector == selector);
            let service = known.ok_or("no line before this one makes the service with `-A`")?;
            service.add(server(&options, selector)?)?;
        }
        "-R" | "-S" | "--restore" | "--save" => return Err("the rules themselves are wanted".to_owned()),
        _ => return Err(format!("`{command}` is not understood: `ipvsadm -Sn` has `-A` and `-a` alone")),
    }
    Ok(())
}

/// Makes one service of the two that a mark has in IPVS, one for each IP version.
fn both_versions(known: &mut Service, other: Service, is_ipv6: bool) -> Result<(), String> {
    let line = known.line;
    if !matches!(known.selector, Selector::Mark(_)) || known.versions[usize::from(is_ipv6)] {
        return Err(format!("line {line} makes this service already"));
    }
    let timeout_s = |service: &Service| service.persistence.map(|said| said.timeout_s);
    if (known.scheduler, known.flags, timeout_s(known)) != (other.scheduler, other.flags, timeout_s(&other)) {
        return Err(format!(
            "a mark is one service here, for both IP versions, and line {line} has it with other settings: give them one scheduler, its flags and one `-p`, or two marks"
        ));
    }
    known.versions = [true; 2];
    if let (Some(known), Some(other)) = (&mut known.persistence, other.persistence) {
        known.ipv4_prefix_len = known.ipv4_prefix_len.or(other.ipv4_prefix_len);
        known.ipv6_prefix_len = known.ipv6_prefix_len.or(other.ipv6_prefix_len);
    }
    known.notes.extend(other.notes);
    let notes = [
        "Was a service for each IP version: here one has both, and each server gets clients of both, by its MAC address or",
        "its tunnel. See that each serves both, else give each version a mark. A machine that is here twice has two shares.",
    ];
    known.notes.extend(notes.map(str::to_owned));
    Ok(())
}

/// Whether a service is one for IPv6.
fn is_ipv6(options: &[Setting<'_>]) -> bool {
    match selector(options) {
        Ok(Selector::Address { address, .. }) => address.is_ipv6(),
        _ => value(options, "-6").is_some(),
    }
}

/// The words of a line, with options that stand together (`-At`, `-p300`) apart, and those at the end of old versions'
/// lines (` ops`, ` pe sip`) as they are given.
fn apart<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<Cow<'a, str>>, String> {
    let mut all = Vec::new();
    let mut wants_value = false;
    for word in words {
        let glued =
            word.strip_prefix('-').filter(|rest| !rest.starts_with('-') && rest.len() > 1 && !wants_value);
        wants_value = match (glued, word) {
            (None, "ops") if !wants_value => {
                all.push("--ops".into());
                false
            }
            (None, "pe") if !wants_value => {
                all.push("--pe".into());
                true
            }
            (None, _) => {
                all.push(word.into());
                !wants_value && takes(word) == Some(Value::One)
            }
            (Some(rest), _) => one_by_one(rest, &mut all)?,
        };
    }
    Ok(all)
}

/// Takes options that stand together apart; whether the last one wants a value.
fn one_by_one<'a>(letters: &'a str, all: &mut Vec<Cow<'a, str>>) -> Result<bool, String> {
    let mut rest = letters;
    while let Some(letter) = rest.chars().next() {
        let name = format!("-{letter}");
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        let takes = match letter {
            'A' | 'a' | 'C' | 'R' | 'S' | 'E' | 'e' | 'D' | 'd' | 'L' | 'l' | 'Z' => Some(Value::None),
            _ => takes(&name),
        };
        all.push(name.clone().into());
        match takes {
            Some(Value::None) => {}
            Some(Value::One | Value::Optional) if !rest.is_empty() => {
                all.push(rest.strip_prefix('=').unwrap_or(rest).into());
                return Ok(false);
            }
            Some(takes) => return Ok(takes == Value::One),
            None => return Err(format!("`{name}` is not understood")),
        }
    }
    Ok(false)
}

/// What stands behind an option; `None`: it is none.
fn takes(name: &str) -> Option<Value> {
    OPTIONS.iter().find(|(short, long, _)| *short == name || *long == name).map(|(_, _, takes)| *takes)
}

/// An option, by its short name if it has one, and its value.
type Setting<'a> = (&'static str, &'a str);

/// Short name, long name, whether a value stands behind it; an optional value begins with no dash.
const OPTIONS: [(&str, &str, Value); 21] = [
    ("-t", "--tcp-service", Value::One),
    ("-u", "--udp-service", Value::One),
    ("--sctp-service", "--sctp-service", Value::One),
    ("-f", "--fwmark-service", Value::One),
    ("-6", "--ipv6", Value::None),
    ("-s", "--scheduler", Value::One),
    ("-p", "--persistent", Value::Optional),
    ("-M", "--netmask", Value::One),
    ("-b", "--sched-flags", Value::One),
    ("--pe", "--pe", Value::One),
    ("-o", "--ops", Value::None),
    ("-r", "--real-server", Value::One),
    ("-g", "--gatewaying", Value::None),
    ("-i", "--ipip", Value::None),
    ("-m", "--masquerading", Value::None),
    ("-w", "--weight", Value::One),
    ("-x", "--u-threshold", Value::One),
    ("-y", "--l-threshold", Value::One),
    ("--tun-type", "--tun-type", Value::One),
    ("--tun-port", "--tun-port", Value::One),
    ("-n", "--numeric", Value::None),
];

/// Flags of tunnels other than IP in IP.
const TUNNEL_FLAGS: [&str; 3] = ["--tun-nocsum", "--tun-csum", "--tun-remcsum"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    None,
    Optional,
    One,
}

fn options<'a>(words: &'a [Cow<'_, str>]) -> Result<Vec<Setting<'a>>, String> {
    let mut words = words.iter().map(|word| &**word).peekable();
    let mut found: Vec<Setting<'_>> = Vec::new();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (word, None),
        };
        if TUNNEL_FLAGS.contains(&name) {
            continue;
        }
        let known = OPTIONS.iter().find(|(short, long, _)| *short == name || *long == name);
        let Some((short, _, takes)) = known else { return Err(format!("`{name}` is not understood")) };
        let value = match takes {
            Value::None => Some(""),
            Value::Optional => inline.or_else(|| words.next_if(|next| !next.starts_with('-'))).or(Some("")),
            Value::One => inline.or_else(|| words.next()),
        };
        let value = value.ok_or_else(|| format!("`{name}` needs a value"))?;
        if found.iter().any(|(known, _)| known == short) {
            return Err(format!("`{name}` is there twice"));
        }
        found.push((short, value));
    }
    Ok(found)
}

fn value<'a>(options: &[Setting<'a>], name: &str) -> Option<&'a str> {
    options.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn selector(options: &[Setting<'_>]) -> Result<Selector, String> {
    let said = ["-t", "-u", "--sctp-service", "-f"].iter().filter(|name| value(options, name).is_some());
    if said.count() > 1 {
        return Err("`-t`, `-u`, `--sctp-service` and `-f` are a service each".to_owned());
    }
    if let Some(mark) = value(options, "-f") {
        let mark = number(mark)?;
        return if mark == 0 { Err("mark 0 is none".to_owned()) } else { Ok(Selector::Mark(mark)) };
    }
    let by = [("-t", "tcp"), ("-u", "udp"), ("--sctp-service", "sctp")];
    let said = by.into_iter().find_map(|(option, protocol)| Some((protocol, value(options, option)?)));
    let (protocol, place) = said.ok_or("`-t`, `-u`, `--sctp-service` or `-f` is missing")?;
    let (address, port) = place_of(place)?;
    Ok(Selector::Address { protocol, address, port: port.unwrap_or(0) })
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`, or without the port.
fn place_of(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let wrong = || format!("`{text}` is not an address with a port: use `ipvsadm -Sn`");
    let port = port.map(str::parse).transpose().map_err(|_| wrong())?;
    Ok((host.parse().map_err(|_| wrong())?, port))
}

fn service(line: usize, options: &[Setting<'_>]) -> Result<Service, String> {
    let mut service = Service::new(line, selector(options)?);
    let mut mask = None;
    let mut timeout_s = None;
    let mut flags = Vec::new();
    for (name, value) in options {
        match *name {
            "-t" | "-u" | "--sctp-service" | "-f" | "-6" | "-n" => {}
            "-s" => service.scheduler = scheduler(value)?,
            "-p" if value.is_empty() => timeout_s = Some(PERSISTENCE_S),
            "-p" => {
                let said = number(value).ok().filter(|said| *said != 0);
                timeout_s = Some(said.ok_or_else(|| format!("`{value}` is no time to persist for"))?);
            }
            "-M" => mask = Some(prefix_len(value)?),
            "-b" => flags.extend(value.split(',')),
            "-o" => service.notes.push(ONE_PACKET.to_owned()),
            "--pe" => service.notes.push(format!("`--pe {value}`: {PERSISTENCE_ENGINE}")),
            _ => return Err(format!("`{name}` is for a server")),
        }
    }
    for name in flags {
        if name.split_once('-').is_some_and(|(of, _)| matches!(of, "sh" | "mh") && of != service.scheduler) {
            return Err(format!("`{name}` is no flag of `{}`", service.scheduler));
        }
        if name == "flag-3" {
            service.notes.push("`flag-3` means nothing to any scheduler.".to_owned());
        } else if !flag(&mut service.flags, name) {
            return Err(format!("`{name}` is no flag of a scheduler"));
        }
    }
    let is_ipv6 = is_ipv6(options);
    service.versions[usize::from(is_ipv6)] = true;
    if is_ipv6 && value(options, "-M").is_some_and(|mask| mask.contains('.')) {
        return Err("for IPv6 `-M` is a number of bits".to_owned());
    }
    if timeout_s.is_none() && mask.is_some() {
        service.notes.push("`-M` means nothing without `-p`.".to_owned());
    }
    service.persistence = timeout_s.map(|timeout_s| Persistence::new(timeout_s, mask, is_ipv6));
    Ok(service)
}

/// What one-packet scheduling becomes.
pub(super) const ONE_PACKET: &str =
    "One-packet scheduling is not carried over: datagrams of one source and destination go to one server.";

/// What a persistence engine becomes.
pub(super) const PERSISTENCE_ENGINE: &str =
    "persistence engines are not carried over; clients are told apart by their addresses.";

fn server(options: &[Setting<'_>], selector: Selector) -> Result<Server, String> {
    let place = value(options, "-r").ok_or("`-r` is missing")?;
    let (address, port) = place_of(place)?;
    let service_port = match selector {
        Selector::Mark(_) => 0,
        Selector::Address { port, .. } => port,
    };
    let mut server = Server {
        address,
        port: port.filter(|port| *port != service_port).unwrap_or(0),
        method: Method::Direct,
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
        notes: Vec::new(),
    };
    for (name, value) in options {
        match *name {
            "-t" | "-u" | "--sctp-service" | "-f" | "-6" | "-r" | "-n" | "--tun-port" => {}
            "-g" => server.method = Method::Direct,
            "-m" => server.method = Method::Masquerading,
            "-i" if server.method == Method::Tunnel => {}
            "-i" => server.method = Method::Ipip,
            "--tun-type" if *value == "ipip" => {}
            "--tun-type" => server.method = Method::Tunnel,
            "-w" => server.weight = number(value)?,
            "-x" => server.upper_threshold = number(value)?,
            "-y" => server.lower_threshold = number(value)?,
            _ => return Err(format!("`{name}` is for a service")),
        }
    }
    Ok(server)
}

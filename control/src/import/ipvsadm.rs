//! What `ipvsadm -Sn` prints, which is what `ipvsadm -R` reads.

use super::services::{
    self, Method, Persistence, Selector, Server, Service, flag, number, prefix_len, scheduler,
};
use super::{Mistake, Mistakes};
use core::net::{IpAddr, Ipv6Addr};

/// What `-p` means without a time, in seconds.
const PERSISTENCE_S: u32 = 300;

/// The YAML that says what the commands of `text` make.
///
/// # Errors
/// The lines that are not understood.
pub fn ipvsadm(text: &str) -> Result<String, Mistakes> {
    let mut services = Vec::new();
    let mut mistakes = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if let Err(message) = take(i + 1, line, &mut services) {
            mistakes.push(Mistake { file: None, line: i + 1, text: line.trim().to_owned(), message });
        }
    }
    for service in &services {
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
    let Some(command) = words.next().filter(|word| !word.starts_with('#')) else { return Ok(()) };
    match command {
        "-C" | "--clear" => services.clear(),
        "-A" | "--add-service" => {
            let service = service(line, &options(words)?)?;
            if let Some(known) = services.iter().find(|known| known.selector == service.selector) {
                return Err(match service.selector {
                    Selector::Mark(mark) => format!(
                        "line {} is for mark {mark} already, and a mark is one service here, for both IP versions",
                        known.line
                    ),
                    Selector::Address { .. } => format!("line {} makes this service already", known.line),
                });
            }
            services.push(service);
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

fn options<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<Setting<'a>>, String> {
    let mut words = words.peekable();
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
    for (name, value) in options {
        match *name {
            "-t" | "-u" | "--sctp-service" | "-f" | "-6" | "-n" => {}
            "-s" => service.scheduler = scheduler(value)?,
            "-p" => timeout_s = Some(if value.is_empty() { PERSISTENCE_S } else { number(value)? }),
            "-M" => mask = Some(prefix_len(value)?),
            "-b" => {
                for name in value.split(',') {
                    if !flag(&mut service.flags, name) {
                        return Err(format!("`{name}` is no flag of a scheduler"));
                    }
                }
            }
            "-o" => service.notes.push(ONE_PACKET.to_owned()),
            "--pe" => service.notes.push(format!("`--pe {value}`: {PERSISTENCE_ENGINE}")),
            _ => return Err(format!("`{name}` is for a server")),
        }
    }
    service.persistence = timeout_s.map(|timeout_s| Persistence { timeout_s, prefix_len: mask });
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

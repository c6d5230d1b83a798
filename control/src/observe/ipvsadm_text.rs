//! Services in the lines of Linux's `ipvsadm -Ln`: the same headers, columns and widths, so that what reads those reads
//! these. Only the first line names Weir instead of IPVS.

use super::service::{
    Connections, SelectorRow, ServerRow, ServiceRow, Services, TrafficCounts, TrafficRates,
};
use core::net::{IpAddr, Ipv4Addr};

/// Which columns are wanted, by `ipvsadm`'s options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// How packets get to servers, weights and connections.
    Plain,
    /// `--stats`: totals since the start.
    Stats(Digits),
    /// `--rate`: in a second.
    Rate(Digits),
    /// `--thresholds`.
    Thresholds,
    /// `--persistent-conn`.
    PersistentConn,
}

/// How large numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digits {
    /// In nine places: from 100 million on in thousands, millions and so on.
    #[default]
    Short,
    /// `--exact`: all of them.
    Exact,
}

/// What `ipvsadm -Ln` would print of all services, with `columns`.
pub fn all(answer: &Services, columns: Columns) -> String {
    format!(
        "Weir version {} (size={})\n{}",
        env!("CARGO_PKG_VERSION"),
        answer.flows_max,
        some(answer, columns)
    )
}

/// The same of services that were named: without the first line.
pub fn some(answer: &Services, columns: Columns) -> String {
    let mut services: Vec<&ServiceRow> = answer.services.iter().collect();
    services.sort_by_key(|service| place(service.selector));
    let mut text = title(columns);
    for service in services {
        text += &head(service, columns);
        let mut servers: Vec<&ServerRow> = service.servers.iter().collect();
        servers.sort_by_key(|server| (server.address, server.port));
        let port = match service.selector {
            SelectorRow::Mark { .. } => 0,
            SelectorRow::Address { port, .. } => port,
        };
        servers.into_iter().for_each(|server| text += &line(server, port, columns));
    }
    text
}

/// What `ipvsadm -Lnc` would print.
pub fn connections(answer: &Connections) -> String {
    let mut text = format!(
        "IPVS connection entries\npro expire {:<11} {:<18} {:<18} destination\n",
        "state", "source", "virtual"
    );
    for row in &answer.connections {
        let expire = format!("{:02}:{:02}", row.expires_s / 60, row.expires_s % 60);
        let source = endpoint(row.source, row.source_port);
        let virtual_ = endpoint(row.destination, row.destination_port);
        text += &format!(
            "{:<3} {expire:<6} {:<11} {source:<18} {virtual_:<18} {}\n",
            protocol_name(row.protocol),
            row.state,
            endpoint(row.server_address, row.server_port)
        );
    }
    if answer.more {
        text += &format!("{} connections, and more: name a service\n", answer.connections.len());
    }
    text
}

/// `ipvsadm` sorts by mark, which services of an address do not have, then by address.
fn place(selector: SelectorRow) -> (u32, bool, u8, IpAddr, u16) {
    match selector {
        SelectorRow::Mark { mark, ipv6 } => (mark, ipv6, 0, Ipv4Addr::UNSPECIFIED.into(), 0),
        SelectorRow::Address { protocol, address, port } => (0, address.is_ipv6(), protocol, address, port),
    }
}

fn title(columns: Columns) -> String {
    let five = |[a, b, c, d, e]: [&str; 5]| {
        format!(
            "{:<33} {a:>8} {b:>8} {c:>8} {d:>8} {e:>8}\n  -> RemoteAddress:Port\n",
            "Prot LocalAddress:Port"
        )
    };
    let four = |widths: [usize; 2], [a, b, c, d]: [&str; 4]| {
        let [first, second] = widths;
        format!(
            "{:<33} {a:<first$} {b:<second$} {c:<10} {d:<10}\n  -> RemoteAddress:Port\n",
            "Prot LocalAddress:Port"
        )
    };
    match columns {
        Columns::Plain => "Prot LocalAddress:Port Scheduler Flags\n  \
                           -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
            .to_owned(),
        Columns::Stats(_) => five(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
        Columns::Rate(_) => five(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
        Columns::Thresholds => four([10, 10], ["Uthreshold", "Lthreshold", "ActiveConn", "InActConn"]),
        Columns::PersistentConn => four([9, 11], ["Weight", "PersistConn", "ActiveConn", "InActConn"]),
    }
}

/// The line of a service.
fn head(service: &ServiceRow, columns: Columns) -> String {
    let name = match service.selector {
        SelectorRow::Mark { mark, ipv6: false } => format!("FWM  {mark}"),
        SelectorRow::Mark { mark, ipv6: true } => format!("FWM  {mark} IPv6"),
        SelectorRow::Address { protocol, address, port } => {
            format!("{:<4} {}", protocol_name(protocol), endpoint(address, port))
        }
    };
    match columns {
        Columns::Stats(digits) => format!("{name:<33}{}\n", totals(&service.counts, digits)),
        Columns::Rate(digits) => {
            let rates = &service.rates;
            let numbers =
                [rates.connections, rates.packets, rates.reply_packets, rates.bytes, rates.reply_bytes];
            format!("{name:<33}{}\n", numbers.map(|rate| large(rounded(rate), digits)).concat())
        }
        Columns::Plain | Columns::Thresholds | Columns::PersistentConn => {
            format!("{name} {}{}{}\n", service.scheduler, flags(service), persistence(service))
        }
    }
}

fn flags(service: &ServiceRow) -> String {
    if service.scheduler_flags.is_empty() {
        return String::new();
    }
    format!(" ({})", service.scheduler_flags.join(","))
}

fn persistence(service: &ServiceRow) -> String {
    let Some(persistence) = service.persistence else { return String::new() };
    let is_ipv6 = match service.selector {
        SelectorRow::Mark { ipv6, .. } => ipv6,
        SelectorRow::Address { address, .. } => address.is_ipv6(),
    };
    let mask = match (is_ipv6, persistence.ipv4_prefix_len, persistence.ipv6_prefix_len) {
        (false, 32, _) | (true, _, 128) => String::new(),
        (true, _, len) => format!(" mask {len}"),
        (false, len, _) => {
            let host_bits = 32_u32.saturating_sub(len.into());
            format!(" mask {}", Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0)))
        }
    };
    format!(" persistent {}{mask}", persistence.timeout_s)
}

/// The line of a server, whose service has `port`.
fn line(server: &ServerRow, port: u16, columns: Columns) -> String {
    let name = endpoint(server.address, if server.port == 0 { port } else { server.port });
    let TrafficCounts { active, inactive, .. } = server.counts;
    let weight = server.scheduled_weight();
    match columns {
        Columns::Plain => {
            let forward = forward(&server.method);
            format!("  -> {name:<28} {forward:<7} {weight:<6} {active:<10} {inactive:<10}\n")
        }
        Columns::Stats(digits) => format!("  -> {name:<28}{}\n", totals(&server.counts, digits)),
        Columns::Rate(digits) => {
            let TrafficRates { connections, packets, bytes, reply_packets, reply_bytes } = server.rates;
            let [connections, packets, replies] = [connections, packets, reply_packets].map(rounded);
            let bytes = [bytes, reply_bytes].map(|rate| large(rounded(rate), digits)).concat();
            format!("  -> {name:<28} {connections:>8} {packets:>8} {replies:>8}{bytes}\n")
        }
        Columns::Thresholds => {
            let (upper, lower) = (server.upper_threshold, server.lower_threshold);
            format!("  -> {name:<28} {upper:<10} {lower:<10} {active:<10} {inactive:<10}\n")
        }
        Columns::PersistentConn => {
            let clients = server.persistent;
            format!("  -> {name:<28} {weight:<9} {clients:<11} {active:<10} {inactive:<10}\n")
        }
    }
}

/// The word of `/proc/net/ip_vs`.
fn forward(method: &str) -> &'static str {
    match method {
        "direct" => "Route",
        "ipip" => "Tunnel",
        _ => "Masq",
    }
}

/// A protocol as `ipvsadm` writes it; it knows these three.
pub(super) fn protocol_name(protocol: u8) -> String {
    match protocol {
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        132 => "SCTP".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn endpoint(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

fn totals(counts: &TrafficCounts, digits: Digits) -> String {
    let numbers =
        [counts.connections, counts.packets, counts.reply_packets, counts.bytes, counts.reply_bytes];
    numbers.map(|number| large(number, digits)).concat()
}

/// A number in nine places, or with a blank before it.
fn large(number: u64, digits: Digits) -> String {
    match number {
        _ if digits == Digits::Exact => format!(" {number:>8}"),
        0..100_000_000 => format!("{number:>9}"),
        100_000_000..1_000_000_000 => format!("{:>8}K", number / 1_000),
        1_000_000_000..100_000_000_000 => format!("{:>8}M", number / 1_000_000),
        100_000_000_000..100_000_000_000_000 => format!("{:>8}G", number / 1_000_000_000),
        _ => format!("{:>8}T", number / 1_000_000_000_000),
    }
}

/// IPVS's estimates are whole numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are not negative and fit")]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::super::service::fixtures::{server, service};
    use super::super::service::{ConnectionRow, PersistenceRow};
    use super::*;

    const MARK: SelectorRow = SelectorRow::Mark { mark: 1, ipv6: false };

    fn web() -> SelectorRow {
        SelectorRow::Address { protocol: 6, address: [192, 0, 2, 80].into(), port: 80 }
    }

    fn both() -> Services {
        let cache = service(MARK, "lblcr", vec![server("b", "10.0.0.12", 100), server("a", "10.0.0.2", 1)]);
        let tunnel = ServerRow { port: 8080, method: "ipip".to_owned(), ..server("c", "10.0.0.3", 7) };
        let mut web = service(web(), "wlc", vec![tunnel]);
        let (timeout_s, ipv6_prefix_len) = (300, 128);
        web.persistence = Some(PersistenceRow { timeout_s, ipv4_prefix_len: 32, ipv6_prefix_len });
        Services { flows_max: 4096, services: vec![cache, web] }
    }

    fn assert_lines(text: &str, expected: &[&str]) {
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_list_is_laid_out_as_ipvsadm_does() {
        let version = format!("Weir version {} (size=4096)", env!("CARGO_PKG_VERSION"));
        let expected = [
            &*version,
            "Prot LocalAddress:Port Scheduler Flags",
            "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
            "TCP  192.0.2.80:80 wlc persistent 300",
            "  -> 10.0.0.3:8080                Tunnel  7      12         3         ",
            "FWM  1 lblcr",
            "  -> 10.0.0.2:0                   Route   1      12         3         ",
            "  -> 10.0.0.12:0                  Route   100    12         3         ",
        ];
        assert_lines(&all(&both(), Columns::Plain), &expected);
        assert_lines(&some(&both(), Columns::Plain), &expected[1..]);
    }

    #[test]
    fn totals_have_nine_places() {
        let expected = [
            "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes",
            "  -> RemoteAddress:Port",
            "TCP  192.0.2.80:80                    1234 99999999        0  100000K    5000M",
            "  -> 10.0.0.3:8080                    1234 99999999        0  100000K    5000M",
        ];
        let text = some(&both(), Columns::Stats(Digits::Short));
        assert_lines(&text.lines().take(4).map(|line| format!("{line}\n")).collect::<String>(), &expected);
    }

    #[test]
    fn rates_are_whole_numbers() {
        let expected = [
            "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS",
            "  -> RemoteAddress:Port",
            "TCP  192.0.2.80:80                       1        3        0  123456K        7",
            "  -> 10.0.0.3:8080                       1        3        0  123456K        7",
        ];
        let text = some(&both(), Columns::Rate(Digits::Short));
        assert_lines(&text.lines().take(4).map(|line| format!("{line}\n")).collect::<String>(), &expected);
    }

    #[test]
    fn thresholds_and_clients_have_columns_of_their_own() {
        let of_mark = |columns| {
            let text = some(&Services { services: both().services[..1].to_vec(), ..both() }, columns);
            text.lines().take(4).map(|line| format!("{line}\n")).collect::<String>()
        };
        let thresholds = [
            "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn ",
            "  -> RemoteAddress:Port",
            "FWM  1 lblcr",
            "  -> 10.0.0.2:0                   50         40         12         3         ",
        ];
        assert_lines(&of_mark(Columns::Thresholds), &thresholds);
        let clients = [
            "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn ",
            "  -> RemoteAddress:Port",
            "FWM  1 lblcr",
            "  -> 10.0.0.2:0                   1         9           12         3         ",
        ];
        assert_lines(&of_mark(Columns::PersistentConn), &clients);
    }

    #[test]
    fn a_service_is_named_with_its_flags_and_masks() {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let persistent = |ipv4_prefix_len, ipv6_prefix_len| {
            Some(PersistenceRow { timeout_s: 60, ipv4_prefix_len, ipv6_prefix_len })
        };
        let flags = vec!["sh-fallback".to_owned(), "sh-port".to_owned()];
        let udp6 = SelectorRow::Address { protocol: 17, address: v6, port: 53 };
        let sctp = SelectorRow::Address { protocol: 132, address: [192, 0, 2, 1].into(), port: 0 };
        let six = SelectorRow::Mark { mark: 7, ipv6: true };
        for (selector, scheduler_flags, persistence, expected) in [
            (MARK, flags, None, "FWM  1 sh (sh-fallback,sh-port)"),
            (web(), vec![], persistent(24, 128), "TCP  192.0.2.80:80 sh persistent 60 mask 255.255.255.0"),
            (web(), vec![], persistent(0, 128), "TCP  192.0.2.80:80 sh persistent 60 mask 0.0.0.0"),
            (udp6, vec![], persistent(24, 64), "UDP  [2001:db8::1]:53 sh persistent 60 mask 64"),
            (sctp, vec![], persistent(32, 64), "SCTP 192.0.2.1:0 sh persistent 60"),
            (six, vec![], persistent(24, 128), "FWM  7 IPv6 sh persistent 60"),
        ] {
            let row = service(selector, "sh", vec![server("a", "10.0.0.2", 1)]);
            let row = ServiceRow { scheduler_flags, persistence, ..row };
            assert_eq!(head(&row, Columns::Plain), format!("{expected}\n"));
        }
    }

    #[test]
    fn a_server_that_gets_nothing_has_no_weight() {
        for state in ["draining", "dead"] {
            let row = ServerRow { state: state.to_owned(), ..server("a", "10.0.0.2", 100) };
            let expected = "  -> 10.0.0.2:80                  Route   0      12         3         \n";
            assert_eq!(line(&row, 80, Columns::Plain), expected);
        }
    }

    #[test]
    fn large_numbers_are_cut_to_nine_places() {
        for (number, expected) in [
            (0, "        0"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (999_999_999, "  999999K"),
            (1_000_000_000, "    1000M"),
            (100_000_000_000, "     100G"),
            (100_000_000_000_000, "     100T"),
        ] {
            assert_eq!(large(number, Digits::Short), expected);
        }
        assert_eq!(large(7, Digits::Exact) + &large(5_000_000_000, Digits::Exact), "        7 5000000000");
    }

    #[test]
    fn connections_are_listed_as_ipvsadm_does() {
        let row = ConnectionRow {
            service: "web".to_owned(),
            server: "a".to_owned(),
            protocol: 6,
            state: "ESTABLISHED".to_owned(),
            expires_s: 898,
            source: [10, 0, 0, 1].into(),
            source_port: 4_321,
            destination: [192, 0, 2, 80].into(),
            destination_port: 80,
            server_address: [10, 0, 0, 2].into(),
            server_port: 80,
        };
        let udp = ConnectionRow { protocol: 17, state: "UDP".to_owned(), expires_s: 5, ..row.clone() };
        let expected = [
            "IPVS connection entries",
            "pro expire state       source             virtual            destination",
            "TCP 14:58  ESTABLISHED 10.0.0.1:4321      192.0.2.80:80      10.0.0.2:80",
            "UDP 00:05  UDP         10.0.0.1:4321      192.0.2.80:80      10.0.0.2:80",
        ];
        let answer = Connections { connections: vec![row, udp], more: false };
        assert_lines(&connections(&answer), &expected);
        let cut = connections(&Connections { more: true, ..answer });
        assert_eq!(cut.lines().last(), Some("2 connections, and more: name a service"));
    }
}

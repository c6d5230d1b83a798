//! Flows and expectations in the form of Linux's `conntrack`, words and widths, so that what reads the one can read
//! the other: `conntrack -L -o extended`, `conntrack -E -o extended`, `conntrack -L expect` of conntrack-tools 1.4.7.

use super::flow::{Detail, ExpectationRow, FlowEvent, FlowRow, Tuple};
use super::protocol::protocol_name;
use weir_dataplane::track::watch::Happening;
use weir_dataplane::wire::IpProtocol;

/// Flows, a line each. A flow is held by the table and by its children: Linux shows how many hold it.
pub fn flows(flows: &[FlowRow]) -> String {
    let line = |flow: &FlowRow| {
        let holders = 1 + u32::from(flow.children);
        format!("{} mark={}{} use={holders}\n", head(flow), flow.mark, helper(flow))
    };
    flows.iter().map(line).collect()
}

/// What happened to a flow, in a line; nothing for events that were lost.
pub fn event(event: &FlowEvent) -> Option<String> {
    let (happening, flow) = match event {
        FlowEvent::New(flow) => (Happening::New, flow),
        FlowEvent::Update(flow) => (Happening::Update, flow),
        FlowEvent::Destroy(flow) => (Happening::Destroy, flow),
        FlowEvent::Lost { .. } => return None,
    };
    let happening = format!("[{happening}]");
    // A mark of zero is not told, nor the helper of a flow that goes.
    let mark = if flow.mark == 0 { String::new() } else { format!(" mark={}", flow.mark) };
    let helper = if matches!(event, FlowEvent::Destroy(_)) { String::new() } else { helper(flow) };
    Some(format!("{happening:>9} {}{mark}{helper}\n", head(flow)))
}

/// Expectations, a line each.
pub fn expectations(expectations: &[ExpectationRow]) -> String {
    expectations.iter().map(expectation).collect()
}

/// What flows and events have in common. The time of a flow whose time is up is left out.
fn head(flow: &FlowRow) -> String {
    let family = if flow.ip_version == 4 { "ipv4     2" } else { "ipv6     10" };
    let name = protocol_name(IpProtocol(flow.protocol)).unwrap_or("unknown");
    let timeout = if flow.timeout_s == 0 { String::new() } else { format!(" {}", flow.timeout_s) };
    let state = flow.state.as_ref().map(|state| format!(" {state}")).unwrap_or_default();
    let unreplied = if flow.replied { "" } else { " [UNREPLIED]" };
    let assured = if flow.assured { " [ASSURED]" } else { "" };
    let (original, reply) = (tuple(flow.protocol, &flow.original), tuple(flow.protocol, &flow.reply));
    format!("{family} {name:<8} {}{timeout}{state} {original}{unreplied} {reply}{assured}", flow.protocol)
}

fn helper(flow: &FlowRow) -> String {
    flow.helper.as_ref().map(|helper| format!(" helper={helper}")).unwrap_or_default()
}

fn expectation(row: &ExpectationRow) -> String {
    let flags: Vec<_> = [(row.permanent, "PERMANENT"), (row.inactive, "INACTIVE")]
        .into_iter()
        .filter_map(|(set, word)| set.then_some(word))
        .collect();
    let flags = if flags.is_empty() { String::new() } else { format!("{} ", flags.join(",")) };
    format!(
        "{} proto={} {} mask-{} master-{} {flags}class={} helper={}\n",
        row.timeout_s,
        row.protocol,
        tuple(row.protocol, &row.original),
        tuple(row.protocol, &row.mask).replace("dst=", "mask-dst="),
        tuple(IpProtocol::TCP.0, &row.master).replace("dst=", "master-dst="),
        row.class,
        row.helper
    )
}

fn tuple(protocol: u8, tuple: &Tuple) -> String {
    let addresses = format!("src={} dst={}", tuple.source, tuple.destination);
    match tuple.detail {
        Detail::Ports { source_port, destination_port } => {
            format!("{addresses} sport={source_port} dport={destination_port}")
        }
        Detail::Keys { source_key, destination_key } => {
            format!("{addresses} srckey={source_key:#x} dstkey={destination_key:#x}")
        }
        Detail::Query { icmp_type, icmp_code, icmp_id } => {
            format!("{addresses} type={icmp_type} code={icmp_code} id={icmp_id}")
        }
        // The tool knows DCCP's ports and the kernel, since it tracks DCCP no more, does not tell them.
        Detail::Addresses {} if protocol == IpProtocol::DCCP.0 => format!("{addresses} sport=0 dport=0"),
        Detail::Addresses {} => addresses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;

    /// A flow from 10.99.0.1 to 10.99.0.2 that nobody has answered.
    fn flow(protocol: u8, timeout_s: u32, original: Detail, reply: Detail) -> FlowRow {
        let [a, b] = [IpAddr::from([10, 99, 0, 1]), IpAddr::from([10, 99, 0, 2])];
        FlowRow {
            worker: 0,
            ip_version: 4,
            protocol,
            state: None,
            timeout_s,
            original: Tuple { source: a, destination: b, detail: original },
            reply: Tuple { source: b, destination: a, detail: reply },
            replied: false,
            assured: false,
            mark: 0,
            helper: None,
            master: None,
            children: 0,
            node: None,
            shadow: false,
        }
    }

    fn with_ports(protocol: u8, timeout_s: u32, source_port: u16, destination_port: u16) -> FlowRow {
        let ports = |source_port, destination_port| Detail::Ports { source_port, destination_port };
        let (original, reply) = (ports(source_port, destination_port), ports(destination_port, source_port));
        flow(protocol, timeout_s, original, reply)
    }

    fn query(icmp_type: u8, icmp_id: u16) -> Detail {
        Detail::Query { icmp_type, icmp_code: 0, icmp_id }
    }

    fn keys(source_key: u16, destination_key: u16) -> Detail {
        Detail::Keys { source_key, destination_key }
    }

    fn over_ipv6(flow: FlowRow) -> FlowRow {
        let [a, b]: [IpAddr; 2] = ["fd99::1", "fd99::2"].map(|ip| ip.parse().unwrap());
        let turned = |tuple: Tuple, source, destination| Tuple { source, destination, ..tuple };
        let (original, reply) = (turned(flow.original, a, b), turned(flow.reply, b, a));
        FlowRow { ip_version: 6, original, reply, ..flow }
    }

    fn state(state: &str, flow: FlowRow) -> FlowRow {
        FlowRow { state: Some(state.to_owned()), ..flow }
    }

    fn answered(flow: FlowRow) -> FlowRow {
        FlowRow { replied: true, ..flow }
    }

    fn assured(flow: FlowRow) -> FlowRow {
        FlowRow { replied: true, assured: true, ..flow }
    }

    fn helped(helper: &str, flow: FlowRow) -> FlowRow {
        FlowRow { helper: Some(helper.to_owned()), ..flow }
    }

    /// Each line was printed by conntrack 1.4.7 on Linux 6.18.
    #[test]
    fn flows_are_listed_as_conntrack_lists_them() {
        let none = Detail::Addresses {};
        let cases = [
            (
                state("SYN_SENT", with_ports(6, 118, 58582, 80)),
                "ipv4     2 tcp      6 118 SYN_SENT src=10.99.0.1 dst=10.99.0.2 sport=58582 dport=80 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 sport=80 dport=58582 mark=0 use=1",
            ),
            (
                state("TIME_WAIT", assured(over_ipv6(with_ports(6, 118, 32804, 8081)))),
                "ipv6     10 tcp      6 118 TIME_WAIT src=fd99::1 dst=fd99::2 sport=32804 dport=8081 src=fd99::2 dst=fd99::1 sport=8081 dport=32804 [ASSURED] mark=0 use=1",
            ),
            (
                state("ESTABLISHED", assured(helped("ftp", with_ports(6, 431_998, 48208, 21)))),
                "ipv4     2 tcp      6 431998 ESTABLISHED src=10.99.0.1 dst=10.99.0.2 sport=48208 dport=21 src=10.99.0.2 dst=10.99.0.1 sport=21 dport=48208 [ASSURED] mark=0 helper=ftp use=1",
            ),
            (
                FlowRow {
                    children: 1,
                    ..state("ESTABLISHED", assured(helped("ftp", with_ports(6, 431_998, 50024, 21))))
                },
                "ipv4     2 tcp      6 431998 ESTABLISHED src=10.99.0.1 dst=10.99.0.2 sport=50024 dport=21 src=10.99.0.2 dst=10.99.0.1 sport=21 dport=50024 [ASSURED] mark=0 helper=ftp use=2",
            ),
            (
                FlowRow { mark: 42, ..answered(helped("sip", with_ports(17, 3598, 5060, 5060))) },
                "ipv4     2 udp      17 3598 src=10.99.0.1 dst=10.99.0.2 sport=5060 dport=5060 src=10.99.0.2 dst=10.99.0.1 sport=5060 dport=5060 mark=42 helper=sip use=1",
            ),
            (
                FlowRow { mark: u32::MAX, ..with_ports(17, 24, 1, 2) },
                "ipv4     2 udp      17 24 src=10.99.0.1 dst=10.99.0.2 sport=1 dport=2 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 sport=2 dport=1 mark=4294967295 use=1",
            ),
            (
                assured(with_ports(136, 294, 1001, 2000)),
                "ipv4     2 udplite  136 294 src=10.99.0.1 dst=10.99.0.2 sport=1001 dport=2000 src=10.99.0.2 dst=10.99.0.1 sport=2000 dport=1001 [ASSURED] mark=0 use=1",
            ),
            (
                answered(flow(1, 28, query(8, 28347), query(0, 28347))),
                "ipv4     2 icmp     1 28 src=10.99.0.1 dst=10.99.0.2 type=8 code=0 id=28347 src=10.99.0.2 dst=10.99.0.1 type=0 code=0 id=28347 mark=0 use=1",
            ),
            (
                answered(over_ipv6(flow(58, 28, query(128, 28348), query(129, 28348)))),
                "ipv6     10 icmpv6   58 28 src=fd99::1 dst=fd99::2 type=128 code=0 id=28348 src=fd99::2 dst=fd99::1 type=129 code=0 id=28348 mark=0 use=1",
            ),
            (
                FlowRow { mark: 5, ..state("ESTABLISHED", with_ports(132, 294, 1000, 2000)) },
                "ipv4     2 sctp     132 294 ESTABLISHED src=10.99.0.1 dst=10.99.0.2 sport=1000 dport=2000 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 sport=2000 dport=1000 mark=5 use=1",
            ),
            (
                flow(47, 28, keys(0, 0x1234), keys(0x1234, 0)),
                "ipv4     2 gre      47 28 src=10.99.0.1 dst=10.99.0.2 srckey=0x0 dstkey=0x1234 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 srckey=0x1234 dstkey=0x0 mark=0 use=1",
            ),
            (
                flow(33, 599, none, none),
                "ipv4     2 dccp     33 599 src=10.99.0.1 dst=10.99.0.2 sport=0 dport=0 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 sport=0 dport=0 mark=0 use=1",
            ),
            (
                over_ipv6(flow(253, 598, none, none)),
                "ipv6     10 unknown  253 598 src=fd99::1 dst=fd99::2 [UNREPLIED] src=fd99::2 dst=fd99::1 mark=0 use=1",
            ),
        ];
        for (row, line) in cases {
            assert_eq!(flows(&[row]), format!("{line}\n"));
        }
    }

    /// Each line was printed by conntrack 1.4.7 on Linux 6.18.
    #[test]
    fn events_are_told_as_conntrack_tells_them() {
        let ftp = || helped("ftp", with_ports(6, 120, 48202, 21));
        let web = || state("TIME_WAIT", assured(with_ports(6, 0, 43244, 8080)));
        let cases = [
            (
                FlowEvent::New(state("SYN_SENT", ftp())),
                "    [NEW] ipv4     2 tcp      6 120 SYN_SENT src=10.99.0.1 dst=10.99.0.2 sport=48202 dport=21 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 sport=21 dport=48202 helper=ftp",
            ),
            (
                FlowEvent::Update(state("FIN_WAIT", assured(ftp()))),
                " [UPDATE] ipv4     2 tcp      6 120 FIN_WAIT src=10.99.0.1 dst=10.99.0.2 sport=48202 dport=21 src=10.99.0.2 dst=10.99.0.1 sport=21 dport=48202 [ASSURED] helper=ftp",
            ),
            (
                FlowEvent::Destroy(web()),
                "[DESTROY] ipv4     2 tcp      6 TIME_WAIT src=10.99.0.1 dst=10.99.0.2 sport=43244 dport=8080 src=10.99.0.2 dst=10.99.0.1 sport=8080 dport=43244 [ASSURED]",
            ),
            (
                FlowEvent::Destroy(FlowRow { mark: 42, ..helped("sip", with_ports(17, 3598, 5060, 5060)) }),
                "[DESTROY] ipv4     2 udp      17 3598 src=10.99.0.1 dst=10.99.0.2 sport=5060 dport=5060 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 sport=5060 dport=5060 mark=42",
            ),
            (
                FlowEvent::Destroy(flow(47, 0, keys(0, 0), keys(0, 0))),
                "[DESTROY] ipv4     2 gre      47 src=10.99.0.1 dst=10.99.0.2 srckey=0x0 dstkey=0x0 [UNREPLIED] src=10.99.0.2 dst=10.99.0.1 srckey=0x0 dstkey=0x0",
            ),
        ];
        for (told, line) in cases {
            assert_eq!(event(&told), Some(format!("{line}\n")));
        }
        assert_eq!(event(&FlowEvent::Lost { worker: 0, events: 1 }), None);
    }

    /// Each line was printed by conntrack 1.4.7 on Linux 6.18.
    #[test]
    fn expectations_are_listed_as_conntrack_lists_them() {
        let all = |bits: u16| Detail::Ports { source_port: 0, destination_port: bits };
        let tuple = |row: FlowRow, detail| Tuple { detail, ..row.original };
        let mask =
            |detail| Tuple { source: IpAddr::from([255; 4]), destination: IpAddr::from([255; 4]), detail };
        let ftp = ExpectationRow {
            worker: 0,
            timeout_s: 298,
            protocol: 6,
            original: tuple(with_ports(6, 0, 0, 0), all(20000)),
            mask: mask(all(u16::MAX)),
            master: with_ports(6, 0, 48202, 21).original,
            helper: "ftp".to_owned(),
            class: 0,
            permanent: false,
            inactive: false,
        };
        assert_eq!(
            expectations(core::slice::from_ref(&ftp)),
            "298 proto=6 src=10.99.0.1 dst=10.99.0.2 sport=0 dport=20000 mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.99.0.1 master-dst=10.99.0.2 sport=48202 dport=21 class=0 helper=ftp\n"
        );
        let sip = ExpectationRow {
            timeout_s: 180,
            protocol: 17,
            original: Tuple { detail: all(5060), ..with_ports(17, 0, 0, 0).reply },
            master: with_ports(17, 0, 5060, 5060).original,
            helper: "sip".to_owned(),
            permanent: true,
            inactive: true,
            ..ftp
        };
        assert_eq!(
            expectations(&[sip]),
            "180 proto=17 src=10.99.0.2 dst=10.99.0.1 sport=0 dport=5060 mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.99.0.1 master-dst=10.99.0.2 sport=5060 dport=5060 PERMANENT,INACTIVE class=0 helper=sip\n"
        );
        let pptp = ExpectationRow {
            timeout_s: 299,
            protocol: 47,
            original: tuple(with_ports(47, 0, 0, 0), keys(0x3333, 0x4444)),
            mask: mask(keys(u16::MAX, u16::MAX)),
            master: with_ports(6, 0, 38390, 1723).original,
            helper: "pptp".to_owned(),
            ..ftp
        };
        assert_eq!(
            expectations(&[pptp]),
            "299 proto=47 src=10.99.0.1 dst=10.99.0.2 srckey=0x3333 dstkey=0x4444 mask-src=255.255.255.255 mask-dst=255.255.255.255 srckey=0xffff dstkey=0xffff master-src=10.99.0.1 master-dst=10.99.0.2 sport=38390 dport=1723 class=0 helper=pptp\n"
        );
    }
}

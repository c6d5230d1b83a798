//! Flows, events and expectations as tables and lines for people.

use super::flow::{Detail, ExpectationRow, Expectations, FlowEvent, FlowRow, Flows, Tuple};
use super::protocol::protocol_name;
use super::tables::table;
use core::net::{IpAddr, SocketAddr};
use weir_dataplane::wire::IpProtocol;

/// What `weir flows` prints.
pub fn flows(flows: &Flows) -> String {
    let header = [
        "worker",
        "protocol",
        "state",
        "source",
        "destination",
        "node",
        "role",
        "helper",
        "master",
        "mark",
        "timeout",
    ];
    let mut table = table(&header, &[0, 9, 10]);
    for flow in &flows.flows {
        let (source, destination) = ends(&flow.original);
        table.add_row([
            flow.worker.to_string(),
            protocol(flow.protocol),
            state(flow),
            source,
            destination,
            flow.node.map_or_else(String::new, |node| node.to_string()),
            role(flow).to_owned(),
            flow.helper.clone().unwrap_or_default(),
            flow.master.as_ref().map(arrow).unwrap_or_default(),
            format!("{:#x}", flow.mark),
            format!("{} s", flow.timeout_s),
        ]);
    }
    let more = if flows.more { ", and more: raise --limit, or say which" } else { "" };
    format!("{table}\n{} flows{more}\n", flows.flows.len())
}

/// What `weir flows --events` prints of one.
pub fn event(event: &FlowEvent) -> Option<String> {
    let (word, flow) = match event {
        FlowEvent::New(flow) => ("new", flow),
        FlowEvent::Update(flow) => ("update", flow),
        FlowEvent::Destroy(flow) => ("destroy", flow),
        FlowEvent::Lost { .. } => return None,
    };
    let node = flow.node.map_or_else(String::new, |node| format!(" node {node}"));
    let helper = flow.helper.as_ref().map(|helper| format!(" helper {helper}")).unwrap_or_default();
    let master = flow.master.as_ref().map(|master| format!(" master {}", arrow(master))).unwrap_or_default();
    Some(format!(
        "{word:<7} worker {} {:<8} {}  {}  {} s  {}{node}{helper}{master}\n",
        flow.worker,
        protocol(flow.protocol),
        arrow(&flow.original),
        state(flow),
        flow.timeout_s,
        role(flow)
    ))
}

/// What `weir expectations` prints.
pub fn expectations(expectations: &Expectations) -> String {
    let header =
        ["worker", "protocol", "source", "destination", "helper", "class", "flags", "master", "timeout"];
    let mut table = table(&header, &[0, 5, 8]);
    for row in &expectations.expectations {
        let (_, destination) = ends(&row.original);
        table.add_row([
            row.worker.to_string(),
            protocol(row.protocol),
            expected_source(row),
            destination,
            row.helper.clone(),
            row.class.to_string(),
            flags(row),
            arrow(&row.master),
            format!("{} s", row.timeout_s),
        ]);
    }
    format!("{table}\n{} expectations\n", expectations.expectations.len())
}

pub(super) fn protocol(number: u8) -> String {
    protocol_name(IpProtocol(number)).map_or_else(|| format!("protocol {number}"), str::to_owned)
}

fn state(flow: &FlowRow) -> String {
    let words =
        [flow.state.as_deref(), (!flow.replied).then_some("no reply"), flow.assured.then_some("assured")];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn role(flow: &FlowRow) -> &'static str {
    if flow.shadow { "shadow" } else { "owner" }
}

pub(super) fn arrow(tuple: &Tuple) -> String {
    let (source, destination) = ends(tuple);
    format!("{source} > {destination}")
}

/// Source and destination, each with what the protocol adds to its address.
fn ends(tuple: &Tuple) -> (String, String) {
    let Tuple { source, destination, detail } = *tuple;
    match detail {
        Detail::Ports { source_port, destination_port } => (
            SocketAddr::new(source, source_port).to_string(),
            SocketAddr::new(destination, destination_port).to_string(),
        ),
        Detail::Keys { source_key, destination_key } => {
            (format!("{source} key {source_key:#x}"), format!("{destination} key {destination_key:#x}"))
        }
        Detail::Query { icmp_type, icmp_code, icmp_id } => {
            (format!("{source} id {icmp_id}"), format!("{destination} type {icmp_type} code {icmp_code}"))
        }
        Detail::Addresses {} => (source.to_string(), destination.to_string()),
    }
}

/// Where an expected flow may come from.
fn expected_source(row: &ExpectationRow) -> String {
    let length = match row.mask.source {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    let full = if row.mask.source.is_ipv4() { 32 } else { 128 };
    let address = match length {
        0 => "any".to_owned(),
        length if length == full => row.original.source.to_string(),
        length => format!("{}/{length}", row.original.source),
    };
    match row.original.detail {
        Detail::Ports { source_port: port, .. } | Detail::Keys { source_key: port, .. } if port != 0 => {
            format!("{address} port {port}")
        }
        _ => address,
    }
}

fn flags(row: &ExpectationRow) -> String {
    let words = [row.permanent.then_some("permanent"), row.inactive.then_some("inactive")];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Detail = Detail::Ports { source_port: 5000, destination_port: 21 };

    fn tuple(detail: Detail) -> Tuple {
        Tuple { source: IpAddr::from([10, 0, 0, 1]), destination: IpAddr::from([10, 0, 0, 2]), detail }
    }

    fn child() -> FlowRow {
        FlowRow {
            worker: 1,
            ip_version: 4,
            protocol: 6,
            state: Some("ESTABLISHED".to_owned()),
            timeout_s: 299,
            original: tuple(Detail::Ports { source_port: 5001, destination_port: 20_000 }),
            reply: tuple(Detail::Ports { source_port: 20_000, destination_port: 5001 }),
            replied: true,
            assured: true,
            mark: 0x2a,
            helper: None,
            master: Some(tuple(PORTS)),
            children: 0,
            node: Some(2),
            shadow: true,
        }
    }

    #[test]
    fn an_event_is_one_line_with_all_that_is_known() {
        assert_eq!(
            event(&FlowEvent::Update(child())).unwrap(),
            "update  worker 1 tcp      10.0.0.1:5001 > 10.0.0.2:20000  ESTABLISHED, assured  299 s  shadow node 2 \
             master 10.0.0.1:5000 > 10.0.0.2:21\n"
        );
        assert_eq!(event(&FlowEvent::Lost { worker: 1, events: 5 }), None);
    }

    #[test]
    fn a_flow_is_a_row_with_what_its_protocol_has() {
        let ping = FlowRow {
            protocol: 1,
            state: None,
            original: tuple(Detail::Query { icmp_type: 8, icmp_code: 0, icmp_id: 77 }),
            replied: false,
            assured: false,
            master: None,
            ..child()
        };
        let text = flows(&Flows { flows: vec![child(), ping], more: true });
        for part in
            ["ESTABLISHED, assured", "10.0.0.1:5000 > 10.0.0.2:21", "0x2a", "no reply", "10.0.0.1 id 77"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.ends_with("2 flows, and more: raise --limit, or say which\n"));
    }

    #[test]
    fn an_expectation_says_from_where_as_openly_as_it_was_announced() {
        let row = |mask: [u8; 4], source_port| ExpectationRow {
            worker: 0,
            timeout_s: 299,
            protocol: 6,
            original: tuple(Detail::Ports { source_port, destination_port: 20_000 }),
            mask: Tuple { source: IpAddr::from(mask), ..tuple(PORTS) },
            master: tuple(PORTS),
            helper: "ftp".to_owned(),
            class: 0,
            permanent: true,
            inactive: false,
        };
        assert_eq!(expected_source(&row([255; 4], 0)), "10.0.0.1");
        assert_eq!(expected_source(&row([255, 255, 255, 0], 0)), "10.0.0.1/24");
        assert_eq!(expected_source(&row([0; 4], 20)), "any port 20");
        let text = expectations(&Expectations { expectations: vec![row([255; 4], 0)] });
        assert!(text.contains("permanent") && text.ends_with("1 expectations\n"), "{text}");
    }
}

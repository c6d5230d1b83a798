//! What `ipvsadm -Ln` and `ipvsadm -Lnc` print, and `weir service list` as well: read back.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// What a server of a service is listed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) weight: u32,
    pub(crate) active: u32,
    pub(crate) inactive: u32,
}

/// Servers by service, as in `TCP 192.0.2.80:80` and `10.0.0.2:80`.
pub(crate) type Table = BTreeMap<String, BTreeMap<String, Load>>;

/// Reads `-Ln`.
pub(crate) fn table(text: &str) -> Result<Table> {
    let mut table = Table::new();
    let mut service = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["TCP" | "UDP" | "SCTP" | "FWM", place, ..] => {
                service = Some(table.entry(format!("{} {place}", words[0])).or_default());
            }
            ["->", address, _, weight, active, inactive] if *address != "RemoteAddress:Port" => {
                let number = |word: &str| word.parse().with_context(|| line.to_owned());
                let load =
                    Load { weight: number(weight)?, active: number(active)?, inactive: number(inactive)? };
                let servers = service.as_mut().with_context(|| format!("of no service: {line}"))?;
                servers.insert((*address).to_owned(), load);
            }
            _ => {}
        }
    }
    Ok(table)
}

/// Reads `-Lnc`: state, client, service and server of each connection, in order. Ports of clients, which nobody chooses,
/// are left out, and so is by which server a client is kept.
pub(crate) fn connections(text: &str) -> Vec<[String; 4]> {
    let mut connections: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, _, state, source, service, server] = words[..] else { return None };
            let (client, port) = source.rsplit_once(':')?;
            let is_connection = port.parse().is_ok_and(|port: u16| port != 0);
            is_connection.then(|| [state, client, service, server].map(str::to_owned))
        })
        .collect();
    connections.sort();
    connections
}

#[test]
fn servers_are_read_with_their_service() {
    let text = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.80:8001 wlc persistent 300 mask 255.255.255.0
  -> 10.82.0.1:8001               Route   1      3          12
  -> 10.82.0.2:8001               Tunnel  0      0          0
FWM  1 rr
  -> 10.82.0.3:0                  Route   65535  1          0
UDP  [2001:db8::80]:53 sh (sh-port)
";
    let table = table(text).unwrap();
    let load = |weight, active, inactive| Load { weight, active, inactive };
    assert_eq!(table["TCP 192.0.2.80:8001"]["10.82.0.1:8001"], load(1, 3, 12));
    assert_eq!(table["TCP 192.0.2.80:8001"]["10.82.0.2:8001"], load(0, 0, 0));
    assert_eq!(table["FWM 1"]["10.82.0.3:0"], load(65535, 1, 0));
    assert!(table["UDP [2001:db8::80]:53"].is_empty());
    assert_eq!(table.len(), 3);
    assert!(super::ipvsadm::table("  -> 10.82.0.3:0  Route  1  1  0").is_err(), "of no service");
}

#[test]
fn connections_are_read_without_ports_of_clients_and_without_templates() {
    let text = "\
IPVS connection entries
pro expire state       source             virtual            destination
TCP 01:58  FIN_WAIT    10.81.0.2:41236    192.0.2.80:8001    10.82.0.1:8001
TCP 04:59  NONE        10.81.0.1:0        192.0.2.80:8001    10.82.0.1:8001
TCP 14:59  ESTABLISHED 10.81.0.1:41234    192.0.2.80:8001    10.82.0.2:8001
";
    let found = connections(text);
    assert_eq!(found[0], ["ESTABLISHED", "10.81.0.1", "192.0.2.80:8001", "10.82.0.2:8001"]);
    assert_eq!(found[1], ["FIN_WAIT", "10.81.0.2", "192.0.2.80:8001", "10.82.0.1:8001"]);
    assert_eq!(found.len(), 2);
}

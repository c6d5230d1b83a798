//! A router with two ways out: next hops that are not there, by their link or by their silence, are left out, and only
//! their flows move.

use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_tests::netns::{Namespace, veth};
use weir_tests::packet::{Mac, eth};
use weir_tests::process::wait_until;

use crate::discovery::{Wire, send};
use crate::lab::turn;
use crate::node::Weir;
use crate::ready;

const MTU: u32 = 1500;
/// Flows of a run, by their source ports.
const FLOWS: u16 = 64;
/// An address behind both routers.
const FAR: &str = "10.200.0.1";
const CLIENT: &str = "10.1.0.2";

/// Client – gateway – two routers.
struct Uplinks {
    client: Namespace,
    gateway: Namespace,
    routers: [Namespace; 2],
    _turn: MutexGuard<'static, ()>,
}

impl Uplinks {
    fn new() -> Result<Self> {
        let turn = turn();
        let [client, gateway, one, two] = ["client", "gateway", "router1", "router2"].map(Namespace::create);
        let uplinks = Self { client: client?, gateway: gateway?, routers: [one?, two?], _turn: turn };
        veth((&uplinks.client, "eth0"), (&uplinks.gateway, "lan"), MTU)?;
        uplinks.client.ip(&format!("addr add {CLIENT}/24 dev eth0"))?;
        for (n, router) in uplinks.routers.iter().enumerate() {
            let port = format!("wan{}", n + 1);
            veth((router, "eth0"), (&uplinks.gateway, &port), MTU)?;
            router.ip(&format!("addr add 10.2.{}.2/24 dev eth0", n + 1))?;
        }
        Ok(uplinks)
    }

    fn start(&self) -> Result<Weir<'_>> {
        let port = |name: &str, address: &str| {
            format!(
                "\x20 - {{ name: {name}, device: 'net_af_packet_{name},iface={name}', addresses: [{address}/24] }}\n"
            )
        };
        let ports = [("lan", "10.1.0.1"), ("wan1", "10.2.1.1"), ("wan2", "10.2.2.1")];
        let ports: String = ports.into_iter().map(|(name, address)| port(name, address)).collect();
        let gateway = Weir::start_by(&self.gateway, 1, |socket| {
            format!(
                "node: gw\nports:\n{ports}forwarding: {{ mode: route }}\nroutes:\n\
                 \x20 - {{ to: 10.200.0.0/16, nexthops: [{{ via: 10.2.1.2 }}, {{ via: 10.2.2.2 }}] }}\n\
                 workers: {{ count: 1 }}\ncontrol: {{ socket: {} }}\n",
                socket.display()
            )
        })?;
        for router in ["10.2.1.2", "10.2.2.2"] {
            wait_until("a router to be known", Duration::from_secs(5), || {
                Ok(state(&gateway, router)?.as_deref() == Some("reachable"))
            })?;
        }
        Ok(gateway)
    }

    /// Sends a packet of each flow, and says which of these routers each has come to.
    fn flows(&self, routers: &[usize]) -> Result<BTreeMap<u16, usize>> {
        let wire = |n: &usize| Ok((*n, Wire::start(&self.routers[*n], "eth0", "udp dst port 9")?));
        let wires = routers.iter().map(wire).collect::<Result<Vec<_>>>()?;
        let mac = |host: &Namespace, port: &str| -> Result<Mac> {
            let text = host.run(&format!("cat /sys/class/net/{port}/address"))?;
            let bytes: Result<Vec<u8>, _> =
                text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
            Ok(Mac(bytes?.try_into().ok().context("a MAC address")?))
        };
        let (from, to) = (mac(&self.client, "eth0")?, mac(&self.gateway, "lan")?);
        let packet = |port: u16| {
            eth(from, to).ip(CLIENT.parse().unwrap(), FAR.parse::<std::net::Ipv4Addr>().unwrap()).udp(port, 9)
        };
        send(
            &self.client,
            "eth0",
            1,
            &(1000..1000 + FLOWS).map(|port| packet(port).build()).collect::<Vec<_>>(),
        )?;
        let mut flows = BTreeMap::new();
        for (router, wire) in wires {
            for record in wire.stop()? {
                let port = u16::from_be_bytes([record.bytes[34], record.bytes[35]]);
                ensure!(flows.insert(port, router).is_none(), "flow {port} came to both");
            }
        }
        Ok(flows)
    }
}

fn state(gateway: &Weir<'_>, address: &str) -> Result<Option<String>> {
    let answer = gateway.ask(&["neighbours", "--address", address])?;
    Ok(answer["neighbours"][0]["state"].as_str().map(str::to_owned))
}

/// All flows go by the other router while this one is away; those that did before have not moved.
fn all_by(flows: &BTreeMap<u16, usize>, router: usize) {
    assert_eq!(flows.len(), usize::from(FLOWS), "a packet was lost: {flows:?}");
    assert!(flows.values().all(|by| *by == router), "{flows:?}");
}

#[test]
fn flows_leave_a_next_hop_that_is_not_there_and_come_back_to_it() {
    if !ready() {
        return;
    }
    let uplinks = Uplinks::new().unwrap();
    let gateway = uplinks.start().unwrap();
    let shared = uplinks.flows(&[0, 1]).unwrap();
    assert_eq!(shared.len(), usize::from(FLOWS));
    assert!(
        [0, 1].iter().all(|router| shared.values().filter(|by| *by == router).count() > 16),
        "{shared:?}"
    );

    // Its end of the cable is pulled.
    uplinks.routers[0].ip("link set eth0 down").unwrap();
    let cut = Instant::now();
    wait_until(
        "the link to be missed",
        Duration::from_secs(2),
        || Ok(state(&gateway, "10.2.1.2")?.is_none()),
    )
    .unwrap();
    println!("a link that went down was missed after {:?}", cut.elapsed());
    all_by(&uplinks.flows(&[1]).unwrap(), 1);
    uplinks.routers[0].ip("link set eth0 up").unwrap();
    wait_until("the router to be back", Duration::from_secs(5), || {
        Ok(state(&gateway, "10.2.1.2")?.as_deref() == Some("reachable"))
    })
    .unwrap();
    assert_eq!(uplinks.flows(&[0, 1]).unwrap(), shared, "the same flows are back");

    // It is there, but says nothing.
    uplinks.routers[1].ip("link set eth0 arp off").unwrap();
    gateway.ask(&["neighbours", "flush", "10.2.2.2"]).unwrap();
    wait_until("it to be given up", Duration::from_secs(6), || {
        Ok(state(&gateway, "10.2.2.2")?.as_deref() == Some("failed"))
    })
    .unwrap();
    all_by(&uplinks.flows(&[0, 1]).unwrap(), 0);
    uplinks.routers[1].ip("link set eth0 arp on").unwrap();
    wait_until("it to be asked for again", Duration::from_secs(8), || {
        Ok(state(&gateway, "10.2.2.2")?.as_deref() == Some("reachable"))
    })
    .unwrap();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(uplinks.flows(&[0, 1]).unwrap(), shared);
}

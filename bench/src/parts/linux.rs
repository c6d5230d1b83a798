//! Linux at the same task: a router with connection tracking and xt_cluster between two namespaces.
//!
//! One thread sends frames of 1,000 UDP flows into a veth; the kernel carries each through bridge-less routing,
//! conntrack and the cluster match on the same core, within the call that sends it. The same frames to a MAC address
//! that is not the router's end where the kernel first looks at them: what that takes is the sender's share, and is
//! subtracted. Needs root, and a kernel with xt_cluster.

use crate::figure::{Figure, Outcome, Unavailable, Unit};
use crate::rounds::alternate;
use anyhow::{Context, Result, ensure};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, bind, send, socket};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;
use weir_tests::netns::{Namespace, veth};
use weir_tests::packet::{Mac, eth};

const FLOWS: u16 = 1000;
const FRAMES: usize = 100_000;
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 2);

/// Measures a frame's way through the kernel.
pub fn run(rounds: usize) -> Outcome {
    let router =
        Router::new().map_err(|error| Unavailable(format!("it needs root, and xt_cluster: {error:#}")))?;
    let before = router.arrived()?;
    let [forwarded, stray] =
        alternate(rounds, [&mut || router.time(&router.forwarded), &mut || router.time(&router.stray)]);
    let arrived = router.arrived()? - before;
    // Each contender has one round that does not count.
    let expected = (FRAMES * (rounds + 1)) as u64;
    if arrived < expected {
        return Err(Unavailable(format!("the kernel forwarded {arrived} of {expected} frames")));
    }
    let net = forwarded.iter().zip(&stray).map(|(forwarded, stray)| forwarded - stray).collect();
    let title = "Linux between namespaces: routing, conntrack, xt_cluster, without the sender";
    Ok(vec![Figure::new("linux_xt_cluster", title, Unit::Ns, net)])
}

struct Router {
    /// The client's, the router's and the server's.
    _namespaces: [Namespace; 3],
    socket: OwnedFd,
    forwarded: Vec<Vec<u8>>,
    /// Not for the router.
    stray: Vec<Vec<u8>>,
}

impl Router {
    fn new() -> Result<Self> {
        let [client, router, server] =
            [Namespace::create("client")?, Namespace::create("router")?, Namespace::create("server")?];
        veth((&client, "c0"), (&router, "r0"), 1500)?;
        veth((&router, "r1"), (&server, "s0"), 1500)?;
        router.ip("addr add 10.9.0.1/24 dev r0")?;
        router.ip("addr add 10.10.0.1/24 dev r1")?;
        router.sysctl("net/ipv4/ip_forward", 1)?;
        let [client_mac, router_mac, server_mac] =
            [mac(&client, "c0")?, mac(&router, "r0")?, mac(&server, "s0")?];
        router.ip(&format!("neigh add {SERVER} lladdr {} dev r1 nud permanent", text(server_mac)))?;
        for rule in [
            "-t mangle -A PREROUTING -i r0 -m cluster --cluster-total-nodes 2 --cluster-local-nodemask 3 \
             --cluster-hash-seed 1 -j MARK --set-mark 1",
            "-t mangle -A PREROUTING -i r0 -m mark ! --mark 1 -j DROP",
            "-A FORWARD -m conntrack --ctstate INVALID -j DROP",
        ] {
            router.run(&format!("iptables-legacy {rule}"))?;
        }
        let frames = |to: Mac| -> Vec<Vec<u8>> {
            let payload = [0; 18];
            let frame =
                |port| eth(client_mac, to).ip(CLIENT, SERVER).udp(1024 + port, 9).payload(&payload).build();
            (0..FLOWS).map(frame).collect()
        };
        let socket = client.inside(|| {
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
            bind(socket.as_raw_fd(), &address("c0")?)?;
            Ok(socket)
        })?;
        let stray = Mac([2, 0, 0, 0, 0x57, 0x7a]);
        Ok(Self {
            socket,
            forwarded: frames(router_mac),
            stray: frames(stray),
            _namespaces: [client, router, server],
        })
    }

    /// Nanoseconds that a frame takes, its sending included.
    fn time(&self, frames: &[Vec<u8>]) -> f64 {
        let start = Instant::now();
        for frame in frames.iter().cycle().take(FRAMES) {
            // A frame that the kernel refuses is missing among those that arrive.
            let _ = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
        }
        start.elapsed().as_nanos() as f64 / FRAMES as f64
    }

    /// Frames that have come to the server.
    fn arrived(&self) -> Result<u64> {
        let [.., server] = &self._namespaces;
        let links: serde_json::Value =
            serde_json::from_str(&server.run("ip -json -statistics link show s0")?)?;
        let packets = &links[0]["stats64"]["rx"]["packets"];
        packets.as_u64().with_context(|| format!("ip says {packets} of the packets at s0"))
    }
}

fn mac(namespace: &Namespace, interface: &str) -> Result<Mac> {
    namespace.inside(|| {
        let address = address(interface)?.addr().context("an interface without a MAC address")?;
        ensure!(address != [0; 6], "{interface} has no MAC address");
        Ok(Mac(address))
    })
}

fn text(Mac(bytes): Mac) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

fn address(interface: &str) -> Result<LinkAddr> {
    getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .with_context(|| format!("no interface {interface}"))
}

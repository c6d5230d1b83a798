//! Real programs through real gateways, in namespaces: host A – hub – {nodes} – hub – host B.
//!
//! Needs root, and the programs that the tests drive (listed in [`ready`]). Runs nothing outside namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

mod agreement;
mod announcing;
mod backends;
mod cache;
mod carrying;
mod clients;
mod cluster;
mod director;
mod discovery;
mod draining;
mod dying;
mod farm;
mod flapping;
mod flow;
mod fragmenting;
mod frr;
mod gateway;
mod healing;
mod host;
mod ipvs;
mod ipvsadm;
mod lab;
mod leasing;
mod linux;
mod listing;
mod load;
mod misfitting;
mod mixing;
mod neighbours;
mod node;
mod observing;
mod operating;
mod passive;
mod pool;
mod pptp;
mod refusing;
mod routing;
mod servers;
mod service;
mod service6;
mod sip;
mod splitting;
mod store;
mod talking;
mod tap;
mod tftp;
mod tracing;
mod uplinks;
mod vips;
mod visiting;

use weir_tests::netns;

/// Whether the tests can run here; says so where they cannot.
fn ready() -> bool {
    let programs = [
        "arptables-legacy",
        "curl",
        "dig",
        "dnsmasq",
        "etcd",
        "ethtool",
        "in.tftpd",
        "iperf3",
        "iptables-legacy",
        "ipvsadm",
        "nstat",
        "ping",
        "pptp",
        "pptpd",
        "python3",
        "sipp",
        "squid",
        "ss",
        "tcpdump",
        "traceroute",
        "vsftpd",
        "vtysh",
    ];
    if !netns::available("end-to-end test") {
        return false;
    }
    netns::installed(&programs).expect("install what is missing");
    true
}

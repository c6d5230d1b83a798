//! What a port says: its facts, its counters, and why it cannot be opened.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::{burst_of, bytes, device, eal, open, pool, receive};
use weir_dataplane::port::{RxQueue, TxQueue};
use weir_dpdk::{Error, Filtering, MacAddress, Port, PortOptions, Reception, RssFields};

fn refused(string: &str) -> Error {
    eal().probe(string).expect_err("no such device")
}

#[test]
fn a_device_that_is_not_there_is_named() {
    assert_eq!(
        refused("net_nosuch0,a=b").to_string(),
        "device `net_nosuch0,a=b`: DPDK has no driver of this name; a device is a PCI address (0000:03:00.0) or a \
         driver's name, any suffix and arguments (net_af_packet0,iface=eth1)"
    );
    for string in ["", "net_pcap_gone,rx_pcap=/nonexistent/a.pcap", "net_af_packet0,iface=nosuch0"] {
        let error = refused(string);
        assert!(matches!(error, Error::Probe { .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("device `{string}` cannot be opened: ")), "{error}");
    }
    assert!(matches!(refused("a\0b"), Error::Name(_)));
}

#[test]
fn a_device_has_one_port_at_a_time() {
    let first = device("net_null_once");
    assert_eq!(
        refused("net_null_once").to_string(),
        "device `net_null_once` is in use by another port of this process; virtual devices need different names \
         (net_pcap0, net_pcap1, …)"
    );
    drop(first);
    drop(device("net_null_once"));
    let pool = pool("once", 63, 2048);
    let (port, rx, tx) = open("net_null_once", &pool);
    drop((port, tx));
    assert!(matches!(refused("net_null_once"), Error::DeviceInUse(_)), "its receive queue keeps it open");
    drop(rx);
    drop(open("net_null_once", &pool));
}

#[test]
fn the_mtu_has_to_fit_device_and_buffers() {
    let pool = pool("mtu", 63, 2048);
    let with_mtu = |mtu| {
        let options = PortOptions { mtu: Some(mtu), ..PortOptions::default() };
        Port::open("lan", device("net_null_mtu"), &options, &pool)
            .map(|(port, ..)| port.facts().frame_len_max)
    };
    assert_eq!(with_mtu(2026).unwrap(), 2048);
    assert_eq!(
        with_mtu(2027).unwrap_err().to_string(),
        "port lan: frames of MTU 2027 have up to 2049 bytes, buffers of mempool mtu only 2048; make the buffers larger"
    );
    assert!(matches!(with_mtu(10), Err(Error::Mtu { mtu: 10, .. })));
}

#[test]
fn queues_are_as_many_as_the_device_has() {
    let pool = pool("queues", 1023, 2048);
    let options = PortOptions { rx_queues: 2, tx_queues: 2, ..PortOptions::default() };
    let (port, mut rx, mut tx) = Port::open("lan", device("net_ring_two"), &options, &pool).unwrap();
    assert_eq!((port.facts().rx_queues, rx.len(), tx.len(), rx[1].index()), (2, 2, 2, 1));
    // Each receive queue of a net_ring is fed by the transmit queue of its number.
    tx[1].transmit(&mut burst_of(&pool, &[bytes(60, 1)]));
    assert_eq!(rx[0].receive(&mut Default::default()), 0);
    assert_eq!(receive(&mut rx[1], 1).len(), 1);

    let options = PortOptions { rx_queues: 5000, tx_queues: 5000, ..PortOptions::default() };
    let (port, rx, tx) = Port::open("wan", device("net_ring_many"), &options, &pool).unwrap();
    let facts = port.facts();
    assert_eq!((rx.len(), tx.len()), (usize::from(facts.rx_queues_max), usize::from(facts.tx_queues_max)));
}

#[test]
fn facts_tell_what_software_has_to_do() {
    let pool = pool("facts", 255, 2048);
    // net_ring takes further addresses, and filters no groups; net_null has neither.
    for (name, address) in [("net_ring_group", 0x01), ("net_ring_station", 0x02), ("net_null_station", 0x02)]
    {
        let reception = Reception::Addresses(vec![MacAddress([address, 0x00, 0x5e, 0, 0, 5])]);
        let options = PortOptions { reception, ..PortOptions::default() };
        let (port, ..) = Port::open("lan", device(name), &options, &pool).unwrap();
        assert_ne!(port.facts().filtering, Filtering::Addresses, "{name}: without a filter it takes all");
    }
    let (port, ..) = Port::open("lan", device("net_ring_facts"), &PortOptions::default(), &pool).unwrap();
    let facts = port.facts();
    assert_eq!(facts.driver, "net_ring");
    assert_eq!((port.name(), port.device()), ("lan", "net_ring_facts"));
    assert!(facts.rss.is_none() && !facts.checks_ip && !facts.checks_l4);
    assert_eq!(facts.filtering, Filtering::Promiscuous);
}

#[test]
fn rss_is_symmetric_and_its_table_names_real_queues() {
    let pool = pool("rss", 1023, 2048);
    for fields in [RssFields::Addresses, RssFields::AddressesAndPorts] {
        let options = PortOptions { rx_queues: 2, rss: fields, ..PortOptions::default() };
        let (port, ..) = Port::open("lan", device("net_null_rss"), &options, &pool).unwrap();
        let rss = port.facts().rss.as_ref().expect("net_null says that it has RSS");
        assert_eq!(rss.fields, fields);
        assert!(rss.key.len() >= 40 && rss.key.chunks(2).all(|pair| pair == [0x6d, 0x5a]));
        assert!(!rss.table.is_empty() && rss.table.iter().all(|&queue| queue < 2));
    }
    let (port, ..) = Port::open("lan", device("net_null_rss"), &PortOptions::default(), &pool).unwrap();
    assert!(port.facts().rss.is_none(), "one queue needs none");
}

#[test]
fn counters_and_link_are_the_devices() {
    let pool = pool("counters", 255, 2048);
    let (port, mut rx, mut tx) = open("net_ring_counters", &pool);
    tx.transmit(&mut burst_of(&pool, &[bytes(60, 1), bytes(100, 2)]));
    assert_eq!(receive(&mut rx, 2).len(), 2);
    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_frames, stats.tx_frames, stats.rx_missed, stats.tx_errors), (2, 2, 0, 0));
    let xstats = port.xstats().unwrap();
    let value = |name: &str| xstats.iter().find(|xstat| xstat.name == name).map(|xstat| xstat.value);
    assert_eq!((value("rx_good_packets"), value("tx_good_packets")), (Some(2), Some(2)));
    let link = port.link().unwrap();
    assert!(link.up && link.full_duplex && link.speed_mbps == Some(10_000), "{link:?}");
}

//! Sizes, offsets and flag values as Rust sees them against a program of the C compiler's.

use dpdk_sys::*;
use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::process::Command;

/// Compiles and runs `layout.c` with the flags of the shim; answers what it printed.
fn from_c() -> BTreeMap<String, u64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout");
    let target = env!("DPDK_TARGET");
    let compiler =
        cc::Build::new().cargo_metadata(false).host(target).target(target).opt_level(0).get_compiler();
    let compiled = compiler
        .to_command()
        .args(env!("DPDK_CFLAGS").split_whitespace())
        .arg("-I")
        .arg(root)
        .arg(root.join("tests/layout.c"))
        .arg("-o")
        .arg(&program)
        .status()
        .expect("the C compiler starts");
    assert!(compiled.success(), "layout.c does not compile");
    let output = Command::new(&program).output().expect("layout runs");
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .expect("ASCII")
        .lines()
        .map(|line| line.split_once(' ').expect("name value"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

fn from_rust() -> BTreeMap<String, u64> {
    let mut layout = BTreeMap::new();
    macro_rules! size {
        ($type:ident) => {
            layout.insert(stringify!($type).to_owned(), size_of::<$type>() as u64);
        };
    }
    macro_rules! offset {
        ($type:ident, $field:ident, $($path:tt)+) => {
            layout.insert(
                concat!(stringify!($type), ".", stringify!($field)).to_owned(),
                offset_of!($type, $($path)+) as u64,
            );
        };
        ($type:ident, $field:ident) => { offset!($type, $field, $field) };
    }
    macro_rules! value {
        ($name:ident) => {
            layout.insert(stringify!($name).to_owned(), $name);
        };
    }
    size!(rte_mbuf);
    offset!(rte_mbuf, buf_addr);
    offset!(rte_mbuf, data_off);
    offset!(rte_mbuf, refcnt);
    offset!(rte_mbuf, nb_segs);
    offset!(rte_mbuf, port);
    offset!(rte_mbuf, ol_flags);
    offset!(rte_mbuf, pkt_len);
    offset!(rte_mbuf, data_len);
    offset!(rte_mbuf, buf_len);
    offset!(rte_mbuf, pool);
    offset!(rte_mbuf, dynfield1);
    size!(rte_eth_dev_info);
    offset!(rte_eth_dev_info, device);
    offset!(rte_eth_dev_info, driver_name);
    offset!(rte_eth_dev_info, min_mtu);
    offset!(rte_eth_dev_info, max_mtu);
    offset!(rte_eth_dev_info, max_rx_pktlen);
    offset!(rte_eth_dev_info, max_rx_queues);
    offset!(rte_eth_dev_info, max_tx_queues);
    offset!(rte_eth_dev_info, rx_offload_capa);
    offset!(rte_eth_dev_info, reta_size);
    offset!(rte_eth_dev_info, hash_key_size);
    offset!(rte_eth_dev_info, flow_type_rss_offloads);
    size!(rte_eth_conf);
    offset!(rte_eth_conf, rxmode);
    offset!(rte_eth_conf, rx_adv_conf);
    size!(rte_eth_rxmode);
    offset!(rte_eth_rxmode, mtu);
    offset!(rte_eth_rxmode, offloads);
    size!(rte_eth_rss_conf);
    size!(rte_eth_rss_reta_entry64);
    size!(rte_eth_stats);
    offset!(rte_eth_stats, rx_nombuf);
    size!(rte_eth_link);
    size!(rte_eth_xstat);
    size!(rte_eth_xstat_name);
    size!(rte_ether_addr);
    value!(WEIR_RX_IP_CKSUM_MASK);
    value!(WEIR_RX_L4_CKSUM_GOOD);
    value!(WEIR_MBUF_LAST_FREE);
    value!(WEIR_RX_OFFLOAD_SCTP_CKSUM);
    value!(WEIR_RSS_IP);
    layout
}

#[test]
fn rust_and_c_agree_on_every_layout() {
    assert_eq!(from_rust(), from_c());
}

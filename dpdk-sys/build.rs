//! Finds DPDK with pkg-config, compiles the shim, and has bindgen write the bindings.

use std::panic;
use std::path::PathBuf;
use std::process::{Command, exit};

/// The oldest DPDK whose names and layouts the crates above use.
const VERSION_MIN: &str = "22.11";

const FUNCTIONS: &[&str] = &[
    "rte_dev_probe",
    "rte_dev_remove",
    "rte_eal_init",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_close",
    "rte_eth_dev_configure",
    "rte_eth_dev_get_mtu",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_mac_addr_add",
    "rte_eth_dev_owner_new",
    "rte_eth_dev_owner_set",
    "rte_eth_dev_rss_reta_query",
    "rte_eth_dev_rss_reta_update",
    "rte_eth_dev_set_mc_addr_list",
    "rte_eth_dev_set_mtu",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_link_get_nowait",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_enable",
    "rte_eth_rx_queue_setup",
    "rte_eth_stats_get",
    "rte_eth_tx_queue_setup",
    "rte_eth_xstats_get",
    "rte_eth_xstats_get_names",
    "rte_get_tsc_hz",
    "rte_hash_add_key",
    "rte_hash_free",
    "rte_hash_lookup_bulk",
    "rte_mbuf_dyn_rx_timestamp_register",
    "rte_mbuf_dynflag_register_bitnum",
    "rte_mempool_in_use_count",
    "rte_pktmbuf_free_bulk",
    "rte_pktmbuf_pool_create",
    "rte_strerror",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_version",
    "weir_errno",
    "weir_eth_rx_burst",
    "weir_eth_tx_burst",
    "weir_hash_create",
    "weir_pktmbuf_alloc_bulk",
    "weir_tsc_cycles",
];

/// What the functions take and give comes with them; these are used by name alone.
const TYPES: &[&str] = &["rte_mbuf"];

const CONSTANTS: &[&str] = &[
    "RTE_ETHER_HDR_LEN",
    "RTE_ETH_LINK_SPEED_AUTONEG",
    "RTE_ETH_RETA_GROUP_SIZE",
    "RTE_ETH_SPEED_NUM_UNKNOWN",
    "RTE_MAX_LCORE",
    "RTE_MEMPOOL_CACHE_MAX_SIZE",
    "RTE_PKTMBUF_HEADROOM",
    "RTE_VLAN_HLEN",
    "WEIR_MBUF_LAST_FREE",
    "WEIR_RSS_IP",
    "WEIR_RSS_IPV4",
    "WEIR_RSS_IPV6",
    "WEIR_RSS_NONFRAG_IPV4_TCP",
    "WEIR_RSS_NONFRAG_IPV4_UDP",
    "WEIR_RSS_NONFRAG_IPV6_TCP",
    "WEIR_RSS_NONFRAG_IPV6_UDP",
    "WEIR_RSS_SCTP",
    "WEIR_RSS_TCP",
    "WEIR_RSS_UDP",
    "WEIR_RX_IP_CKSUM_BAD",
    "WEIR_RX_IP_CKSUM_GOOD",
    "WEIR_RX_IP_CKSUM_MASK",
    "WEIR_RX_L4_CKSUM_BAD",
    "WEIR_RX_L4_CKSUM_GOOD",
    "WEIR_RX_L4_CKSUM_MASK",
    "WEIR_RX_L4_CKSUM_NONE",
    "WEIR_RX_OFFLOAD_IPV4_CKSUM",
    "WEIR_RX_OFFLOAD_SCTP_CKSUM",
    "WEIR_RX_OFFLOAD_TCP_CKSUM",
    "WEIR_RX_OFFLOAD_UDP_CKSUM",
    "WEIR_TX_OFFLOAD_MBUF_FAST_FREE",
];

/// Types that are only ever pointed at, or that Rust cannot spell (packed and aligned at once).
const OPAQUE: &[&str] = &[
    "rte_arp_hdr",
    "rte_arp_ipv4",
    "rte_device",
    "rte_hash",
    "rte_l2tpv2_combined_msg_hdr",
    "rte_mbuf_ext_shared_info",
    "rte_mempool",
];

fn main() {
    for file in ["build.rs", "wrapper.h", "shim.h", "shim.c"] {
        println!("cargo::rerun-if-changed={file}");
    }
    if let Err(message) = build() {
        println!("cargo::error={}", message.replace('\n', "; "));
        exit(1);
    }
}

fn build() -> Result<(), String> {
    pkg_config::Config::new()
        .atleast_version(VERSION_MIN)
        .probe("libdpdk")
        .map_err(|error| missing(&error))?;
    let cflags = cflags()?;
    compile_shim(&cflags)?;
    generate_bindings(&cflags)?;
    // The layout test compiles its own C the same way.
    println!("cargo::rustc-env=DPDK_CFLAGS={}", cflags.join(" "));
    println!("cargo::rustc-env=DPDK_TARGET={}", env("TARGET")?);
    Ok(())
}

fn missing(error: &pkg_config::Error) -> String {
    let what = match error {
        pkg_config::Error::Command { .. } => {
            "pkg-config is not installed: install the package pkg-config".to_owned()
        }
        pkg_config::Error::ProbeFailure { .. } => format!(
            "DPDK {VERSION_MIN} or later was not found: install the package libdpdk-dev \
             (Debian 12, Ubuntu 23.04 or later), or set PKG_CONFIG_PATH to where libdpdk.pc is"
        ),
        other => other.to_string(),
    };
    format!("{what}. The data plane itself (`cargo test -p weir-dataplane`) builds without DPDK.")
}

/// The compiler flags that pkg-config gives, in whole: `-march` and the forced `rte_config.h` matter to the
/// inline functions and to the layouts, and the pkg-config crate passes neither on.
fn cflags() -> Result<Vec<String>, String> {
    println!("cargo::rerun-if-env-changed=PKG_CONFIG");
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(&program)
        .args(["--cflags", "libdpdk"])
        .output()
        .map_err(|error| format!("{program} --cflags libdpdk: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} --cflags libdpdk failed with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
}

fn compile_shim(cflags: &[String]) -> Result<(), String> {
    let mut build = cc::Build::new();
    build.file("shim.c").opt_level(3);
    for flag in cflags {
        build.flag(flag);
    }
    build.try_compile("weir_shim").map_err(|error| format!("shim.c does not compile: {error}"))
}

fn generate_bindings(cflags: &[String]) -> Result<(), String> {
    let exactly = |name: &str| format!("^{name}$");
    let mut builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(cflags)
        .clang_arg("-I.")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .generate_comments(false)
        .rust_edition(bindgen::RustEdition::Edition2024);
    for name in FUNCTIONS {
        builder = builder.allowlist_function(exactly(name));
    }
    for name in TYPES {
        builder = builder.allowlist_type(exactly(name));
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(exactly(name));
    }
    for name in OPAQUE {
        builder = builder.opaque_type(exactly(name));
    }
    // bindgen panics when it finds no libclang: a sentence says it better than a backtrace.
    panic::set_hook(Box::new(|_| ()));
    let bindings = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.generate()))
        .map_err(|_| "bindgen found no libclang: install the package libclang-dev".to_owned())?
        .map_err(|error| format!("bindgen cannot read DPDK's headers: {error}"))?;
    let path = PathBuf::from(env("OUT_DIR")?).join("bindings.rs");
    bindings.write_to_file(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn env(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

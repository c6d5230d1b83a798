//! What `weir import clusterip` makes of rules: each `import/NAME.rules` gives exactly `import/NAME.yaml`, or, where it
//! cannot be imported, `import/NAME.txt`.
//!
//! `BLESS=1 cargo test -p weir-control --test import_clusterip` writes them anew; read them before committing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use weir_control::{config, import};
use weir_dataplane::config::vip::{HashMode, Nodes};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

/// The imported part in a file that has the rest.
fn gateway(part: &str) -> config::GatewayConfig {
    let text = format!(
        "node: gw1\nports:\n  - {{name: eth1, device: net_null0, tap: weir1, addresses: [192.0.2.1/28], cluster_mac: '01:00:5e:00:01:01'}}\n  \
         - {{name: eth2, device: net_null1, tap: weir2, addresses: [198.51.100.1/24], cluster_mac: '01:00:5e:00:01:02'}}\n\
         forwarding: {{mode: route}}\n{part}"
    );
    config::parse("imported.yaml", &text).unwrap_or_else(|errors| panic!("{errors}\n{text}")).config
}

#[test]
fn rules_become_what_they_mean() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rules"));
    assert!(files.len() >= 6, "only {} files", files.len());
    for path in files {
        let (golden, said) = match import::clusterip(&fs::read_to_string(&path).unwrap()) {
            Ok(yaml) => {
                gateway(&yaml);
                (path.with_extension("yaml"), yaml)
            }
            Err(mistakes) => (path.with_extension("txt"), format!("{mistakes}\n")),
        };
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(&golden).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn a_gateway_goes_by_what_was_imported() {
    let rules = fs::read_to_string(directory().join("clusterip.rules")).unwrap();
    let config = gateway(&import::clusterip(&rules).unwrap());
    let [first, second] = &*config.dataplane().vips else { panic!("two VIPs") };
    let nodes = |nodes: &Nodes| match nodes {
        Nodes::Local(nodes) => nodes.iter().map(|bucket| bucket.number().number()).collect::<Vec<_>>(),
        Nodes::Cluster => panic!("they are named"),
    };
    assert_eq!((first.hash_mode, first.total_nodes, nodes(&first.nodes)), (HashMode::Source, 2, vec![1]));
    assert_eq!((second.hash_mode, second.hash_init), (HashMode::SourceDestinationPort, 0xdead_beef));
    assert_eq!(nodes(&second.nodes), [3]);
    let cluster = config.dataplane().cluster.as_ref().unwrap();
    assert_eq!((cluster.total_nodes, cluster.hash_seed), (2, 0xdead_beef));
    for (file, owned) in [("drop", vec![0, 2]), ("inverted", vec![0, 2])] {
        let rules = fs::read_to_string(directory().join(file).with_extension("rules")).unwrap();
        let config = gateway(&import::clusterip(&rules).unwrap());
        let cluster = config.dataplane().cluster.as_ref().unwrap();
        let buckets = (0..3).filter_map(weir_dataplane::units::BucketId::new);
        let owns: Vec<usize> =
            buckets.filter(|bucket| cluster.owns(*bucket)).map(|bucket| bucket.index()).collect();
        assert_eq!(owns, owned, "{file}");
    }
}

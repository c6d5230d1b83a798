//! What `weir import` makes of the rules of ipvsadm and of keepalived.conf: each `import/NAME.ipvsadm` and
//! `import/NAME.keepalived` gives exactly the same with `.yaml` behind it, or, where it cannot be imported, `.txt`.
//!
//! `BLESS=1 cargo test -p weir-control --test import_services` writes them anew; read them before committing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use weir_control::config::services::{Check, Server, Service, Services};
use weir_control::import::{self, Mistakes, Origin};
use weir_dataplane::config::service::{MaglevHashing, Method, Scheduler, Selector, SourceHashing};
use weir_dataplane::units::{Mark, Span};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

/// The imported part in a file that has the rest; it may warn, since marks and routes are not there.
fn services(part: &str) -> Services {
    let text = format!(
        "node: gw1\nforwarding: {{mode: route}}\nports:\n  \
         - {{name: lan, device: net_null0, addresses: [10.0.0.1/24, '2001:db8:1::1/64']}}\n  \
         - {{name: wan, device: net_null1, addresses: [198.51.100.2/24]}}\n{part}"
    );
    let loaded = weir_control::config::parse("imported.yaml", &text);
    loaded.unwrap_or_else(|errors| panic!("{errors}\n{text}")).config.services().clone()
}

fn all_are_as_committed(ending: &str, least: usize, import: fn(&str) -> Result<String, Mistakes>) {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    assert!(files.len() >= least, "only {} files", files.len());
    for path in files {
        let (golden, said) = match import(&fs::read_to_string(&path).unwrap()) {
            Ok(yaml) => {
                services(&yaml);
                (path.with_extension(format!("{ending}.yaml")), yaml)
            }
            Err(mistakes) => (path.with_extension(format!("{ending}.txt")), format!("{mistakes}\n")),
        };
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(&golden).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn rules_of_ipvsadm_become_what_they_mean() {
    all_are_as_committed("ipvsadm", 3, import::ipvsadm);
}

#[test]
fn virtual_servers_of_keepalived_become_what_they_mean() {
    all_are_as_committed("keepalived", 5, keepalived);
}

fn keepalived(text: &str) -> Result<String, Mistakes> {
    import::keepalived(text, &Origin { folder: directory(), config_id: None })
}

#[test]
fn a_line_of_one_node_is_for_that_node() {
    let text = "virtual_server 192.0.2.80 80 {\n @main lvs_sched rr\n @^main lvs_sched sh\n}\n";
    for (id, expected) in [("main", "scheduler: rr"), ("other", "scheduler: sh")] {
        let origin = Origin { config_id: Some(id.to_owned()), ..Origin::default() };
        assert!(import::keepalived(text, &origin).unwrap().contains(expected));
    }
    assert!(keepalived(text).unwrap_err().to_string().contains("--config-id"));
}

#[test]
fn files_that_include_each_other_end() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.conf"), "include a.conf\n").unwrap();
    fs::write(folder.path().join("b.conf"), "x\ny z {\n}}\n").unwrap();
    let origin = Origin { folder: folder.path().to_owned(), config_id: None };
    let said = |text: &str| import::keepalived(text, &origin).unwrap_err().to_string();
    assert_eq!(said("include a.conf"), "a.conf:1: files include files 16 deep\n    include a.conf");
    assert_eq!(said("include b.conf"), "b.conf:3: `}` without `{`\n    }}");
    assert_eq!(said("\nincludea n*.conf"), "line 2: there is no file `n*.conf`\n    includea n*.conf");
}

fn imported(file: &str, import: fn(&str) -> Result<String, Mistakes>) -> Vec<Service> {
    let text = fs::read_to_string(directory().join(file)).unwrap();
    services(&import(&text).unwrap()).services
}

#[test]
fn a_gateway_goes_by_the_rules_of_ipvsadm() {
    let services = imported("director.ipvsadm", import::ipvsadm);
    let schedulers: Vec<Scheduler> = services.iter().map(|service| service.scheduler).collect();
    let sh = SourceHashing { port: true, fallback: true, ..SourceHashing::default() };
    let mh = MaglevHashing { fallback: true, ..MaglevHashing::default() };
    assert_eq!(schedulers[..4], [Scheduler::Wlc, Scheduler::Rr, Scheduler::Sh(sh), Scheduler::Mh(mh)]);
    let servers: Vec<(&str, Method, u16)> = services[0]
        .servers
        .iter()
        .map(|Server { name, method, weight, .. }| (&**name, *method, *weight))
        .collect();
    assert_eq!(
        servers,
        [
            ("rs-10.0.0.11", Method::Direct, 2),
            ("rs-10.0.0.12", Method::Direct, 1),
            ("rs-10.8.0.13", Method::Ipip, 0)
        ]
    );
    assert_eq!((services[0].servers[1].upper_threshold, services[0].servers[1].lower_threshold), (1000, 800));
    let any_port = services[3].persistence.unwrap();
    assert_eq!((any_port.timeout, any_port.ipv4_prefix_len), (Span::from_s(300).unwrap(), 24));
    assert_eq!(services[4].persistence.unwrap().ipv6_prefix_len, 64);
    assert_eq!(services[5].selector, Selector::Mark(Mark(1)));
    assert_eq!(services[7].servers[0].weight, u16::MAX);
}

#[test]
fn a_gateway_goes_by_keepalived_conf() {
    let services = imported("director.keepalived", keepalived);
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "tcp-192.0.2.80-80",
            "udp-192.0.2.53-53",
            "tcp-192.0.2.25-25",
            "tcp-192.0.2.30-25",
            "tcp-192.0.2.31-25",
            "mark-7",
            "tcp-2001-db8--80-443",
            "mark-1"
        ]
    );
    let health = services[0].health.as_ref().unwrap();
    let Some(Check::Http { tls, port, path, host, status, .. }) = &health.check else { panic!("a page") };
    assert_eq!((*tls, *port, path.as_str(), status), (false, 80, "/health?a=b", &(200..=204)));
    assert_eq!(host.as_deref(), Some("www.example.com"));
    assert_eq!((health.interval.as_millis(), health.timeout.as_millis()), (2000, 1500));
    assert_eq!((health.rise, health.fall), (1, 3));
    let Some(Check::Script { program, arguments, .. }) = &services[6].health.as_ref().unwrap().check else {
        panic!("a program")
    };
    assert_eq!(program, Path::new("/usr/local/bin/check"));
    assert_eq!(arguments, &["--fast", "it's"]);
    assert_eq!(services[7].health.as_ref().unwrap().check, Some(Check::Tcp { port: 3129 }));
    assert_eq!(services[6].persistence.unwrap().timeout, Span::from_s(360).unwrap());
}

//! A server or a node that an operator adds while the gateway runs.

use super::GatewayConfig;
use super::finding::Findings;
use super::path::Path;
use super::problem::Problem;
use super::validate::Surroundings;
use core::net::IpAddr;

/// Whether the file could have this server (`of`: what its collection calls it); if not, why.
///
/// # Errors
/// What the file would be refused for, and what to do about it.
pub fn addition(config: &GatewayConfig, of: &str, name: &str, address: IpAddr) -> Result<(), String> {
    let mut findings = Findings::default();
    let around = Surroundings { ports: &[], network: config.network() };
    around.addition(of, name, address, &Path::root(), &mut findings);
    let (errors, _) = findings.locate("", "", None);
    match errors.into_iter().next() {
        Some(Problem { message, hint: Some(hint), .. }) => Err(format!("{message}: {hint}")),
        Some(Problem { message, .. }) => Err(message),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_would_be_refused_for_is_refused() {
        let text = "\
node: a
ports:
  - { name: lan, device: net_null0, addresses: [10.0.0.1/24, '2001:db8::1/64'] }
  - { name: wan, device: net_null1, addresses: [192.0.2.1/24] }
forwarding: { mode: route }
";
        let config = crate::config::parse("test.yaml", text).unwrap().config;
        let add = |name: &str, address: &str| addition(&config, "server", name, address.parse().unwrap());
        assert_eq!(add("web-2.a", "10.0.0.2"), Ok(()));
        assert_eq!(add("web", "2001:db8::2"), Ok(()));
        for (name, address, why) in [
            ("a b", "10.0.0.2", "`a b` cannot be the name of a server: a letter, then"),
            ("2", "10.0.0.2", "`2` cannot be the name of a server"),
            ("a", "10.0.0.1", "`10.0.0.1` is an address of this gateway: give the other"),
            ("a", "127.0.0.1", "`127.0.0.1` is not the address of a station"),
            ("a", "224.0.0.1", "`224.0.0.1` is not the address of a station"),
            ("a", "fe80::1", "`fe80::1` may be behind any interface"),
        ] {
            let said = add(name, address).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}

//! What both sides are set to.

use anyhow::{Result, bail};
use weir_dataplane::config::{Config, Conntrack, HelperKind, Share, Tracking};
use weir_dataplane::units::Span;

use crate::conformance::Mode;
use crate::node::member;
use crate::oracle::{EVERY_HELPER, Rules, TIMEOUT_FACTOR, TIMEOUT_MAX_S};

/// How Linux and Weir are set, alike. Its name, as in a regression case, is the mode and what is not as usual:
/// `all+loose+liberal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whose flows are tracked.
    pub mode: Mode,
    /// `nf_conntrack_tcp_loose`; usually off, as in a cluster.
    pub loose: bool,
    /// `nf_conntrack_tcp_be_liberal`; usually off.
    pub liberal: bool,
    /// `nf_conntrack_tcp_ignore_invalid_rst`; usually off.
    pub ignore_invalid_rst: bool,
    /// `nf_conntrack_checksum` is off; usually it is on.
    pub no_checksum: bool,
}

const LOOSE: &str = "loose";
const LIBERAL: &str = "liberal";
const IGNORE_INVALID_RST: &str = "ignore_invalid_rst";
const NO_CHECKSUM: &str = "no_checksum";

impl Setting {
    /// As usual.
    pub const fn new(mode: Mode) -> Self {
        Self { mode, loose: false, liberal: false, ignore_invalid_rst: false, no_checksum: false }
    }

    /// Reads what [`Setting::name`] writes.
    pub fn parse(name: &str) -> Result<Self> {
        let mut words = name.split('+');
        let mode = words.next().and_then(|word| Mode::ALL.into_iter().find(|mode| mode.name() == word));
        let Some(mode) = mode else { bail!("{name}: a setting begins with own or all") };
        let mut setting = Self::new(mode);
        for word in words {
            match word {
                LOOSE => setting.loose = true,
                LIBERAL => setting.liberal = true,
                IGNORE_INVALID_RST => setting.ignore_invalid_rst = true,
                NO_CHECKSUM => setting.no_checksum = true,
                _ => {
                    bail!("{name}: {word} is none of {LOOSE}, {LIBERAL}, {IGNORE_INVALID_RST}, {NO_CHECKSUM}")
                }
            }
        }
        Ok(setting)
    }

    /// Its name.
    pub fn name(&self) -> String {
        let unusual = [
            (LOOSE, self.loose),
            (LIBERAL, self.liberal),
            (IGNORE_INVALID_RST, self.ignore_invalid_rst),
            (NO_CHECKSUM, self.no_checksum),
        ];
        let unusual = unusual.iter().filter(|(_, set)| *set).map(|(word, _)| *word);
        [self.mode.name()].into_iter().chain(unusual).collect::<Vec<_>>().join("+")
    }

    /// In Linux's words.
    pub fn rules(&self) -> Rules {
        Rules {
            helpers: EVERY_HELPER.to_vec(),
            tcp_loose: self.loose,
            tcp_be_liberal: self.liberal,
            tcp_ignore_invalid_rst: self.ignore_invalid_rst,
            checksum: !self.no_checksum,
            ..Rules::new(self.mode)
        }
    }

    /// In Weir's words.
    pub fn config(&self) -> Config {
        let tracking = match self.mode {
            Mode::Own => Tracking::Own,
            Mode::All => Tracking::All,
        };
        let mut config = member(2, 0..1, tracking);
        if let Some(cluster) = &mut config.cluster {
            // A bridge passes what is not IP; the match never matches what is not tracked.
            cluster.non_ip = Share::Forward;
            cluster.untracked = Share::Drop;
        }
        config.bridge.forward_stp = true;
        let conntrack = &mut config.conntrack;
        conntrack.helpers = HelperKind::ALL.iter().flat_map(|kind| kind.rules(kind.listens().1)).collect();
        conntrack.vlan_tags_max = 1;
        conntrack.checksum = !self.no_checksum;
        conntrack.tcp.loose = self.loose;
        conntrack.tcp.be_liberal = self.liberal;
        conntrack.tcp.ignore_invalid_rst = self.ignore_invalid_rst;
        raise_timeouts(conntrack);
        config
    }
}

/// As the oracle raises Linux's.
fn raise_timeouts(conntrack: &mut Conntrack) {
    let tcp = &mut conntrack.tcp.timeouts;
    let sctp = &mut conntrack.sctp;
    for timeout in [
        &mut tcp.syn_sent,
        &mut tcp.syn_recv,
        &mut tcp.established,
        &mut tcp.fin_wait,
        &mut tcp.close_wait,
        &mut tcp.last_ack,
        &mut tcp.time_wait,
        &mut tcp.close,
        &mut tcp.max_retrans,
        &mut tcp.unacknowledged,
        &mut sctp.closed,
        &mut sctp.cookie_wait,
        &mut sctp.cookie_echoed,
        &mut sctp.established,
        &mut sctp.shutdown_sent,
        &mut sctp.shutdown_recd,
        &mut sctp.shutdown_ack_sent,
        &mut sctp.heartbeat_sent,
        &mut conntrack.udp_timeout,
        &mut conntrack.udp_timeout_stream,
        &mut conntrack.icmp_timeout,
        &mut conntrack.icmpv6_timeout,
        &mut conntrack.gre_timeout,
        &mut conntrack.gre_timeout_stream,
        &mut conntrack.generic_timeout,
    ] {
        let raised = timeout.as_s().saturating_mul(TIMEOUT_FACTOR).min(TIMEOUT_MAX_S);
        *timeout = Span::from_s(raised).unwrap_or(Span::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_set() {
        let setting = Setting { loose: true, no_checksum: true, ..Setting::new(Mode::All) };
        assert_eq!(setting.name(), "all+loose+no_checksum");
        assert_eq!(Setting::parse(&setting.name()).unwrap(), setting);
        assert!(Setting::parse("all+lose").is_err() && Setting::parse("loose").is_err());
    }
}

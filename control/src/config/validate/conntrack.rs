//! Checks `conntrack`.

use super::fragments;
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use weir_dataplane::config::{Conntrack, HelperKind, HelperRule, SctpTimeouts, Tcp, TcpTimeouts};
use weir_dataplane::units::{Span, TICK_MS};

/// `buffers`: as many packet buffers as the configuration names.
pub(super) fn validate(
    raw: raw::Conntrack,
    buffers: Option<u32>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Conntrack> {
    let fragments = fragments::validate(&raw.fragments, buffers, &path.key("fragments"), findings);
    let tcp = tcp(&raw.tcp, &path.key("tcp"), findings);
    let sctp = sctp_timeouts(&raw.sctp.timeouts_s, &path.key("sctp").key("timeouts_s"), findings);
    let mut time = |seconds, section: &str, key: &str| span(seconds, &path.key(section).key(key), findings);
    let udp_timeout = time(raw.udp.timeout_s, "udp", "timeout_s");
    let udp_timeout_stream = time(raw.udp.timeout_stream_s, "udp", "timeout_stream_s");
    let icmp_timeout = time(raw.icmp.timeout_s, "icmp", "timeout_s");
    let icmpv6_timeout = time(raw.icmpv6.timeout_s, "icmpv6", "timeout_s");
    let gre_timeout = time(raw.gre.timeout_s, "gre", "timeout_s");
    let gre_timeout_stream = time(raw.gre.timeout_stream_s, "gre", "timeout_stream_s");
    let generic_timeout = time(raw.generic.timeout_s, "generic", "timeout_s");
    let helpers = helpers(&raw.helpers, &path.key("helpers"), findings);
    Some(Conntrack {
        flows_max: raw.flows_max,
        expectations_max: raw.expectations_max,
        checksum: raw.checksum,
        vlan_tags_max: raw.vlan_tags_max,
        fragments: fragments?,
        tcp: tcp?,
        udp_timeout: udp_timeout?,
        udp_timeout_stream: udp_timeout_stream?,
        icmp_timeout: icmp_timeout?,
        icmpv6_timeout: icmpv6_timeout?,
        sctp: sctp?,
        gre_timeout: gre_timeout?,
        gre_timeout_stream: gre_timeout_stream?,
        generic_timeout: generic_timeout?,
        helpers: helpers.into_iter().collect(),
    })
}

fn tcp(raw: &raw::Tcp, path: &Path, findings: &mut Findings) -> Option<Tcp> {
    let timeouts = tcp_timeouts(&raw.timeouts_s, &path.key("timeouts_s"), findings);
    Some(Tcp {
        loose: raw.loose,
        be_liberal: raw.be_liberal,
        ignore_invalid_rst: raw.ignore_invalid_rst,
        max_retrans: raw.max_retrans,
        timeouts: timeouts?,
    })
}

fn tcp_timeouts(raw: &raw::TcpTimeouts, path: &Path, findings: &mut Findings) -> Option<TcpTimeouts> {
    let mut time = |seconds, key: &str| span(seconds, &path.key(key), findings);
    let syn_sent = time(raw.syn_sent, "syn_sent");
    let syn_recv = time(raw.syn_recv, "syn_recv");
    let established = time(raw.established, "established");
    let fin_wait = time(raw.fin_wait, "fin_wait");
    let close_wait = time(raw.close_wait, "close_wait");
    let last_ack = time(raw.last_ack, "last_ack");
    let time_wait = time(raw.time_wait, "time_wait");
    let close = time(raw.close, "close");
    let max_retrans = time(raw.max_retrans, "max_retrans");
    let unacknowledged = time(raw.unacknowledged, "unacknowledged");
    Some(TcpTimeouts {
        syn_sent: syn_sent?,
        syn_recv: syn_recv?,
        established: established?,
        fin_wait: fin_wait?,
        close_wait: close_wait?,
        last_ack: last_ack?,
        time_wait: time_wait?,
        close: close?,
        max_retrans: max_retrans?,
        unacknowledged: unacknowledged?,
    })
}

fn sctp_timeouts(raw: &raw::SctpTimeouts, path: &Path, findings: &mut Findings) -> Option<SctpTimeouts> {
    let mut time = |seconds, key: &str| span(seconds, &path.key(key), findings);
    let closed = time(raw.closed, "closed");
    let cookie_wait = time(raw.cookie_wait, "cookie_wait");
    let cookie_echoed = time(raw.cookie_echoed, "cookie_echoed");
    let established = time(raw.established, "established");
    let shutdown_sent = time(raw.shutdown_sent, "shutdown_sent");
    let shutdown_recd = time(raw.shutdown_recd, "shutdown_recd");
    let shutdown_ack_sent = time(raw.shutdown_ack_sent, "shutdown_ack_sent");
    let heartbeat_sent = time(raw.heartbeat_sent, "heartbeat_sent");
    Some(SctpTimeouts {
        closed: closed?,
        cookie_wait: cookie_wait?,
        cookie_echoed: cookie_echoed?,
        established: established?,
        shutdown_sent: shutdown_sent?,
        shutdown_recd: shutdown_recd?,
        shutdown_ack_sent: shutdown_ack_sent?,
        heartbeat_sent: heartbeat_sent?,
    })
}

/// Seconds in ticks; the schema has checked the range.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the schema bounds it, and `as` saturates"
)]
pub(super) fn span(seconds: raw::Seconds, path: &Path, findings: &mut Findings) -> Option<Span> {
    let ms = (seconds.0 * 1000.0).round();
    if ms % f64::from(TICK_MS) == 0.0 && (seconds.0 * 1000.0 - ms).abs() < 0.001 {
        return Span::from_ms(ms as u64);
    }
    findings.error(
        Target::Value(path.clone()),
        format!("{} s is finer than the clock", seconds.0),
        format!("times are multiples of {} s", f64::from(TICK_MS) / 1000.0),
    );
    None
}

/// A rule for each port and transport of each helper.
fn helpers(raw: &raw::Helpers, path: &Path, findings: &mut Findings) -> Vec<HelperRule> {
    let named = [
        (HelperKind::Ftp, "ftp", &raw.ftp),
        (HelperKind::Tftp, "tftp", &raw.tftp),
        (HelperKind::Irc, "irc", &raw.irc),
        (HelperKind::Sip, "sip", &raw.sip),
        (HelperKind::Q931, "q931", &raw.q931),
        (HelperKind::Ras, "ras", &raw.ras),
        (HelperKind::Pptp, "pptp", &raw.pptp),
        (HelperKind::Amanda, "amanda", &raw.amanda),
        (HelperKind::Sane, "sane", &raw.sane),
        (HelperKind::NetbiosNs, "netbios_ns", &raw.netbios_ns),
        (HelperKind::Snmp, "snmp", &raw.snmp),
    ];
    let mut rules: Vec<HelperRule> = Vec::new();
    for (kind, key, ports) in named {
        for (i, port) in ports.iter().enumerate() {
            let Some(port) = *port else { continue };
            for rule in kind.rules(port) {
                let same = |held: &&HelperRule| (held.transport, held.port) == (rule.transport, rule.port);
                if let Some(taken) = rules.iter().find(same) {
                    findings.error(
                        Target::Value(path.key(key).item(i)),
                        format!("{} port {port} has the {} helper already", rule.transport, taken.kind),
                        "name each port once".to_owned(),
                    );
                }
                rules.push(rule);
            }
        }
    }
    rules
}

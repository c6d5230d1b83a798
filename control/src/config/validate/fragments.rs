//! Checks `conntrack.fragments`.

use super::conntrack::span;
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use weir_dataplane::config::{Fragments, Ipv4Fragments, Ipv6Fragments};

/// Share of the packet buffers that fragments may take unless the configuration says otherwise.
const BUFFERS_SHARE: u32 = 4;

/// `buffers`: as many packet buffers as the configuration names.
pub(super) fn validate(
    raw: &raw::Fragments,
    buffers: Option<u32>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Fragments> {
    let raw::Fragments { frames_max, ipv4, ipv6 } = raw;
    let frames_max = self::frames_max(*frames_max, buffers, &path.key("frames_max"), findings);
    let mut time = |seconds, section: &str| span(seconds, &path.key(section).key("timeout_s"), findings);
    let (ipv4_timeout, ipv6_timeout) = (time(ipv4.timeout_s, "ipv4"), time(ipv6.timeout_s, "ipv6"));
    Some(Fragments {
        frames_max: frames_max?,
        ipv4: Ipv4Fragments {
            timeout: ipv4_timeout?,
            high_thresh_bytes: ipv4.high_thresh_bytes,
            max_dist: ipv4.max_dist,
        },
        ipv6: Ipv6Fragments { timeout: ipv6_timeout?, high_thresh_bytes: ipv6.high_thresh_bytes },
    })
}

/// What waits must leave buffers for what moves.
fn frames_max(given: Option<u32>, buffers: Option<u32>, path: &Path, findings: &mut Findings) -> Option<u32> {
    match (given, buffers) {
        (Some(frames), Some(buffers)) if frames > buffers / 2 => {
            findings.error(
                Target::Value(path.clone()),
                format!(
                    "{frames} waiting fragments would take more than half of the {buffers} packet buffers"
                ),
                "lower it, or raise `memory.buffers`".to_owned(),
            );
            None
        }
        (Some(frames), _) => Some(frames),
        (None, buffers) => {
            let usual = Fragments::default().frames_max;
            Some(buffers.map_or(usual, |buffers| usual.min(buffers / BUFFERS_SHARE)))
        }
    }
}

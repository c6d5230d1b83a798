//! Checks `workers`.

use crate::config::finding::{Findings, Target};
use crate::config::gateway::{Idle, Placement, Workers};
use crate::config::path::Path;
use crate::config::raw;
use core::num::NonZeroU16;

/// `is_virtual`: no port is a PCI device, so that the default is to sleep when idle.
pub(super) fn validate(
    raw: raw::Workers,
    is_virtual: bool,
    path: &Path,
    findings: &mut Findings,
) -> Option<Workers> {
    let placement = match (raw.count, raw.cores) {
        (Some(_), Some(_)) => {
            findings.error(
                Target::Key(path.key("cores")),
                "`cores` and `count` exclude each other".to_owned(),
                "`cores` alone: one worker on each".to_owned(),
            );
            None
        }
        (count, None) => NonZeroU16::new(count.unwrap_or(1)).map(Placement::Anywhere),
        (None, Some(cores)) => distinct(&cores, &path.key("cores"), findings).map(Placement::Cores),
    };
    let idle = match raw.idle {
        Some(raw::Idle::Poll) => Idle::Poll,
        Some(raw::Idle::Backoff) => Idle::Backoff,
        None if is_virtual => Idle::Backoff,
        None => Idle::Poll,
    };
    Some(Workers { placement: placement?, idle })
}

fn distinct(cores: &raw::Items<u16>, path: &Path, findings: &mut Findings) -> Option<Vec<usize>> {
    let mut distinct = Vec::new();
    for (i, core) in cores.iter().enumerate() {
        let Some(core) = core.map(usize::from) else { continue };
        if distinct.contains(&core) {
            findings.error(
                Target::Value(path.item(i)),
                format!("core {core} has a worker already"),
                "each worker needs a core of its own".to_owned(),
            );
        } else {
            distinct.push(core);
        }
    }
    (distinct.len() == cores.len()).then_some(distinct)
}

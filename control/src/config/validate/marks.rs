//! Checks `marks`.

use super::rule;
use super::surroundings::Surroundings;
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use weir_dataplane::config::Rule;
use weir_dataplane::units::Mark;

/// What marks flows, in order; an entry that is wrong is `None`.
pub(super) fn validate(
    raw: &raw::Items<raw::MarkRule>,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Option<(Rule, Option<Mark>)>> {
    let each = raw.iter().enumerate().map(|(i, raw)| {
        let raw = raw.as_ref()?;
        let path = path.item(i);
        let rule = rule::validate(&raw.rule, &path, around, findings);
        let mark = match raw.mark? {
            raw::GivenMark::Word(raw::NoMark::None) => None,
            raw::GivenMark::Number(mark) => Some(Mark(mark)),
        };
        let rule = rule?;
        if mark.is_some() && rule::is_for_all(&rule) {
            findings.warning(
                Target::Key(path),
                "this marks every flow that passes".to_owned(),
                "say which, for example `port: lan` and `destination_port: 80`".to_owned(),
            );
        }
        Some((rule, mark))
    });
    each.collect()
}

//! Streams that once showed a difference are seen as Linux saw them. Needs no kernel: its answers are recorded.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use weir_tests::differential::{case, differences};
use weir_tests::tree;

#[test]
fn what_once_differed_agrees_with_the_recorded_answers() {
    let cases = case::read_all(&tree().join("tests/regressions")).unwrap();
    assert!(!cases.is_empty(), "there are cases");
    let mut wrong = Vec::new();
    for case in cases {
        for difference in differences(&case.setting, &case.stream, &case.said).unwrap() {
            wrong.push(format!("{} {}: {difference}", case.name, case.setting.name()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

//! The captures agree with Linux but for the differences listed in `docs/conformance.md`.
//!
//! Needs the captures and Linux's answers in the folders that `CAPTURES` and `GOLDENS` name, and the built binary.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use weir_tests::conformance::{self, Expectations, Mode, Places};

#[test]
fn captures_agree_with_linux() {
    let folders = weir_tests::folder("CAPTURES").zip(weir_tests::folder("GOLDENS"));
    let Some((captures, goldens)) = folders else {
        return weir_tests::cannot_run("conformance: set CAPTURES and GOLDENS to their folders");
    };
    let places = Places {
        weir: conformance::replay::binary(),
        configs: weir_tests::tree().join("configs"),
        captures,
        goldens,
    };
    let expectations = Expectations::listed().unwrap();
    let mut wrong = Vec::new();
    for name in conformance::captures(&places.goldens).unwrap() {
        for mode in Mode::ALL {
            wrong.extend(expectations.judge(&conformance::judge(&places, &name, mode).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

//! The fuzz target `config` on a stable compiler, over all inputs that are kept in `fuzz/`: any text is a
//! configuration, or has mistakes that can be told.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

#[test]
fn any_text_is_a_configuration_or_has_mistakes() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let mut count = 0;
    for folder in ["corpus/config", "artifacts/config"] {
        let Ok(entries) = fs::read_dir(fuzz.join(folder)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            // What is not text is refused when the file is read.
            let Ok(text) = String::from_utf8(fs::read(&path).unwrap()) else { continue };
            println!("{}", path.display());
            if let Err(errors) = weir_control::config::parse("fuzz.yaml", &text) {
                assert!(!errors.to_string().is_empty(), "{}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 0, "fuzz/corpus/config is empty");
}

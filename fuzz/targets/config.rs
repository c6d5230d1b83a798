//! Any text is a configuration, or has mistakes that can be told.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(errors) = weir_control::config::parse("fuzz.yaml", text) {
        assert!(!errors.to_string().is_empty());
    }
});

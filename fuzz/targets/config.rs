//! Any text is a configuration or a list of problems.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| drop(onedoor::config::read(
    Path::new("proxy.toml"),
    text
)));

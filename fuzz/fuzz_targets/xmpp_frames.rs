//! Frames of a hostile XMPP server against the machine; `fuzz/script.rs` says what a script is and what must hold.
#![no_main]

#[path = "../script.rs"]
#[allow(dead_code, reason = "the tests also count")]
mod script;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        script::play(text, std::time::Instant::now());
    }
});

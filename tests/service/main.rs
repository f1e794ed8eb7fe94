//! The real binary under those who start it: `wakeful start`, systemd's user manager, launchd's rules for a plist, and
//! a real keyring.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "tests of the real binary run on the machine's clock")]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

#[path = "../support/mod.rs"]
mod support;

mod background;
mod keyring;
mod lint;
mod unit;

use std::path::Path;
use std::process::{Command, ExitStatus};

/// Runs one test of this binary, which is ignored otherwise, within `wrapper`.
fn within(wrapper: &mut Command, test: &str) -> ExitStatus {
    let us = std::env::current_exe().unwrap();
    wrapper.arg(us).args(["--ignored", "--exact", test, "--nocapture"]).status().unwrap()
}

/// A file of this package.
fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

//! What tests of the real binary share: processes that end with the test, a hub, a home with accounts, a daemon that
//! says when it is ready. Include it with `#[path = "../support/mod.rs"] mod support;`.
//!
//! It never kills by name, never sleeps for a guessed time, and never touches the user's own state: every home is a
//! temporary `WAKEFUL_HOME`, and no desktop is reachable unless the test passes one in.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test target uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "tests of the real binary run on the machine's clock")]

mod home;
mod hub;
mod ipc;
mod pair;
mod process;
mod small;
mod wait;
mod writer;

pub use home::{Answer, Daemon, Home, Watch};
pub use hub::Hub;
pub use ipc::Line;
pub use pair::{Pair, texts};
pub use process::Process;
pub use small::Small;
pub use wait::{PATIENCE, eventually, number, skip};
pub use writer::Writer;

use std::path::PathBuf;

/// The built `wakeful`, or the one that `WAKEFUL_PROGRAM` names: a long run keeps a copy while the sources change.
pub fn wakeful() -> PathBuf {
    std::env::var_os("WAKEFUL_PROGRAM").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_wakeful")), PathBuf::from)
}

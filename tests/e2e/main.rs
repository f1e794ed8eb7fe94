//! The whole journey with the real binary over real sockets: a hub, two people, their daemons, and what goes wrong.
#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "tests of the real binary run on the machine's clock")]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

#[path = "../support/mod.rs"]
mod support;

mod connection;
mod history;
mod journey;
mod keeping;
mod memory;
mod refusals;
mod rough;
mod secrets;

//! Notifications on real buses: the D-Bus backend against a server that does what it is told, and the whole
//! notification task against real notification servers from Debian under Xvfb.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests against real programs run on the machine's clock"
)]

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod app;
mod backend;
mod binary;
mod bus;
mod choices;
mod crash;
mod dozen;
mod figures;
mod hand;
mod journey;
mod monitor;
mod portable;
mod programmable;
mod screen;
mod servers;
mod task;

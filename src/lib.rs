//! wakeful keeps your messages arriving while no chat app is open.
//!
//! The rooms and what each may import are drawn in `docs/architecture.md` and enforced by `tests/layering.rs`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod cli;
pub mod config;
pub mod daemon;
pub mod db;
#[cfg(feature = "hub")]
pub mod hub;
pub mod ipc;
pub mod link;
pub mod machine;
pub mod model;
pub mod notify;
pub mod paths;
pub mod platform;
pub mod proto;
pub mod store;
pub mod world;

/// A named rule switched off, to show that a test notices. Compiled in only under `--cfg mutants`; which one is
/// chosen by the variable `WAKEFUL_MUTANT`. In every other build this is `false` and vanishes.
#[cfg(mutants)]
#[must_use]
pub fn mutant(name: &str) -> bool {
    std::env::var_os("WAKEFUL_MUTANT").is_some_and(|chosen| chosen == name)
}

/// Always `false`: the rules hold.
#[cfg(not(mutants))]
#[must_use]
#[inline(always)]
pub const fn mutant(_name: &str) -> bool {
    false
}

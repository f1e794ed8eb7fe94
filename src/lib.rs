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

/// A point at which a test holds the process, to kill it there. `WAKEFUL_GATE=NAME:FILE` chooses it; while FILE is
/// there, whoever comes through writes `FILE.reached` and goes no further. In debug builds only: what is shipped has
/// neither the variable nor the wait.
#[cfg(debug_assertions)]
pub fn mutant_gate(name: &str) {
    let Ok(chosen) = std::env::var("WAKEFUL_GATE") else { return };
    let Some((_, file)) = chosen.split_once(':').filter(|(gate, _)| *gate == name) else { return };
    if std::fs::exists(file).unwrap_or(false) && std::fs::write(format!("{file}.reached"), name).is_ok() {
        loop {
            std::thread::park();
        }
    }
}

/// Nothing: see the debug build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn mutant_gate(_name: &str) {}

/// Always `false`: the rules hold.
#[cfg(not(mutants))]
#[must_use]
#[inline(always)]
pub const fn mutant(_name: &str) -> bool {
    false
}

/// A named moment, such as the one between a commit and its answer, at which a test has the process die as by SIGKILL:
/// `WAKEFUL_FAILPOINT=name:n` dies when the moment comes for the n-th time. Only in builds with debug assertions; in
/// every other this vanishes.
#[cfg(debug_assertions)]
pub fn failpoint(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static PLAN: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("WAKEFUL_FAILPOINT").ok()?;
        let (name, count) = text.split_once(':')?;
        Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
    });
    if let Some((chosen, left)) = plan
        && chosen == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Nothing: the shipped program has no such moments.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn failpoint(_name: &str) {}

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

/// A named moment, such as the one between a commit and its answer, at which a test interferes. With
/// `WAKEFUL_FAILPOINT=name:n` the process dies as by SIGKILL when the moment comes for the n-th time; with
/// `WAKEFUL_FAILPOINT=name:n:MS` it first stands there for so many milliseconds, as on a slow disk, so that what is said
/// elsewhere meanwhile is out; with `WAKEFUL_GATE=name:FILE`, while FILE is there, whoever comes through writes
/// `FILE.reached` and goes no further. Only in builds with debug assertions; in every other this vanishes.
#[cfg(debug_assertions)]
pub fn failpoint(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static DEATH: OnceLock<Option<(String, AtomicU64, std::time::Duration)>> = OnceLock::new();
    static GATE: OnceLock<Option<(String, String)>> = OnceLock::new();
    let plan = |variable: &str| {
        let text = std::env::var(variable).ok()?;
        text.split_once(':').map(|(name, what)| (name.to_owned(), what.to_owned()))
    };
    let death = DEATH.get_or_init(|| {
        let (name, count) = plan("WAKEFUL_FAILPOINT")?;
        let (count, stay) = count.split_once(':').unwrap_or((&count, "0"));
        Some((name, AtomicU64::new(count.parse().ok()?), std::time::Duration::from_millis(stay.parse().ok()?)))
    });
    if let Some((chosen, left, stay)) = death
        && chosen == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        #[expect(clippy::disallowed_methods, reason = "a test asks for the wait itself")]
        std::thread::sleep(*stay);
        std::process::abort();
    }
    if let Some((chosen, file)) = GATE.get_or_init(|| plan("WAKEFUL_GATE"))
        && chosen == name
        && std::fs::exists(file).unwrap_or(false)
        && std::fs::write(format!("{file}.reached"), name).is_ok()
    {
        loop {
            std::thread::park();
        }
    }
}

/// Nothing: the shipped program has no such moments.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn failpoint(_name: &str) {}

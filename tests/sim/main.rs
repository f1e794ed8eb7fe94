//! The real links, hub client, stores and hub sessions in simulated time over a simulated network: outages, half-open
//! connections, restarts, kills, sleep, clock jumps, lost and doubled hints, update streams that were cut off. The
//! drafts that were enqueued are the oracle: in the end each is in the hub's record once, in its order, and every
//! client has exactly that record.
//!
//! `WAKEFUL_SIM_SEEDS=N` and `WAKEFUL_SIM_FIRST=N` choose seeds; `tests/long/sim N` does. A seed that fails is
//! repeated with ever fewer steps; the shortest story that still fails is printed.
#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

mod client;
mod hub;
mod net;
mod story;

use story::{Step, steps};

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// Plays these steps; what went wrong, if anything, and the trace.
fn play(seed: u64, steps: &[Step]) -> (Result<u64, String>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(story::play(seed, steps))
}

/// Leaves out what is not needed to fail.
fn shorten(seed: u64, mut steps: Vec<Step>) -> Vec<Step> {
    let mut at = 0;
    while at < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(at);
        if play(seed, &fewer).0.is_err() {
            steps = fewer;
        } else {
            at += 1;
        }
    }
    steps
}

#[test]
fn whatever_happens_every_message_is_everywhere_once_and_in_order() {
    let (first, seeds) = (number("WAKEFUL_SIM_FIRST", 1), number("WAKEFUL_SIM_SEEDS", 150));
    let mut longest = 0;
    for seed in first..first + seeds {
        let told = steps(seed);
        match play(seed, &told).0 {
            Ok(ms) => longest = longest.max(ms),
            Err(why) => {
                let short = shorten(seed, told);
                let (_, trace) = play(seed, &short);
                panic!("seed {seed}: {why}\nshortest story: {short:#?}\ntrace:\n{}", trace.join("\n"));
            }
        }
    }
    println!("{seeds} seeds, longest time from a healed network to agreement: {:.1} s", longest as f64 / 1000.0);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 7..10 {
        let told = steps(seed);
        assert_eq!(play(seed, &told).1, play(seed, &told).1, "seed {seed}");
    }
}

//! The real links, hub client, stores and hub sessions in simulated time over a simulated network, hub and disk:
//! outages, half-open connections, restarts, close codes, kills between a commit and the word of it, full disks, sleep,
//! clock jumps, lost, doubled and old hints, lost, doubled and swapped frames, update streams that were cut off.
//!
//! The oracle is the hub's record and the list of drafts: at any moment nobody shows anything that was not said, a gap
//! without its hole, or anything out of order, and nothing counts as delivered that is not there; in the end everybody
//! has everything once, in order and in its newest form, and counts unread as the hub does (`oracle`).
//!
//! `WAKEFUL_SIM_SEEDS=N` and `WAKEFUL_SIM_FIRST=N` choose seeds; `tests/suites/sim` and `tests/long/sim N` do. After
//! `WAKEFUL_SIM_SECONDS` no further one is begun, and the figure says how many were played. A seed that fails is played
//! again with ever fewer steps and evils; the shortest story that still fails is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

mod client;
mod hub;
mod net;
mod oracle;
mod stage;
mod story;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use story::{Outcome, Story};

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// Plays a story in time of its own.
fn play(story: &Story, traced: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(story::play(story, traced))
}

/// Leaves out what is not needed to fail: halves, single steps, evils of the climate, waits.
fn shorten(mut story: Story) -> Story {
    let fails = |story: &Story| play(story, false).result.is_err();
    let mut chunk = story.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < story.steps.len() {
            let mut fewer = story.clone();
            fewer.steps.drain(at..(at + chunk).min(story.steps.len()));
            if fails(&fewer) { story = fewer } else { at += chunk }
        }
        if chunk == 1 {
            break;
        }
        chunk = chunk.div_ceil(2);
    }
    for nth in 0..story.climate.calmer().len() {
        let calmer = Story { climate: story.climate.calmer().swap_remove(nth), ..story.clone() };
        if fails(&calmer) {
            story = calmer;
        }
    }
    for nth in 0..story.steps.len() {
        let mut sooner = story.clone();
        sooner.steps[nth].after = 0;
        if fails(&sooner) {
            story = sooner;
        }
    }
    story
}

#[test]
fn whatever_happens_every_message_is_everywhere_once_and_in_order() {
    let (first, seeds) = (number("WAKEFUL_SIM_FIRST", 1), number("WAKEFUL_SIM_SEEDS", 300));
    let threads = number("WAKEFUL_SIM_THREADS", std::thread::available_parallelism().map_or(1, |n| n.get() as u64));
    let patience = number("WAKEFUL_SIM_SECONDS", u64::MAX);
    let (next, longest, events, played) =
        (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failed: Mutex<Option<(u64, String)>> = Mutex::default();
    #[allow(clippy::disallowed_methods, reason = "how fast the simulation itself is")]
    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() && begin.elapsed().as_secs() < patience {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let outcome = play(&Story::drawn(seed), false);
                    events.fetch_add(outcome.events, Ordering::Relaxed);
                    played.fetch_add(1, Ordering::Relaxed);
                    match outcome.result {
                        Ok(ms) => drop(longest.fetch_max(ms, Ordering::Relaxed)),
                        Err(why) => drop(failed.lock().unwrap().get_or_insert((seed, why))),
                    }
                }
            });
        }
    });
    if let Some((seed, why)) = failed.into_inner().unwrap() {
        // A mutant is caught by the first seed that fails; nobody reads its story.
        assert!(std::env::var_os("WAKEFUL_MUTANTS_RUN").is_none(), "seed {seed}: {why}");
        let short = shorten(Story::drawn(seed));
        let again = play(&short, true);
        let why = again.result.err().unwrap_or(why);
        panic!("seed {seed}: {why}\nshortest story: {short:#?}\ntrace:\n{}", again.trace.join("\n"));
    }
    let (events, took) = (events.into_inner(), begin.elapsed().as_secs_f64().max(0.001));
    let played = played.into_inner();
    println!(
        "FIGURE sim seeds={played} events={events} seconds={took:.1} seeds_a_second={:.1} events_a_second={:.0} \
         longest_to_agreement_ms={} asked_for={seeds}",
        played as f64 / took,
        events as f64 / took,
        longest.into_inner()
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 7..12 {
        let story = Story::drawn(seed);
        let (one, two) = (play(&story, true), play(&story, true));
        assert!(one.trace.len() > 20, "{:?}", one.trace);
        let differs = one.trace.iter().zip(&two.trace).position(|(one, two)| one != two);
        assert_eq!(differs.map(|at| (&one.trace[at], &two.trace[at])), None, "seed {seed}");
    }
}

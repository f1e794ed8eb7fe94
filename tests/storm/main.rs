//! 100,000 clients after a server's outage: the real supervisor of each, in simulated time. How many connect in the
//! worst second, how many connects are wasted, and when all are back, counted from the moment at which the server is
//! back; beside no jitter and a fixed cap of 60 s.
//!
//! `WAKEFUL_STORM_CLIENTS` and `WAKEFUL_STORM_OUTAGE` (seconds) choose another size; `tests/long/storm` runs the large ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

mod crowd;

use crowd::{Ending, Outcome, Policy, Story};
use std::time::Duration;

fn story(clients: usize, outage: u64, ending: Ending) -> Story {
    Story { clients, outage: Duration::from_secs(outage), ending, policy: Policy::Ours, capacity: None }
}

fn show(name: &str, outcome: &Outcome) {
    println!(
        "{name}: peak {} connects/s ({:.2} of uniform), {} wasted, all back after {:.1} s",
        outcome.peak,
        outcome.of_uniform,
        outcome.wasted,
        outcome.all_back.as_secs_f64()
    );
}

#[test]
fn after_five_seconds_the_worst_second_is_at_most_twice_uniform() {
    let outcome = story(100_000, 5, Ending::Broken).play();
    show("5 s, broken", &outcome);
    assert!(outcome.of_uniform <= 2.0, "{outcome:?}");
    assert!(outcome.all_back < Duration::from_secs(11), "{outcome:?}");
}

#[test]
fn an_announced_restart_is_spread_over_ten_seconds() {
    let outcome = story(100_000, 0, Ending::Announced).play();
    show("announced, up at once", &outcome);
    assert!(outcome.of_uniform <= 2.0 && outcome.all_back <= Duration::from_millis(10_100), "{outcome:?}");
}

#[test]
fn after_ten_minutes_the_worst_second_is_at_most_twice_uniform() {
    let outcome = story(20_000, 600, Ending::Broken).play();
    show("10 min, broken", &outcome);
    assert!(outcome.of_uniform <= 2.0, "{outcome:?}");
    assert!(outcome.all_back <= Duration::from_secs(61), "{outcome:?}");
}

#[test]
fn against_a_server_of_limited_speed_there_is_no_storm_and_a_young_outages_cap_ends_sooner_than_a_fixed_one() {
    let with = |policy| Story { policy, capacity: Some(2500), ..story(10_000, 20, Ending::Broken) }.play();
    let (ours, no_jitter, fixed) = (with(Policy::Ours), with(Policy::NoJitter), with(Policy::FixedCap));
    show("10,000 clients, 20 s, server takes 2,500/s: ours", &ours);
    show("no jitter", &no_jitter);
    show("cap fixed at 60 s", &fixed);
    assert!(no_jitter.peak > 3 * ours.peak, "the storm must show when the jitter is off");
    assert!(ours.all_back < fixed.all_back);
}

#[test]
#[ignore = "minutes; tests/long/storm runs it"]
fn the_size_that_the_environment_asks_for() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let clients = usize::try_from(number("WAKEFUL_STORM_CLIENTS", 100_000)).unwrap();
    let outage = number("WAKEFUL_STORM_OUTAGE", 3600);
    for policy in [Policy::Ours, Policy::NoJitter, Policy::FixedCap] {
        let outcome = Story { policy, ..story(clients, outage, Ending::Broken) }.play();
        show(&format!("{clients} clients, {outage} s, {policy:?}"), &outcome);
    }
}

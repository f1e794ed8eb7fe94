//! SIGKILL at any moment, of either daemon or of the hub, while both people write: every acknowledged message stands
//! once on both sides, in the order in which it was written.

use crate::load::Load;
use crate::support::{Daemon, Home, Pair, number};
use std::time::Duration;

#[test]
fn kills_at_random_moments_lose_nothing_and_double_nothing_in_both_directions() {
    let (kills, seed) = (number("WAKEFUL_KILLS", 200), number("WAKEFUL_SEED", 1));
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut pair = Pair::new();
    let mut daemons: [Option<Daemon>; 2] = [Some(pair.alice.daemon()), Some(pair.bob.daemon())];
    let load = Load::begin(&pair, seed);
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(dice.u64(5..250)));
        match dice.usize(..5) {
            4 => {
                pair.hub.kill9();
                pair.hub.up();
            }
            n => {
                daemons[n % 2].take().unwrap().kill9();
                daemons[n % 2] = Some(homes(&pair)[n % 2].daemon());
            }
        }
    }
    let sums = load.end(&pair);
    eprintln!("kills={kills} {sums}");
    drop(daemons);
    sums.demand(pair, seed);
}

fn homes(pair: &Pair) -> [&Home; 2] {
    [&pair.alice, &pair.bob]
}

/// Every moment around a commit that has a name (`wakeful::failpoint`).
const MOMENTS: [&str; 7] =
    ["commit-begun", "commit-due", "commit-done", "commit-announced", "commit-answered", "batch-landed", "handed-out"];

#[test]
#[expect(clippy::needless_range_loop, reason = "the third of them is the hub")]
fn a_process_that_dies_at_any_named_moment_around_a_commit_loses_and_doubles_nothing() {
    let seed = number("WAKEFUL_SEED", 1);
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut pair = Pair::new();
    let mut daemons: [Option<Daemon>; 2] = [Some(pair.alice.daemon()), Some(pair.bob.daemon())];
    let load = Load::begin(&pair, seed);
    let mut deaths = 0;
    for moment in MOMENTS {
        for who in 0..3 {
            let plan = format!("{moment}:{}", dice.u64(1..12));
            if who < 2 {
                drop(daemons[who].take());
                // It may die before it says that it is ready.
                let mut dying = homes(&pair)[who].start(|command| {
                    command.env("WAKEFUL_FAILPOINT", &plan);
                });
                assert!(!dying.wait(crate::support::PATIENCE).success(), "{plan}");
                daemons[who] = Some(homes(&pair)[who].daemon());
            } else if moment.starts_with("commit") {
                pair.hub.up_with(|command| {
                    command.env("WAKEFUL_FAILPOINT", &plan);
                });
                assert!(!pair.hub.process().wait(crate::support::PATIENCE).success(), "{plan}");
                pair.hub.up();
            } else {
                continue;
            }
            deaths += 1;
        }
    }
    let sums = load.end(&pair);
    eprintln!("deaths={deaths} {sums}");
    drop(daemons);
    sums.demand(pair, seed);
}

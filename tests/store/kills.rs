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

const HUB: usize = 2;

/// Who dies at which moment, and for how many milliseconds it stands there before: as it comes, and as on a slow disk,
/// where whatever was said too early is out and believed.
fn deaths() -> impl Iterator<Item = (&'static str, usize, u64)> {
    let everybody = MOMENTS.into_iter().flat_map(|moment| [0, 1, HUB].map(|who| (moment, who)));
    let able = everybody.filter(|(moment, who)| *who != HUB || moment.starts_with("commit"));
    able.flat_map(|(moment, who)| [0, 50].map(|stay| (moment, who, stay)))
}

#[test]
fn a_process_that_dies_at_any_named_moment_around_a_commit_loses_and_doubles_nothing() {
    let (rounds, seed) = (number("WAKEFUL_ROUNDS", 3), number("WAKEFUL_SEED", 1));
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut pair = Pair::new();
    let mut daemons: [Option<Daemon>; 2] = [Some(pair.alice.daemon()), Some(pair.bob.daemon())];
    let load = Load::begin(&pair, seed);
    let mut died = 0;
    for (moment, who, stay) in (0..rounds).flat_map(|_| deaths()) {
        let plan = format!("{moment}:{}:{stay}", dice.u64(1..40));
        if who == HUB {
            pair.hub.up_with(|command| {
                command.env("WAKEFUL_FAILPOINT", &plan);
            });
            assert!(!pair.hub.process().wait(crate::support::PATIENCE).success(), "{plan}");
            pair.hub.up();
        } else {
            drop(daemons[who].take());
            // It may die before it says that it is ready.
            let mut dying = homes(&pair)[who].start(|command| {
                command.env("WAKEFUL_FAILPOINT", &plan);
            });
            assert!(!dying.wait(crate::support::PATIENCE).success(), "{plan}");
            daemons[who] = Some(homes(&pair)[who].daemon());
        }
        died += 1;
    }
    let sums = load.end(&pair);
    eprintln!("deaths={died} {sums}");
    drop(daemons);
    sums.demand(pair, seed);
}

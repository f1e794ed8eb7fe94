//! Two people who write to one another without pause, whatever happens to their daemons and the hub; and what has become
//! of every message that was acknowledged to them.

use crate::support::{Home, PATIENCE, Pair, Writer, eventually, texts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Writes to `peer` until told to stop; gives the texts in their order.
fn write(socket: PathBuf, peer: &'static str, seed: u64, stop: Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let rest = move || Duration::from_micros(dice.u64(..20_000));
    Writer { socket, account: "home", peer, stop }.start(move |n| format!("to {peer}: {n}"), rest)
}

/// Waits until every text is there, or in vain, then counts: (lost, doubled, out of order). What came live stands beside
/// a hole until that is filled, so that the newest alone says little. Of what was said before a first login only the
/// newest page comes by itself; the rest is a hole until somebody reads on, as here.
fn judge(home: &Home, written: &[String]) -> (usize, usize, usize) {
    let places: BTreeMap<&str, usize> =
        written.iter().enumerate().map(|(place, text)| (text.as_str(), place)).collect();
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let history = home.run(&["history", "--account", "home", "--fetch", "--json"]).json_lines();
        let order: Vec<usize> = texts(&history).iter().filter_map(|text| places.get(text).copied()).collect();
        let seen: BTreeSet<usize> = order.iter().copied().collect();
        let lost = written.len() - seen.len();
        if lost == 0 || std::time::Instant::now() > end {
            for missing in (0..written.len()).filter(|place| !seen.contains(place)) {
                eprintln!("missing in {}: {}", home.path().display(), written[missing]);
            }
            let disordered = order.windows(2).filter(|pair| pair[1] < pair[0]).count();
            return (lost, order.len() - seen.len(), disordered);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What became of the acknowledged messages, on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub acknowledged: usize,
    pub lost: usize,
    pub doubled: usize,
    pub disordered: usize,
}

impl Sums {
    /// Fails the test unless all is well, and then leaves everything where it is for whoever looks into it.
    pub fn demand(self, pair: Pair, seed: u64) {
        let right = Self { acknowledged: self.acknowledged, ..Self::default() };
        if self != right {
            eprintln!(
                "kept: {} {} {}",
                pair.alice.keep().display(),
                pair.bob.keep().display(),
                pair.hub.keep().display()
            );
        }
        assert_eq!(self, right, "seed {seed}");
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { acknowledged, lost, doubled, disordered } = self;
        write!(f, "acknowledged={acknowledged} lost={lost} doubled={doubled} disordered={disordered}")
    }
}

/// Both write until [`Load::end`].
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: [JoinHandle<Vec<String>>; 2],
}

impl Load {
    pub fn begin(pair: &Pair, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writers = [
            write(pair.alice.socket(), "bob", seed, Arc::clone(&stop)),
            write(pair.bob.socket(), "alice", seed + 1, Arc::clone(&stop)),
        ];
        Self { stop, writers }
    }

    /// Lets both finish, waits until everything has arrived and is called sent, and counts. All must run by now.
    pub fn end(self, pair: &Pair) -> Sums {
        self.stop.store(true, Ordering::Relaxed);
        let [by_alice, by_bob] = self.writers.map(|writer| writer.join().unwrap());
        let mut sums = Sums { acknowledged: by_alice.len() + by_bob.len(), ..Sums::default() };
        for (home, written) in
            [(&pair.bob, &by_alice), (&pair.alice, &by_bob), (&pair.alice, &by_alice), (&pair.bob, &by_bob)]
        {
            let (lost, doubled, disordered) = judge(home, written);
            sums.lost += lost;
            sums.doubled += doubled;
            sums.disordered += disordered;
        }
        eventually("everything is called sent", || {
            let open = |home: &Home| {
                let waits = |m: &serde_json::Value| m["state"] == "pending" || m["state"] == "in_flight";
                home.history("home").iter().any(|m| m["outgoing"] == true && waits(m))
            };
            (!open(&pair.alice) && !open(&pair.bob)).then_some(())
        });
        sums
    }
}

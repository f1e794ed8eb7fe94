//! SIGKILL at any moment, of either daemon or of the hub, while both people write: every acknowledged message stands
//! once on both sides, in the order in which it was written.

use crate::support::{Daemon, Home, Line, Pair, eventually, number, texts};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Writes to `peer` until told to stop. A message whose answer did not come is asked for again with the same id, so that
/// every one is acknowledged in the end. Gives the texts in their order.
fn write(socket: PathBuf, peer: &'static str, seed: u64, stop: Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut written = Vec::new();
        let mut line = None;
        while !stop.load(Ordering::Relaxed) {
            let text = format!("to {peer}: {}", written.len());
            let random: [u8; 10] = std::array::from_fn(|_| dice.u8(..));
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let id = wakeful::model::MessageId::new(now.as_millis() as u64, &random).to_string();
            let params = json!({"account": "home", "conversation": peer, "text": text, "id": id});
            loop {
                if line.is_none() {
                    line = Line::connect(&socket).ok();
                }
                let answer = line.as_mut().and_then(|line| line.ask("send", &params).ok());
                match answer {
                    Some(answer) if answer["result"].is_object() => break,
                    Some(answer) if answer["error"]["data"]["code"] != "closing" => panic!("{answer}"),
                    _ => line = None,
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            written.push(text);
            std::thread::sleep(Duration::from_micros(dice.u64(..20_000)));
        }
        written
    })
}

/// Waits until every text is there, then counts: (lost, doubled, out of order).
fn judge(home: &Home, written: &[String]) -> (usize, usize, usize) {
    let last = written.last().expect("something was written").as_str();
    let history = eventually(last, || Some(home.history("home")).filter(|all| texts(all).contains(&last)));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts(&history) {
        *seen.entry(text).or_default() += 1;
    }
    let lost = written.iter().filter(|text| !seen.contains_key(text.as_str())).count();
    let doubled = seen.values().filter(|count| **count > 1).count();
    let prefix = written[0].split(':').next().unwrap();
    let order: Vec<&str> = texts(&history).into_iter().filter(|text| text.starts_with(prefix)).collect();
    let disordered = order.iter().zip(written).filter(|(seen, written)| *seen != written).count();
    (lost, doubled, disordered)
}

#[test]
fn kills_at_random_moments_lose_nothing_and_double_nothing_in_both_directions() {
    let (kills, seed) = (number("WAKEFUL_KILLS", 25), number("WAKEFUL_SEED", 1));
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut pair = Pair::new();
    let mut daemons: [Option<Daemon>; 2] = [Some(pair.alice.daemon()), Some(pair.bob.daemon())];
    let stop = Arc::new(AtomicBool::new(false));
    let by_alice = write(pair.alice.socket(), "bob", seed, Arc::clone(&stop));
    let by_bob = write(pair.bob.socket(), "alice", seed + 1, Arc::clone(&stop));
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(dice.u64(5..250)));
        match dice.usize(..5) {
            4 => {
                pair.hub.kill9();
                pair.hub.up();
            }
            n => {
                let who = n % 2;
                daemons[who].take().unwrap().kill9();
                daemons[who] = Some(if who == 0 { pair.alice.daemon() } else { pair.bob.daemon() });
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (by_alice, by_bob) = (by_alice.join().unwrap(), by_bob.join().unwrap());

    let mut sum = (0, 0, 0);
    for (home, written) in
        [(&pair.bob, &by_alice), (&pair.alice, &by_bob), (&pair.alice, &by_alice), (&pair.bob, &by_bob)]
    {
        let (lost, doubled, disordered) = judge(home, written);
        sum = (sum.0 + lost, sum.1 + doubled, sum.2 + disordered);
    }
    eventually("everything is called sent", || {
        let open = |home: &Home| {
            home.history("home")
                .iter()
                .any(|m| m["outgoing"] == true && (m["state"] == "pending" || m["state"] == "in_flight"))
        };
        (!open(&pair.alice) && !open(&pair.bob)).then_some(())
    });
    let acknowledged = by_alice.len() + by_bob.len();
    println_result(kills, acknowledged, sum);
    assert_eq!(sum, (0, 0, 0), "lost, doubled, out of order, of {acknowledged} acknowledged, seed {seed}");
}

/// One line that `tests/long/kills` adds up.
fn println_result(kills: u64, acknowledged: usize, (lost, doubled, disordered): (usize, usize, usize)) {
    eprintln!("kills={kills} acknowledged={acknowledged} lost={lost} doubled={doubled} disordered={disordered}");
}

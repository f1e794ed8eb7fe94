//! Watches what `status` says, all the time, beside what is true: `online` is untrue while the harness has broken the
//! way to the server, and while nothing was proven for longer than a probe and its deadline may take.

use crate::scene::{SLACK, notice_limit, probe, probe_timeout};
use crate::support::Line;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Seen {
    broken: bool,
    /// The last thing that was said, after how many answers.
    online: bool,
    answers: u64,
    /// Since when what it says is untrue.
    untrue_since: Option<Instant>,
    longest: Duration,
    worst: String,
}

/// One account's status beside the truth.
pub(crate) struct Truth {
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Truth {
    pub(crate) fn follow(socket: &Path, account: &'static str) -> Self {
        let seen: Arc<(Mutex<Seen>, Condvar)> = Arc::default();
        let (told, socket) = (Arc::clone(&seen), socket.to_owned());
        std::thread::spawn(move || {
            // The daemon's end ends it, too.
            let _ended = watch(&socket, account, &told);
        });
        Self { seen }
    }

    /// The way to the server is broken, or good again.
    pub(crate) fn broken(&self, broken: bool) {
        self.seen.0.lock().unwrap().broken = broken;
    }

    /// How long from now until it says something other than `online`.
    pub(crate) fn noticed(&self, patience: Duration) -> Duration {
        let begin = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        let answers = seen.answers;
        while seen.online || seen.answers <= answers {
            assert!(begin.elapsed() < patience, "the dead link was never noticed: {}", seen.worst);
            seen = self.seen.1.wait_timeout(seen, Duration::from_millis(200)).unwrap().0;
        }
        begin.elapsed()
    }

    /// It never said anything untrue for longer than an interval and a deadline.
    pub(crate) fn held(&self) {
        let seen = self.seen.0.lock().unwrap();
        assert!(seen.answers > 0, "nobody asked for the status");
        assert!(seen.longest <= notice_limit(), "untrue for {:?}: {}", seen.longest, seen.worst);
        println!("FIGURE truth answers={} longest_untrue_ms={}", seen.answers, seen.longest.as_millis());
    }
}

fn watch(socket: &Path, account: &str, told: &(Mutex<Seen>, Condvar)) -> std::io::Result<()> {
    let mut line = Line::connect(socket)?;
    line.ask("hello", &serde_json::json!({"client": "truth"}))?;
    loop {
        let answer = line.ask("status", &serde_json::json!({}))?;
        let accounts = answer["result"]["accounts"].as_array().cloned().unwrap_or_default();
        let Some(status) = accounts.iter().find(|one| one["name"] == account) else { continue };
        let online = status["state"] == "online";
        let age = Duration::from_millis(status["last_round_trip_ms_ago"].as_u64().unwrap_or(u64::MAX / 2));
        let now = Instant::now();
        let mut seen = told.0.lock().unwrap();
        seen.answers += 1;
        seen.online = online;
        if online && (seen.broken || age > probe() * 2 + probe_timeout() + SLACK) {
            let since = *seen.untrue_since.get_or_insert(now);
            if now - since >= seen.longest {
                seen.longest = now - since;
                seen.worst = status.to_string();
            }
        } else {
            seen.untrue_since = None;
        }
        drop(seen);
        told.1.notify_all();
        std::thread::sleep(Duration::from_millis(50));
    }
}

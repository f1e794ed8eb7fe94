//! What the world offers and machines may not read: clocks and randomness. The only place that reads either;
//! everything else is handed a [`Clock`] or an [`Entropy`], so that a simulation can stand in for both.
#![expect(clippy::disallowed_methods, reason = "this is the one place")]

use crate::model::{MessageId, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic and a wall clock that belong together.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    /// Wall time follows tokio's (paused) clock from a start, plus an offset that a test can jump.
    Simulated {
        start: Instant,
        wall: i64,
        jump: Arc<AtomicI64>,
        slept: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's own clocks.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A wall clock that starts at `wall` and follows tokio's clock, which tests can pause.
    #[must_use]
    pub fn simulated(wall: Timestamp) -> Self {
        Self(Kind::Simulated { start: now(), wall: wall.ms(), jump: Arc::default(), slept: Arc::default() })
    }

    /// Monotonic time. It stands still while Linux sleeps; under a paused tokio clock it follows that clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        now()
    }

    /// Wall-clock time.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Kind::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(millis(since))
            }
            Kind::Simulated { start, wall, jump, .. } => {
                let run = millis(now().saturating_duration_since(*start));
                Timestamp(wall.saturating_add(run).saturating_add(jump.load(Ordering::Relaxed)))
            }
        }
    }

    /// Makes a simulated wall clock jump, as a user or NTP does. The system's clock is left alone.
    pub fn jump(&self, by_ms: i64) {
        if let Kind::Simulated { jump, .. } = &self.0 {
            jump.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// How long the machine has slept since some fixed point: the time by which the clock that goes on in sleep is
    /// ahead of the one that stands still. Only differences mean something.
    #[must_use]
    pub fn slept(&self) -> Duration {
        match &self.0 {
            Kind::System => system_slept(),
            Kind::Simulated { slept, .. } => {
                Duration::from_millis(u64::try_from(slept.load(Ordering::Relaxed)).unwrap_or_default())
            }
        }
    }

    /// Makes a simulated machine sleep: wall time goes on, monotonic time does not. Nothing is told; that is for
    /// whoever watches [`slept`](Self::slept).
    pub fn sleep(&self, by: Duration) {
        if let Kind::Simulated { jump, slept, .. } = &self.0 {
            jump.fetch_add(millis(by), Ordering::Relaxed);
            slept.fetch_add(millis(by), Ordering::Relaxed);
        }
    }
}

/// Linux: boot-time minus monotonic. macOS: there `CLOCK_MONOTONIC` is the one that goes on in sleep, and
/// `CLOCK_UPTIME_RAW`, which `Instant` reads, stands still; both begin at boot.
fn system_slept() -> Duration {
    #[cfg(target_os = "linux")]
    let (awake, always) = (rustix::time::ClockId::Monotonic, rustix::time::ClockId::Boottime);
    #[cfg(target_os = "linux")]
    let read = |clock| Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default();
    #[cfg(target_os = "linux")]
    return read(always).saturating_sub(read(awake));
    #[cfg(not(target_os = "linux"))]
    return mac::slept();
}

/// `Instant` is opaque, so the gap is counted from the first time it is asked for.
#[cfg(not(target_os = "linux"))]
mod mac {
    use rustix::time::{ClockId, clock_gettime};
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    static START: OnceLock<(Duration, Instant)> = OnceLock::new();

    pub(super) fn slept() -> Duration {
        let always = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
        let (always_then, awake_then) = START.get_or_init(|| (always, Instant::now()));
        always.saturating_sub(*always_then).saturating_sub(awake_then.elapsed())
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Randomness: the system's, or a seeded sequence that a simulation can repeat. Clones of a seeded one share it.
#[derive(Clone, Debug)]
pub struct Entropy(Option<Arc<Mutex<fastrand::Rng>>>);

impl Entropy {
    /// The operating system's generator; fit for tokens and keys.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// The same sequence for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)))))
    }

    /// Fills `bytes`.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; nothing safe can be done then.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            #[expect(clippy::panic, reason = "without randomness no id and no token can be made")]
            None => getrandom::fill(bytes).unwrap_or_else(|error| panic!("no randomness: {error}")),
            Some(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes),
        }
    }

    /// A seed for a machine's own generator.
    #[must_use]
    pub fn seed(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A new message id at this wall-clock time.
    #[must_use]
    pub fn message_id(&self, at: Timestamp) -> MessageId {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        MessageId::new(u64::try_from(at.ms()).unwrap_or_default(), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clocks_of_sleep_never_run_backwards_by_more_than_their_reading() {
        let clock = Clock::system();
        let (first, second) = (clock.slept(), clock.slept());
        assert!(second + Duration::from_millis(50) > first && first + Duration::from_millis(50) > second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_sleep_moves_wall_time_alone() {
        let clock = Clock::simulated(Timestamp(1_000));
        let (before, wall) = (clock.now(), clock.wall());
        clock.sleep(Duration::from_secs(60));
        assert_eq!(clock.now(), before);
        assert_eq!(clock.wall().ms() - wall.ms(), 60_000);
        assert_eq!(clock.slept(), Duration::from_secs(60));
    }
}

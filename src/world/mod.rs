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
        Self(Kind::Simulated { start: now(), wall: wall.ms(), jump: Arc::default() })
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
            Kind::Simulated { start, wall, jump } => {
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

//! How long to wait before the next dial: jitter over the window, under a cap that follows the length of the outage.
//! It never looks at wake-ups: only proven health ends an outage.
//!
//! The window grows by half with each failure and a tenth of it is never cut: with doubling and nothing kept back the
//! worst second after an outage of 5 s or of an hour saw 2.1 times the uniform rate of connects (`tests/storm`).

use super::super::Settings;
use std::time::{Duration, Instant};

/// By how much the window grows with a failure.
const GROWTH: f64 = 1.5;
/// The part of the window that is always waited.
const KEPT: f64 = 0.1;

/// Failures since the last proven health, and when the outage began.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    outage_since: Option<Instant>,
    rng: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { failures: 0, outage_since: None, rng: fastrand::Rng::with_seed(seed) }
    }

    /// A dial failed or a connection was lost.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.outage_since.get_or_insert(now);
    }

    /// Health was proven for long enough.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
        self.outage_since = None;
    }

    /// Nothing to reset.
    pub(super) fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// The window from which the next delay is drawn.
    pub(super) fn window(&self, now: Instant, battery: bool, settings: &Settings) -> Duration {
        let steps = i32::try_from(self.failures.saturating_sub(1).min(40)).unwrap_or(40);
        let grown = settings.backoff_first.as_secs_f64() * GROWTH.powi(steps);
        let cap = if crate::mutant("backoff-uncapped") { 1e5 } else { self.cap(now, battery, settings).as_secs_f64() };
        Duration::from_secs_f64(grown.min(cap))
    }

    fn cap(&self, now: Instant, battery: bool, settings: &Settings) -> Duration {
        let outage = self.outage_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let growth = outage.as_secs_f64() / settings.backoff_early.as_secs_f64().max(0.001);
        let highest = if battery { settings.backoff_cap_battery } else { settings.backoff_cap };
        settings.backoff_cap_early.mul_f64(growth.clamp(1.0, 1e6)).min(highest.max(settings.backoff_cap_early))
    }

    /// A delay within `window`.
    pub(super) fn jitter(&mut self, window: Duration) -> Duration {
        if crate::mutant("backoff-no-jitter") {
            return window;
        }
        window.mul_f64(KEPT + (1.0 - KEPT) * self.rng.f64())
    }
}

/// A token bucket: signals may advance a dial only so often.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    refilled: Option<Instant>,
}

impl Budget {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { left: settings.quick_dials, refilled: None }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant, settings: &Settings) -> bool {
        if crate::mutant("dial-unbounded") {
            return true;
        }
        let since = *self.refilled.get_or_insert(now);
        let step = settings.quick_refill.max(Duration::from_millis(1));
        let earned = now.saturating_duration_since(since).as_nanos() / step.as_nanos();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(settings.quick_dials);
            self.refilled = Some(now);
        }
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Budget, Settings};
    use std::time::Duration;

    fn base() -> std::time::Instant {
        crate::world::Clock::system().now()
    }

    #[test]
    fn the_window_grows_by_half_to_ten_seconds_and_then_with_the_outage_to_its_cap() {
        let (settings, now) = (Settings::default(), base());
        let mut backoff = Backoff::new(1);
        let mut windows = Vec::new();
        for _ in 0..9 {
            backoff.failed(now);
            windows.push(backoff.window(now, false, &settings).as_millis());
        }
        assert_eq!(windows, [500, 750, 1125, 1687, 2531, 3796, 5695, 8542, 10_000]);
        (0..6).for_each(|_| backoff.failed(now));
        let later = |s| backoff.window(now + Duration::from_secs(s), false, &settings).as_secs();
        assert_eq!((later(120), later(360), later(720), later(7200)), (10, 30, 60, 60));
        assert_eq!(backoff.window(now + Duration::from_secs(7200), true, &settings).as_secs(), 120);
    }

    #[test]
    fn delays_are_spread_over_the_whole_window() {
        let mut backoff = Backoff::new(7);
        let mut fifths = [0_u32; 5];
        for _ in 0..1000 {
            let delay = backoff.jitter(Duration::from_secs(10)).as_secs_f64();
            fifths[((delay / 2.0) as usize).min(4)] += 1;
        }
        assert!(fifths.iter().all(|n| *n > 100), "{fifths:?}");
    }

    #[test]
    fn the_budget_of_quick_dials_runs_out_and_refills_slowly() {
        let (settings, now) = (Settings::default(), base());
        let mut budget = Budget::new(&settings);
        let taken = (0..20).filter(|_| budget.take(now, &settings)).count();
        assert_eq!(taken, 6);
        assert!(!budget.take(now + Duration::from_secs(9), &settings));
        assert!(budget.take(now + Duration::from_secs(20), &settings));
    }
}

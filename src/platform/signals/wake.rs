//! Sleep, noticed by the gap between the clock that goes on and the one that stands still, and by what logind says.
//!
//! Every source that has a reason to think that time was lost nudges; one wake-up is told once.

use crate::model::Signal;
use crate::world::Clock;
use std::time::{Duration, Instant};

/// A smaller gap is the inaccuracy of reading two clocks one after the other.
const GAP: Duration = Duration::from_secs(1);

/// Why the clocks are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nudge {
    /// Something happened that also happens after sleep.
    Look,
    /// The machine is about to sleep.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only logind says so"))]
    Asleep,
    /// The machine says that it woke up.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only logind says so"))]
    Awake,
}

/// What was known at the last comparison.
pub(super) struct Wake {
    clock: Clock,
    slept: Duration,
    /// Since when sleep is announced, until its end was told.
    announced: Option<Instant>,
}

impl Wake {
    pub(super) fn new(clock: Clock) -> Self {
        let slept = clock.slept();
        Self { clock, slept, announced: None }
    }

    /// Compares, and returns what is to be told.
    pub(super) fn nudged(&mut self, nudge: Nudge) -> Option<Signal> {
        let slept = self.clock.slept();
        let gap = slept.saturating_sub(self.slept);
        self.slept = slept;
        match nudge {
            Nudge::Asleep => {
                self.announced = Some(self.clock.now());
                Some(Signal::Sleeping)
            }
            // Announced sleep ends even if the clocks saw none: refused, or faked.
            Nudge::Awake => {
                let waited = self.announced.take().map(|since| self.clock.now().saturating_duration_since(since));
                waited.or((gap >= GAP).then_some(Duration::ZERO)).map(|waited| Signal::Woke { slept: gap + waited })
            }
            Nudge::Look if gap >= GAP && !crate::mutant("gap-off") => {
                let waited = self.announced.take().map(|since| self.clock.now().saturating_duration_since(since));
                Some(Signal::Woke { slept: gap + waited.unwrap_or_default() })
            }
            Nudge::Look => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    const HOUR: Duration = Duration::from_secs(3600);

    fn woke(signal: Option<Signal>) -> Option<u64> {
        match signal {
            Some(Signal::Woke { slept }) => Some(slept.as_secs()),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_that_nobody_announced_is_found_by_the_clocks_and_told_once() {
        let clock = Clock::simulated(Timestamp(0));
        let mut wake = Wake::new(clock.clone());
        assert_eq!(wake.nudged(Nudge::Look), None);
        clock.sleep(HOUR);
        assert_eq!(woke(wake.nudged(Nudge::Look)), Some(3600));
        assert_eq!(wake.nudged(Nudge::Look), None);
        assert_eq!(wake.nudged(Nudge::Awake), None, "logind comes late and says nothing new");
    }

    #[tokio::test(start_paused = true)]
    async fn announced_sleep_is_told_and_its_end_once_by_whoever_is_first() {
        let clock = Clock::simulated(Timestamp(0));
        let mut wake = Wake::new(clock.clone());
        assert_eq!(wake.nudged(Nudge::Asleep), Some(Signal::Sleeping));
        clock.sleep(HOUR);
        assert_eq!(woke(wake.nudged(Nudge::Awake)), Some(3600));
        assert_eq!(wake.nudged(Nudge::Look), None);
    }

    #[tokio::test(start_paused = true)]
    async fn announced_sleep_that_did_not_come_ends_all_the_same() {
        let clock = Clock::simulated(Timestamp(0));
        let mut wake = Wake::new(clock);
        wake.nudged(Nudge::Asleep);
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(wake.nudged(Nudge::Look), None);
        assert_eq!(woke(wake.nudged(Nudge::Awake)), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_the_wall_clock_is_not_sleep() {
        let clock = Clock::simulated(Timestamp(0));
        let mut wake = Wake::new(clock.clone());
        clock.jump(86_400_000);
        assert_eq!(wake.nudged(Nudge::Look), None);
    }
}

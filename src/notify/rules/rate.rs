//! How many banners may come within a window.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts banners over a sliding window.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<Instant>);

impl Rate {
    /// How many may be shown at `now`.
    pub(super) fn available(&mut self, now: Instant, limit: usize, window: Duration) -> usize {
        while self.0.front().is_some_and(|at| now.saturating_duration_since(*at) >= window) {
            self.0.pop_front();
        }
        if crate::mutant("banner-flood") {
            return usize::MAX;
        }
        limit.saturating_sub(self.0.len())
    }

    /// One is being shown.
    pub(super) fn spend(&mut self, now: Instant) {
        self.0.push_back(now);
    }

    /// It was not shown after all.
    pub(super) fn refund(&mut self) {
        self.0.pop_back();
    }

    /// When the next may be shown, once none is available.
    pub(super) fn next(&self, window: Duration) -> Option<Instant> {
        self.0.front().and_then(|at| at.checked_add(window))
    }
}

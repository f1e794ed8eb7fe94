//! The health of one connection: the age of its last proven round trip, and the probe that is on its way.
//! Received bytes may delay the next probe; only the answer to the outstanding one clears it.

use super::super::Settings;
use std::time::{Duration, Instant};

/// What is known of one connection's life.
#[derive(Debug)]
pub(super) struct Health {
    /// Logged in: the first proven round trip.
    ready_at: Instant,
    proven_at: Instant,
    heard_at: Instant,
    outstanding: Option<Outstanding>,
    rtt: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    number: u64,
    sent_at: Instant,
    /// From here on an answer can be expected.
    waiting_since: Instant,
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        Self { ready_at: now, proven_at: now, heard_at: now, outstanding: None, rtt: None }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        if crate::mutant("probe-bytes-clear") {
            self.outstanding = None;
        }
    }

    /// The answer to `number` came; `true` if that was the outstanding probe.
    pub(super) fn proven(&mut self, now: Instant, number: u64) -> bool {
        let Some(probe) = self.outstanding.filter(|probe| probe.number == number || crate::mutant("proof-any-answer"))
        else {
            return false;
        };
        self.rtt = Some(now.saturating_duration_since(probe.sent_at));
        self.outstanding = None;
        self.proven_at = now;
        self.heard_at = now;
        true
    }

    /// For how long round trips have been proven on this connection.
    pub(super) fn proven_for(&self) -> Duration {
        self.proven_at.saturating_duration_since(self.ready_at)
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    pub(super) fn proven_at(&self) -> Instant {
        self.proven_at
    }

    pub(super) fn is_probing(&self) -> bool {
        self.outstanding.is_some()
    }

    /// A probe was sent.
    pub(super) fn sent(&mut self, now: Instant, number: u64) {
        self.outstanding = Some(Outstanding { number, sent_at: now, waiting_since: now });
    }

    /// Nothing was read for a while: an answer may stand behind everything else that waits.
    pub(super) fn excuse(&mut self, now: Instant) {
        if let Some(probe) = &mut self.outstanding {
            probe.waiting_since = now;
        }
    }

    /// When an unanswered probe means death.
    pub(super) fn dead_at(&self, settings: &Settings) -> Option<Instant> {
        self.outstanding.map(|probe| probe.waiting_since + settings.probe_timeout)
    }

    /// When to probe next; `None` while one is on its way. Until health is proven, `interval` is shortened so that
    /// the proof comes in time, and what was heard does not delay it.
    pub(super) fn probe_at(&self, interval: Duration, unproven: bool, settings: &Settings) -> Option<Instant> {
        if self.outstanding.is_some() {
            return None;
        }
        if unproven {
            return Some(self.proven_at + interval.min(settings.healthy_after));
        }
        Some((self.heard_at + interval).min(self.proven_at + interval * 2))
    }
}

//! What the link says about itself, kept in the watch channel that all links share.

use super::super::supervisor::View;
use crate::model::{AccountId, AccountState, AccountStatus, Statuses, Timestamp};
use std::time::Instant;
use tokio::sync::watch;

pub(super) struct Board {
    account: AccountId,
    statuses: watch::Sender<Statuses>,
    shown: AccountStatus,
    view: Option<View>,
    wakeups: u64,
}

/// Counters that do not come from the supervisor.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) bytes: u64,
    pub(super) wakeups: u64,
    pub(super) connects: u64,
    pub(super) refused: u64,
    pub(super) caught_up: bool,
}

impl Board {
    pub(super) fn new(
        account: AccountId,
        name: String,
        protocol: String,
        at: Timestamp,
        statuses: watch::Sender<Statuses>,
    ) -> Self {
        let shown = AccountStatus { name, protocol, since: Some(at), ..AccountStatus::default() };
        Self { account, statuses, shown, view: None, wakeups: 0 }
    }

    /// Keeps what is so now. Bytes and wake-ups alone wake nobody.
    pub(super) fn publish(&mut self, view: View, counters: Counters, now: Instant, wall: Timestamp) {
        let shown = &mut self.shown;
        let same = self.view.as_ref() == Some(&view)
            && (counters.connects, counters.refused, counters.caught_up)
                == (shown.connects, shown.refused, shown.caught_up);
        shown.bytes_hour.add(wall, counters.bytes - shown.bytes);
        shown.wakeups_hour.add(wall, counters.wakeups - self.wakeups);
        shown.reconnects_day.add(wall, counters.connects.saturating_sub(shown.connects.max(1)));
        self.wakeups = counters.wakeups;
        let to_wall = |at: Instant| Timestamp(wall.ms() + signed_ms(at, now));
        if !same {
            if view.state != self.shown.state {
                self.shown.since = Some(wall);
            }
            self.shown.state = view.state;
            self.shown.attempts = view.attempts;
            self.shown.next_try_at = view.next_try.map(to_wall);
            self.shown.last_error = view.last_error.clone();
            self.shown.last_round_trip_at = view.proven_at.map(to_wall);
            self.shown.rtt_ms = view.rtt.map(|rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX));
        }
        self.shown.bytes = counters.bytes;
        self.shown.connects = counters.connects;
        self.shown.refused = counters.refused;
        self.shown.caught_up = counters.caught_up;
        self.view = Some(view);
        self.write(!same);
    }

    /// The link has ended.
    pub(super) fn end(&mut self, wall: Timestamp) {
        self.shown.state = AccountState::Offline;
        self.shown.since = Some(wall);
        self.shown.next_try_at = None;
        self.shown.caught_up = false;
        self.write(true);
    }

    fn write(&self, announce: bool) {
        self.statuses.send_if_modified(|statuses| {
            statuses.insert(self.account, self.shown.clone());
            announce
        });
    }
}

/// Milliseconds from `now` to `at`, negative in the past.
fn signed_ms(at: Instant, now: Instant) -> i64 {
    let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    ms(at.saturating_duration_since(now)) - ms(now.saturating_duration_since(at))
}

//! How far a client has come in its user's update stream, and how much more it may be sent.

use crate::proto::hub::wire::MAX_EVENTS;

/// Three cursors: acknowledged, sent, and the newest that is known to exist.
#[derive(Debug)]
pub(super) struct Flow {
    window: u64,
    acked: u64,
    sent: u64,
    head: u64,
    fetching: bool,
    /// Where the first and the last batch end that hold messages of others and are not acknowledged yet.
    owed: Option<(u64, u64)>,
}

impl Flow {
    pub(super) fn new(window: u64) -> Self {
        Self { window: window.clamp(16, 4096), acked: 0, sent: 0, head: 0, fetching: false, owed: None }
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// The newest number that is known to exist.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The client goes on from `cur`. Receipts for what came with it are owed until it acknowledges that.
    pub(super) fn start(&mut self, cur: u64) {
        (self.acked, self.sent) = (cur, cur);
        self.owed = Some((cur, cur));
        self.head = self.head.max(cur);
    }

    /// The stream has grown to `head`.
    pub(super) fn learn(&mut self, head: u64) {
        self.head = self.head.max(head);
    }

    /// The client has everything up to `cur`; with `resync` nothing beyond it. `false`: `cur` was never sent.
    pub(super) fn ack(&mut self, cur: u64, resync: bool) -> bool {
        if cur > self.sent {
            return false;
        }
        if resync {
            (self.acked, self.sent) = (cur, cur);
        } else {
            self.acked = self.acked.max(cur);
        }
        true
    }

    /// Messages of others were acknowledged with `cur`, whose senders wait for a receipt. Tells it once.
    pub(super) fn take_owed(&mut self, cur: u64) -> bool {
        let Some((first, last)) = self.owed else { return false };
        if first > cur {
            return false;
        }
        self.owed = (last > cur).then_some((last, last));
        true
    }

    /// From where and how many to fetch now, if there is something to fetch and credit for it. Marks it as under way.
    pub(super) fn want(&mut self) -> Option<(u64, u64)> {
        let open = self.sent - self.acked;
        let credit = if crate::mutant("hub-no-credit") { self.window } else { self.window.saturating_sub(open) };
        if self.fetching || self.head <= self.sent || credit == 0 {
            return None;
        }
        self.fetching = true;
        Some((self.sent, credit.min(MAX_EVENTS as u64)))
    }

    /// A batch came. `false`: it does not fit (a resync came in between) or is empty; it is not sent.
    pub(super) fn fetched(&mut self, after: u64, cur: u64, foreign: bool) -> bool {
        self.fetching = false;
        if after != self.sent || cur <= after {
            if after == self.sent {
                self.head = self.sent;
            }
            return false;
        }
        self.sent = cur;
        if foreign {
            self.owed = Some((self.owed.map_or(cur, |(first, _)| first), cur));
        }
        true
    }
}

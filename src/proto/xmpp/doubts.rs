//! Rows called sent that a lost session puts in doubt: a killed server may have forgotten what it had acknowledged, and
//! even what its archive had shown already.
//!
//! They are unconfirmed until the archive shows them. It never sends anything itself: the outbox offers them again, and
//! what is newer in the same conversation waits for them.

use super::Xmpp;
use super::durable::{Fresh, Unseen};
use super::outbox::address;
use crate::model::{BatchId, Command, Event, MessageId};
use std::sync::Arc;
use std::time::Instant;

/// How long a server may take to get what it has shown onto its disk, milliseconds. Both real ones: some seconds.
const WINDOW: i64 = 180_000;
/// Rows of that time that are remembered.
const MAX_FRESH: usize = 1_024;
/// A row older than this is not doubted, milliseconds: that its archive does not show it may mean that it expired.
const MAX_AGE: i64 = 24 * 3_600_000;
/// Seconds in which the outbox offers a row again once the archive has decided.
const OFFERED: u64 = 3;

/// The time in a row's id (RFC 9562, version 7), Unix milliseconds.
fn written_at(id: MessageId) -> Option<i64> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    i64::try_from(seconds.saturating_mul(1_000)).ok().map(|ms| ms.saturating_add(i64::from(nanos / 1_000_000)))
}

impl Xmpp {
    /// The archive has shown it; a server that is killed now may still forget it.
    pub(super) fn note_fresh(&mut self, row: Unseen) {
        self.age_fresh();
        if self.durable.fresh.len() >= MAX_FRESH {
            self.durable.fresh.pop_first();
        }
        self.durable.fresh.insert(row.outbox, Arc::new(Fresh { row, at: self.wall.ms() }));
    }

    /// The same of a row that was sent before a restart: where the catch-up that shows it began on disk, it was not yet.
    pub(super) fn note_fresh_command(&mut self, command: &Command, archive: &str) {
        let Some(sync) = self.session.syncs.get(archive).filter(|sync| sync.running) else { return };
        let last = || self.committed.archives.get(archive).and_then(|row| row.last.clone());
        let (after, nth) = sync.from.clone().unwrap_or_else(|| (last(), self.durable.next_nth()));
        if let Some(to) = address(command) {
            let (outbox, cid, archive) = (command.outbox, command.cid, archive.to_owned());
            self.note_fresh(Unseen { outbox, cid, to, archive, after, nth, acked: true });
        }
    }

    /// What is older than this is on the server's disk, as long as it was there to write.
    pub(super) fn age_fresh(&mut self) {
        let oldest = self.wall.ms() - WINDOW;
        self.durable.fresh.retain(|_, fresh| fresh.at > oldest);
    }

    /// The other side has it and all that went before: no server can make that undone.
    pub(super) fn certain(&mut self, peer: &str, id: &str) {
        let Ok(cid) = id.parse::<MessageId>() else { return };
        let reached = self.durable.fresh.values().find(|fresh| fresh.row.cid == cid && fresh.row.to == peer);
        let Some(reached) = reached.map(|fresh| fresh.row.outbox) else { return };
        self.durable.fresh.retain(|outbox, fresh| *outbox > reached || fresh.row.to != peer);
    }

    /// The session is lost: every row that was called sent in it is unconfirmed until it is seen in its archive.
    pub(super) fn doubt(&mut self) {
        let lost = self.lost_at.map_or(i64::MIN, |at| at.ms() - WINDOW);
        let oldest = self.wall.ms() - MAX_AGE;
        let young = |row: &Unseen| written_at(row.cid).is_none_or(|at| at > oldest);
        let mut unseen = std::mem::take(&mut self.durable.unseen);
        unseen.retain(|row| !row.acked || young(row));
        let mut rows = Vec::new();
        for fresh in std::mem::take(&mut self.durable.fresh).into_values() {
            let known = unseen.iter().any(|row| row.cid == fresh.row.cid);
            if fresh.at > lost && young(&fresh.row) && !known && !crate::mutant("xmpp-trust-what-was-seen") {
                rows.push(Unseen { acked: true, ..fresh.row.clone() });
            }
        }
        rows.extend(unseen);
        self.durable.unseen = rows;
        self.doubted = self.durable.unseen.iter().filter(|u| u.acked).map(|u| (u.outbox, u.to.clone())).collect();
        self.doubted_until = None;
        self.doubts_uncut = !self.doubted.is_empty();
        let rows: Vec<_> = self.doubted.keys().copied().collect();
        for outbox in rows {
            self.event(Event::Unconfirmed(outbox));
        }
    }

    /// An older row to the same address is in doubt and not on its way again.
    pub(super) fn waits_for_doubted(&self, command: &Command, to: &str) -> bool {
        self.doubted.range(..command.outbox).any(|(_, other)| other == to)
    }

    /// An archive was looked through: what it does not show is offered again in a moment, or never (it is certain).
    pub(super) fn doubts_decided(&mut self) {
        if !self.doubted.is_empty() {
            self.doubted_until = self.in_time(OFFERED);
        }
    }

    /// The outbox knows of them from now on.
    pub(super) fn doubts_landed(&mut self, batch: BatchId) {
        if self.doubts_batch.take_if(|waited| *waited == batch).is_some() && self.doubted_until.is_some() {
            self.doubts_decided();
        }
    }

    pub(super) fn on_doubts_time(&mut self, now: Instant) {
        if self.doubted_until.take_if(|until| *until <= now).is_none() {
            return;
        }
        if self.doubts_uncut || self.doubts_batch.is_some() {
            // A slow disk: the outbox does not know yet that it has to offer them.
            return self.doubts_decided();
        }
        self.doubted.clear();
        self.pump();
    }
}

//! What came and is not on disk yet: one batch being filled, and at most one on its way to the store.
//! A failed batch is tried again as it is, with backoff, until the disk takes it.

use super::super::Settings;
use crate::model::{AccountId, BatchId, Checkpoint, Event, OutboxId, Reason, Seq, Timestamp};
use crate::store::{Batch, Store, StoreError};
use futures_util::future::BoxFuture;
use std::time::{Duration, Instant};

pub(super) struct Intake {
    account: AccountId,
    store: Store,
    filling: Vec<Event>,
    frames: usize,
    bytes: usize,
    pending: Option<Pending>,
    next: u64,
}

/// A batch on its way to the store.
struct Pending {
    id: BatchId,
    batch: Batch,
    work: Work,
    since: Instant,
    failures: u32,
    error: Option<StoreError>,
}

enum Work {
    /// `Cut` was told, the checkpoint is awaited.
    Cutting,
    Writing(BoxFuture<'static, Result<Seq, StoreError>>),
    Paused(Instant),
}

/// What the commit of a batch brought with it.
pub(super) struct Landed {
    pub(super) id: BatchId,
    pub(super) caught_up: bool,
    /// Rows whose fate is on disk now.
    pub(super) settled: Vec<OutboxId>,
}

impl Intake {
    pub(super) fn new(account: AccountId, store: Store) -> Self {
        Self { account, store, filling: Vec::new(), frames: 0, bytes: 0, pending: None, next: 1 }
    }

    pub(super) fn frame(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes;
    }

    pub(super) fn event(&mut self, event: Event) {
        self.filling.push(event);
    }

    /// There is room to read on.
    pub(super) fn has_room(&self, settings: &Settings) -> bool {
        self.frames < settings.batch_frames && self.bytes < settings.batch_bytes
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The batch that is to be cut now, if any. Frames that led to no event are accounted for now and then.
    pub(super) fn cut(&mut self, now: Instant, settings: &Settings) -> Option<BatchId> {
        let due = !self.filling.is_empty() || self.frames >= settings.batch_frames;
        if self.pending.is_some() || !due {
            return None;
        }
        let id = BatchId(self.next);
        self.next += 1;
        (self.frames, self.bytes) = (0, 0);
        let (batch, work) = (Batch::default(), Work::Cutting);
        self.pending = Some(Pending { id, batch, work, since: now, failures: 0, error: None });
        Some(id)
    }

    /// The machine's answer to `Cut`: the write begins.
    pub(super) fn checkpoint(&mut self, id: BatchId, checkpoint: Checkpoint, at: Timestamp) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.id == id) {
            let events = std::mem::take(&mut self.filling);
            pending.batch = Batch { events, checkpoint, at };
            pending.work = Work::Writing(write(&self.store, self.account, pending.batch.clone()));
        }
    }

    /// A machine that gave no checkpoint has none to give.
    pub(super) fn begin_without(&mut self, at: Timestamp) {
        if let Some(Pending { id, work: Work::Cutting, .. }) = self.pending {
            self.checkpoint(id, Checkpoint::default(), at);
        }
    }

    /// The connection is gone: what was not cut is forgotten; the server will send it again.
    pub(super) fn forget(&mut self) {
        self.filling.clear();
        (self.frames, self.bytes) = (0, 0);
    }

    /// Waits for the write under way. Cancel-safe.
    pub(super) async fn written(&mut self) -> Result<Seq, StoreError> {
        match self.pending.as_mut().map(|pending| &mut pending.work) {
            Some(Work::Writing(write)) => write.await,
            Some(Work::Cutting | Work::Paused(_)) | None => std::future::pending().await,
        }
    }

    /// The write ended well.
    pub(super) fn landed(&mut self) -> Option<Landed> {
        let pending = self.pending.take()?;
        let events = &pending.batch.events;
        let caught_up = events.iter().any(|event| matches!(event, Event::CaughtUp));
        let settled = events.iter().filter_map(|event| match event {
            Event::Settled(settled) => Some(settled.outbox),
            _ => None,
        });
        let settled = settled.collect();
        Some(Landed { id: pending.id, caught_up, settled })
    }

    /// The write failed: the batch waits for its next try.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        error: StoreError,
        pause: Duration,
        settings: &Settings,
    ) -> Option<BatchId> {
        let pending = self.pending.as_mut()?;
        let longest = settings.commit_retry.saturating_mul(1 << pending.failures.min(10));
        pending.failures += 1;
        pending.error = Some(error);
        pending.work = Work::Paused(now + longest.min(settings.commit_retry_cap).max(pause));
        Some(pending.id)
    }

    /// Tries the same batch again when its pause is over.
    pub(super) fn retry(&mut self, now: Instant) {
        if let Some(pending) = &mut self.pending
            && matches!(pending.work, Work::Paused(until) if until <= now)
        {
            pending.work = Work::Writing(write(&self.store, self.account, pending.batch.clone()));
        }
    }

    /// Why nothing can be taken from the socket, if so.
    pub(super) fn stall(&self, now: Instant, settings: &Settings) -> Option<Reason> {
        let pending = self.pending.as_ref()?;
        let slow = now >= pending.since + settings.slow_commit;
        if pending.error.is_none() && !slow && self.has_room(settings) {
            return None;
        }
        let detail = match &pending.error {
            Some(error) => error.to_string(),
            None => "a write takes very long".into(),
        };
        Some(Reason::Disk { detail })
    }

    /// When to look again.
    pub(super) fn timeout(&self, now: Instant, settings: &Settings) -> Option<Instant> {
        let pending = self.pending.as_ref()?;
        match pending.work {
            Work::Paused(until) => Some(until),
            Work::Writing(_) | Work::Cutting => {
                let slow = pending.since + settings.slow_commit;
                (slow > now).then_some(slow)
            }
        }
    }
}

fn write(store: &Store, account: AccountId, batch: Batch) -> BoxFuture<'static, Result<Seq, StoreError>> {
    let store = store.clone();
    Box::pin(async move { store.apply(account, batch).await })
}

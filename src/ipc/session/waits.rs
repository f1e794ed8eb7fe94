//! Requests whose answer comes later. Each is a future of its own; none polls on a timer.

use super::super::cursors::Cursor;
use super::super::wire::{Fault, FaultCode, RequestId};
use crate::model::{Hole, Seq};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// A request that waits.
pub(super) type Wait = BoxFuture<'static, Woken>;

/// What a wait came to.
pub(super) enum Woken {
    /// Its answer.
    Answer(Option<RequestId>, Result<Value, Fault>),
    /// Something changed: the cursor may go on.
    Cursor(Box<Parked>),
}

/// A cursor's request that waits for the network or for a new message.
pub(super) struct Parked {
    /// Whom to answer.
    pub(super) request: Option<RequestId>,
    /// The cursor's number.
    pub(super) id: u64,
    /// The cursor, which is in use meanwhile.
    pub(super) cursor: Box<Cursor>,
    /// Rows wanted.
    pub(super) want: usize,
    /// When to answer with what there is.
    pub(super) until: Instant,
    /// The hole that was asked for last, so that it is asked for once.
    pub(super) asked: Option<Hole>,
}

/// Waits for the next change, or until the time is up.
pub(super) fn park(mut bell: watch::Receiver<Seq>, parked: Parked) -> Wait {
    Box::pin(async move {
        tokio::time::timeout_at(parked.until.into(), bell.changed()).await.ok();
        Woken::Cursor(Box::new(parked))
    })
}

/// Waits for the daemon's answer.
pub(super) fn daemon(id: Option<RequestId>, answer: oneshot::Receiver<Result<Value, Fault>>) -> Wait {
    Box::pin(async move {
        let unavailable = || Fault::new(FaultCode::Unavailable, "this daemon has nobody to answer that");
        Woken::Answer(id, answer.await.unwrap_or_else(|_| Err(unavailable())))
    })
}

//! A cursor as a `Stream` of rows, in the manner of MongoDB's drivers: chained options, lazy batches.

use super::super::wire::{
    Batch, ChangeNote, CursorClose, CursorNext, CursorOpen, FaultCode, Find, Holes, Row, Waiting,
};
use super::{Client, ClientError};
use crate::model::{Hole, Order, Seq};
use futures_util::Stream;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Waits for the server in a row that bring nothing, before a hole is given as a row.
const WAITS: u32 = 3;

type Fetching = Pin<Box<dyn Future<Output = Result<Batch, ClientError>> + Send>>;

/// Rows of history, read as they are wanted. Options are chained before the first row is asked for.
///
/// A cursor that the daemon has closed for being idle is opened again where it stood, unseen by the caller. Dropping it
/// closes it at the daemon.
pub struct Cursor {
    client: Client,
    open: CursorOpen,
    state: State,
    rows: VecDeque<Row>,
    notes: Vec<ChangeNote>,
    waiting: Option<Waiting>,
    /// The hole that the last batches waited for, and how many of them brought nothing.
    empty: Option<(Hole, u32)>,
    gave_up: bool,
    seq: Option<Seq>,
    token: Option<String>,
}

enum State {
    Fresh,
    Open(u64),
    Fetching(Fetching),
    Done,
}

impl Cursor {
    pub(super) fn new(client: Client, find: Find) -> Self {
        Self {
            client,
            open: CursorOpen { find, ..CursorOpen::default() },
            state: State::Fresh,
            rows: VecDeque::new(),
            notes: Vec::new(),
            waiting: None,
            empty: None,
            gave_up: false,
            seq: None,
            token: None,
        }
    }

    /// In which order; newest first without it.
    #[must_use]
    pub fn sort(mut self, order: Order) -> Self {
        self.open.find.sort = order;
        self
    }

    /// At most so many rows in all; 0: no limit.
    #[must_use]
    pub fn limit(mut self, rows: u32) -> Self {
        self.open.find.limit = Some(rows);
        self
    }

    /// Leaves out so many rows first.
    #[must_use]
    pub fn skip(mut self, rows: u32) -> Self {
        self.open.find.skip = rows;
        self
    }

    /// Rows a batch.
    #[must_use]
    pub fn batch_size(mut self, rows: u32) -> Self {
        self.open.batch = Some(rows);
        self
    }

    /// After history, goes on with new messages (only oldest first).
    #[must_use]
    pub fn tail(mut self) -> Self {
        self.open.tail = true;
        self
    }

    /// The daemon keeps it however long it is idle.
    #[must_use]
    pub fn no_timeout(mut self) -> Self {
        self.open.no_timeout = true;
        self
    }

    /// What to do where messages are missing on this machine. A hole that the server does not fill while three batches
    /// wait for it is given as a row, and so is each one after it.
    #[must_use]
    pub fn holes(mut self, holes: Holes) -> Self {
        self.open.holes = holes;
        self
    }

    /// A batch that finds nothing answers after this long; 10 s without it, 60 s at most.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.open.wait_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Goes on where this token was given, whatever was to be looked for before.
    #[must_use]
    pub fn resume(mut self, token: String) -> Self {
        self.open.find = Find::default();
        self.open.token = Some(token);
        self
    }

    /// The next row; `None` when there is no more. With `tail` it waits for new messages for ever.
    pub async fn next(&mut self) -> Option<Result<Row, ClientError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// There is one more row; waits for it if it must be fetched.
    ///
    /// # Errors
    /// As [`Cursor::next`].
    pub async fn has_next(&mut self) -> Result<bool, ClientError> {
        match std::future::poll_fn(|cx| self.poll_ready(cx)).await {
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(error),
            None => Ok(false),
        }
    }

    /// Calls `each` with every row until there are no more or it says `false`. (Where `futures_util::StreamExt` is in scope
    /// its own `for_each` takes precedence: call `Cursor::for_each(&mut cursor, ...)`.)
    ///
    /// # Errors
    /// As [`Cursor::next`].
    pub async fn for_each(&mut self, mut each: impl FnMut(Row) -> bool) -> Result<(), ClientError> {
        while let Some(row) = self.next().await {
            if !each(row?) {
                break;
            }
        }
        Ok(())
    }

    /// All rows, at most `limit` of them: what is longer is refused, so that memory stays bounded.
    ///
    /// # Errors
    /// [`ClientError::TooMany`], or as [`Cursor::next`].
    pub async fn to_vec(&mut self, limit: usize) -> Result<Vec<Row>, ClientError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await {
            if rows.len() == limit {
                return Err(ClientError::TooMany(limit));
            }
            rows.push(row?);
        }
        Ok(rows)
    }

    /// Closes it at the daemon now.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn close(&mut self) -> Result<(), ClientError> {
        self.rows.clear();
        match std::mem::replace(&mut self.state, State::Done) {
            State::Open(cursor) => self.client.call(CursorClose { cursor }).await.map(|_| ()),
            State::Fresh | State::Fetching(_) | State::Done => Ok(()),
        }
    }

    /// What happened to rows that were already given, since the last call.
    pub fn take_notes(&mut self) -> Vec<ChangeNote> {
        std::mem::take(&mut self.notes)
    }

    /// The server did not fill a hole: from there on holes are rows.
    #[must_use]
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Why the last batch stopped short.
    #[must_use]
    pub fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }

    /// The change as of which it was opened; `None` before the first row was asked for.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        self.seq
    }

    /// Opens it again behind the last batch, even after a restart; `None` when it is exhausted.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn fetch(&self, cursor: Option<u64>) -> Fetching {
        let (client, open, token) = (self.client.clone(), self.open.clone(), self.token.clone());
        Box::pin(async move {
            let Some(cursor) = cursor else { return client.call(open).await };
            let next = CursorNext { cursor, batch: open.batch, wait_ms: open.wait_ms };
            match client.call(next).await {
                Err(ClientError::Fault(fault)) if fault.kind() == FaultCode::CursorNotFound => {
                    let Some(token) = fault.data.reopen.clone().or(token) else { return Err(fault.into()) };
                    client.call(CursorOpen { find: Find::default(), token: Some(token), ..open }).await
                }
                other => other,
            }
        })
    }

    fn accept(&mut self, batch: Batch) {
        self.count_wait(&batch);
        self.rows.extend(batch.rows);
        self.notes.extend(batch.notes);
        self.waiting = batch.waiting;
        self.seq.get_or_insert(batch.seq);
        self.token = batch.token;
        self.state = batch.cursor.map_or(State::Done, State::Open);
    }

    /// Ready when a row is at hand, or there is no more.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), ClientError>>> {
        loop {
            if !self.rows.is_empty() {
                return Poll::Ready(Some(Ok(())));
            }
            match &mut self.state {
                State::Done => return Poll::Ready(None),
                State::Fresh => self.state = State::Fetching(self.fetch(None)),
                State::Open(cursor) => {
                    let cursor = *cursor;
                    self.state = State::Fetching(self.fetch(Some(cursor)));
                }
                State::Fetching(fetching) => match ready!(fetching.as_mut().poll(cx)) {
                    Ok(batch) => {
                        self.accept(batch);
                        if let (true, Some(Waiting::Offline(_))) = (self.rows.is_empty(), &self.waiting) {
                            return self.poll_offline();
                        }
                        if self.empty.as_ref().is_some_and(|(_, waits)| *waits >= WAITS) {
                            self.give_up();
                        }
                    }
                    Err(error) => {
                        self.state = State::Done;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
    }

    /// A batch that tells of a change has not waited as long as it may.
    fn count_wait(&mut self, batch: &Batch) {
        let Some(Waiting::Network(hole)) = batch.waiting.as_ref().filter(|_| batch.rows.is_empty()) else {
            self.empty = None;
            return;
        };
        let bounds = |hole: &Hole| (hole.archive.clone(), hole.below.clone(), hole.above.clone());
        let waits = self.empty.take().filter(|(known, _)| bounds(known) == bounds(hole)).map_or(0, |(_, waits)| waits);
        self.empty = Some((hole.clone(), waits + u32::from(batch.notes.is_empty())));
    }

    /// The server has nothing for this hole, so it is read over: the cursor goes on from it and asks for no more.
    fn give_up(&mut self) {
        self.leave();
        self.gave_up = true;
        self.open.holes = Holes::Report;
        match (self.token.clone(), self.empty.take()) {
            (Some(token), _) => {
                let (client, open) = (self.client.clone(), self.open.clone());
                let open = CursorOpen { find: Find::default(), token: Some(token), ..open };
                self.state = State::Fetching(Box::pin(async move { client.call(open).await }));
            }
            (None, hole) => self.rows.extend(hole.map(|(hole, _)| Row::Hole(hole))),
        }
    }

    /// A hole that cannot be filled now is given as a row, and reading ends there: the token goes on from it.
    fn poll_offline(&mut self) -> Poll<Option<Result<(), ClientError>>> {
        if let Some(Waiting::Offline(hole)) = &self.waiting {
            self.rows.push_back(Row::Hole(hole.clone()));
        }
        self.leave();
        Poll::Ready(Some(Ok(())))
    }

    /// Tells the daemon to close it, without waiting for that.
    fn leave(&mut self) {
        let State::Open(cursor) = std::mem::replace(&mut self.state, State::Done) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let client = self.client.clone();
            runtime.spawn(async move { client.call(CursorClose { cursor }).await.map(|_| ()) });
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Stream for Cursor {
    type Item = Result<Row, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(self.poll_ready(cx)) {
            Some(Ok(())) => Poll::Ready(self.rows.pop_front().map(Ok)),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(None),
        }
    }
}

//! One cursor: a place in history and the rules by which it moves. It holds no statement and no transaction: only a
//! keyset position, the change as of which it was opened, and how many rows are left.
//!
//! A row that did not exist at opening is never given (it is new: the feed or `tail` tells of it); one that was filled
//! into a hole ahead of the reader is; one behind the reader is told in a note.

use super::super::wire::{ChangeNote, Holes, NoteKind};
use super::{Filling, filter::unsettled, fits};
use crate::model::{FeedKind, Hole, HoleFill, Message, MessageId, Order, Page, PageRow, Position, Query, Seq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Rows whose place is not final (own ones that are pending) and those given after them, remembered so that none is given
/// twice when the place becomes final.
const GIVEN: usize = 256;

/// How a cursor behaves; what a client may choose anew whenever it opens one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ipc) struct Spec {
    /// Rows a batch after the first.
    pub(in crate::ipc) batch: usize,
    /// Bytes a batch.
    pub(in crate::ipc) bytes: usize,
    /// Never closed for being idle.
    pub(in crate::ipc) no_timeout: bool,
    /// What to do at a hole.
    pub(in crate::ipc) holes: Holes,
    /// How long a batch may wait.
    pub(in crate::ipc) wait: Duration,
}

impl Default for Spec {
    fn default() -> Self {
        let wait = Duration::from_secs(10);
        Self { batch: 1_000, bytes: 1 << 20, no_timeout: false, holes: Holes::Report, wait }
    }
}

/// Where a cursor stands: all that is needed to go on, in this process or the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ipc) struct Mark {
    /// What is looked for; its `limit` is kept in `left`, its `skip` is used up by the first page.
    pub(in crate::ipc) query: Query,
    /// The last place passed.
    pub(in crate::ipc) at: Option<Position>,
    /// The change as of which it was opened.
    pub(in crate::ipc) seq: Seq,
    /// Changes up to here have been looked through for notes.
    pub(in crate::ipc) seen: Seq,
    /// Rows that may still be given.
    pub(in crate::ipc) left: Option<u32>,
    /// Go on with new messages.
    pub(in crate::ipc) tail: bool,
    /// History is exhausted; new messages after this change come next.
    pub(in crate::ipc) live: Option<Seq>,
    /// By rank: rows passed.
    pub(in crate::ipc) offset: u32,
    /// Rows that were given but not passed for good.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(in crate::ipc) given: BTreeSet<MessageId>,
}

impl Mark {
    /// The beginning of a query, as of a change.
    pub(in crate::ipc) fn new(mut query: Query, seq: Seq) -> Self {
        let left = query.limit.take().filter(|limit| *limit > 0);
        Self { query, at: None, seq, seen: seq, left, tail: false, live: None, offset: 0, given: BTreeSet::new() }
    }
}

/// What a cursor needs to be told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ipc) enum Ask {
    /// A page of history; answer with [`Cursor::take_page`].
    Page {
        /// The query.
        query: Box<Query>,
        /// Where the page begins.
        from: Option<Position>,
        /// Rows.
        limit: usize,
    },
    /// The list of ids by rank; answer with [`Cursor::take_ranks`].
    Ranks(Box<Query>),
    /// These messages, in this order; answer with [`Cursor::take_ranked`].
    Ranked(Vec<MessageId>),
    /// New messages after this change; answer with [`Cursor::take_live`].
    Live(Seq),
    /// The batch is full or there is no more.
    Nothing,
}

/// An open cursor.
#[derive(Debug)]
pub(in crate::ipc) struct Cursor {
    spec: Spec,
    mark: Mark,
    /// Progress within a stretch of pending rows, which is not part of the mark because they will be re-keyed.
    scan: Option<Position>,
    ranks: Option<Vec<MessageId>>,
    last_hole: Option<Hole>,
}

impl Cursor {
    pub(in crate::ipc) fn new(spec: Spec, mark: Mark) -> Self {
        Self { spec, mark, scan: None, ranks: None, last_hole: None }
    }

    pub(in crate::ipc) fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(in crate::ipc) fn mark(&self) -> &Mark {
        &self.mark
    }

    pub(super) fn into_mark(self) -> Mark {
        self.mark
    }

    pub(super) fn no_timeout(&self) -> bool {
        self.spec.no_timeout
    }

    /// A batch of at most `want` rows, begun at the mark.
    pub(in crate::ipc) fn begin(&mut self, want: usize) -> Filling {
        self.scan = self.mark.at;
        let mut filling = Filling::new(want, self.spec.bytes);
        filling.done = self.mark.left == Some(0);
        filling
    }

    /// What is needed to fill the batch further.
    pub(in crate::ipc) fn ask(&self, filling: &Filling) -> Ask {
        if filling.full() {
            return Ask::Nothing;
        }
        if let Some(seq) = self.mark.live {
            return Ask::Live(seq);
        }
        if self.mark.query.order.is_rank() {
            let Some(ranks) = &self.ranks else { return Ask::Ranks(Box::new(self.question())) };
            let rest = ranks.iter().skip(self.mark.offset as usize);
            return Ask::Ranked(rest.take(self.room(filling)).copied().collect());
        }
        let mut query = self.question();
        if self.scan != self.mark.at {
            // Within a stretch of rows that are not passed for good what was to be left out has been.
            query.skip = 0;
        }
        Ask::Page { query: Box::new(query), from: self.scan, limit: self.room(filling) }
    }

    /// What is asked of the store: only what was here at the opening, however long ago that is.
    fn question(&self) -> Query {
        Query { as_of: Some(self.mark.seq), ..self.mark.query.clone() }
    }

    fn room(&self, filling: &Filling) -> usize {
        let left = self.mark.left.map_or(usize::MAX, |left| left as usize);
        filling.room().min(left).max(1)
    }

    /// A page came.
    pub(in crate::ipc) fn take_page(&mut self, filling: &mut Filling, page: Page) {
        for row in page.rows {
            match row {
                PageRow::Message(message) => {
                    if !self.take_message(filling, message) {
                        return;
                    }
                }
                PageRow::Hole(hole) if self.spec.holes == Holes::Fetch && hole.fill != HoleFill::Kept => {
                    filling.hole = Some(hole);
                    return;
                }
                PageRow::Hole(hole) if self.last_hole.as_ref() == Some(&hole) => {}
                PageRow::Hole(hole) => {
                    self.last_hole = Some(hole.clone());
                    filling.push_hole(hole);
                }
            }
        }
        match page.next {
            Some(next) => {
                self.pass(next, false);
                self.mark.query.skip = page.skip;
            }
            None => self.end(filling),
        }
    }

    /// Gives a message, or passes it; `false` when the batch takes no more.
    fn take_message(&mut self, filling: &mut Filling, message: Box<Message>) -> bool {
        let (id, position) = (message.id, message.position);
        let unsettled = unsettled(&message);
        if self.mark.given.contains(&id) {
            self.pass(position, unsettled);
            return true;
        }
        if filling.full() || filling.push(message).is_err() {
            return false;
        }
        if (unsettled || self.beyond()) && self.mark.given.len() < GIVEN {
            self.mark.given.insert(id);
        }
        self.pass(position, unsettled);
        self.count(filling);
        true
    }

    fn count(&mut self, filling: &mut Filling) {
        if let Some(left) = &mut self.mark.left {
            *left = left.saturating_sub(1);
            filling.done |= *left == 0;
        }
    }

    /// Oldest first, the reader stands behind a pending row that it has not passed for good.
    fn beyond(&self) -> bool {
        self.mark.query.order == Order::Asc && self.scan > self.mark.at
    }

    /// Oldest first, a pending row is not passed for good, since another one may be re-keyed to before it.
    fn pass(&mut self, position: Position, unsettled: bool) {
        let stay = self.mark.query.order == Order::Asc && (unsettled || self.beyond()) && self.mark.given.len() < GIVEN;
        self.scan = Some(position);
        if !stay {
            self.mark.at = Some(self.mutated(position));
            self.mark.query.skip = 0;
        }
    }

    /// The position itself; only a mutant moves it.
    fn mutated(&self, position: Position) -> Position {
        let away = match self.mark.query.order {
            Order::Asc => 1_500 << Position::TIE_BITS,
            Order::Desc | Order::Rank | Order::RankAsc => -(1_500 << Position::TIE_BITS),
        };
        match () {
            () if crate::mutant("cursor-skips") => Position(position.0 + away),
            () if crate::mutant("cursor-repeats") => Position(position.0 - away),
            () => position,
        }
    }

    /// History is exhausted.
    fn end(&mut self, filling: &mut Filling) {
        if self.mark.tail && !filling.done {
            let from = if crate::mutant("tail-gap") { self.mark.seen } else { self.mark.seq };
            self.mark.live = Some(from);
        } else {
            filling.done = true;
        }
    }

    /// The ids by rank, fixed from now on.
    pub(in crate::ipc) fn take_ranks(&mut self, page: &Page) {
        let id = |row: &PageRow| match row {
            PageRow::Message(message) => Some(message.id),
            PageRow::Hole(_) => None,
        };
        self.ranks = Some(page.rows.iter().filter_map(id).collect());
    }

    /// The messages of [`Ask::Ranked`]; those that are gone are passed.
    pub(in crate::ipc) fn take_ranked(&mut self, filling: &mut Filling, asked: &[MessageId], messages: Vec<Message>) {
        let mut messages: Vec<Option<Message>> = messages.into_iter().map(Some).collect();
        for id in asked {
            let found = messages.iter_mut().find(|message| message.as_ref().is_some_and(|message| message.id == *id));
            if let Some(message) = found.and_then(Option::take) {
                if filling.full() || filling.push(Box::new(message)).is_err() {
                    return;
                }
                self.count(filling);
            }
            self.mark.offset += 1;
        }
        filling.done |=
            asked.is_empty() || self.ranks.as_ref().is_some_and(|all| all.len() <= self.mark.offset as usize);
    }

    /// New messages that fit, each with its change, and the last change looked at.
    pub(in crate::ipc) fn take_live(&mut self, filling: &mut Filling, messages: Vec<(Seq, Message)>, upto: Seq) {
        for (seq, message) in messages {
            if filling.full() || filling.push(Box::new(message)).is_err() {
                return;
            }
            self.mark.live = Some(seq);
            self.count(filling);
        }
        self.mark.live = Some(upto);
    }

    /// Changes after this one have not been looked through for notes.
    pub(in crate::ipc) fn noted(&mut self, upto: Seq) {
        self.mark.seen = upto;
    }

    /// What to tell about a change to a message, given how it is now. Nothing, where the reader has not been yet.
    pub(in crate::ipc) fn note(&self, kind: FeedKind, id: MessageId, now: Option<&Message>) -> Option<ChangeNote> {
        let passed = match (&self.ranks, now) {
            (Some(ranks), _) => ranks.iter().take(self.mark.offset as usize).any(|rank| *rank == id),
            (None, Some(message)) => self.passed(message.position) || self.mark.given.contains(&id),
            (None, None) => self.mark.at.is_some(),
        };
        if !passed || self.mark.live.is_some() {
            return None;
        }
        let kind = match (kind, now) {
            (FeedKind::Changed | FeedKind::Removed | FeedKind::Backfill, None) => NoteKind::Removed,
            (FeedKind::Changed, Some(message)) if !fits(&self.mark.query, message) => NoteKind::Left,
            (FeedKind::Changed, Some(_)) => NoteKind::Changed,
            (FeedKind::Backfill, Some(message)) if fits(&self.mark.query, message) => NoteKind::Filled,
            _ => return None,
        };
        Some(ChangeNote { kind, id: Some(id), conversation: None, message: now.cloned().map(Box::new) })
    }

    fn passed(&self, position: Position) -> bool {
        match (self.mark.at, self.mark.query.order) {
            (Some(at), Order::Desc) => position >= at,
            (Some(at), Order::Asc) => position <= at,
            (Some(_), Order::Rank | Order::RankAsc) | (None, _) => false,
        }
    }
}

//! Drives cursors: reads the pages, ids and changes that the pure cursor asks for, and answers with batches.

use super::super::cursors::{Ask, Cursor, Filling, Mark, Missing, Spec, fits, in_scope};
use super::super::wire::{
    Batch, ChangeNote, Counted, CursorClose, CursorCount, CursorNext, CursorOpen, Fault, FaultCode, Find, NoteKind,
    PageAsk, RequestId, Waiting,
};
use super::desk::done;
use super::waits::{self, Parked};
use super::{Desk, Outcome, value};
use crate::model::{Anchor, FeedItem, FeedKind, Hole, MessageId, Order, PageRow, Position, Query, Scope, Seq};
use crate::store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Rows of the first batch where the client does not say, as MongoDB's drivers have it.
const FIRST_BATCH: u32 = 101;
/// Most rows of a batch, and of a list by rank.
const MAX_BATCH: u32 = 1_000;
/// Most bytes of a batch.
const MAX_BYTES: u32 = 1 << 20;
/// Pages of the store that go into one batch at most; each looks at a bounded number of rows.
const PAGES: usize = if cfg!(test) { 3 } else { 10 };
/// Changes read at once.
const CHANGES: usize = 1_000;
/// Messages asked of the server at once when a reader reaches a hole.
const FETCH: u32 = 100;

impl Desk {
    pub(super) async fn cursor_open(&mut self, request: Option<RequestId>, ask: CursorOpen) -> Result<Outcome, Fault> {
        if !self.cursors.has_room() {
            let text = format!("{} cursors are open already", self.hall.settings.cursors);
            return Err(Fault::new(FaultCode::Busy, text).remedy("close some with `cursor.close`"));
        }
        let want = ask.batch.unwrap_or(FIRST_BATCH).min(MAX_BATCH) as usize;
        let spec = Spec {
            batch: ask.batch.filter(|batch| *batch > 0).unwrap_or(MAX_BATCH).min(MAX_BATCH) as usize,
            bytes: ask.bytes.unwrap_or(MAX_BYTES).clamp(1, MAX_BYTES) as usize,
            no_timeout: ask.no_timeout,
            holes: ask.holes,
            wait: Duration::from_millis(ask.wait_ms.unwrap_or(10_000).min(60_000)),
        };
        let mark = match ask.token {
            Some(token) if ask.find == Find::default() => self.key.open(&token)?,
            Some(_) => return Err(Fault::params("a token already says what to look for").remedy("leave out `find`")),
            None => self.mark(ask.find, ask.tail, want).await?,
        };
        let until = self.hall.clock.now() + spec.wait;
        let (id, cursor) = (self.cursors.begin(), Box::new(Cursor::new(spec, mark)));
        self.go_on(Parked { request, id, cursor, want, until, asked: None }).await
    }

    pub(super) async fn cursor_next(&mut self, request: Option<RequestId>, ask: CursorNext) -> Result<Outcome, Fault> {
        let id = ask.cursor;
        let cursor = self.cursors.take(id).map_err(|missing| self.missing(id, missing))?;
        let want = ask.batch.map_or(cursor.spec().batch, |batch| batch.clamp(1, MAX_BATCH) as usize);
        let wait = ask.wait_ms.map_or(cursor.spec().wait, |wait| Duration::from_millis(wait.min(60_000)));
        let until = self.hall.clock.now() + wait;
        self.go_on(Parked { request, id, cursor, want, until, asked: None }).await
    }

    pub(super) fn cursor_close(&mut self, ask: &CursorClose) -> Result<Outcome, Fault> {
        self.cursors.close(ask.cursor).map_err(|missing| self.missing(ask.cursor, missing))?;
        done()
    }

    pub(super) async fn cursor_count(&mut self, ask: CursorCount) -> Result<Outcome, Fault> {
        let (skip, limit) = (u64::from(ask.find.skip), ask.find.limit.filter(|limit| *limit > 0));
        let mut query = self.query(ask.find).await?;
        (query.skip, query.limit) = (0, None);
        let found = self.hall.store.count(query).await?.saturating_sub(skip);
        value(&Counted { count: limit.map_or(found, |limit| found.min(u64::from(limit))) })
    }

    pub(super) async fn page(&mut self, ask: PageAsk) -> Result<Outcome, Fault> {
        let want = ask.batch.unwrap_or(50).clamp(1, MAX_BATCH) as usize;
        let mark = match ask.token {
            Some(token) if ask.find == Find::default() => self.key.open(&token)?,
            Some(_) => return Err(Fault::params("a token already says what to look for").remedy("leave out `find`")),
            None => self.mark(ask.find, false, want).await?,
        };
        let mut cursor = Cursor::new(Spec::default(), mark);
        let notes = self.notes(&mut cursor).await?;
        let mut filling = cursor.begin(want);
        self.fill(&mut cursor, &mut filling).await?;
        let token = if filling.done { None } else { self.key.seal(cursor.mark()) };
        let seq = cursor.mark().seq;
        value(&Batch { cursor: None, rows: filling.rows, notes, seq, token, waiting: None, live: false })
    }

    /// Works on a cursor's request until its batch is full, its time is up, or it must wait.
    pub(super) async fn go_on(&mut self, parked: Parked) -> Result<Outcome, Fault> {
        let id = parked.id;
        let result = self.batch(parked).await;
        if result.is_err() {
            self.cursors.finish(id);
        }
        result
    }

    async fn batch(&mut self, mut parked: Parked) -> Result<Outcome, Fault> {
        let bell = self.bell();
        let cursor = &mut parked.cursor;
        let notes = self.notes(cursor).await?;
        let mut filling = cursor.begin(parked.want);
        if parked.want > 0 {
            self.fill(cursor, &mut filling).await?;
        }
        let waiting = self.waiting(&parked, &filling).await?;
        let in_time = self.hall.clock.now() < parked.until;
        match &waiting {
            Some(Waiting::Network(hole)) if in_time && filling.rows.is_empty() && notes.is_empty() => {
                parked.asked = Some(hole.clone());
                return Ok(Outcome::Wait(waits::park(bell, parked)));
            }
            Some(Waiting::Live) if in_time && notes.is_empty() => {
                return Ok(Outcome::Wait(waits::park(bell, parked)));
            }
            _ => {}
        }
        self.answer(parked, filling, notes, waiting)
    }

    /// The feed's bell, silent until the next change.
    fn bell(&self) -> tokio::sync::watch::Receiver<Seq> {
        let mut bell = self.hall.store.feed();
        bell.borrow_and_update();
        bell
    }

    fn answer(
        &mut self,
        parked: Parked,
        filling: Filling,
        notes: Vec<ChangeNote>,
        waiting: Option<Waiting>,
    ) -> Result<Outcome, Fault> {
        let (id, cursor) = (parked.id, parked.cursor);
        let (seq, live) = (cursor.mark().seq, cursor.mark().live.is_some());
        let token = if filling.done { None } else { self.key.seal(cursor.mark()) };
        if filling.done {
            self.cursors.finish(id);
        } else {
            self.cursors.put(id, cursor, self.hall.clock.now());
        }
        let cursor = (!filling.done).then_some(id);
        value(&Batch { cursor, rows: filling.rows, notes, seq, token, waiting, live })
    }

    /// Why the batch stopped short; a hole is asked for once.
    async fn waiting(&self, parked: &Parked, filling: &Filling) -> Result<Option<Waiting>, Fault> {
        if let Some(hole) = filling.hole.clone() {
            let online = if parked.asked.as_ref() == Some(&hole) {
                self.is_online(&hole).await?
            } else {
                self.fetch_hole(&hole, FETCH).await?
            };
            return Ok(Some(if online { Waiting::Network(hole) } else { Waiting::Offline(hole) }));
        }
        let live = parked.cursor.mark().live.is_some();
        Ok((live && !filling.done && filling.rows.is_empty() && parked.want > 0).then_some(Waiting::Live))
    }

    /// Reads what the cursor asks for until its batch is full, nothing more is there now, or so much was looked at that
    /// the client hears from us first.
    async fn fill(&self, cursor: &mut Cursor, filling: &mut Filling) -> Result<(), Fault> {
        let mut pages = 0;
        loop {
            match cursor.ask(filling) {
                Ask::Nothing => return Ok(()),
                Ask::Page { .. } if pages == PAGES => return Ok(()),
                Ask::Page { query, from, limit } => {
                    pages += 1;
                    let page = self.hall.store.page(*query, from, limit).await?;
                    cursor.take_page(filling, page);
                }
                Ask::Ranks(query) => {
                    let page = self.hall.store.page(*query, None, MAX_BATCH as usize).await?;
                    cursor.take_ranks(&page);
                }
                Ask::Ranked(ids) => {
                    let text = cursor.mark().query.text.clone().unwrap_or_default();
                    let messages = self.hall.store.shown(text, ids.clone()).await?;
                    cursor.take_ranked(filling, &ids, messages);
                }
                Ask::Live(after) => {
                    if !self.fill_live(cursor, filling, after).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// New messages after a change; `false` when there are none yet.
    async fn fill_live(&self, cursor: &mut Cursor, filling: &mut Filling, after: Seq) -> Result<bool, Fault> {
        let items = match self.hall.store.changes(after, CHANGES).await {
            Ok(items) => items,
            Err(StoreError::Invalid(_)) => {
                let text = "more happened than is kept since this cursor was last read";
                return Err(Fault::new(FaultCode::CursorNotFound, text).remedy("open it anew after the last row"));
            }
            Err(error) => return Err(error.into()),
        };
        let Some(upto) = items.last().map(|item| item.seq) else { return Ok(false) };
        let query = cursor.mark().query.clone();
        let new = |item: &&FeedItem| item.kind == FeedKind::Message && in_scope(&query, item);
        let news: Vec<(Seq, MessageId)> =
            items.iter().filter(new).filter_map(|item| Some((item.seq, item.message?))).collect();
        let mut messages = self.messages(news.iter().map(|(_, id)| *id).collect()).await;
        let rows = news.into_iter().filter_map(|(seq, id)| Some((seq, messages.remove(&id)?)));
        let rows = rows.filter(|(_, message)| fits(&query, message)).collect();
        cursor.take_live(filling, rows, upto);
        Ok(true)
    }

    /// What happened behind the reader since it was told last.
    async fn notes(&self, cursor: &mut Cursor) -> Result<Vec<ChangeNote>, Fault> {
        let (seen, head) = (cursor.mark().seen, *self.hall.store.feed().borrow());
        if seen >= head {
            return Ok(Vec::new());
        }
        let items = match self.hall.store.changes(seen, CHANGES).await {
            Ok(items) => items,
            Err(StoreError::Invalid(_)) => {
                cursor.noted(head);
                return Ok(vec![ChangeNote { kind: NoteKind::Lost, id: None, conversation: None, message: None }]);
            }
            Err(error) => return Err(error.into()),
        };
        cursor.noted(items.last().map_or(head, |item| item.seq));
        let read = items.iter().filter(|item| item.kind == FeedKind::Read && in_scope(&cursor.mark().query, item));
        let read = read.filter(|_| cursor.mark().live.is_none()).map(|item| (item.conversation, item.message));
        let mut notes: Vec<ChangeNote> = read
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .map(|(conversation, id)| ChangeNote { kind: NoteKind::Read, id, conversation, message: None })
            .collect();
        let told = |item: &&FeedItem| {
            matches!(item.kind, FeedKind::Changed | FeedKind::Removed | FeedKind::Backfill)
                && in_scope(&cursor.mark().query, item)
        };
        let items: Vec<&FeedItem> = items.iter().filter(told).collect();
        let messages = self.messages(items.iter().filter_map(|item| item.message).collect()).await;
        let mut done = BTreeSet::new();
        let fresh = items.into_iter().filter_map(|item| Some((item.kind, item.message?)));
        let fresh: Vec<_> = fresh.filter(|(_, id)| done.insert(*id)).collect();
        notes.extend(fresh.into_iter().filter_map(|(kind, id)| cursor.note(kind, id, messages.get(&id))));
        Ok(notes)
    }

    /// The beginning of what is looked for.
    async fn mark(&self, find: Find, tail: bool, want: usize) -> Result<Mark, Fault> {
        let seq = *self.hall.store.feed().borrow();
        let mut query = self.query(find).await?;
        Store::can_answer(&query)?;
        if tail && (query.order != Order::Asc || query.text.is_some()) {
            return Err(Fault::params("`tail` goes oldest first and without `text`").remedy("set `sort` to `asc`"));
        }
        let at = match query.anchor {
            Some(Anchor::Around(id)) => {
                query.anchor = None;
                Some(self.around(&query, id, want / 2).await?)
            }
            _ => None,
        };
        Ok(Mark { at, tail, ..Mark::new(query, seq) })
    }

    /// Where to begin so that this message comes after so many others.
    async fn around(&self, query: &Query, id: MessageId, rows: usize) -> Result<Position, Fault> {
        let anchor = self.hall.store.message(id).await?;
        let (order, side, step) = match query.order {
            Order::Desc => (Order::Asc, Anchor::After(id), 1),
            Order::Asc | Order::Rank | Order::RankAsc => (Order::Desc, Anchor::Before(id), -1),
        };
        let back = Query { order, anchor: Some(side), skip: 0, limit: None, ..query.clone() };
        let page = if rows == 0 { None } else { Some(self.hall.store.page(back, None, rows).await?) };
        let position = |row: &PageRow| match row {
            PageRow::Message(message) => Some(message.position),
            PageRow::Hole(_) => None,
        };
        let first = page.and_then(|page| page.rows.iter().rev().find_map(position)).unwrap_or(anchor.position);
        Ok(Position(first.0 + step))
    }

    /// The question with ids for names.
    async fn query(&self, find: Find) -> Result<Query, Fault> {
        let scope = match (&find.conversation, &find.account) {
            (Some(conversation), account) => {
                Scope::Conversation(self.known(account.as_deref(), conversation).await?.id)
            }
            (None, Some(account)) => Scope::Account(self.account(account).await?),
            (None, None) => Scope::All,
        };
        let anchor = match (find.before, find.after, find.around) {
            (None, None, None) => None,
            (Some(id), None, None) => Some(Anchor::Before(id)),
            (None, Some(id), None) => Some(Anchor::After(id)),
            (None, None, Some(id)) => Some(Anchor::Around(id)),
            _ => return Err(Fault::params("only one of `before`, `after` and `around` can be given")),
        };
        Ok(Query {
            scope,
            order: find.sort,
            anchor,
            sender: find.sender,
            since: find.since,
            until: find.until,
            kind: find.kind,
            has_attachment: find.has_attachment,
            has_link: find.has_link,
            unread: find.unread,
            text: find.text,
            skip: find.skip,
            limit: find.limit,
            as_of: None,
        })
    }

    async fn is_online(&self, hole: &Hole) -> Result<bool, Fault> {
        Ok(self.online(self.hall.store.conversation(hole.conversation).await?.account))
    }

    /// Why there is no such cursor, and where to open it again.
    fn missing(&self, id: u64, missing: Missing) -> Fault {
        let gone = |text: &str, mark: &Mark| {
            Fault::new(FaultCode::CursorNotFound, format!("cursor {id} {text}"))
                .remedy("pass `data.reopen` as `token` to `cursor.open` to go on where it stood")
                .reopen(self.key.seal(mark))
        };
        match missing {
            Missing::TimedOut(mark) => gone("was idle for too long and is closed", &mark),
            Missing::Closed(mark) => gone("was closed", &mark),
            Missing::Exhausted => {
                Fault::new(FaultCode::CursorNotFound, format!("cursor {id} has no more rows")).remedy("open it anew")
            }
            Missing::Unknown => Fault::new(FaultCode::CursorNotFound, format!("there is no cursor {id}"))
                .remedy("cursors end with their connection: pass the last batch's `token` to `cursor.open`"),
            Missing::InUse => Fault::new(FaultCode::CursorInUse, format!("cursor {id} has not answered yet"))
                .remedy("wait for its answer before asking again"),
        }
    }
}

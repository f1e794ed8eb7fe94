//! The store's handle: which thread does what, and what is announced when.

use super::health::Health;
use super::room::Room;
use super::tx::{Announcement, Result, Tx, meta, set_meta};
use super::{
    Banner, BannerState, Batch, Draft, Enqueued, Named, OutboxRow, Settings, account, apply, banner, conversation,
    feed, handout, health, history, outbox, plan, quarantine, row, schema,
};
use crate::db::{self, Checkpointer, Reader, Writer};
use crate::model::{
    AccountId, CheckpointRow, Command, Conversation, ConversationId, ConversationKey, ConversationKind, FeedItem,
    Member, Message, MessageId, Page, Position, Query, Seq, Timestamp,
};
use crate::world::{Clock, Entropy};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Threads that read.
const READERS: usize = 2;
/// A job that writes so many rows of history commits by itself.
pub(super) const MANY: usize = 32;

thread_local! {
    static MEMORY: db::Memory = const { db::Memory::new() };
}

/// The store's handle.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    writer: Writer<Announcement>,
    reader: Option<Reader>,
    checkpointer: Option<Checkpointer>,
    feed: watch::Sender<Seq>,
    bells: Bells,
    settings: Settings,
    clock: Clock,
    entropy: Entropy,
    pub(super) health: Health,
    pub(super) room: Room,
}

/// One bell an account; rung by the writer's thread after a commit.
type Bells = Arc<Mutex<BTreeMap<AccountId, watch::Sender<u64>>>>;

impl Store {
    /// Opens or creates `DIR/wakeful.db` and starts the writer's and the checkpointer's threads. Blocking.
    ///
    /// # Errors
    /// `Newer` and `Corrupt` leave the file as it was.
    pub fn open(dir: &Path, settings: Settings, clock: Clock, entropy: Entropy) -> Result<Self> {
        let path = dir.join("wakeful.db");
        let options = settings.db();
        let conn = db::open(&path, &options, &schema::migrations())?;
        let health = Health::begin(&conn, &path, clock.wall())?;
        Self::begin(conn, path, health, settings, clock, entropy)
    }

    /// As [`Store::open`]; a damaged file is moved aside and kept, and a new one begun with what was written and not
    /// sent. [`Store::health`] tells.
    ///
    /// # Errors
    /// `Newer` leaves the file as it was.
    pub fn open_or_rebuild(dir: &Path, settings: Settings, clock: Clock, entropy: Entropy) -> Result<Self> {
        let path = dir.join("wakeful.db");
        let (conn, health) = quarantine::open(&path, &settings, &clock, &entropy)?;
        Self::begin(conn, path, health, settings, clock, entropy)
    }

    fn begin(
        conn: Connection,
        path: PathBuf,
        health: Health,
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self> {
        let options = settings.db();
        requeue_all(&conn)?;
        let (feed, bells) = (watch::Sender::new(feed::newest(&conn)?), Bells::default());
        let checkpointer = Checkpointer::spawn(&path)?;
        let announce = announcer(&feed, &bells);
        let writer = Writer::spawn(conn, path.clone(), Some(checkpointer.clone()), announce)?;
        let reader = Some(Reader::spawn(&path, &options, READERS)?);
        let checkpointer = Some(checkpointer);
        let room = Room::new(&path, settings.ballast);
        let inner = Inner { writer, reader, checkpointer, feed, bells, settings, clock, entropy, health, room };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A store in memory, for tests and simulation; the same code without the file and without threads, so that the
    /// same calls have the same effects every time.
    ///
    /// # Errors
    /// None in practice.
    pub fn in_memory(settings: Settings, clock: Clock, entropy: Entropy) -> Result<Self> {
        Self::of_memory(settings, clock, entropy, Writer::inline)
    }

    /// A store in memory whose commits land, are told of and fail as `disk` says. Within a tokio runtime.
    ///
    /// # Errors
    /// None in practice.
    pub fn simulated(settings: Settings, clock: Clock, entropy: Entropy, disk: Arc<dyn db::Disk>) -> Result<Self> {
        Self::of_memory(settings, clock, entropy, |conn, announce| Writer::simulated(conn, disk, announce))
    }

    fn of_memory(
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
        writer: impl FnOnce(Connection, Box<dyn FnMut(Announcement) + Send>) -> Writer<Announcement>,
    ) -> Result<Self> {
        let options = settings.db();
        let conn = MEMORY.with(|memory| memory.open(&options, &schema::migrations()))?;
        let (feed, bells) = (watch::Sender::new(Seq(0)), Bells::default());
        let writer = writer(conn, Box::new(announcer(&feed, &bells)));
        let (health, room) = (Health::of_memory(), Room::unbounded());
        let (reader, checkpointer) = (None, None);
        let inner = Inner { writer, reader, checkpointer, feed, bells, settings, clock, entropy, health, room };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The process is killed: what has not landed on the simulated disk is lost. Elsewhere nothing happens.
    pub fn crash(&self) {
        self.inner.writer.crash();
    }

    /// Finishes what is queued, checkpoints the WAL and stops the threads.
    pub async fn close(&self) {
        self.inner.health.hand_on();
        if self.inner.health.is_sound() && !crate::mutant("never-clean") {
            let ended = self.inner.writer.call(|conn| health::end(conn).map(|()| ((), Announcement::default()))).await;
            if let Err(error) = ended {
                tracing::warn!(%error, "the next start reads the database through");
            }
        }
        self.inner.writer.stop().await;
        if let Some(checkpointer) = self.inner.checkpointer.clone() {
            let finished = tokio::task::spawn_blocking(move || checkpointer.finish()).await;
            if let Ok(Err(error)) = finished {
                tracing::warn!(%error, "the write-ahead log is left for the next start");
            }
        }
    }

    /// Lets go of caches that only speed up what may not come for long. Nothing else changes.
    pub async fn rest(&self) {
        if let Some(reader) = &self.inner.reader {
            reader.rest();
        }
        let slim = |conn: &Connection| {
            db::shrink(conn);
            Ok::<_, super::StoreError>(((), Announcement::default()))
        };
        let _only_slower = self.inner.writer.call(slim).await;
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        at: Option<Timestamp>,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_rows(at, 1, job).await
    }

    /// As [`write`](Self::write), for a job that writes about so many rows of history.
    pub(super) async fn write_rows<T: Send + 'static>(
        &self,
        at: Option<Timestamp>,
        rows: usize,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (entropy, keep) = (self.inner.entropy.clone(), self.inner.settings.feed_rows);
        let at = at.unwrap_or_else(|| self.inner.clock.wall());
        let job = move |conn: &Connection| {
            let mut tx = Tx::new(conn, &entropy, at);
            let value = job(&mut tx)?;
            feed::sweep(&tx, keep)?;
            Ok((value, tx.announcement))
        };
        let writer = &self.inner.writer;
        let written = if rows < MANY { writer.call(job).await } else { writer.call_alone(job).await };
        let written = written.inspect_err(|error| self.inner.health.suspect(error));
        self.inner.room.heard(&written).await;
        written
    }

    /// Wall-clock time.
    pub(super) fn wall(&self) -> Timestamp {
        self.inner.clock.wall()
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match &self.inner.reader {
            Some(reader) => reader.call(job).await,
            None => self.inner.writer.read(job).await,
        }
        .inspect_err(|error| {
            self.inner.health.suspect(error);
            self.inner.room.doubt(error);
        })
    }

    // --- accounts -----------------------------------------------------------------------------------------------
    /// The account of this name, made if it is new. `me` is our own user id or bare JID when known.
    ///
    /// # Errors
    /// `Invalid` if the name belonged to another protocol.
    pub async fn account(&self, name: &str, protocol: &str, me: Option<&str>) -> Result<AccountId> {
        let (name, protocol, me) = (name.to_owned(), protocol.to_owned(), me.map(str::to_owned));
        self.write(None, move |tx| account::ensure(tx, &name, &protocol, me.as_deref())).await
    }

    /// Names of accounts that have data here.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn accounts(&self) -> Result<Vec<(AccountId, String)>> {
        self.read(account::list).await
    }

    /// Deletes everything of an account, its messages in bounded steps.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn purge_account(&self, account: AccountId) -> Result<()> {
        if !crate::mutant("purge-claims") {
            self.write(None, move |tx| account::unlearn(tx, account)).await?;
        }
        while self.write_rows(None, MANY, move |tx| account::purge_some(tx, account)).await? {}
        self.write(None, move |tx| account::purge(tx, account)).await
    }

    // --- links --------------------------------------------------------------------------------------------------
    /// Commits a batch; when this returns `Ok` it is on disk (FULL) and announced on the feed.
    ///
    /// # Errors
    /// `Disk`: nothing of it is on disk; the same batch may be tried again.
    pub async fn apply(&self, account: AccountId, batch: Batch) -> Result<Seq> {
        self.inner.room.admit().await?;
        if crate::mutant("checkpoint-apart") {
            let rows = batch.checkpoint.rows.clone();
            self.write(None, move |tx| apply::checkpoint(tx, account, &rows)).await?;
        }
        self.write_rows(Some(batch.at), batch.events.len(), move |tx| {
            apply::batch(tx, account, batch)?;
            tx.announcement.seq.map_or_else(|| tx.newest(), Ok)
        })
        .await
    }

    /// The protocol's rows as last committed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn checkpoint(&self, account: AccountId) -> Result<Vec<CheckpointRow>> {
        self.read(move |conn| account::checkpoint(conn, account)).await
    }

    /// Up to `limit` outbox rows that are pending and due, in order, never past an unsettled one of the same
    /// conversation that is not handed out too; they become in flight. Rows that were in flight before carry `maybe_sent`.
    ///
    /// # Errors
    /// `Disk`: nothing was handed out.
    pub async fn take_outbox(&self, account: AccountId, limit: usize, now: Timestamp) -> Result<Vec<Command>> {
        self.write(Some(now), move |tx| handout::take(tx, account, limit, now)).await
    }

    /// The connection is gone: rows in flight are pending again with `maybe_sent`.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn requeue_outbox(&self, account: AccountId) -> Result<()> {
        self.write(None, move |tx| handout::requeue(tx, account)).await
    }

    /// Rows that wait until a time of day wait no longer.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn hasten_outbox(&self, account: AccountId) -> Result<()> {
        self.write(None, move |tx| handout::hasten(tx, account)).await
    }

    /// When the next deferred row becomes due after this moment.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn outbox_due(&self, account: AccountId, now: Timestamp) -> Result<Option<Timestamp>> {
        self.read(move |conn| handout::due(conn, account, now)).await
    }

    /// Rings when the account's outbox changed.
    #[must_use]
    pub fn outbox_bell(&self, account: AccountId) -> watch::Receiver<u64> {
        let mut bells = self.inner.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(account).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    // --- readers and GUIs ---------------------------------------------------------------------------------------
    /// Rings with the newest committed change.
    #[must_use]
    pub fn feed(&self) -> watch::Receiver<Seq> {
        self.inner.feed.subscribe()
    }

    /// Changes after `after`, at most `limit`.
    ///
    /// # Errors
    /// `Invalid` when they are no longer kept: the reader must resync.
    pub async fn changes(&self, after: Seq, limit: usize) -> Result<Vec<FeedItem>> {
        self.read(move |conn| feed::changes(conn, after, limit)).await
    }

    /// Puts a draft into the outbox, durably.
    ///
    /// # Errors
    /// `Invalid` or `NotFound` if it makes no sense; `Disk` if it is not kept.
    pub async fn enqueue(&self, draft: Draft) -> Result<Enqueued> {
        if crate::mutant("queued-before-commit") {
            let (early, answer) = tokio::sync::oneshot::channel();
            let work = self.write(Some(draft.at), move |tx| {
                let enqueued = outbox::enqueue(tx, &draft)?;
                let _nobody_waits = early.send(enqueued.clone());
                Ok(enqueued)
            });
            return tokio::select! {
                Ok(early) = answer => Ok(early),
                committed = work => committed,
            };
        }
        self.write(Some(draft.at), move |tx| outbox::enqueue(tx, &draft)).await
    }

    /// A row's state, by the message or request id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn outbox_row(&self, message: MessageId) -> Result<OutboxRow> {
        self.read(move |conn| outbox::get(conn, message)).await
    }

    /// Takes a row back that was never handed out; `false` if it is too late.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, message: MessageId) -> Result<bool> {
        self.write(None, move |tx| outbox::cancel(tx, message)).await
    }

    /// One transaction: local read position up to this message, unread count, banner withdrawal, outbox row `Mark`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mark_read(&self, conversation: ConversationId, upto: Option<MessageId>, at: Timestamp) -> Result<()> {
        self.write(Some(at), move |tx| outbox::mark_read(tx, conversation, upto, at)).await
    }

    /// Finds what a person means by a conversation's name.
    ///
    /// # Errors
    /// `Invalid` if several bear it.
    pub async fn resolve(&self, account: AccountId, name: &str) -> Result<Named> {
        let name = name.to_owned();
        self.read(move |conn| conversation::resolve(conn, account, &name)).await
    }

    /// The direct conversation with a user, made if it is new.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn direct(&self, account: AccountId, user: &str) -> Result<ConversationId> {
        let key = ConversationKey::peer(user);
        self.write(None, move |tx| Ok(conversation::of_key(tx, account, &key, Some(ConversationKind::Direct))?.id))
            .await
    }

    /// Conversations, newest activity first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn conversations(&self, account: Option<AccountId>, limit: usize) -> Result<Vec<Conversation>> {
        self.read(move |conn| conversation::list(conn, account, limit)).await
    }

    /// One conversation.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn conversation(&self, id: ConversationId) -> Result<Conversation> {
        self.read(move |conn| conversation::get(conn, id)).await
    }

    /// Who is in it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn members(&self, id: ConversationId) -> Result<Vec<Member>> {
        self.read(move |conn| conversation::members(conn, id)).await
    }

    /// One message.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn message(&self, id: MessageId) -> Result<Message> {
        self.read(move |conn| row::get(conn, id)).await
    }

    /// Several messages at once; those that are gone are left out.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn messages(&self, ids: Vec<MessageId>) -> Result<Vec<Message>> {
        self.read(move |conn| row::several(conn, &ids)).await
    }

    /// Whether a question can be answered; needs no disk.
    ///
    /// # Errors
    /// `Invalid` with the reason, where it makes no sense or would have to read everything.
    pub fn can_answer(query: &Query) -> Result<()> {
        plan::check(query).map(drop)
    }

    /// One page. `from` is where the previous page ended; `limit` rows at most. Where rows that fit are rare it may be
    /// short, even empty, and yet say where to go on: a page looks at a bounded number of rows.
    ///
    /// # Errors
    /// `Invalid` if the question makes no sense or would have to read everything; `NotFound` for its scope or anchor.
    pub async fn page(&self, query: Query, from: Option<Position>, limit: usize) -> Result<Page> {
        let now = self.wall();
        self.read(move |conn| history::page(conn, &query, from, limit, now)).await
    }

    /// How many messages a question finds.
    ///
    /// # Errors
    /// As [`Store::page`].
    pub async fn count(&self, query: Query) -> Result<u64> {
        let (skip, most) = (u64::from(query.skip), query.limit.map_or(u64::MAX, u64::from));
        let (mut found, mut from) = (0, None);
        loop {
            // Step by step, so that a long count does not hold a snapshot.
            let query = query.clone();
            let (some, next) = self.read(move |conn| history::count(conn, &query, from)).await?;
            found += some;
            if next.is_none() || found.saturating_sub(skip) >= most {
                return Ok(found.saturating_sub(skip).min(most));
            }
            from = next;
        }
    }

    /// Messages that a search for `text` found, with the match marked; those that are gone are left out.
    ///
    /// # Errors
    /// As [`Store::page`].
    pub async fn shown(&self, text: String, ids: Vec<MessageId>) -> Result<Vec<Message>> {
        self.read(move |conn| history::shown(conn, &text, &ids)).await
    }

    /// Incoming messages not read, over everything or one account.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn unread(&self, account: Option<AccountId>) -> Result<u64> {
        self.read(move |conn| history::unread(conn, account.map(|account| account.0))).await
    }

    // --- notify -------------------------------------------------------------------------------------------------
    /// Banners that are not settled: due, held, shown and withdrawn, oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn banners(&self) -> Result<Vec<Banner>> {
        self.read(banner::list).await
    }

    /// The unsettled banners among these messages; those that are settled or never were due are left out.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn banners_of(&self, messages: Vec<MessageId>) -> Result<Vec<Banner>> {
        self.read(move |conn| banner::of(conn, &messages)).await
    }

    /// How many unread messages of a conversation have a banner that was dropped for this reason.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn banners_dropped(&self, conversation: ConversationId, reason: &'static str) -> Result<u64> {
        self.read(move |conn| banner::dropped(conn, conversation, reason)).await
    }

    /// Gives those banners another reason.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn rename_dropped(
        &self,
        conversation: ConversationId,
        reason: &'static str,
        now: &'static str,
    ) -> Result<()> {
        self.write(None, move |tx| banner::rename(tx, conversation, reason, now)).await
    }

    /// Records judgements: durable when this returns.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn set_banners(&self, states: Vec<(MessageId, BannerState)>) -> Result<()> {
        self.write(None, move |tx| banner::set(tx, &states)).await
    }

    // --- settings -----------------------------------------------------------------------------------------------
    /// What a room keeps for itself under a key (e.g. `notify`: mutes made by hand), as text that the store does not
    /// read.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn setting(&self, key: &str) -> Result<Option<String>> {
        let key = format!("room:{key}");
        self.read(move |conn| meta(conn, &key)).await
    }

    /// Keeps it, durable when this returns; `None` deletes the key.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn set_setting(&self, key: &str, value: Option<String>) -> Result<()> {
        let key = format!("room:{key}");
        self.write(None, move |tx| set_meta(tx.conn, &key, value.as_deref())).await
    }
}

/// A process that ended without saying what became of the rows it had handed out.
fn requeue_all(conn: &Connection) -> Result<()> {
    conn.execute("UPDATE outbox SET state = 0, maybe_sent = 1 WHERE state = 1", [])?;
    Ok(())
}

/// Tells readers and links after each commit.
fn announcer(feed: &watch::Sender<Seq>, bells: &Bells) -> impl FnMut(Announcement) + Send + 'static {
    let (feed, bells) = (feed.clone(), bells.clone());
    move |announcement| {
        if let Some(seq) = announcement.seq {
            feed.send_replace(seq);
        }
        if !announcement.outbox.is_empty() {
            let bells = bells.lock().unwrap_or_else(PoisonError::into_inner);
            for account in announcement.outbox {
                if let Some(bell) = bells.get(&account) {
                    bell.send_modify(|count| *count = count.wrapping_add(1));
                }
            }
        }
    }
}

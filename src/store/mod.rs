//! The hall: one writer, SQLite; commit first, announce second. Everything that must survive passes through here.
//!
//! `Store` is a handle: cheap to clone, every method is cancel-safe for the caller, no method blocks the runtime.

use crate::model::{
    AccountId, Checkpoint, CheckpointRow, Command, CommandKind, Conversation, ConversationId, Event, FeedItem, Member,
    Message, MessageId, OutboxId, Page, Query, Seq, Timestamp,
};
use crate::world::{Clock, Entropy};
use std::path::Path;
use tokio::sync::watch;

/// What went wrong, by what the caller can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, read-only or failing: keep the batch and try again.
    #[error("{intent}: {cause}")]
    Disk {
        /// What was being done, with the path.
        intent: String,
        /// What the system said.
        cause: String,
    },
    /// The file is damaged.
    #[error("{path} is damaged: {cause}")]
    Corrupt {
        /// Which file.
        path: String,
        /// What SQLite said.
        cause: String,
    },
    /// The file was written by a newer wakeful.
    #[error("{path} was written by a newer wakeful (schema {found}, this one knows {known}); it is left untouched")]
    Newer {
        /// Which file.
        path: String,
        /// Its schema version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// No such account, conversation, message or row.
    #[error("no such {what}")]
    NotFound {
        /// What is not there.
        what: String,
    },
    /// The request makes no sense, or would have to scan everything.
    #[error("{0}")]
    Invalid(String),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `synchronous=FULL` (default). `false` is for measurements and mutants only.
    pub full_sync: bool,
    /// SQLite page cache of the writer, KiB.
    pub cache_kib: u32,
    /// How long the feed's rows are kept.
    pub feed_rows: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { full_sync: true, cache_kib: 256, feed_rows: 100_000 }
    }
}

/// One batch of a link: it commits as a whole or not at all (one SAVEPOINT within the group commit).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Facts in their order.
    pub events: Vec<Event>,
    /// The protocol's progress that goes with them.
    pub checkpoint: Checkpoint,
    /// Wall-clock time at which the batch was cut (for `due` banners and ages).
    pub at: Timestamp,
}

/// What the user wants sent or changed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose.
    pub account: AccountId,
    /// For which conversation; `None` for commands about none (create, contacts).
    pub conversation: Option<ConversationId>,
    /// What.
    pub what: CommandKind,
    /// Given by a client that wants to repeat a request safely: the same id enqueues once.
    pub id: Option<MessageId>,
    /// Wall-clock time.
    pub at: Timestamp,
}

/// What became of a draft: it is durably in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The message (for `Send`), or the id under which the row's fate can be asked.
    pub message: MessageId,
    /// The row.
    pub outbox: OutboxId,
    /// The change that announced it.
    pub seq: Seq,
}

/// An outbox row's state as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// On disk, not handed out.
    Pending,
    /// Handed to the connection.
    InFlight,
    /// The server has it.
    Done,
    /// Refused for good.
    Failed {
        /// Stable code.
        code: String,
        /// Plain words.
        text: String,
    },
}

/// The outbox row as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Which.
    pub id: OutboxId,
    /// The message or request id.
    pub message: MessageId,
    /// Its conversation (for `Create`: filled in once it exists).
    pub conversation: Option<ConversationId>,
    /// How far it is.
    pub state: OutboxState,
}

/// How a person names a conversation: local id, server id, exact title, user. Ambiguity is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It exists.
    Known(ConversationId),
    /// No such conversation yet: a user's name that would open the direct conversation.
    User(String),
}

/// A banner row: a candidate (`due`), or what the notification server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// The message.
    pub message: MessageId,
    /// Its account.
    pub account: AccountId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// How far it is.
    pub state: BannerState,
    /// When it became due.
    pub due_at: Timestamp,
    /// It came while catching up.
    pub catch_up: bool,
}

/// How far a banner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BannerState {
    /// A candidate, to be judged.
    Due,
    /// Judged: not now (reason kept).
    Held(String),
    /// On screen.
    Shown {
        /// Unique bus name of the notification server that has it.
        server: String,
        /// Its id there.
        id: u32,
    },
    /// Judged: never (reason kept).
    Dropped(String),
}

/// The store's handle.
#[derive(Clone)]
pub struct Store {
    inner: std::sync::Arc<()>,
}

#[allow(clippy::todo, unused_variables, missing_docs)]
impl Store {
    /// Opens or creates `DIR/wakeful.db` and starts the writer's and the checkpointer's threads. Blocking.
    pub fn open(dir: &Path, settings: Settings, clock: Clock, entropy: Entropy) -> Result<Self, StoreError> {
        todo!()
    }
    /// A store in memory, for tests and simulation; the same code without the file.
    pub fn in_memory(settings: Settings, clock: Clock, entropy: Entropy) -> Result<Self, StoreError> {
        todo!()
    }
    /// Finishes what is queued, checkpoints the WAL and stops the threads.
    pub async fn close(&self) {
        todo!()
    }

    // --- accounts -----------------------------------------------------------------------------------------------
    /// The account of this name, made if it is new. `me` is our own user id or bare JID when known.
    pub async fn account(&self, name: &str, protocol: &str, me: Option<&str>) -> Result<AccountId, StoreError> {
        todo!()
    }
    /// Names of accounts that have data here.
    pub async fn accounts(&self) -> Result<Vec<(AccountId, String)>, StoreError> {
        todo!()
    }
    /// Deletes everything of an account.
    pub async fn purge_account(&self, account: AccountId) -> Result<(), StoreError> {
        todo!()
    }

    // --- links --------------------------------------------------------------------------------------------------
    /// Commits a batch; when this returns `Ok` it is on disk (FULL) and announced on the feed.
    pub async fn apply(&self, account: AccountId, batch: Batch) -> Result<Seq, StoreError> {
        todo!()
    }
    /// The protocol's rows as last committed.
    pub async fn checkpoint(&self, account: AccountId) -> Result<Vec<CheckpointRow>, StoreError> {
        todo!()
    }
    /// Up to `limit` outbox rows that are pending and due, in order, never past an unsettled one of the same
    /// conversation that is not handed out too; they become in flight. Rows that were in flight before carry `maybe_sent`.
    pub async fn take_outbox(
        &self,
        account: AccountId,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Command>, StoreError> {
        todo!()
    }
    /// The connection is gone: rows in flight are pending again with `maybe_sent`.
    pub async fn requeue_outbox(&self, account: AccountId) -> Result<(), StoreError> {
        todo!()
    }
    /// When the earliest deferred row becomes due.
    pub async fn outbox_due(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError> {
        todo!()
    }
    /// Rings when the account's outbox changed.
    pub fn outbox_bell(&self, account: AccountId) -> watch::Receiver<u64> {
        todo!()
    }

    // --- readers and GUIs ---------------------------------------------------------------------------------------
    /// Rings with the newest committed change.
    pub fn feed(&self) -> watch::Receiver<Seq> {
        todo!()
    }
    /// Changes after `after`, at most `limit`. `Invalid` when they are no longer kept: the reader must resync.
    pub async fn changes(&self, after: Seq, limit: usize) -> Result<Vec<FeedItem>, StoreError> {
        todo!()
    }
    /// Puts a draft into the outbox, durably.
    pub async fn enqueue(&self, draft: Draft) -> Result<Enqueued, StoreError> {
        todo!()
    }
    /// A row's state, by the message or request id.
    pub async fn outbox_row(&self, message: MessageId) -> Result<OutboxRow, StoreError> {
        todo!()
    }
    /// Takes a row back that was never handed out.
    pub async fn cancel(&self, message: MessageId) -> Result<bool, StoreError> {
        todo!()
    }
    /// One transaction: local read position up to this message, unread count, banner withdrawal, outbox row `Mark`.
    pub async fn mark_read(
        &self,
        conversation: ConversationId,
        upto: Option<MessageId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// Finds what a person means by a conversation's name.
    pub async fn resolve(&self, account: AccountId, name: &str) -> Result<Named, StoreError> {
        todo!()
    }
    /// The direct conversation with a user, made if it is new.
    pub async fn direct(&self, account: AccountId, user: &str) -> Result<ConversationId, StoreError> {
        todo!()
    }
    /// Conversations, newest activity first.
    pub async fn conversations(
        &self,
        account: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StoreError> {
        todo!()
    }
    pub async fn conversation(&self, id: ConversationId) -> Result<Conversation, StoreError> {
        todo!()
    }
    pub async fn members(&self, id: ConversationId) -> Result<Vec<Member>, StoreError> {
        todo!()
    }
    pub async fn message(&self, id: MessageId) -> Result<Message, StoreError> {
        todo!()
    }
    /// Several messages at once; those that are gone are left out.
    pub async fn messages(&self, ids: Vec<MessageId>) -> Result<Vec<Message>, StoreError> {
        todo!()
    }
    /// One page. `from` is where the previous page ended; `limit` rows at most.
    pub async fn page(
        &self,
        query: Query,
        from: Option<crate::model::Position>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        todo!()
    }
    pub async fn count(&self, query: Query) -> Result<u64, StoreError> {
        todo!()
    }
    /// Incoming messages not read, over everything or one account.
    pub async fn unread(&self, account: Option<AccountId>) -> Result<u64, StoreError> {
        todo!()
    }

    // --- notify -------------------------------------------------------------------------------------------------
    /// Banners that are not settled: due, held and shown, oldest first.
    pub async fn banners(&self) -> Result<Vec<Banner>, StoreError> {
        todo!()
    }
    /// The unsettled banners among these messages; those that are settled or never were due are left out.
    pub async fn banners_of(&self, messages: Vec<MessageId>) -> Result<Vec<Banner>, StoreError> {
        todo!()
    }
    /// Records judgements: durable when this returns.
    pub async fn set_banners(&self, states: Vec<(MessageId, BannerState)>) -> Result<(), StoreError> {
        todo!()
    }

    // --- settings -----------------------------------------------------------------------------------------------
    /// What a room keeps for itself under a key (e.g. `notify`: mutes made by hand), as text that the store does not read.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        todo!()
    }
    /// Keeps it, durable when this returns; `None` deletes the key.
    pub async fn set_setting(&self, key: &str, value: Option<String>) -> Result<(), StoreError> {
        todo!()
    }
}

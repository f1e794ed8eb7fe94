//! The hall: one writer, SQLite; commit first, announce second. Everything that must survive passes through here.
//!
//! [`Store`] is a handle: cheap to clone, every method is cancel-safe for the caller, no method blocks the runtime.
//! A link's [`Batch`] commits whole or not at all, with the protocol's checkpoint; only then is it announced on the
//! feed. Nothing here decides what to send, to show or to fetch: it keeps facts and answers questions.

mod account;
mod amend;
mod apply;
mod arrival;
mod banner;
mod code;
mod conversation;
mod error;
mod examine;
mod feed;
mod gaps;
mod handle;
mod handout;
mod health;
mod history;
mod import;
mod ledger;
mod marks;
mod names;
mod outbox;
mod place;
mod plan;
mod quarantine;
mod renewal;
mod requests;
mod retention;
mod retry;
mod room;
mod row;
mod salvage;
mod schema;
mod search;
mod settle;
mod spent;
#[cfg(test)]
mod tests;
mod tx;
mod upkeep;
mod viewer;
mod walk;

use crate::model::{Checkpoint, ConversationId, Event, Timestamp};

pub use banner::{Banner, BannerState};
pub use error::StoreError;
pub use examine::Findings;
pub use handle::Store;
pub use import::Imported;
pub use outbox::{Draft, Enqueued, LONGEST_TEXT, OutboxRow, OutboxState};
pub use requests::RequestInfo;
pub use retention::{Retention, Swept};
pub use viewer::Viewer;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `synchronous=FULL` (default). `false` is for measurements and mutants only.
    pub full_sync: bool,
    /// SQLite page cache of the writer, KiB.
    pub cache_kib: u32,
    /// How long the feed's rows are kept.
    pub feed_rows: u64,
    /// Bytes of a file beside the database that is given up when the disk is full, so that what the user does still
    /// fits; 0: none.
    pub ballast: u64,
}

impl Settings {
    /// What of it concerns the database.
    fn db(&self) -> crate::db::Settings {
        crate::db::Settings { full_sync: self.full_sync, cache_kib: self.cache_kib }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { full_sync: true, cache_kib: 256, feed_rows: 100_000, ballast: 0 }
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

/// How a person names a conversation: local id, server id, exact title, user. Ambiguity is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It exists.
    Known(ConversationId),
    /// No such conversation yet: a user's name that would open the direct conversation.
    User(String),
}

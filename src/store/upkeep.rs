//! The store's handle, continued: what keeps it in order. Each call is one bounded step; nothing here runs by itself.

use super::handle::MANY;
use super::health::Health;
use super::retention::{self, Retention, Swept};
use super::tx::Result;
use super::{Imported, RequestInfo, Store, gaps, import, requests, spent};
use crate::db;
use crate::model::{AccountId, ConversationId, Hole, Position, Record, StoreStatus, Timestamp};
use std::path::Path;
use tokio::sync::watch;

impl Store {
    /// The place below which the account's messages are more than is to be kept; `None`: all may stay. To find it what
    /// stays is counted, so it is asked for once and then [`Store::retain`] goes there in steps.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn floor(&self, account: AccountId, keep: &Retention, now: Timestamp) -> Result<Option<Position>> {
        let keep = keep.clone();
        self.read(move |conn| retention::floor(conn, account, &keep, now)).await
    }

    /// Throws a few of the account's oldest messages below `floor` away. Go on with what [`Swept::next`] says; begin
    /// with `None`.
    ///
    /// # Errors
    /// `Disk`: nothing of this step was done.
    pub async fn retain(
        &self,
        account: AccountId,
        floor: Position,
        from: Option<Position>,
        now: Timestamp,
    ) -> Result<Swept> {
        let from = from.unwrap_or(Position(i64::MIN));
        self.write_rows(Some(now), MANY, move |tx| retention::step(tx, account, from, floor)).await
    }

    /// Deletes a few settled outbox rows and changes of the feed that are older than a week; how many. Call it again
    /// while it finds some.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize> {
        self.write(Some(now), move |tx| spent::sweep(tx, now)).await
    }

    /// What is missing here: of a conversation, an account, or all; oldest first, at most 1,000.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn holes(&self, account: Option<AccountId>, conversation: Option<ConversationId>) -> Result<Vec<Hole>> {
        let now = self.wall();
        self.read(move |conn| gaps::list(conn, account, conversation, now)).await
    }

    /// A reader came to a hole and its server was asked.
    ///
    /// # Errors
    /// `Disk`.
    pub async fn asked(&self, account: AccountId, hole: Hole) -> Result<()> {
        self.write(None, move |tx| gaps::asked(tx, account, &hole)).await
    }

    /// The outbox, newest first: what waits and what failed; with `settled` also what is done, for a week.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn requests(&self, account: Option<AccountId>, settled: bool, limit: usize) -> Result<Vec<RequestInfo>> {
        self.read(move |conn| requests::list(conn, account, settled, limit)).await
    }

    /// Takes lines of an export in, whole or not at all; of what is here already only what is newer is taken.
    /// `line`: how many of the export's lines are in with these. No lines: how far it is.
    ///
    /// # Errors
    /// `Invalid` or `NotFound` if a line makes no sense here; `Disk`.
    pub async fn import(&self, export: String, line: u64, records: Vec<Record>) -> Result<Imported> {
        self.write_rows(None, records.len(), move |tx| import::apply(tx, &export, line, &records)).await
    }

    /// How the file is, now and whenever that changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<StoreStatus> {
        self.inner.health.watch()
    }

    /// Reads the file through if that has to be done, beside everything else; [`Store::health`] tells what was found.
    /// `thorough` compares indices with tables too.
    pub async fn check(&self, thorough: bool) {
        let Some(path) = self.inner.health.path().map(Path::to_owned) else { return };
        let options = db::Settings { cache_kib: 2_048, ..db::Settings::default() };
        let reading = tokio::task::spawn_blocking(move || Health::read_through(&path, &options, !thorough));
        if let Ok(found) = reading.await {
            if let Err(error) = &found {
                tracing::error!(%error, "the database was read through");
            }
            self.inner.health.judged(found);
        }
    }
}

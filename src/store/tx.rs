//! One transaction as the store's writing code sees it: statements, the feed, ids and the time. It commits nothing
//! itself.

use super::StoreError;
use crate::model::{AccountId, ConversationId, FeedKind, MessageId, Seq, Timestamp};
use crate::world::Entropy;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use std::collections::BTreeSet;

pub(super) type Result<T> = std::result::Result<T, StoreError>;

/// What is announced after the commit.
#[derive(Debug, Default)]
pub(super) struct Announcement {
    /// The newest change.
    pub(super) seq: Option<Seq>,
    /// Accounts whose outbox changed.
    pub(super) outbox: BTreeSet<AccountId>,
}

/// A running transaction.
pub(super) struct Tx<'c> {
    pub(super) conn: &'c Connection,
    /// Wall-clock time of the change.
    pub(super) at: Timestamp,
    entropy: &'c Entropy,
    /// Feed rows written so far.
    pub(super) changes: i64,
    pub(super) announcement: Announcement,
}

impl<'c> Tx<'c> {
    pub(super) fn new(conn: &'c Connection, entropy: &'c Entropy, at: Timestamp) -> Self {
        Self { conn, at, entropy, changes: 0, announcement: Announcement::default() }
    }

    /// Runs a statement; the number of rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// The first row, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        one(self.conn, sql, params, map)
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        all(self.conn, sql, params, map)
    }

    /// Writes one row of the feed.
    pub(super) fn change(
        &mut self,
        account: AccountId,
        kind: FeedKind,
        conversation: Option<ConversationId>,
        message: Option<MessageId>,
    ) -> Result<Seq> {
        self.run(
            "INSERT INTO change(account, kind, conversation, message) VALUES (?1, ?2, ?3, ?4)",
            (
                account.0,
                super::feed::kind_code(kind),
                conversation.map(|id| *id.0.as_bytes()),
                message.map(|id| *id.0.as_bytes()),
            ),
        )?;
        let seq = Seq(self.conn.last_insert_rowid());
        self.announcement.seq = Some(seq);
        self.changes += 1;
        Ok(seq)
    }

    /// The newest change of all, without making one.
    pub(super) fn newest(&self) -> Result<Seq> {
        super::feed::newest(self.conn)
    }

    /// The account's outbox changed.
    pub(super) fn ring(&mut self, account: AccountId) {
        self.announcement.outbox.insert(account);
    }

    pub(super) fn message_id(&self) -> MessageId {
        self.entropy.message_id(self.at)
    }

    pub(super) fn conversation_id(&self) -> ConversationId {
        ConversationId(self.entropy.message_id(self.at).0)
    }
}

/// The first row, if there is one.
pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    Ok(conn.prepare_cached(sql)?.query_row(params, map).optional()?)
}

/// All rows.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params, map)?.collect::<rusqlite::Result<Vec<T>>>()?;
    Ok(rows)
}

/// A value as JSON text.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Invalid(error.to_string()))
}

/// A note of the store's own: its value.
pub(super) fn meta(conn: &Connection, key: &str) -> Result<Option<String>> {
    one(conn, "SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
}

/// Sets a note, or takes it away.
pub(super) fn set_meta(conn: &Connection, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => {
            conn.prepare_cached("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)")?.execute((key, value))?
        }
        None => conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}

/// A UUID as it stands in the file.
pub(super) fn message_id(bytes: [u8; 16]) -> MessageId {
    MessageId(uuid::Uuid::from_bytes(bytes))
}

/// A UUID as it stands in the file.
pub(super) fn conversation_id(bytes: [u8; 16]) -> ConversationId {
    ConversationId(uuid::Uuid::from_bytes(bytes))
}

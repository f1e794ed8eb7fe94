//! A store seen from beside: read-only, while a daemon may be at work in it. No look holds a snapshot for longer than one
//! page, so that the write-ahead log can be emptied meanwhile.

use super::tx::{Result, all, conversation_id, one};
use super::{StoreError, conversation, examine, feed, row, schema};
use crate::db;
use crate::model::{
    AccountId, AccountRecord, ConversationId, ConversationRecord, FeedKind, MessageId, MessageRecord, Position, Seq,
    SpanRecord, Timestamp,
};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// A read-only look.
pub struct Viewer {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    /// Which file it was when it was opened.
    pub(super) file: (u64, u64),
}

impl Viewer {
    /// Opens `DIR/wakeful.db` for reading.
    ///
    /// # Errors
    /// `NotFound` if there is none yet, `Newer`, `Corrupt`, `Disk`.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("wakeful.db");
        if !path.exists() {
            return Err(StoreError::not_found(format!("store at {}: no daemon has run here yet", path.display())));
        }
        let options = db::Settings { cache_kib: 2_048, ..db::Settings::default() };
        let file = examine::identity(&path).unwrap_or_default();
        let conn = db::open_reader(&path, &options)?;
        let found: i64 = conn
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|error| StoreError::from(db::DbError::sqlite("reading", Some(&path), &error)))?;
        if found > schema::newest() {
            return Err(StoreError::Newer { path: path.display().to_string(), found, known: schema::newest() });
        }
        Ok(Self { conn, path, file })
    }

    /// The newest committed change.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn newest(&self) -> Result<Seq> {
        feed::newest(&self.conn)
    }

    /// All accounts that have data here.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn accounts(&self) -> Result<Vec<(AccountId, AccountRecord)>> {
        all(&self.conn, "SELECT id, name, protocol, me FROM account ORDER BY id", [], |row| {
            let record = AccountRecord { name: row.get(1)?, protocol: row.get(2)?, me: row.get(3)? };
            Ok((AccountId(row.get(0)?), record))
        })
    }

    /// An account's conversations, or one of them.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn conversations(&self, account: AccountId, only: Option<ConversationId>) -> Result<Vec<ConversationRecord>> {
        all(
            &self.conn,
            "SELECT c.id, a.name, c.kind, c.server, c.peer, c.title, c.gone, c.read_known, c.read_position, c.read_order
             FROM conversation c JOIN account a ON a.id = c.account
             WHERE c.account = ?1 AND (?2 IS NULL OR c.id = ?2) ORDER BY c.key",
            (account.0, only.map(|id| *id.0.as_bytes())),
            |row| {
                let known: bool = row.get(7)?;
                let read: i64 = row.get(8)?;
                Ok(ConversationRecord {
                    id: conversation_id(row.get(0)?),
                    account: row.get(1)?,
                    kind: conversation::kind_of(row.get(2)?),
                    server: row.get(3)?,
                    peer: row.get(4)?,
                    title: row.get(5)?,
                    gone: row.get(6)?,
                    read: known.then_some(Position(read)),
                    read_order: row.get(9)?,
                })
            },
        )
    }

    /// The conversation that a person means.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` if several bear the name.
    pub fn resolve(&self, account: AccountId, name: &str) -> Result<ConversationId> {
        match conversation::resolve(&self.conn, account, name)? {
            super::Named::Known(id) => Ok(id),
            super::Named::User(_) => Err(StoreError::not_found(format!("conversation {name:?}"))),
        }
    }

    /// How many messages there are.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn count(&self, account: AccountId, only: Option<ConversationId>) -> Result<u64> {
        let count: Option<i64> = match only {
            None => one(&self.conn, "SELECT count(*) FROM message WHERE account = ?1", [account.0], |row| row.get(0))?,
            Some(id) => {
                let sql =
                    "SELECT count(*) FROM message WHERE conversation = (SELECT key FROM conversation WHERE id = ?1)";
                one(&self.conn, sql, [*id.0.as_bytes()], |row| row.get(0))?
            }
        };
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// Messages after a place, oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn messages(
        &self,
        account: AccountId,
        only: Option<ConversationId>,
        after: Position,
        limit: usize,
    ) -> Result<Vec<MessageRecord>> {
        let scope = match only {
            None => "m.account = ?1 AND ?2 IS NULL",
            Some(_) => "m.account = ?1 AND m.conversation = (SELECT key FROM conversation WHERE id = ?2)",
        };
        let sql = format!(
            "{EXTRA} FROM message m {} WHERE {scope} AND m.position > ?3 ORDER BY m.position LIMIT ?4",
            row::JOINS,
            EXTRA = extra()
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = all(&self.conn, &sql, (account.0, only.map(|id| *id.0.as_bytes()), after.0, limit), record)?;
        found.into_iter().map(|record| record.complete(&self.conn)).collect()
    }

    /// Changes of messages after a change: their number, and the message as it is now, if it is here.
    ///
    /// # Errors
    /// `Invalid` if they are no longer kept.
    pub fn changed(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, Option<MessageId>)>> {
        let told = |kind| matches!(kind, FeedKind::Message | FeedKind::Backfill | FeedKind::Changed);
        let items = feed::changes(&self.conn, after, limit)?;
        Ok(items.into_iter().map(|item| (item.seq, item.message.filter(|_| told(item.kind)))).collect())
    }

    /// One message.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn message(&self, id: MessageId) -> Result<Option<MessageRecord>> {
        let sql = format!("{} FROM message m {} WHERE m.id = ?1", extra(), row::JOINS);
        let found = one(&self.conn, &sql, [*id.0.as_bytes()], record)?;
        found.map(|record| record.complete(&self.conn)).transpose()
    }

    /// What is known without a gap.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn spans(&self, account: AccountId, only: Option<ConversationId>) -> Result<Vec<SpanRecord>> {
        all(
            &self.conn,
            "SELECT a.name, ar.name, c.server, s.lo, s.lo_at, s.hi, s.hi_at, s.after, s.before, s.at_start
             FROM span s JOIN account a ON a.id = s.account JOIN archive ar ON ar.key = s.archive
             LEFT JOIN conversation c ON c.key = s.conversation
             WHERE s.account = ?1 AND (?2 IS NULL OR c.id = ?2) ORDER BY s.lo_position",
            (account.0, only.map(|id| *id.0.as_bytes())),
            |row| {
                Ok(SpanRecord {
                    account: row.get(0)?,
                    archive: row.get(1)?,
                    conversation_server: row.get(2)?,
                    lo: row.get(3)?,
                    lo_at: Timestamp(row.get(4)?),
                    hi: row.get(5)?,
                    hi_at: Timestamp(row.get(6)?),
                    after: row.get(7)?,
                    before: row.get(8)?,
                    at_start: row.get(9)?,
                })
            },
        )
    }
}

fn extra() -> String {
    format!("{}, c.server, m.server_order, m.sender_ref, m.rev", row::select())
}

struct Half {
    loaded: row::Loaded,
    conversation_server: Option<String>,
    order: Option<i64>,
    sender_ref: Option<String>,
    rev: i64,
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Half> {
    Ok(Half {
        loaded: row::load(row)?,
        conversation_server: row.get(25)?,
        order: row.get(26)?,
        sender_ref: row.get(27)?,
        rev: row.get(28)?,
    })
}

impl Half {
    fn complete(self, conn: &Connection) -> Result<MessageRecord> {
        let Self { loaded, conversation_server, order, sender_ref, rev } = self;
        Ok(MessageRecord { message: row::complete(conn, loaded)?, conversation_server, order, sender_ref, rev })
    }
}

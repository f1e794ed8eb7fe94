//! What can still be read of a damaged file and exists nowhere else: what the user wrote and no server has, what rooms
//! keep for themselves, and the names that both need. Each table is read as far as it goes, from both ends.

use super::account;
use super::conversation::Conv;
use super::tx::{Result, Tx, json, set_meta};
use super::{Draft, conversation, handout, outbox, settle};
use crate::db;
use crate::model::{AccountId, AccountRecord, CommandKind, SendFailure, Timestamp};
use rusqlite::{Connection, Row};
use std::collections::BTreeMap;
use std::path::Path;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    accounts: BTreeMap<i64, AccountRecord>,
    conversations: BTreeMap<i64, Conversation>,
    settings: BTreeMap<String, String>,
    pub(super) rows: BTreeMap<i64, Request>,
    /// Some table could not be read to its end.
    pub(super) incomplete: bool,
}

#[derive(Debug)]
struct Conversation {
    id: [u8; 16],
    account: i64,
    kind: i64,
    server: Option<String>,
    peer: Option<String>,
    title: Option<String>,
}

/// A request that was not settled, or failed.
#[derive(Debug)]
pub(super) struct Request {
    account: i64,
    conversation: Option<i64>,
    message: [u8; 16],
    what: String,
    maybe_sent: bool,
    written_at: i64,
    failure: Option<SendFailure>,
}

/// Reads what can be read; a file that does not open gives nothing.
pub(super) fn read(path: &Path, settings: &db::Settings) -> Salvaged {
    let mut found = Salvaged::default();
    let conn = match db::open_reader(path, settings) {
        Ok(conn) => conn,
        Err(error) => {
            tracing::error!(%error, "nothing can be read of the damaged file");
            found.incomplete = true;
            return found;
        }
    };
    let mut whole = true;
    found.accounts = table(&conn, "SELECT id, name, protocol, me FROM account", "id", &mut whole, |row| {
        Ok((row.get(0)?, AccountRecord { name: row.get(1)?, protocol: row.get(2)?, me: row.get(3)? }))
    });
    let conversations = "SELECT key, id, account, kind, server, peer, title FROM conversation";
    found.conversations = table(&conn, conversations, "key", &mut whole, |row| {
        let (id, account, kind) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let found = Conversation { id, account, kind, server: row.get(4)?, peer: row.get(5)?, title: row.get(6)? };
        Ok((row.get(0)?, found))
    });
    found.settings = table(&conn, "SELECT key, value FROM meta WHERE key LIKE 'room:%'", "key", &mut whole, |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let open =
        "SELECT id, account, conversation, message, what, maybe_sent OR state = 1, written_at, state, code, error
                FROM outbox WHERE state IN (0, 1, 3)";
    found.rows = table(&conn, open, "id", &mut whole, |row| {
        let (account, conversation, message) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (what, maybe_sent, written_at) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let failure = match row.get::<_, i64>(7)? {
            settle::FAILED => Some(SendFailure {
                code: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
                text: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
            }),
            _ => None,
        };
        Ok((row.get(0)?, Request { account, conversation, message, what, maybe_sent, written_at, failure }))
    });
    for row in found.rows.values_mut() {
        name_target(&conn, row);
    }
    found.incomplete = !whole;
    found
}

/// Writes into the request what the server calls the message that it is about: that comes back under another local id.
fn name_target(conn: &Connection, row: &mut Request) {
    let Ok(mut what) = serde_json::from_str::<CommandKind>(&row.what) else { return };
    let Some(target) = handout::target_of(&mut what) else { return };
    match handout::named(conn, row.account, target).and_then(|_| json(&what)) {
        Ok(named) => row.what = named,
        Err(error) => tracing::warn!(%error, "what a request is about cannot be read"),
    }
}

/// A table's rows, forwards until a page cannot be read, then backwards until the same.
fn table<K: Ord, V>(
    conn: &Connection,
    sql: &str,
    key: &str,
    whole: &mut bool,
    row: impl Fn(&Row<'_>) -> rusqlite::Result<(K, V)>,
) -> BTreeMap<K, V> {
    let mut found = BTreeMap::new();
    for direction in ["ASC", "DESC"] {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = conn.prepare(&format!("{sql} ORDER BY {key} {direction}"))?;
            let mut rows = statement.query([])?;
            while let Some(next) = rows.next()? {
                let (key, value) = row(next)?;
                found.insert(key, value);
            }
            Ok(())
        };
        match read() {
            Ok(()) => return found,
            Err(error) => {
                tracing::warn!(%error, sql, direction, "a table of the damaged file cannot be read to its end")
            }
        }
    }
    *whole = false;
    found
}

/// Puts it into a new file; how many requests wait there again.
pub(super) fn write(tx: &mut Tx<'_>, found: &Salvaged) -> Result<u64> {
    let mut accounts = BTreeMap::new();
    for (old, row) in &found.accounts {
        accounts.insert(*old, account::ensure(tx, &row.name, &row.protocol, row.me.as_deref())?);
    }
    for (key, value) in &found.settings {
        set_meta(tx.conn, key, Some(value))?;
    }
    let mut conversations = BTreeMap::new();
    let needed: Vec<i64> = found.rows.values().filter_map(|row| row.conversation).collect();
    for (old, row) in found.conversations.iter().filter(|(key, _)| needed.contains(key)) {
        let Some(account) = accounts.get(&row.account) else { continue };
        tx.run(
            "INSERT OR IGNORE INTO conversation(id, account, kind, server, peer, title) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (row.id, account.0, row.kind, &row.server, &row.peer, &row.title),
        )?;
        let id = super::tx::conversation_id(row.id);
        if let Ok(conv) = conversation::by_id(tx, id) {
            conversations.insert(*old, conv);
        }
    }
    let mut carried = 0;
    for row in found.rows.values() {
        if request(tx, row, &accounts, &conversations)? {
            carried += 1;
        }
    }
    Ok(carried)
}

/// Puts one request back; `false` if what it is for could not be read.
fn request(
    tx: &mut Tx<'_>,
    row: &Request,
    accounts: &BTreeMap<i64, AccountId>,
    conversations: &BTreeMap<i64, Conv>,
) -> Result<bool> {
    let conv = row.conversation.and_then(|key| conversations.get(&key));
    let what = serde_json::from_str::<CommandKind>(&row.what);
    let (Some(account), Ok(what)) = (accounts.get(&row.account), what) else { return Ok(false) };
    if row.conversation.is_some() && conv.is_none() {
        return Ok(false);
    }
    let id = super::tx::message_id(row.message);
    let at = Timestamp(row.written_at);
    let draft = Draft { account: *account, conversation: conv.map(|conv| conv.id), what, id: Some(id), at };
    let restored = outbox::restore(tx, &draft, conv, id, row.maybe_sent)?;
    if let Some(failure) = &row.failure {
        settle::fail(tx, *account, restored, failure)?;
    }
    Ok(true)
}

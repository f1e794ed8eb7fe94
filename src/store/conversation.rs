//! Conversations: found by any of their names, made when first heard of, and merged when two turn out to be one.

use super::tx::{Result, Tx, all, conversation_id, one};
use super::{Named, StoreError};
use crate::model::{
    AccountId, Conversation, ConversationId, ConversationKey, ConversationKind, ConversationRecord, ConversationUpdate,
    FeedKind, Member, MemberUpdate, Role, Timestamp, UserUpdate,
};
use rusqlite::{Connection, Row};

/// A conversation as the writing code needs it.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    pub(super) key: i64,
    pub(super) id: ConversationId,
    pub(super) account: AccountId,
    pub(super) kind: ConversationKind,
    pub(super) server: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) gone: bool,
    pub(super) read_known: bool,
    pub(super) read_position: i64,
    pub(super) read_order: i64,
    pub(super) unread_below: i64,
}

const COLUMNS: &str = "key, id, account, kind, server, peer, gone, read_known, read_position, read_order, unread_below";

fn conv(row: &Row<'_>) -> rusqlite::Result<Conv> {
    Ok(Conv {
        key: row.get(0)?,
        id: conversation_id(row.get(1)?),
        account: AccountId(row.get(2)?),
        kind: kind_of(row.get(3)?),
        server: row.get(4)?,
        peer: row.get(5)?,
        gone: row.get(6)?,
        read_known: row.get(7)?,
        read_position: row.get(8)?,
        read_order: row.get(9)?,
        unread_below: row.get(10)?,
    })
}

fn kind_code(kind: ConversationKind) -> i64 {
    match kind {
        ConversationKind::Direct => 0,
        ConversationKind::Group => 1,
        ConversationKind::Channel => 2,
    }
}

pub(super) fn kind_of(code: i64) -> ConversationKind {
    match code {
        0 => ConversationKind::Direct,
        2 => ConversationKind::Channel,
        _ => ConversationKind::Group,
    }
}

fn find(tx: &Tx<'_>, condition: &str, account: AccountId, name: &str) -> Result<Option<Conv>> {
    tx.one(&format!("SELECT {COLUMNS} FROM conversation WHERE account = ?1 AND {condition}"), (account.0, name), conv)
}

/// By its row.
pub(super) fn by_key(tx: &Tx<'_>, key: i64) -> Result<Conv> {
    tx.one(&format!("SELECT {COLUMNS} FROM conversation WHERE key = ?1"), [key], conv)?
        .ok_or_else(|| StoreError::not_found("conversation"))
}

/// By its local id.
pub(super) fn by_id(tx: &Tx<'_>, id: ConversationId) -> Result<Conv> {
    known(tx, id)?.ok_or_else(|| StoreError::not_found(format!("conversation {id}")))
}

/// By its local id, if there is one.
pub(super) fn known(tx: &Tx<'_>, id: ConversationId) -> Result<Option<Conv>> {
    tx.one(&format!("SELECT {COLUMNS} FROM conversation WHERE id = ?1"), [*id.0.as_bytes()], conv)
}

/// The conversation that a protocol means; made if it is new, completed or merged if it is known by halves.
pub(super) fn of_key(
    tx: &mut Tx<'_>,
    account: AccountId,
    key: &ConversationKey,
    kind: Option<ConversationKind>,
) -> Result<Conv> {
    let by_server = match &key.server {
        Some(server) => find(tx, "server = ?2", account, server)?,
        None => None,
    };
    let by_peer = match &key.peer {
        Some(peer) if by_server.as_ref().is_none_or(|found| found.peer.as_ref() != Some(peer)) => {
            find(tx, "peer = ?2 AND kind = 0", account, peer)?
        }
        _ => None,
    };
    match (by_server, by_peer) {
        (Some(server), None) => complete(tx, server, key),
        (None, Some(peer)) if key.server.is_none() || peer.server.is_none() || peer.server == key.server => {
            complete(tx, peer, key)
        }
        (None, Some(older)) => {
            // The server names a new conversation with the same person (a new epoch): it takes the old one's place.
            forget_numbers(tx, older.key)?;
            tx.run("UPDATE conversation SET server = ?2 WHERE key = ?1", (older.key, &key.server))?;
            by_key(tx, older.key)
        }
        (Some(server), Some(peer)) if server.key != peer.key => merge(tx, &peer, &server, key),
        (Some(server), Some(_)) => Ok(server),
        (None, None) => create(tx, account, key, kind),
    }
}

fn create(tx: &mut Tx<'_>, account: AccountId, key: &ConversationKey, kind: Option<ConversationKind>) -> Result<Conv> {
    let guess = if key.peer.is_some() { ConversationKind::Direct } else { ConversationKind::Group };
    let id = tx.conversation_id();
    tx.run(
        "INSERT INTO conversation(id, account, kind, server, peer) VALUES (?1, ?2, ?3, ?4, ?5)",
        (*id.0.as_bytes(), account.0, kind_code(kind.unwrap_or(guess)), &key.server, &key.peer),
    )?;
    let made = by_key(tx, tx.conn.last_insert_rowid())?;
    tx.change(account, FeedKind::Conversation, Some(id), None)?;
    Ok(made)
}

/// Whether any conversation bears one of these names.
pub(super) fn exists(tx: &Tx<'_>, account: AccountId, key: &ConversationKey) -> Result<bool> {
    let by_server = key.server.as_ref().map(|server| find(tx, "server = ?2", account, server)).transpose()?.flatten();
    let by_peer =
        key.peer.as_ref().map(|peer| find(tx, "peer = ?2 AND kind = 0", account, peer)).transpose()?.flatten();
    Ok(by_server.is_some() || by_peer.is_some())
}

/// A conversation as an export has it, under the id that it had.
pub(super) fn restore(tx: &mut Tx<'_>, account: AccountId, row: &ConversationRecord) -> Result<Conv> {
    tx.run(
        "INSERT INTO conversation(id, account, kind, server, peer, title, gone, read_known, read_position, read_order)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        rusqlite::params![
            *row.id.0.as_bytes(),
            account.0,
            kind_code(row.kind),
            row.server,
            row.peer,
            row.title,
            row.gone,
            row.read.is_some(),
            row.read.map_or(0, |read| read.0),
            row.read_order,
        ],
    )?;
    let made = by_key(tx, tx.conn.last_insert_rowid())?;
    tx.change(account, FeedKind::Conversation, Some(row.id), None)?;
    Ok(made)
}

/// Fills in a name that was not known.
fn complete(tx: &mut Tx<'_>, found: Conv, key: &ConversationKey) -> Result<Conv> {
    let server = found.server.is_none() && key.server.is_some();
    let peer = found.peer.is_none() && key.peer.is_some();
    if !server && !peer {
        return Ok(found);
    }
    tx.run(
        "UPDATE conversation SET server = coalesce(server, ?2), peer = coalesce(peer, ?3),
            kind = CASE WHEN ?4 THEN 0 ELSE kind END WHERE key = ?1",
        (found.key, &key.server, &key.peer, peer),
    )?;
    tx.change(found.account, FeedKind::Conversation, Some(found.id), None)?;
    by_key(tx, found.key)
}

/// What is here was numbered by a server that was set up anew since: only its places count from here on, and so it stays
/// before what comes, and says nothing of how far that was read.
fn forget_numbers(tx: &Tx<'_>, conversation: i64) -> Result<()> {
    for sql in [
        "UPDATE message SET server_order = NULL WHERE conversation = ?1 AND server_order IS NOT NULL",
        "UPDATE mark SET delivered_order = 0, read_order = 0 WHERE conversation = ?1",
        "UPDATE conversation SET read_order = 0 WHERE key = ?1",
    ] {
        tx.run(sql, [conversation])?;
    }
    Ok(())
}

/// Two rows turn out to be one conversation: everything moves to `keep`, which people have seen first.
fn merge(tx: &mut Tx<'_>, keep: &Conv, lose: &Conv, key: &ConversationKey) -> Result<Conv> {
    if keep.server.is_some() && keep.server != lose.server {
        forget_numbers(tx, keep.key)?;
    }
    for table in ["message", "outbox", "span", "thrown", "banner", "orphan"] {
        tx.run(&format!("UPDATE {table} SET conversation = ?1 WHERE conversation = ?2"), (keep.key, lose.key))?;
    }
    for table in ["member", "mark"] {
        tx.run(
            &format!("UPDATE OR IGNORE {table} SET conversation = ?1 WHERE conversation = ?2"),
            (keep.key, lose.key),
        )?;
    }
    tx.run(
        "UPDATE conversation SET read_known = max(read_known, ?2), read_position = max(read_position, ?3),
            read_order = max(read_order, ?4), unread_below = max(unread_below, ?5) WHERE key = ?1",
        (keep.key, lose.read_known, lose.read_position, lose.read_order, lose.unread_below),
    )?;
    tx.run("DELETE FROM conversation WHERE key = ?1", [lose.key])?;
    tx.run(
        "UPDATE conversation SET server = coalesce(?2, server), peer = coalesce(?3, peer),
            unread = (SELECT count(*) FROM message WHERE conversation = ?1 AND state = 0),
            last_at = (SELECT max(sent_at) FROM (SELECT sent_at FROM message WHERE conversation = ?1
                       ORDER BY position DESC LIMIT 1)) WHERE key = ?1",
        (keep.key, &key.server, &key.peer),
    )?;
    tx.change(keep.account, FeedKind::Conversation, Some(lose.id), None)?;
    tx.change(keep.account, FeedKind::Conversation, Some(keep.id), None)?;
    by_key(tx, keep.key)
}

/// A conversation appeared or changed.
pub(super) fn update(tx: &mut Tx<'_>, account: AccountId, news: &ConversationUpdate) -> Result<()> {
    let found = of_key(tx, account, &news.key, Some(news.kind))?;
    let below = news.unread_below.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    tx.run(
        "UPDATE conversation SET kind = ?2, title = coalesce(?3, title), gone = 0,
            unread_below = coalesce(?4, unread_below) WHERE key = ?1",
        (found.key, kind_code(news.kind), &news.title, below),
    )?;
    if let Some(members) = &news.members {
        tx.run("DELETE FROM member WHERE conversation = ?1", [found.key])?;
        for member in members {
            set_member(tx, found.key, &member.user, Some(member.role))?;
            if let Some(name) = &member.name {
                name_user(tx, account, &member.user, name)?;
            }
        }
    }
    tx.change(account, FeedKind::Conversation, Some(found.id), None)?;
    Ok(())
}

/// We are no longer in it; what is here stays readable.
pub(super) fn gone(tx: &mut Tx<'_>, account: AccountId, key: &ConversationKey) -> Result<()> {
    let found = of_key(tx, account, key, None)?;
    if tx.run("UPDATE conversation SET gone = 1 WHERE key = ?1 AND gone = 0", [found.key])? > 0 {
        tx.change(account, FeedKind::Conversation, Some(found.id), None)?;
    }
    Ok(())
}

/// Somebody joined, left or changed role.
pub(super) fn member(tx: &mut Tx<'_>, account: AccountId, news: &MemberUpdate) -> Result<()> {
    let found = of_key(tx, account, &news.conversation, None)?;
    set_member(tx, found.key, &news.user, news.role)?;
    tx.change(account, FeedKind::Conversation, Some(found.id), None)?;
    Ok(())
}

fn set_member(tx: &Tx<'_>, key: i64, user: &str, role: Option<Role>) -> Result<()> {
    let code = match role {
        None => {
            tx.run("DELETE FROM member WHERE conversation = ?1 AND user = ?2", (key, user))?;
            return Ok(());
        }
        Some(Role::Owner) => 0,
        Some(Role::Admin) => 1,
        Some(Role::Member) => 2,
    };
    tx.run("INSERT OR REPLACE INTO member(conversation, user, role) VALUES (?1, ?2, ?3)", (key, user, code))?;
    Ok(())
}

/// A person's display name; conversations that bear it are announced.
pub(super) fn user(tx: &mut Tx<'_>, account: AccountId, news: &UserUpdate) -> Result<()> {
    if name_user(tx, account, &news.user, &news.name)?
        && let Some(direct) = find(tx, "peer = ?2 AND kind = 0", account, &news.user)?
    {
        tx.change(account, FeedKind::Conversation, Some(direct.id), None)?;
    }
    Ok(())
}

fn name_user(tx: &Tx<'_>, account: AccountId, user: &str, name: &str) -> Result<bool> {
    let key = user_key(tx, account, user)?;
    Ok(tx.run("UPDATE user SET name = ?2 WHERE key = ?1 AND name IS NOT ?2", (key, name))? > 0)
}

/// The small integer that stands for a user.
pub(super) fn user_key(tx: &Tx<'_>, account: AccountId, user: &str) -> Result<i64> {
    let known = tx.one("SELECT key FROM user WHERE account = ?1 AND user = ?2", (account.0, user), |row| row.get(0))?;
    if let Some(key) = known {
        return Ok(key);
    }
    tx.run("INSERT INTO user(account, user) VALUES (?1, ?2)", (account.0, user))?;
    Ok(tx.conn.last_insert_rowid())
}

/// What to call a conversation, as an SQL expression over `c`.
pub(super) const NAME: &str = "coalesce(c.title, (SELECT p.name FROM user p WHERE p.account = c.account AND p.user = c.peer), c.peer, c.server, '')";

fn select(tail: &str) -> String {
    format!(
        "SELECT c.id, c.account, a.name, c.kind, c.server, c.peer, {NAME}, c.unread + c.unread_below, c.last_at, c.gone
         FROM conversation c JOIN account a ON a.id = c.account {tail}"
    )
}

fn shown(row: &Row<'_>) -> rusqlite::Result<Conversation> {
    Ok(Conversation {
        id: conversation_id(row.get(0)?),
        account: AccountId(row.get(1)?),
        account_name: row.get(2)?,
        kind: kind_of(row.get(3)?),
        server: row.get(4)?,
        peer: row.get(5)?,
        name: row.get(6)?,
        unread: u64::try_from(row.get::<_, i64>(7)?).unwrap_or_default(),
        last_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        gone: row.get(9)?,
    })
}

/// Conversations, newest activity first.
pub(super) fn list(conn: &Connection, account: Option<AccountId>, limit: usize) -> Result<Vec<Conversation>> {
    let sql = select("WHERE ?1 IS NULL OR c.account = ?1 ORDER BY c.last_at DESC, c.key DESC LIMIT ?2");
    all(conn, &sql, (account.map(|account| account.0), i64::try_from(limit).unwrap_or(i64::MAX)), shown)
}

/// Its key in this file.
pub(super) fn key_of(conn: &Connection, id: ConversationId) -> Result<i64> {
    one(conn, "SELECT key FROM conversation WHERE id = ?1", [*id.0.as_bytes()], |row| row.get(0))?
        .ok_or_else(|| StoreError::not_found(format!("conversation {id}")))
}

pub(super) fn get(conn: &Connection, id: ConversationId) -> Result<Conversation> {
    one(conn, &select("WHERE c.id = ?1"), [*id.0.as_bytes()], shown)?
        .ok_or_else(|| StoreError::not_found(format!("conversation {id}")))
}

pub(super) fn members(conn: &Connection, id: ConversationId) -> Result<Vec<Member>> {
    all(
        conn,
        "SELECT m.user, u.name, m.role FROM conversation c JOIN member m ON m.conversation = c.key
         LEFT JOIN user u ON u.account = c.account AND u.user = m.user WHERE c.id = ?1 ORDER BY m.user",
        [*id.0.as_bytes()],
        |row| {
            let role = match row.get(2)? {
                0_i64 => Role::Owner,
                1 => Role::Admin,
                _ => Role::Member,
            };
            Ok(Member { user: row.get(0)?, name: row.get(1)?, role })
        },
    )
}

/// What a person means by a name: local id, server id, exact title, user; ambiguity is an error.
pub(super) fn resolve(conn: &Connection, account: AccountId, name: &str) -> Result<Named> {
    let ids = |condition: &str| -> Result<Vec<ConversationId>> {
        let sql = format!("SELECT id FROM conversation WHERE account = ?1 AND {condition} ORDER BY key LIMIT 2");
        all(conn, &sql, (account.0, name), |row| row.get(0).map(conversation_id))
    };
    if let Ok(id) = name.parse::<ConversationId>() {
        let sql = "SELECT 1 FROM conversation WHERE account = ?1 AND id = ?2";
        if one(conn, sql, (account.0, *id.0.as_bytes()), |_| Ok(()))?.is_some() {
            return Ok(Named::Known(id));
        }
    }
    for condition in ["server = ?2", "title = ?2", "peer = ?2 AND kind = 0"] {
        match ids(condition)?.as_slice() {
            [] => {}
            [id] => return Ok(Named::Known(*id)),
            _ => {
                return Err(StoreError::Invalid(format!(
                    "several conversations are called {name:?}: give the id of one"
                )));
            }
        }
    }
    if name.trim().is_empty() {
        return Err(StoreError::Invalid("a conversation's name is empty".into()));
    }
    Ok(Named::User(name.to_owned()))
}

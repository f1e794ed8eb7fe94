//! How the outside names a message, and how that stands in the file: a server's id is split into its archive (shared
//! by many messages) and the rest.

use super::tx::{Result, Tx, message_id};
use crate::model::{AccountId, MessageId, Target};

/// The two parts of a server's id.
pub(super) fn split(id: &str) -> (&str, &str) {
    match id.rsplit_once('/') {
        Some((archive, rest)) if !archive.is_empty() => (archive, rest),
        _ => ("", id),
    }
}

/// The whole id again.
pub(super) fn join(archive: &str, rest: &str) -> String {
    if archive.is_empty() { rest.to_owned() } else { format!("{archive}/{rest}") }
}

/// The small integer that stands for an archive, made if it is new.
pub(super) fn archive_key(tx: &Tx<'_>, account: AccountId, name: &str) -> Result<i64> {
    if let Some(key) = known_archive(tx, account, name)? {
        return Ok(key);
    }
    tx.run("INSERT INTO archive(account, name) VALUES (?1, ?2)", (account.0, name))?;
    Ok(tx.conn.last_insert_rowid())
}

pub(super) fn known_archive(tx: &Tx<'_>, account: AccountId, name: &str) -> Result<Option<i64>> {
    tx.one("SELECT key FROM archive WHERE account = ?1 AND name = ?2", (account.0, name), |row| row.get(0))
}

/// What is found of a message: its row's key, its id, where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) position: i64,
    pub(super) id: MessageId,
    pub(super) conversation: i64,
    pub(super) order: Option<i64>,
}

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found { position: row.get(0)?, id: message_id(row.get(1)?), conversation: row.get(2)?, order: row.get(3)? })
}

/// By the server's id.
pub(super) fn by_server(tx: &Tx<'_>, account: AccountId, id: &str) -> Result<Option<Found>> {
    let (archive, rest) = split(id);
    let Some(archive) = known_archive(tx, account, archive)? else { return Ok(None) };
    tx.one(
        "SELECT position, id, conversation, server_order FROM message WHERE archive = ?1 AND server_ref = ?2",
        (archive, rest),
        found,
    )
}

/// By our own id, within the account.
pub(super) fn by_id(tx: &Tx<'_>, account: AccountId, id: MessageId) -> Result<Option<Found>> {
    tx.one(
        "SELECT position, id, conversation, server_order FROM message WHERE id = ?1 AND account = ?2",
        (*id.0.as_bytes(), account.0),
        found,
    )
}

/// The message that a change means, if it is here.
pub(super) fn resolve(tx: &Tx<'_>, account: AccountId, conversation: i64, target: &Target) -> Result<Option<Found>> {
    match target {
        Target::Server(id) => by_server(tx, account, id),
        Target::Own(id) => by_id(tx, account, *id),
        Target::Authored { sender, server } => {
            let Some(found) = by_server(tx, account, server)? else { return Ok(None) };
            let theirs = tx.one(
                "SELECT 1 FROM message m JOIN user u ON u.key = m.sender WHERE m.position = ?1 AND u.user = ?2",
                (found.position, sender),
                |_| Ok(()),
            )?;
            Ok(theirs.map(|()| found))
        }
        Target::Sender { sender, id } => {
            let by_ref = tx.one(
                "SELECT m.position, m.id, m.conversation, m.server_order FROM message m JOIN user u ON u.key = m.sender
                 WHERE m.conversation = ?1 AND m.sender_ref = ?2 AND (u.user = ?3 OR ?3 = '') ORDER BY m.position DESC LIMIT 1",
                (conversation, id, sender),
                found,
            )?;
            match (by_ref, id.parse::<MessageId>()) {
                (None, Ok(own)) => tx.one(
                    "SELECT m.position, m.id, m.conversation, m.server_order FROM message m JOIN user u ON u.key = m.sender
                     WHERE m.id = ?1 AND m.conversation = ?2 AND m.outgoing = 1 AND (u.user = ?3 OR ?3 = '')",
                    (*own.0.as_bytes(), conversation, sender),
                    found,
                ),
                (by_ref, _) => Ok(by_ref),
            }
        }
    }
}

/// A target as the key under which something waits for it.
pub(super) fn waiting_key(target: &Target) -> String {
    match target {
        Target::Server(id) => format!("s:{id}"),
        Target::Own(id) => format!("o:{id}"),
        Target::Authored { sender, server } => format!("a:{sender}\n{server}"),
        Target::Sender { sender, id } => format!("u:{sender}\n{id}"),
    }
}

//! Changes to messages: edits, retractions, reactions. A change whose message is not here yet waits for it; one with a
//! lower revision (or an older time, where nobody counts) loses.

use super::apply::Batching;
use super::conversation::Conv;
use super::names::{self, Found};
use super::tx::{Result, Tx, conversation_id, json};
use super::{banner, code, marks, search};
use crate::model::{AccountId, Amendment, Change, FeedKind, Target, Timestamp};
use serde::{Deserialize, Serialize};

/// Changes and marks that may wait for their message, an account; the oldest make room.
const WAITING: i64 = 10_000;

/// Something that waits for its message, as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Waiting {
    Edit { by: String, text: String },
    Retract { by: String },
    React { by: String, key: String, on: bool },
    Reactions { by: String, keys: Vec<String> },
    ReadByMe,
    ReadBy { user: String },
    DeliveredTo { user: String },
}

/// Takes in a change.
pub(super) fn apply(batching: &mut Batching<'_, '_>, change: Change) -> Result<()> {
    let conv = batching.conversation(&change.conversation)?;
    let found = names::resolve(batching.tx, batching.account, conv.key, &change.target)?;
    let rev = i64::try_from(change.rev).unwrap_or(i64::MAX);
    let body = match change.what {
        Amendment::Edit { text } => Waiting::Edit { by: change.by, text },
        Amendment::Retract => Waiting::Retract { by: change.by },
        Amendment::React { key, on } => Waiting::React { by: change.by, key, on },
        Amendment::Reactions { keys } => Waiting::Reactions { by: change.by, keys },
    };
    match found {
        Some(found) => amend(batching, found, rev, change.at, &body),
        None => wait(batching, &conv, &change.target, rev, change.at, &body),
    }
}

/// Keeps something until its message comes.
pub(super) fn wait(
    batching: &mut Batching<'_, '_>,
    conv: &Conv,
    target: &Target,
    rev: i64,
    at: Timestamp,
    body: &Waiting,
) -> Result<()> {
    let json = json(body)?;
    let (account, tx) = (batching.account.0, &batching.tx);
    let key = names::waiting_key(target);
    let again = "SELECT 1 FROM orphan WHERE account = ?1 AND target = ?2 AND rev = ?3 AND at = ?4 AND body = ?5";
    if tx.one(again, (account, &key, rev, at.ms(), &json), |_| Ok(()))?.is_some() {
        return Ok(());
    }
    tx.run(
        "INSERT INTO orphan(account, conversation, target, rev, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (account, conv.key, key, rev, at.ms(), json),
    )?;
    let newest = tx.conn.last_insert_rowid();
    if newest % 64 == 0 {
        tx.run(
            "DELETE FROM orphan WHERE account = ?1 AND id <= (SELECT id FROM orphan WHERE account = ?1
             ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            (account, WAITING),
        )?;
    }
    batching.orphans = true;
    Ok(())
}

/// A message has come: what waited for it is applied, lowest revision first.
pub(super) fn adopt(
    batching: &mut Batching<'_, '_>,
    conv: &Conv,
    found: Found,
    sender: &str,
    sender_ref: Option<&str>,
    server: Option<&str>,
) -> Result<()> {
    if !batching.orphans {
        return Ok(());
    }
    let mut keys = vec![names::waiting_key(&Target::Own(found.id))];
    if let Some(server) = server {
        let (sender, server) = (sender.to_owned(), server.to_owned());
        keys.push(names::waiting_key(&Target::Server(server.clone())));
        keys.push(names::waiting_key(&Target::Authored { sender, server }));
    }
    for sender in sender_ref.map(|_| [sender, ""]).into_iter().flatten() {
        let (sender, id) = (sender.to_owned(), sender_ref.unwrap_or_default().to_owned());
        keys.push(names::waiting_key(&Target::Sender { sender, id }));
    }
    for key in keys {
        let rows = batching.tx.all(
            "SELECT id, rev, at, body FROM orphan WHERE account = ?1 AND target = ?2 ORDER BY rev, at, id",
            (batching.account.0, &key),
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, String>(3)?)),
        )?;
        for (id, rev, at, body) in rows {
            batching.tx.run("DELETE FROM orphan WHERE id = ?1", [id])?;
            match serde_json::from_str::<Waiting>(&body) {
                Ok(body) => amend_or_mark(batching, conv, found, rev, Timestamp(at), &body)?,
                Err(error) => tracing::warn!(%error, "a change that waited for its message cannot be read"),
            }
        }
    }
    Ok(())
}

fn amend_or_mark(
    batching: &mut Batching<'_, '_>,
    conv: &Conv,
    found: Found,
    rev: i64,
    at: Timestamp,
    body: &Waiting,
) -> Result<()> {
    match body {
        Waiting::ReadByMe => marks::read_by_me(batching, conv.key, Some(found.position), found.order),
        Waiting::ReadBy { user } => marks::theirs(batching, conv.key, user, Some(found.position), found.order, true),
        Waiting::DeliveredTo { user } => {
            marks::theirs(batching, conv.key, user, Some(found.position), found.order, false)
        }
        _ => amend(batching, found, rev, at, body),
    }
}

/// Changes a message that is here.
fn amend(batching: &mut Batching<'_, '_>, found: Found, rev: i64, at: Timestamp, body: &Waiting) -> Result<()> {
    let tx = &mut *batching.tx;
    let changed = match body {
        Waiting::Edit { text, .. } => edit(tx, found, rev, at, text)?,
        Waiting::Retract { .. } => retract(tx, found, rev)?,
        Waiting::React { by, key, on } => {
            newer(tx, found, rev)? && react(tx, found, by, std::slice::from_ref(key), *on, at)?
        }
        Waiting::Reactions { by, keys } => newer(tx, found, rev)? && reactions(tx, found, by, keys, at)?,
        Waiting::ReadByMe | Waiting::ReadBy { .. } | Waiting::DeliveredTo { .. } => false,
    };
    if changed {
        announce(tx, batching.account, found)?;
    }
    Ok(())
}

/// Says on the feed that a message changed and notes that change in it.
pub(super) fn announce(tx: &mut Tx<'_>, account: AccountId, found: Found) -> Result<()> {
    let conversation = tx.one("SELECT id FROM conversation WHERE key = ?1", [found.conversation], |row| {
        row.get(0).map(conversation_id)
    })?;
    let seq = tx.change(account, FeedKind::Changed, conversation, Some(found.id))?;
    tx.run("UPDATE message SET seq = ?2 WHERE id = ?1", (*found.id.0.as_bytes(), seq.0))?;
    Ok(())
}

/// Whether this revision is newer than the message's; if so it is noted. Where nobody counts it always is.
fn newer(tx: &Tx<'_>, found: Found, rev: i64) -> Result<bool> {
    Ok(rev == 0 || tx.run("UPDATE message SET rev = ?2 WHERE position = ?1 AND rev < ?2", (found.position, rev))? > 0)
}

pub(super) fn edit(tx: &Tx<'_>, found: Found, rev: i64, at: Timestamp, text: &str) -> Result<bool> {
    let changed = tx.run(
        "UPDATE message SET text = ?3, edited_at = ?4, link = ?5, rev = max(rev, ?2)
         WHERE position = ?1 AND retracted = 0 AND (rev < ?2 OR (?2 = 0 AND coalesce(edited_at, 0) <= ?4))",
        (found.position, rev, text, at.ms(), code::has_link(text)),
    )?;
    if changed > 0 {
        search::glyphs(tx, found.position, text)?;
    }
    Ok(changed > 0)
}

pub(super) fn retract(tx: &mut Tx<'_>, found: Found, rev: i64) -> Result<bool> {
    let changed = tx.run(
        "UPDATE message SET text = '', attachments = NULL, link = 0, retracted = 1, rev = max(rev, ?2)
         WHERE position = ?1 AND retracted = 0",
        (found.position, rev),
    )?;
    if changed > 0 {
        search::glyphs(tx, found.position, "")?;
        banner::withdraw_one(tx, found.id)?;
    }
    Ok(changed > 0)
}

/// One person's reactions put or taken away.
pub(super) fn react(tx: &Tx<'_>, found: Found, by: &str, keys: &[String], on: bool, at: Timestamp) -> Result<bool> {
    let mut changed = 0;
    for key in keys {
        changed += tx.run(
            "INSERT INTO reaction(message, by, key, stands, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(message, by, key) DO UPDATE SET stands = excluded.stands, at = excluded.at
             WHERE at <= excluded.at AND stands <> excluded.stands",
            (*found.id.0.as_bytes(), by, key, on, at.ms()),
        )?;
    }
    if changed > 0 {
        tx.run("UPDATE message SET reacted = 1 WHERE position = ?1 AND reacted = 0", [found.position])?;
    }
    Ok(changed > 0)
}

/// One person's whole set (XEP-0444); an older set than the one that stands is ignored.
fn reactions(tx: &Tx<'_>, found: Found, by: &str, keys: &[String], at: Timestamp) -> Result<bool> {
    let id = *found.id.0.as_bytes();
    let newest = tx.one("SELECT max(at) FROM reaction WHERE message = ?1 AND by = ?2", (id, by), |row| {
        row.get::<_, Option<i64>>(0)
    })?;
    if newest.flatten().is_some_and(|newest| newest > at.ms()) {
        return Ok(false);
    }
    let taken = tx.run(
        "UPDATE reaction SET stands = 0, at = ?3 WHERE message = ?1 AND by = ?2 AND stands = 1
         AND key NOT IN (SELECT value FROM json_each(?4))",
        (id, by, at.ms(), json(keys)?),
    )?;
    Ok(react(tx, found, by, keys, true, at)? || taken > 0)
}

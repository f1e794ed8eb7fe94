//! What became of an outbox row: sent, refused, later, or uncertain again. A message that was waiting gets its real
//! place in the same transaction that marks it sent.

use super::apply::Batching;
use super::conversation::{self, Conv};
use super::names::{self, Found};
use super::place::{self, Between};
use super::tx::{Result, Tx, message_id};
use super::{amend, code, marks, outbox};
use crate::model::{
    AccountId, CommandKind, FeedKind, MessageId, OutboxId, Outcome, SendFailure, ServerRef, Settled, Timestamp,
};
use std::time::Duration;

/// Outbox row states in the file.
pub(super) const PENDING: i64 = 0;
pub(super) const IN_FLIGHT: i64 = 1;
pub(super) const DONE: i64 = 2;
pub(super) const FAILED: i64 = 3;
pub(super) const CANCELLED: i64 = 4;

/// An outbox row as the settling code needs it.
struct Row {
    id: i64,
    conversation: Option<i64>,
    message: MessageId,
    send: bool,
    what: String,
    state: i64,
    written_at: i64,
}

fn row(tx: &Tx<'_>, account: AccountId, id: OutboxId) -> Result<Option<Row>> {
    tx.one(
        "SELECT id, conversation, message, kind = 'send', what, state, written_at FROM outbox
         WHERE id = ?1 AND account = ?2",
        (id.0, account.0),
        |row| {
            Ok(Row {
                id: row.get(0)?,
                conversation: row.get(1)?,
                message: message_id(row.get(2)?),
                send: row.get(3)?,
                what: row.get(4)?,
                state: row.get(5)?,
                written_at: row.get(6)?,
            })
        },
    )
}

/// Takes in the fate of a row.
pub(super) fn apply(batching: &mut Batching<'_, '_>, settled: Settled) -> Result<()> {
    let Some(row) = row(batching.tx, batching.account, settled.outbox)? else {
        tracing::debug!(outbox = %settled.outbox, "the server settled a row that is not here");
        return Ok(());
    };
    match settled.outcome {
        Outcome::Sent { conversation, server, at } => {
            if let Some(key) = conversation {
                meet(batching, &row, &key)?;
            }
            carried_out(batching, &row, server.as_ref(), at)
        }
        Outcome::Failed(failure) => failed(batching, &row, &failure),
        Outcome::Later(after) => later(batching, &row, after),
    }
}

/// The row's conversation got a name at the server (or, for `Create`, came to be).
fn meet(batching: &mut Batching<'_, '_>, row: &Row, key: &crate::model::ConversationKey) -> Result<()> {
    batching.forget_conversations();
    let mut key = key.clone();
    if let Some(known) = row.conversation {
        let known = conversation::by_key(batching.tx, known)?;
        key.peer = known.peer.or(key.peer);
    }
    let met = conversation::of_key(batching.tx, batching.account, &key, None)?;
    if row.conversation.is_none() {
        batching.tx.run("UPDATE outbox SET conversation = ?2 WHERE id = ?1", (row.id, met.key))?;
    }
    Ok(())
}

fn carried_out(batching: &mut Batching<'_, '_>, row: &Row, server: Option<&ServerRef>, at: Timestamp) -> Result<()> {
    let first = done(batching.tx, batching.account, row.message)?;
    if row.send {
        let Some(ours) = names::by_id(batching.tx, batching.account, row.message)? else { return Ok(()) };
        let conv = conversation::by_key(batching.tx, ours.conversation)?;
        return sent(batching, &conv, row.message, server, at);
    }
    if !first {
        return Ok(());
    }
    echo_change(batching, row, at)?;
    batching.tx.change(batching.account, FeedKind::Changed, None, Some(row.message))?;
    Ok(())
}

/// A change of ours that the server took: where it counts no revisions it will not tell us of it again.
fn echo_change(batching: &mut Batching<'_, '_>, row: &Row, at: Timestamp) -> Result<()> {
    let account = batching.account;
    let (target, what) = match serde_json::from_str::<CommandKind>(&row.what) {
        Ok(CommandKind::Edit { target, text }) => (target, Echo::Edit(text)),
        Ok(CommandKind::Retract { target }) => (target, Echo::Retract),
        Ok(CommandKind::React { target, key, on, .. }) => (target, Echo::React(key, on)),
        _ => return Ok(()),
    };
    let Some(found) = names::by_id(batching.tx, account, target.id)? else { return Ok(()) };
    let counted: i64 = batching
        .tx
        .one("SELECT rev FROM message WHERE position = ?1", [found.position], |row| row.get(0))?
        .unwrap_or(0);
    let group = "SELECT 1 FROM conversation WHERE key = ?1 AND kind <> 0";
    let echoed = batching.tx.one(group, [found.conversation], |_| Ok(()))?.is_some();
    // A room says who reacted by the name it knows us by.
    if counted > 0 || (echoed && matches!(what, Echo::React(..))) {
        return Ok(());
    }
    let changed = match what {
        Echo::Edit(text) => amend::edit(batching.tx, found, 0, at, &text)?,
        Echo::Retract => amend::retract(batching.tx, found, 0)?,
        Echo::React(key, on) => {
            let me = outbox::me(batching.tx, account)?;
            amend::react(batching.tx, found, &me, &[key], on, at)?
        }
    };
    if changed {
        amend::announce(batching.tx, account, found)?;
    }
    Ok(())
}

/// A change of ours, as it is applied here.
enum Echo {
    Edit(String),
    Retract,
    React(String, bool),
}

/// Marks the outbox row of a message or request as done; `true` if it was not.
pub(super) fn done(tx: &mut Tx<'_>, account: AccountId, message: MessageId) -> Result<bool> {
    let changed = tx.run(
        "UPDATE outbox SET state = 2, code = NULL, error = NULL, settled_at = ?3
         WHERE message = ?1 AND account = ?2 AND state <> 2",
        (*message.0.as_bytes(), account.0, tx.at.ms()),
    )?;
    if changed > 0 {
        tx.ring(account);
    }
    Ok(changed > 0)
}

/// A message of ours is at the server: it gets its name there, its real place and its state. A no-op if it had them.
pub(super) fn sent(
    batching: &mut Batching<'_, '_>,
    conv: &Conv,
    id: MessageId,
    server: Option<&ServerRef>,
    at: Timestamp,
) -> Result<()> {
    let account = batching.account;
    if let Some(server) = server {
        drop_twin(batching, id, server)?;
    }
    let Some(ours) = names::by_id(batching.tx, account, id)? else { return Ok(()) };
    let (state, had_name): (i64, bool) = batching
        .tx
        .one("SELECT state, server_ref IS NOT NULL FROM message WHERE position = ?1", [ours.position], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .unwrap_or((code::SENT, true));
    let waiting = matches!(state, code::PENDING | code::IN_FLIGHT | code::FAILED);
    if !waiting && (had_name || server.is_none()) {
        return Ok(());
    }
    let order = server.and_then(|server| server.order).and_then(|order| i64::try_from(order).ok()).or(ours.order);
    let placed = !place::is_pending(ours.position);
    let between = match server {
        Some(server) if !had_name => batching.between(conv.key, order, Some(&server.id))?,
        // It has its place and nothing new is known of it.
        _ if placed => Between::default(),
        _ => batching.between(conv.key, order, None)?,
    };
    let keep = placed && between.allows(ours.position);
    let position = if keep { ours.position } else { place::find(batching.tx, conv.key, at.ms(), between)? };
    let reached = if waiting { marks::reached(batching.tx, conv.key, position, order)? } else { state };
    let (archive, rest) = match server {
        Some(server) if !had_name => {
            let (archive, rest) = names::split(&server.id);
            (Some(names::archive_key(batching.tx, account, archive)?), Some(rest))
        }
        _ => (None, None),
    };
    batching.tx.run(
        "UPDATE message SET position = ?2, state = ?3, sent_at = CASE WHEN ?4 THEN ?5 ELSE sent_at END, error = NULL,
            archive = coalesce(?6, archive), server_ref = coalesce(?7, server_ref), server_order = ?8
         WHERE position = ?1",
        (ours.position, position, reached, !keep, at.ms(), archive, rest, order),
    )?;
    rekeyed(batching.tx, ours.position, position, id)?;
    batching.placed(archive, position);
    batching.active(conv.key, at.ms());
    let now = Found { position, order, ..ours };
    amend::announce(batching.tx, account, now)?;
    adopt(batching, conv, now, server)
}

/// Changes that waited for the message under the server's name.
fn adopt(batching: &mut Batching<'_, '_>, conv: &Conv, found: Found, server: Option<&ServerRef>) -> Result<()> {
    match server {
        Some(server) => amend::adopt(batching, conv, found, "", None, Some(&server.id)),
        None => Ok(()),
    }
}

/// The text index follows a row to its new place.
pub(super) fn rekeyed(tx: &Tx<'_>, from: i64, to: i64, id: MessageId) -> Result<()> {
    if from == to {
        return Ok(());
    }
    let text = tx.one("SELECT text FROM message WHERE id = ?1", [*id.0.as_bytes()], |row| row.get::<_, String>(0))?;
    super::search::glyphs(tx, from, "")?;
    super::search::glyphs(tx, to, text.as_deref().unwrap_or_default())
}

/// The same message came as a stranger before it was known to be ours: that row goes, ours takes its place.
fn drop_twin(batching: &mut Batching<'_, '_>, ours: MessageId, server: &ServerRef) -> Result<()> {
    let Some(twin) = names::by_server(batching.tx, batching.account, &server.id)? else { return Ok(()) };
    if twin.id == ours {
        return Ok(());
    }
    let conv = conversation::by_key(batching.tx, twin.conversation)?;
    batching.tx.run("DELETE FROM message WHERE position = ?1", [twin.position])?;
    batching.tx.change(batching.account, FeedKind::Removed, Some(conv.id), Some(twin.id))?;
    Ok(())
}

fn failed(batching: &mut Batching<'_, '_>, row: &Row, failure: &SendFailure) -> Result<()> {
    fail(batching.tx, batching.account, OutboxId(row.id), failure)
}

/// A row will never be carried out: it and its message say why, and what follows it goes on.
pub(super) fn fail(tx: &mut Tx<'_>, account: AccountId, id: OutboxId, failure: &SendFailure) -> Result<()> {
    let Some(row) = row(tx, account, id)? else { return Ok(()) };
    tx.run(
        "UPDATE outbox SET state = 3, code = ?2, error = ?3, settled_at = ?4 WHERE id = ?1",
        (row.id, &failure.code, &failure.text, tx.at.ms()),
    )?;
    tx.ring(account);
    let ours = if row.send { names::by_id(tx, account, row.message)? } else { None };
    let Some(ours) = ours else {
        tx.change(account, FeedKind::Changed, None, Some(row.message))?;
        return Ok(());
    };
    let position = if place::is_pending(ours.position) {
        place::find(tx, ours.conversation, row.written_at, Between::default())?
    } else {
        ours.position
    };
    let changed = tx.run(
        "UPDATE message SET state = 6, error = ?3, position = ?2 WHERE position = ?1 AND state NOT IN (4, 5)",
        (ours.position, position, &failure.text),
    )?;
    if changed > 0 {
        rekeyed(tx, ours.position, position, row.message)?;
        amend::announce(tx, account, Found { position, ..ours })?;
    }
    Ok(())
}

fn later(batching: &mut Batching<'_, '_>, row: &Row, after: Duration) -> Result<()> {
    if !matches!(row.state, PENDING | IN_FLIGHT) {
        return Ok(());
    }
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    batching.tx.run(
        "UPDATE outbox SET state = 0, due_at = ?2, tries = tries + 1 WHERE id = ?1",
        (row.id, batching.tx.at.ms().saturating_add(after)),
    )?;
    batching.tx.ring(batching.account);
    message_state(batching.tx, batching.account, row, code::PENDING)
}

/// A row that was called sent is uncertain again: it is offered once more, marked so that the server can tell. The name
/// that the server gave it counts no longer; what the other side has stays certain.
pub(super) fn unconfirmed(batching: &mut Batching<'_, '_>, id: OutboxId) -> Result<()> {
    let Some(row) = row(batching.tx, batching.account, id)? else { return Ok(()) };
    if matches!(row.state, FAILED | CANCELLED) {
        return Ok(());
    }
    let certain = batching.tx.one(
        "SELECT 1 FROM message WHERE id = ?1 AND state IN (4, 5)",
        [*row.message.0.as_bytes()],
        |_| Ok(()),
    )?;
    if row.send && certain.is_some() {
        return Ok(());
    }
    batching.tx.run("UPDATE outbox SET state = 0, maybe_sent = 1, due_at = 0 WHERE id = ?1", [row.id])?;
    let unnamed = "UPDATE message SET archive = NULL, server_ref = NULL, server_order = NULL WHERE id = ?1";
    if row.send {
        batching.tx.run(unnamed, [*row.message.0.as_bytes()])?;
    }
    batching.tx.ring(batching.account);
    message_state(batching.tx, batching.account, &row, code::IN_FLIGHT)
}

fn message_state(tx: &mut Tx<'_>, account: AccountId, row: &Row, state: i64) -> Result<()> {
    if !row.send {
        return Ok(());
    }
    let Some(ours) = names::by_id(tx, account, row.message)? else { return Ok(()) };
    if tx.run("UPDATE message SET state = ?2 WHERE position = ?1 AND state <> ?2", (ours.position, state))? > 0 {
        amend::announce(tx, account, ours)?;
    }
    Ok(())
}

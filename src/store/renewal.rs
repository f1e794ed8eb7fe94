//! A line of an export about a message that is here already: an export beside a running daemon holds a message once more
//! where it changed meanwhile. What is newer is taken; nothing that is here becomes older.
//!
//! Revisions decide where a protocol counts them. Where none does, an edit is as new as its time, and what was taken back or
//! sent stays so. What has no time of its own (a reaction taken away, a message read) counts only from a later line of the
//! same import, over what that import itself put in.

use super::arrival::{self, Form};
use super::names::{self, Found};
use super::tx::{Result, Tx};
use super::{amend, banner, code, import, settle};
use crate::model::{AccountId, Message, MessageRecord, Seq, Timestamp};
use std::collections::BTreeSet;

/// What a line changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Renewed {
    /// Anything.
    pub(super) any: bool,
    /// It was unread and is not any more.
    pub(super) read: bool,
}

/// The message as it is here.
struct Here {
    outgoing: bool,
    state: i64,
    rev: i64,
    edited_at: Option<i64>,
    text: String,
    named: bool,
    /// The import put it in since it began: this line is a later one of the same.
    again: bool,
}

/// Takes what the line knows better.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    account: AccountId,
    found: Found,
    row: &MessageRecord,
    begun: Seq,
) -> Result<Renewed> {
    let here = "SELECT outgoing, state, rev, edited_at, text, server_ref IS NOT NULL, seq > ?2 FROM message
                WHERE position = ?1";
    let (ours, blind) = (found.id == row.message.id, crate::mutant("import-makes-older"));
    let here = tx.one(here, (found.position, begun.0), |row| {
        Ok(Here {
            outgoing: row.get(0)?,
            state: row.get(1)?,
            rev: row.get(2)?,
            edited_at: row.get(3)?,
            text: row.get(4)?,
            named: row.get(5)?,
            again: blind || (ours && row.get(6)?),
        })
    })?;
    let Some(here) = here else { return Ok(Renewed::default()) };
    let formed = form(tx, found, &here, row)?;
    let (now, moved) = state(tx, account, found, &here, row)?;
    if formed || moved {
        amend::announce(tx, account, now)?;
    }
    Ok(Renewed { any: formed || moved, read: moved && here.state == code::RECEIVED })
}

/// Text, files, reactions, and whether it was taken back.
fn form(tx: &mut Tx<'_>, found: Found, here: &Here, row: &MessageRecord) -> Result<bool> {
    let message = &row.message;
    if row.rev > 0 || here.rev > 0 {
        let form = Form {
            rev: row.rev,
            text: &message.text,
            sent_at: message.sent_at,
            edited_at: message.edited_at,
            retracted: message.retracted,
            attachments: &message.attachments,
            reactions: &message.reactions,
        };
        return arrival::renew(tx, found, &form);
    }
    let edited_at = message.edited_at.map(Timestamp::ms);
    let later = edited_at > here.edited_at || (here.again && edited_at == here.edited_at && message.text != here.text);
    let mut changed = match message.edited_at {
        Some(at) if later => amend::edit(tx, found, 0, at, &message.text)?,
        _ => false,
    };
    changed |= message.retracted && amend::retract(tx, found, 0)?;
    changed |= reactions(tx, found, here, message)?;
    Ok(changed)
}

/// Reactions of people of whom nothing newer is known.
fn reactions(tx: &Tx<'_>, found: Found, here: &Here, message: &Message) -> Result<bool> {
    let id = *found.id.0.as_bytes();
    // An import says of a reaction that it is as old as its message, a server when it was made.
    let newer = if here.again { message.sent_at.ms() } else { i64::MIN };
    let known = tx.all("SELECT by FROM reaction WHERE message = ?1 AND at > ?2", (id, newer), |row| row.get(0))?;
    let known: BTreeSet<String> = known.into_iter().collect();
    let mut changed = false;
    let stand = "SELECT by, key FROM reaction WHERE message = ?1 AND stands = 1";
    for (by, key) in tx.all(stand, [id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let stays = message.reactions.iter().any(|reaction| reaction.by == by && reaction.key == key);
        if !stays && !known.contains(&by) {
            changed |= amend::react(tx, found, &by, &[key], false, message.sent_at)?;
        }
    }
    for reaction in message.reactions.iter().filter(|reaction| !known.contains(&reaction.by)) {
        changed |= amend::react(tx, found, &reaction.by, std::slice::from_ref(&reaction.key), true, message.sent_at)?;
    }
    Ok(changed)
}

/// How far it has come: never back.
fn state(tx: &mut Tx<'_>, account: AccountId, found: Found, here: &Here, row: &MessageRecord) -> Result<(Found, bool)> {
    let (message, to) = (&row.message, code::of_state(row.message.state));
    let at_server = |state| matches!(state, code::SENT | code::DELIVERED | code::READ);
    let set = "UPDATE message SET state = ?2 WHERE position = ?1";
    match here.state {
        code::RECEIVED if here.again && to == code::READ => {
            tx.run(set, (found.position, to))?;
            banner::withdraw_one(tx, found.id)?;
            Ok((found, true))
        }
        code::FAILED if at_server(to) => sent(tx, account, found, here, row).map(|now| (now, true)),
        code::FAILED if here.again && to == code::FAILED => {
            let why = "UPDATE message SET error = ?2 WHERE position = ?1 AND error IS NOT ?2";
            Ok((found, tx.run(why, (found.position, &message.error))? > 0))
        }
        state if here.outgoing && at_server(state) && at_server(to) => {
            if !here.named && message.server_id.is_some() {
                return sent(tx, account, found, here, row).map(|now| (now, true));
            }
            Ok((found, to > state && tx.run(set, (found.position, to))? > 0))
        }
        // What waits here is for the outbox to settle.
        _ => Ok((found, false)),
    }
}

/// The server has it after all: its name, number, time and place there.
fn sent(tx: &mut Tx<'_>, account: AccountId, found: Found, here: &Here, row: &MessageRecord) -> Result<Found> {
    let message = &row.message;
    let archive = match message.server_id.as_deref().filter(|_| !here.named).map(names::split) {
        Some((archive, rest)) => Some((names::archive_key(tx, account, archive)?, rest)),
        None => None,
    };
    let stays = message.position.0 == found.position;
    let position = if stays { found.position } else { import::place_for(tx, found.conversation, row)? };
    let order = row.order.or(found.order);
    tx.run(
        "UPDATE message SET position = ?2, state = CASE WHEN state = ?3 THEN ?4 ELSE max(state, ?4) END, sent_at = ?5,
            error = NULL, archive = coalesce(?6, archive), server_ref = coalesce(?7, server_ref), server_order = ?8,
            sender_ref = coalesce(?9, sender_ref) WHERE position = ?1",
        (
            found.position,
            position,
            code::FAILED,
            code::of_state(message.state),
            message.sent_at.ms(),
            archive.map(|(key, _)| key),
            archive.map(|(_, rest)| rest),
            order,
            &row.sender_ref,
        ),
    )?;
    settle::rekeyed(tx, found.position, position, found.id)?;
    settle::done(tx, account, found.id)?;
    Ok(Found { position, order, ..found })
}

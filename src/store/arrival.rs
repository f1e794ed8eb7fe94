//! A message as the server has it: new, a repeat, or the echo of what we sent. Others' messages are recognised only by
//! the id that the server gave; ours also by our own id.

use super::apply::Batching;
use super::conversation::Conv;
use super::names::{self, Found};
use super::tx::{Result, Tx, json};
use super::{amend, banner, code, conversation, marks, place, search, settle};
use crate::model::{Arrival, Attachment, FeedKind, MessageId, Origin, Reaction, Timestamp};

/// Takes in a message.
pub(super) fn apply(batching: &mut Batching<'_, '_>, arrival: Arrival) -> Result<()> {
    let conv = batching.conversation(&arrival.conversation)?;
    let by_server = match &arrival.server {
        Some(server) if !crate::mutant("dedupe-off") => names::by_server(batching.tx, batching.account, &server.id)?,
        _ => None,
    };
    let own = arrival.own_id.filter(|_| arrival.outgoing);
    let by_own = match own {
        Some(id) => names::by_id(batching.tx, batching.account, id)?.filter(|found| found.conversation == conv.key),
        None => None,
    };
    match (by_server, by_own) {
        (Some(found), Some(ours)) if found.id != ours.id => echo(batching, &conv, &arrival, ours),
        (Some(found), _) => repeat(batching, &arrival, found),
        (None, Some(ours)) => echo(batching, &conv, &arrival, ours),
        (None, None) => insert(batching, &conv, arrival, own),
    }
}

/// Our own message comes back: the row that waits for it is settled.
fn echo(batching: &mut Batching<'_, '_>, conv: &Conv, arrival: &Arrival, ours: Found) -> Result<()> {
    let user = conversation::user_key(batching.tx, batching.account, &arrival.sender)?;
    batching.tx.run("UPDATE message SET sender = ?2 WHERE id = ?1 AND sender <> ?2", (*ours.id.0.as_bytes(), user))?;
    settle::sent(batching, conv, ours.id, arrival.server.as_ref(), arrival.sent_at)?;
    settle::done(batching.tx, batching.account, ours.id)?;
    match names::by_id(batching.tx, batching.account, ours.id)? {
        Some(now) => repeat(batching, arrival, now),
        None => Ok(()),
    }
}

/// Known already: only what is newer counts.
fn repeat(batching: &mut Batching<'_, '_>, arrival: &Arrival, found: Found) -> Result<()> {
    let form = Form {
        rev: i64::try_from(arrival.rev).unwrap_or(i64::MAX),
        text: &arrival.text,
        sent_at: arrival.sent_at,
        edited_at: arrival.edited_at,
        retracted: arrival.retracted,
        attachments: &arrival.attachments,
        reactions: &arrival.reactions,
    };
    if renew(batching.tx, found, &form)? {
        amend::announce(batching.tx, batching.account, found)?;
    }
    Ok(())
}

/// All of a message that can change, as of a revision.
pub(super) struct Form<'a> {
    pub(super) rev: i64,
    pub(super) text: &'a str,
    pub(super) sent_at: Timestamp,
    pub(super) edited_at: Option<Timestamp>,
    pub(super) retracted: bool,
    pub(super) attachments: &'a [Attachment],
    pub(super) reactions: &'a [Reaction],
}

/// Gives a message this form, if its revision is newer; whether it is.
pub(super) fn renew(tx: &mut Tx<'_>, found: Found, form: &Form<'_>) -> Result<bool> {
    let text = if form.retracted { "" } else { form.text };
    let changed = tx.run(
        "UPDATE message SET rev = ?2, text = ?4, edited_at = ?5, retracted = ?3,
            link = ?6, attachments = CASE WHEN ?3 THEN NULL ELSE ?7 END WHERE position = ?1 AND rev < ?2",
        (
            found.position,
            form.rev,
            form.retracted,
            text,
            form.edited_at.map(Timestamp::ms),
            code::has_link(text),
            attachments(form.attachments)?,
        ),
    )?;
    if changed > 0 {
        search::glyphs(tx, found.position, text)?;
        tx.run("DELETE FROM reaction WHERE message = ?1", [*found.id.0.as_bytes()])?;
        put_reactions(tx, found.id, form.reactions, form.sent_at)?;
        if form.retracted {
            banner::withdraw_one(tx, found.id)?;
        }
    }
    Ok(changed > 0)
}

fn insert(batching: &mut Batching<'_, '_>, conv: &Conv, arrival: Arrival, own: Option<MessageId>) -> Result<()> {
    let order = arrival.server.as_ref().and_then(|server| server.order).and_then(|order| i64::try_from(order).ok());
    let archive = match &arrival.server {
        Some(server) => {
            let (archive, rest) = names::split(&server.id);
            Some((names::archive_key(batching.tx, batching.account, archive)?, rest.to_owned()))
        }
        None => None,
    };
    let between = neighbours(batching, conv, &arrival, order)?;
    let position = place::find(batching.tx, conv.key, arrival.sent_at.ms(), between)?;
    batching.placed(archive.as_ref().map(|(key, _)| *key), position);
    let state = state(batching, conv, &arrival, order, position)?;
    let id = fresh_id(batching, own)?;
    let kind =
        if matches!(arrival.origin, Origin::Live | Origin::CatchUp) { FeedKind::Message } else { FeedKind::Backfill };
    let seq = batching.tx.change(batching.account, kind, Some(conv.id), Some(id))?;
    let sender = conversation::user_key(batching.tx, batching.account, &arrival.sender)?;
    let (reply_to, reply_ref) = reply(batching, conv.key, &arrival)?;
    let text = if arrival.retracted { "" } else { arrival.text.as_str() };
    let (archive, server_ref) = archive.map_or((None, None), |(key, rest)| (Some(key), Some(rest)));
    batching.tx.conn.prepare_cached(
        "INSERT INTO message(position, id, account, conversation, sender, outgoing, state, kind, sent_at, seq, rev, text,
            archive, server_ref, server_order, sender_ref, reply_to, reply_ref, edited_at, retracted, mentions, link,
            attachments, born)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
            ?24)",
    )?
    .execute(rusqlite::params![
        position,
        *id.0.as_bytes(),
        batching.account.0,
        conv.key,
        sender,
        arrival.outgoing,
        state,
        code::of_kind(arrival.kind),
        arrival.sent_at.ms(),
        seq.0,
        i64::try_from(arrival.rev).unwrap_or(i64::MAX),
        text,
        archive,
        server_ref,
        order,
        &arrival.sender_ref,
        reply_to.map(|id| *id.0.as_bytes()),
        reply_ref,
        arrival.edited_at.map(Timestamp::ms),
        arrival.retracted,
        arrival.mentions_me,
        code::has_link(text),
        if arrival.retracted { None } else { attachments(&arrival.attachments)? },
        if kind == FeedKind::Message { seq.0 } else { 0 },
    ])?;
    search::glyphs(batching.tx, position, text)?;
    put_reactions(batching.tx, id, &arrival.reactions, arrival.sent_at)?;
    account_for(batching, conv, &arrival, id, state)?;
    let found = Found { position, id, conversation: conv.key, order };
    let server = arrival.server.as_ref().map(|server| server.id.as_str());
    amend::adopt(batching, conv, found, &arrival.sender, arrival.sender_ref.as_deref(), server)
}

/// What stands before and after it.
fn neighbours(
    batching: &mut Batching<'_, '_>,
    conv: &Conv,
    arrival: &Arrival,
    order: Option<i64>,
) -> Result<place::Between> {
    let server = arrival.server.as_ref().map(|server| server.id.as_str());
    let mut between = batching.between(conv.key, order, server)?;
    // Without numbers, "after the one before" mends stamps that know only seconds; others are of another stretch.
    let coarse = if arrival.sent_at.ms() % 1_000 == 0 { 2_000 } else { 1 };
    let far = crate::model::Position::of_ms(arrival.sent_at.ms().saturating_add(coarse)).0;
    between.older = between.older.filter(|(older, _)| order.is_some() || server.is_none() || *older <= far);
    Ok(between)
}

/// Unread counts, the conversation's activity, and a candidate for a banner.
fn account_for(
    batching: &mut Batching<'_, '_>,
    conv: &Conv,
    arrival: &Arrival,
    id: MessageId,
    state: i64,
) -> Result<()> {
    batching.active(conv.key, arrival.sent_at.ms());
    if state != code::RECEIVED {
        return Ok(());
    }
    batching.unread(conv.key, 1);
    if arrival.origin == Origin::History {
        batching.below(conv.key, -1);
    }
    let news = matches!(arrival.origin, Origin::Live | Origin::CatchUp);
    if news && !arrival.retracted {
        let how = banner::How { catch_up: arrival.origin == Origin::CatchUp, silent: arrival.silent };
        banner::due(batching.tx, batching.account, conv.key, id, how)?;
    }
    Ok(())
}

/// Incoming: read or not. Outgoing: as far as its readers have come.
fn state(
    batching: &Batching<'_, '_>,
    conv: &Conv,
    arrival: &Arrival,
    order: Option<i64>,
    position: i64,
) -> Result<i64> {
    if arrival.outgoing {
        return marks::reached(batching.tx, conv.key, position, order);
    }
    let covered = position <= conv.read_position || order.is_some_and(|order| order <= conv.read_order);
    let news = matches!(arrival.origin, Origin::Live | Origin::CatchUp);
    // Where nobody ever said what was read, old history is not news.
    Ok(if covered || !(news || conv.read_known) { code::READ } else { code::RECEIVED })
}

/// Our own id where the message is ours and the id is free, else a new one.
fn fresh_id(batching: &Batching<'_, '_>, own: Option<MessageId>) -> Result<MessageId> {
    if let Some(own) = own {
        let taken = "SELECT 1 FROM message WHERE id = ?1 UNION ALL SELECT 1 FROM outbox WHERE message = ?1";
        if batching.tx.one(taken, [*own.0.as_bytes()], |_| Ok(()))?.is_none() {
            return Ok(own);
        }
    }
    Ok(batching.tx.message_id())
}

fn reply(
    batching: &Batching<'_, '_>,
    conversation: i64,
    arrival: &Arrival,
) -> Result<(Option<MessageId>, Option<String>)> {
    let Some(target) = &arrival.reply_to else { return Ok((None, None)) };
    match names::resolve(batching.tx, batching.account, conversation, target)? {
        Some(found) => Ok((Some(found.id), None)),
        None => Ok((None, Some(names::waiting_key(target)))),
    }
}

/// A message's attachments as they stand in its row.
pub(super) fn attachments(attachments: &[Attachment]) -> Result<Option<String>> {
    (!attachments.is_empty()).then(|| json(attachments)).transpose()
}

/// Reactions that stand on a message which has none yet.
pub(super) fn put_reactions(tx: &Tx<'_>, id: MessageId, reactions: &[Reaction], at: Timestamp) -> Result<()> {
    for reaction in reactions {
        tx.run(
            "INSERT OR REPLACE INTO reaction(message, by, key, stands, at) VALUES (?1, ?2, ?3, 1, ?4)",
            (*id.0.as_bytes(), &reaction.by, &reaction.key, at.ms()),
        )?;
    }
    if !reactions.is_empty() {
        tx.run("UPDATE message SET reacted = 1 WHERE id = ?1", [*id.0.as_bytes()])?;
    }
    Ok(())
}

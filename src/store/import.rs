//! Lines of an export put back. What is here already is left alone, so that importing twice does nothing; nothing of it
//! is ever sent, and nothing raises a banner.

use super::apply::batch;
use super::conversation::Conv;
use super::tx::{Result, Tx, meta, set_meta};
use super::{Batch, StoreError, account, arrival, code, conversation, names, place, search};
use crate::model::{
    AccountId, ConversationKey, ConversationRecord, Event, FeedKind, MessageId, MessageRecord, MessageState, Record,
    Span, SpanEdge, SpanRecord, Timestamp,
};
use std::collections::BTreeMap;

/// What became of some lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Messages that are new here.
    pub added: u64,
    /// Messages that were here already.
    pub known: u64,
    /// Lines of this export that are on disk.
    pub line: u64,
}

/// Where the progress of an import stands.
fn key(export: &str) -> String {
    format!("import:{export}")
}

/// What any import has put in may be gone: each begins anew.
pub(super) fn forget(tx: &Tx<'_>) -> Result<()> {
    tx.run("DELETE FROM meta WHERE key >= 'import:' AND key < 'import;'", []).map(drop)
}

/// Takes lines in; `line`: how many of the export that makes. With its last line the import is over and forgotten.
pub(super) fn apply(tx: &mut Tx<'_>, export: &str, line: u64, records: &[Record]) -> Result<Imported> {
    let before = meta(tx.conn, &key(export))?;
    let before: u64 = before.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut done = Imported { line: before, ..Imported::default() };
    if records.is_empty() {
        return Ok(done);
    }
    let (mut unread, mut over) = (BTreeMap::new(), false);
    for record in records {
        match record {
            Record::Account(row) => drop(account::ensure(tx, &row.name, &row.protocol, row.me.as_deref())?),
            Record::Conversation(row) => drop(place_of(tx, row)?),
            Record::Message(row) if message(tx, row, &mut unread)? => done.added += 1,
            Record::Message(_) => done.known += 1,
            Record::Span(row) => span(tx, row)?,
            Record::Wakeful(_) => {}
            Record::End(_) => over = true,
        }
    }
    for (key, (account, count, last)) in unread {
        let sql =
            "UPDATE conversation SET unread = unread + ?2, last_at = max(coalesce(last_at, ?3), ?3) WHERE key = ?1";
        tx.run(sql, (key, count, last))?;
        let id = conversation::by_key(tx, key)?.id;
        tx.change(account, FeedKind::Conversation, Some(id), None)?;
    }
    done.line = line.max(before);
    let progress = done.line.to_string();
    set_meta(tx.conn, &key(export), Some(progress.as_str()).filter(|_| !over))?;
    Ok(done)
}

fn account_of(tx: &Tx<'_>, name: &str) -> Result<AccountId> {
    tx.one("SELECT id FROM account WHERE name = ?1", [name], |row| row.get(0).map(AccountId))?
        .ok_or_else(|| StoreError::not_found(format!("account {name:?} in this export before its first use")))
}

/// The conversation of a line: known by its server's name, its peer or its id; else made under the id that it had.
fn place_of(tx: &mut Tx<'_>, row: &ConversationRecord) -> Result<Conv> {
    let account = account_of(tx, &row.account)?;
    let known = conversation::known(tx, row.id)?;
    let taken = known.is_some();
    if let Some(found) = known.filter(|found| found.account == account) {
        return Ok(found);
    }
    let key = ConversationKey { server: row.server.clone(), peer: row.peer.clone() };
    if taken || conversation::exists(tx, account, &key)? {
        return conversation::of_key(tx, account, &key, Some(row.kind));
    }
    conversation::restore(tx, account, row)
}

/// A message; `false` if it is here already.
fn message(tx: &mut Tx<'_>, row: &MessageRecord, unread: &mut BTreeMap<i64, (AccountId, i64, i64)>) -> Result<bool> {
    let message = &row.message;
    let account = account_of(tx, &message.account)?;
    let known = tx.one("SELECT account FROM message WHERE id = ?1", [*message.id.0.as_bytes()], |row| row.get(0))?;
    if known.is_some_and(|owner: i64| owner == account.0) && !crate::mutant("import-twice") {
        return Ok(false);
    }
    let archive = match &message.server_id {
        Some(server) if names::by_server(tx, account, server)?.is_some() => return Ok(false),
        Some(server) => {
            let (archive, rest) = names::split(server);
            Some((names::archive_key(tx, account, archive)?, rest))
        }
        None => None,
    };
    let conv = conv_of(tx, account, row)?;
    let between = match row.order {
        Some(order) => place::Between::by_order(tx, conv.key, order)?,
        None => place::Between::default(),
    };
    let position = place_for(tx, &conv, row, between)?;
    let id = if known.is_some() { tx.message_id() } else { message.id };
    let (state, error) = match message.state {
        // The server may have it by now; whoever wrote it decides.
        MessageState::Pending | MessageState::InFlight => (MessageState::Failed, Some("not sent when it was exported")),
        state => (state, message.error.as_deref()),
    };
    put(tx, account, &conv, row, Row { position, id, state, error, archive })?;
    let touched = unread.entry(conv.key).or_insert((account, 0, 0));
    touched.1 += i64::from(state == MessageState::Received);
    touched.2 = touched.2.max(message.sent_at.ms());
    Ok(true)
}

/// What was decided about a message's row.
struct Row<'a> {
    position: i64,
    id: MessageId,
    state: MessageState,
    error: Option<&'a str>,
    archive: Option<(i64, &'a str)>,
}

fn put(tx: &mut Tx<'_>, account: AccountId, conv: &Conv, row: &MessageRecord, decided: Row<'_>) -> Result<()> {
    let Row { position, id, state, error, archive } = decided;
    let message = &row.message;
    let seq = tx.change(account, FeedKind::Backfill, Some(conv.id), Some(id))?;
    let sender = conversation::user_key(tx, account, &message.sender)?;
    if let Some(name) = &message.sender_name {
        tx.run("UPDATE user SET name = coalesce(name, ?2) WHERE key = ?1", (sender, name))?;
    }
    tx.run(
        "INSERT INTO message(position, id, account, conversation, sender, outgoing, state, kind, sent_at, seq, rev, text,
            archive, server_ref, server_order, sender_ref, reply_to, edited_at, retracted, mentions, link,
            attachments, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
        rusqlite::params![
            position,
            *id.0.as_bytes(),
            account.0,
            conv.key,
            sender,
            message.outgoing,
            code::of_state(state),
            code::of_kind(message.kind),
            message.sent_at.ms(),
            seq.0,
            row.rev,
            message.text,
            archive.map(|(key, _)| key),
            archive.map(|(_, rest)| rest),
            row.order,
            row.sender_ref,
            message.reply_to.map(|id| *id.0.as_bytes()),
            message.edited_at.map(Timestamp::ms),
            message.retracted,
            message.mentions_me,
            code::has_link(&message.text),
            arrival::attachments(&message.attachments)?,
            error,
        ],
    )?;
    search::glyphs(tx, position, &message.text)?;
    arrival::put_reactions(tx, id, &message.reactions, message.sent_at)
}

fn conv_of(tx: &mut Tx<'_>, account: AccountId, row: &MessageRecord) -> Result<Conv> {
    let brief = &row.message.conversation;
    match conversation::known(tx, brief.id)? {
        Some(found) if found.account == account => Ok(found),
        _ => {
            let key = ConversationKey { server: row.conversation_server.clone(), peer: brief.peer.clone() };
            if key.server.is_none() && key.peer.is_none() {
                return Err(StoreError::not_found(format!("conversation {} in this export", brief.id)));
            }
            conversation::of_key(tx, account, &key, None)
        }
    }
}

/// The place that it had, if that is free and fits; else one like it.
fn place_for(tx: &Tx<'_>, conv: &Conv, row: &MessageRecord, between: place::Between) -> Result<i64> {
    let had = row.message.position.0;
    let free = tx.one("SELECT 1 FROM message WHERE position = ?1", [had], |_| Ok(()))?.is_none();
    if free && !place::is_pending(had) && between.allows(had) {
        return Ok(had);
    }
    place::find(tx, conv.key, row.message.sent_at.ms(), between)
}

fn span(tx: &mut Tx<'_>, row: &SpanRecord) -> Result<()> {
    let account = account_of(tx, &row.account)?;
    let event = Event::Span(Span {
        archive: row.archive.clone(),
        conversation: row.conversation_server.as_ref().map(|server| ConversationKey::server(server.clone())),
        lo: Some(SpanEdge { id: row.lo.clone(), at: row.lo_at }),
        hi: Some(SpanEdge { id: row.hi.clone(), at: row.hi_at }),
        after: row.after.clone(),
        before: row.before.clone(),
        at_start: row.at_start,
        at_end: false,
    });
    batch(tx, account, Batch { events: vec![event], at: tx.at, ..Batch::default() })
}

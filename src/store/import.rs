//! Lines of an export put back. Of what is here already only what is newer is taken, so that importing twice does nothing;
//! nothing of it is ever sent, and nothing raises a banner.

use super::apply::batch;
use super::conversation::Conv;
use super::names::Found;
use super::tx::{Result, Tx, meta, set_meta};
use super::{Batch, StoreError, account, arrival, code, conversation, names, place, renewal, search, settle};
use crate::model::{
    AccountId, ConversationKey, ConversationRecord, Event, FeedKind, MessageId, MessageRecord, MessageState, Record,
    Seq, Span, SpanEdge, SpanRecord, Timestamp,
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

/// Messages that came and were read, by conversation: whose, how many more are unread, the newest.
type Touched = BTreeMap<i64, (AccountId, i64, i64)>;

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
    let (before, begun) = match meta(tx.conn, &key(export))? {
        Some(progress) => read(&progress),
        None => (0, None),
    };
    let begun = begun.map_or_else(|| tx.newest(), Ok)?;
    let mut done = Imported { line: before, ..Imported::default() };
    if records.is_empty() {
        return Ok(done);
    }
    let (mut touched, mut over) = (Touched::new(), false);
    for record in records {
        match record {
            Record::Account(row) => drop(account::ensure(tx, &row.name, &row.protocol, row.me.as_deref())?),
            Record::Conversation(row) => drop(place_of(tx, row)?),
            Record::Message(row) if message(tx, row, begun, &mut touched)? => done.added += 1,
            Record::Message(_) => done.known += 1,
            Record::Span(row) => span(tx, row)?,
            Record::Wakeful(_) => {}
            Record::End(_) => over = true,
        }
    }
    for (key, (account, count, last)) in touched {
        tx.run(
            "UPDATE conversation SET unread = max(0, unread + ?2), last_at = max(coalesce(last_at, ?3), ?3) WHERE key = ?1",
            (key, count, last),
        )?;
        let id = conversation::by_key(tx, key)?.id;
        tx.change(account, FeedKind::Conversation, Some(id), None)?;
    }
    done.line = line.max(before);
    let progress = format!("{} {begun}", done.line);
    set_meta(tx.conn, &key(export), Some(progress.as_str()).filter(|_| !over))?;
    Ok(done)
}

/// The lines that are in, and the newest change when the import was begun.
fn read(progress: &str) -> (u64, Option<Seq>) {
    let (line, begun) = progress.split_once(' ').unwrap_or((progress, ""));
    (line.parse().unwrap_or(0), begun.parse().ok().map(Seq))
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

/// A message; `false` if it is here already. What changed since `begun` this import may have put in.
fn message(tx: &mut Tx<'_>, row: &MessageRecord, begun: Seq, touched: &mut Touched) -> Result<bool> {
    let message = &row.message;
    let account = account_of(tx, &message.account)?;
    if let Some(found) = known(tx, account, row)? {
        if crate::mutant("import-first-line") {
            return Ok(false);
        }
        let renewed = renewal::apply(tx, account, found, row, begun)?;
        if renewed.any {
            let touched = touched.entry(found.conversation).or_insert((account, 0, 0));
            touched.1 -= i64::from(renewed.read);
            touched.2 = touched.2.max(message.sent_at.ms());
        }
        return Ok(false);
    }
    let archive = match &message.server_id {
        Some(server) => {
            let (archive, rest) = names::split(server);
            Some((names::archive_key(tx, account, archive)?, rest))
        }
        None => None,
    };
    let conv = conv_of(tx, account, row)?;
    let position = place_for(tx, conv.key, row)?;
    let taken = tx.one("SELECT 1 FROM message WHERE id = ?1", [*message.id.0.as_bytes()], |_| Ok(()))?.is_some();
    let id = if taken { tx.message_id() } else { message.id };
    let (state, error) = match message.state {
        // The server may have it by now; whoever wrote it decides.
        MessageState::Pending | MessageState::InFlight => (MessageState::Failed, Some("not sent when it was exported")),
        state => (state, message.error.as_deref()),
    };
    put(tx, account, &conv, row, Row { position, id, state, error, archive })?;
    let touched = touched.entry(conv.key).or_insert((account, 0, 0));
    touched.1 += i64::from(state == MessageState::Received);
    touched.2 = touched.2.max(message.sent_at.ms());
    Ok(true)
}

/// The message as it is here, by our own id or the server's.
fn known(tx: &mut Tx<'_>, account: AccountId, row: &MessageRecord) -> Result<Option<Found>> {
    let by_id = names::by_id(tx, account, row.message.id)?.filter(|_| !crate::mutant("import-twice"));
    let by_server = match &row.message.server_id {
        Some(server) => names::by_server(tx, account, server)?,
        None => None,
    };
    let (Some(theirs), Some(ours)) = (by_server, by_id) else { return Ok(by_server.or(by_id)) };
    if theirs.id != ours.id {
        // The server gave it under another id since a line of it came that was not sent yet.
        let unsent = "DELETE FROM message WHERE position = ?1 AND state = ?2 AND server_ref IS NULL";
        if tx.run(unsent, (ours.position, code::FAILED))? > 0 {
            settle::done(tx, account, ours.id)?;
            let conv = conversation::by_key(tx, ours.conversation)?;
            tx.change(account, FeedKind::Removed, Some(conv.id), Some(ours.id))?;
        }
    }
    Ok(Some(theirs))
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
pub(super) fn place_for(tx: &Tx<'_>, conversation: i64, row: &MessageRecord) -> Result<i64> {
    let between = match row.order {
        Some(order) => place::Between::by_order(tx, conversation, order)?,
        None => place::Between::default(),
    };
    let had = row.message.position.0;
    let free = tx.one("SELECT 1 FROM message WHERE position = ?1", [had], |_| Ok(()))?.is_none();
    if free && !place::is_pending(had) && between.allows(had) {
        return Ok(had);
    }
    place::find(tx, conversation, row.message.sent_at.ms(), between)
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

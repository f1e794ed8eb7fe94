//! The outbox: what the user wants done, in the order in which they did it, kept until the server has it.

use super::conversation::{self, Conv};
use super::settle::{CANCELLED, DONE, IN_FLIGHT, PENDING};
use super::tx::{Result, Tx, json, message_id};
use super::{StoreError, arrival, code, marks, names, place, search, spent};
use crate::model::{
    AccountId, CommandKind, CommandTarget, ConversationId, FeedKind, MessageId, OutboxId, Seq, Timestamp,
};
use rusqlite::Connection;

/// Longest text of a message, bytes.
pub const LONGEST_TEXT: usize = 1 << 20;

/// What the user wants sent or changed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose.
    pub account: AccountId,
    /// For which conversation; `None` for commands about none (create, contacts).
    pub conversation: Option<ConversationId>,
    /// What.
    pub what: CommandKind,
    /// Given by a client that wants to repeat a request safely: the same id enqueues once.
    pub id: Option<MessageId>,
    /// Wall-clock time.
    pub at: Timestamp,
}

/// What became of a draft: it is durably in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The message (for `Send`), or the id under which the row's fate can be asked.
    pub message: MessageId,
    /// The row.
    pub outbox: OutboxId,
    /// The change that announced it.
    pub seq: Seq,
}

/// An outbox row's state as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// On disk, not handed out.
    Pending,
    /// Handed to the connection.
    InFlight,
    /// The server has it.
    Done,
    /// Refused for good.
    Failed {
        /// Stable code.
        code: String,
        /// Plain words.
        text: String,
    },
}

/// The outbox row as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Which.
    pub id: OutboxId,
    /// The message or request id.
    pub message: MessageId,
    /// Its conversation (for `Create`: filled in once it exists).
    pub conversation: Option<ConversationId>,
    /// How far it is.
    pub state: OutboxState,
}

fn kind_name(what: &CommandKind) -> &'static str {
    match what {
        CommandKind::Send { .. } => "send",
        CommandKind::Mark { .. } => "mark",
        CommandKind::React { .. } => "react",
        _ => "other",
    }
}

/// Our own user id, or the account's name while none is known.
pub(super) fn me(tx: &Tx<'_>, account: AccountId) -> Result<String> {
    tx.one("SELECT coalesce(me, name) FROM account WHERE id = ?1", [account.0], |row| row.get(0))?
        .ok_or_else(|| StoreError::not_found("account"))
}

/// Puts a draft into the outbox.
pub(super) fn enqueue(tx: &mut Tx<'_>, draft: &Draft) -> Result<Enqueued> {
    if let Some(id) = draft.id
        && let Some(before) = repeated(tx, draft.account, id)?
    {
        return Ok(before);
    }
    let me = me(tx, draft.account)?;
    let conv = match draft.conversation {
        Some(id) => Some(conversation::by_id(tx, id)?),
        None => None,
    };
    check(tx, draft, conv.as_ref())?;
    let id = draft.id.unwrap_or_else(|| tx.message_id());
    let (row, seq) = put(tx, draft, conv.as_ref(), id, &me, false)?;
    Ok(Enqueued { message: id, outbox: row, seq: seq.map_or_else(|| tx.newest(), Ok)? })
}

/// The row, and with something to be said its message: the change that it makes.
fn put(
    tx: &mut Tx<'_>,
    draft: &Draft,
    conv: Option<&Conv>,
    id: MessageId,
    me: &str,
    maybe_sent: bool,
) -> Result<(OutboxId, Option<Seq>)> {
    let row = insert(tx, draft, conv, id, maybe_sent)?;
    let (CommandKind::Send { text, attachments, reply_to }, Some(conv)) = (&draft.what, conv) else {
        return Ok((row, None));
    };
    let attachments = arrival::attachments(attachments)?;
    let seq = pending(tx, conv, me, draft.at, id, row, text, attachments, reply_to.as_ref())?;
    Ok((row, Some(seq)))
}

/// The same draft was enqueued before.
fn repeated(tx: &Tx<'_>, account: AccountId, id: MessageId) -> Result<Option<Enqueued>> {
    let row = tx.one("SELECT id, account FROM outbox WHERE message = ?1", [*id.0.as_bytes()], |row| {
        Ok((OutboxId(row.get(0)?), AccountId(row.get(1)?)))
    })?;
    match row {
        Some((outbox, owner)) if owner == account => {
            let seq = tx.one("SELECT seq FROM message WHERE id = ?1", [*id.0.as_bytes()], |row| row.get(0))?;
            Ok(Some(Enqueued { message: id, outbox, seq: seq.map_or_else(|| tx.newest(), |seq| Ok(Seq(seq)))? }))
        }
        Some(_) => Err(StoreError::Invalid(format!("the id {id} is another account's"))),
        None => gone(tx, account, id),
    }
}

/// The same draft was enqueued before, and its row was swept since.
fn gone(tx: &Tx<'_>, account: AccountId, id: MessageId) -> Result<Option<Enqueued>> {
    let sql = "SELECT account, outgoing, seq FROM message WHERE id = ?1";
    let message =
        tx.one(sql, [*id.0.as_bytes()], |row| Ok((AccountId(row.get(0)?), row.get::<_, bool>(1)?, Seq(row.get(2)?))))?;
    let again = |seq| Ok(Some(Enqueued { message: id, outbox: OutboxId(0), seq }));
    match (message, spent::owner(tx.conn, id)?) {
        (Some((owner, true, seq)), _) if owner == account => again(seq),
        (Some(_), _) => Err(StoreError::Invalid(format!("the id {id} is a message's already"))),
        (None, Some(owner)) if owner == account => again(tx.newest()?),
        (None, Some(_)) => Err(StoreError::Invalid(format!("the id {id} is another account's"))),
        (None, None) => Ok(None),
    }
}

pub(super) fn check(tx: &Tx<'_>, draft: &Draft, conv: Option<&Conv>) -> Result<()> {
    let invalid = |text: &str| Err(StoreError::Invalid(text.to_owned()));
    if let Some(conv) = conv {
        if conv.account != draft.account {
            return invalid("the conversation is another account's");
        }
        if conv.gone && !matches!(draft.what, CommandKind::Join { .. }) {
            return invalid("we are no longer in this conversation");
        }
    }
    match &draft.what {
        CommandKind::Send { text, attachments, .. } if text.is_empty() && attachments.is_empty() => {
            invalid("there is nothing to send")
        }
        CommandKind::Send { text, .. } | CommandKind::Edit { text, .. } if text.len() > LONGEST_TEXT => {
            Err(StoreError::Invalid(format!("a message may have {LONGEST_TEXT} bytes at most")))
        }
        CommandKind::Send { .. } if conv.is_none() => invalid("a message needs a conversation"),
        CommandKind::Edit { target, .. } | CommandKind::Retract { target } => {
            let outgoing = "SELECT outgoing FROM message WHERE id = ?1 AND account = ?2";
            let key = (*target.id.0.as_bytes(), draft.account.0);
            match tx.one(outgoing, key, |row| row.get::<_, bool>(0))? {
                Some(true) => Ok(()),
                Some(false) if matches!(draft.what, CommandKind::Retract { .. }) => Ok(()),
                Some(false) => invalid("only one's own messages can be edited"),
                None => Err(StoreError::not_found(format!("message {}", target.id))),
            }
        }
        CommandKind::React { target, .. } | CommandKind::Mark { upto: target } => {
            match names::by_id(tx, draft.account, target.id)? {
                Some(_) => Ok(()),
                None => Err(StoreError::not_found(format!("message {}", target.id))),
            }
        }
        _ => Ok(()),
    }
}

pub(super) fn insert(
    tx: &mut Tx<'_>,
    draft: &Draft,
    conv: Option<&Conv>,
    id: MessageId,
    maybe_sent: bool,
) -> Result<OutboxId> {
    tx.run(
        "INSERT INTO outbox(account, conversation, message, kind, what, maybe_sent, written_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            draft.account.0,
            conv.map(|conv| conv.key),
            *id.0.as_bytes(),
            kind_name(&draft.what),
            json(&draft.what)?,
            maybe_sent,
            draft.at.ms(),
        ),
    )?;
    let row = OutboxId(tx.conn.last_insert_rowid());
    tx.ring(draft.account);
    Ok(row)
}

/// Puts a request back that was read out of a damaged file, under the id that it had.
pub(super) fn restore(
    tx: &mut Tx<'_>,
    draft: &Draft,
    conv: Option<&Conv>,
    id: MessageId,
    maybe_sent: bool,
) -> Result<OutboxId> {
    let me = me(tx, draft.account)?;
    put(tx, draft, conv, id, &me, maybe_sent).map(|(row, _)| row)
}

/// The message itself, last in its conversation until the server has it.
#[expect(clippy::too_many_arguments, reason = "one row's columns")]
fn pending(
    tx: &mut Tx<'_>,
    conv: &Conv,
    me: &str,
    at: Timestamp,
    id: MessageId,
    row: OutboxId,
    text: &str,
    attachments: Option<String>,
    reply_to: Option<&CommandTarget>,
) -> Result<Seq> {
    let sender = conversation::user_key(tx, conv.account, me)?;
    let seq = tx.change(conv.account, FeedKind::Message, Some(conv.id), Some(id))?;
    let position = place::PENDING + row.0;
    tx.run(
        "INSERT INTO message(position, id, account, conversation, sender, outgoing, state, kind, sent_at, seq, rev, text,
            reply_to, link, attachments, born)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, 0, ?6, ?7, 0, ?8, ?9, ?10, ?11, ?7)",
        rusqlite::params![
            position,
            *id.0.as_bytes(),
            conv.account.0,
            conv.key,
            sender,
            at.ms(),
            seq.0,
            text,
            reply_to.map(|target| *target.id.0.as_bytes()),
            code::has_link(text),
            attachments,
        ],
    )?;
    search::glyphs(tx, position, text)?;
    tx.run("UPDATE conversation SET last_at = max(coalesce(last_at, ?2), ?2) WHERE key = ?1", (conv.key, at.ms()))?;
    tx.change(conv.account, FeedKind::Conversation, Some(conv.id), None)?;
    Ok(seq)
}

/// A row's state, by the message or request id.
pub(super) fn get(conn: &Connection, id: MessageId) -> Result<OutboxRow> {
    let row = super::tx::one(
        conn,
        "SELECT o.id, c.id, o.state, o.maybe_sent, o.code, o.error FROM outbox o
         LEFT JOIN conversation c ON c.key = o.conversation WHERE o.message = ?1",
        [*id.0.as_bytes()],
        |row| {
            let state = state_of(row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            let conversation = row.get::<_, Option<[u8; 16]>>(1)?.map(super::tx::conversation_id);
            Ok(OutboxRow { id: OutboxId(row.get(0)?), message: id, conversation, state })
        },
    )?;
    match row {
        Some(row) => Ok(row),
        None => spent::fate(conn, id)?.ok_or_else(|| StoreError::not_found(format!("outbox row {id}"))),
    }
}

/// A row's columns `state`, `maybe_sent`, `code` and `error` as readers see them.
pub(super) fn state_of(state: i64, maybe_sent: bool, code: Option<String>, text: Option<String>) -> OutboxState {
    match (state, maybe_sent) {
        (PENDING, false) => OutboxState::Pending,
        (PENDING | IN_FLIGHT, _) => OutboxState::InFlight,
        (DONE, _) => OutboxState::Done,
        (state, _) => {
            let otherwise = || if state == CANCELLED { "cancelled" } else { "failed" }.to_owned();
            OutboxState::Failed { code: code.unwrap_or_else(otherwise), text: text.unwrap_or_else(otherwise) }
        }
    }
}

/// Takes a row back that was never handed out; its message goes with it.
pub(super) fn cancel(tx: &mut Tx<'_>, id: MessageId) -> Result<bool> {
    let key = *id.0.as_bytes();
    let row = tx.one("SELECT account, state = 0 AND maybe_sent = 0 FROM outbox WHERE message = ?1", [key], |row| {
        Ok((AccountId(row.get(0)?), row.get::<_, bool>(1)?))
    })?;
    let Some((account, free)) = row else { return Err(StoreError::not_found(format!("outbox row {id}"))) };
    if !free {
        return Ok(false);
    }
    tx.run(
        "UPDATE outbox SET state = 4, code = 'cancelled', error = 'taken back', settled_at = ?2 WHERE message = ?1",
        (key, tx.at.ms()),
    )?;
    tx.ring(account);
    if let Some(found) = names::by_id(tx, account, id)? {
        let conv = conversation::by_key(tx, found.conversation)?;
        tx.run("DELETE FROM message WHERE position = ?1", [found.position])?;
        tx.change(account, FeedKind::Removed, Some(conv.id), Some(id))?;
    }
    Ok(true)
}

/// The user has read a conversation: position, count, banners, and one row that tells the server.
pub(super) fn mark_read(tx: &mut Tx<'_>, id: ConversationId, upto: Option<MessageId>, at: Timestamp) -> Result<()> {
    let conv = conversation::by_id(tx, id)?;
    let (position, order) = match upto {
        Some(message) => {
            let found = names::by_id(tx, conv.account, message)?.filter(|found| found.conversation == conv.key);
            let found = found.ok_or_else(|| StoreError::not_found(format!("message {message}")))?;
            (found.position, found.order)
        }
        None => tx
            .one(
                "SELECT position, server_order FROM message WHERE conversation = ?1 AND position < ?2
                 ORDER BY position DESC LIMIT 1",
                (conv.key, place::PENDING),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .unwrap_or((0, None)),
    };
    // Only as far as what others said and is here: what they said before one's own words may still be on its way.
    let theirs = newest_of_others(tx, &conv, position)?;
    let (position, order) = match theirs {
        Some((position, order, _)) if !crate::mutant("mark-past-own") => (position, order),
        None if conv.unread_below == 0 => return Ok(()),
        // Nothing of theirs is here; what the server alone counts is read with one's own words.
        _ => (position, order),
    };
    let moved = marks::advance(tx, &conv, Some(position), order)?;
    if !moved.any {
        return Ok(());
    }
    tx.run("UPDATE conversation SET unread = max(0, unread + ?2) WHERE key = ?1", (conv.key, moved.unread))?;
    tx.change(conv.account, FeedKind::Conversation, Some(conv.id), None)?;
    theirs.map_or(Ok(()), |(.., newest)| tell_server(tx, &conv, newest, at))
}

/// Place, number and id of the newest message of others that is not above `position`.
fn newest_of_others(tx: &Tx<'_>, conv: &Conv, position: i64) -> Result<Option<(i64, Option<i64>, MessageId)>> {
    tx.one(
        "SELECT position, server_order, id FROM message WHERE conversation = ?1 AND position <= ?2 AND outgoing = 0
         ORDER BY position DESC LIMIT 1",
        (conv.key, position),
        |row| Ok((row.get(0)?, row.get(1)?, message_id(row.get(2)?))),
    )
}

/// One waiting row a conversation; the highest wins.
fn tell_server(tx: &mut Tx<'_>, conv: &Conv, newest: MessageId, at: Timestamp) -> Result<()> {
    let upto = CommandTarget { id: newest, server: None, sender_ref: None, sender: String::new() };
    let what = CommandKind::Mark { upto };
    let replaced = tx.run(
        "UPDATE outbox SET what = ?2, written_at = ?3 WHERE conversation = ?1 AND state IN (0, 1) AND state = 0
         AND kind = 'mark'",
        (conv.key, json(&what)?, at.ms()),
    )?;
    if replaced > 0 {
        tx.ring(conv.account);
        return Ok(());
    }
    let draft = Draft { account: conv.account, conversation: Some(conv.id), what, id: None, at };
    let id = tx.message_id();
    insert(tx, &draft, Some(conv), id, false).map(drop)
}

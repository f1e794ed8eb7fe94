//! Sending again what failed for good, because the user wants it: under the same id, as the newest row of the outbox.
//!
//! The row is a new one, since a connection may still remember what it settled; the id is the old one, so that a server
//! which has the message after all does not get it twice, and asking twice does nothing the second time.

use super::names::{self, Found};
use super::settle::{self, CANCELLED, FAILED};
use super::tx::{Result, Tx};
use super::{Draft, Store, StoreError, amend, code, conversation, outbox, place, spent};
use crate::model::{AccountId, CommandKind, CommandTarget, MessageId, Timestamp};

impl Store {
    /// Puts a request or message that failed for good into the outbox again; `false` if it waits there already or was
    /// carried out.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if it was taken back, is no longer kept, or makes no sense any more; `Disk`.
    pub async fn retry(&self, message: MessageId) -> Result<bool> {
        self.write(None, move |tx| retry(tx, message)).await
    }
}

/// `true`: it waits again; `false`: there is nothing to be done, since it waits already or the server has it.
fn retry(tx: &mut Tx<'_>, id: MessageId) -> Result<bool> {
    let key = *id.0.as_bytes();
    let row =
        tx.one("SELECT account, conversation, what, state, written_at FROM outbox WHERE message = ?1", [key], |row| {
            let (account, conversation) = (AccountId(row.get(0)?), row.get::<_, Option<i64>>(1)?);
            Ok((account, conversation, row.get::<_, String>(2)?, row.get::<_, i64>(3)?, Timestamp(row.get(4)?)))
        })?;
    let Some((account, conversation, what, state, at)) = row else { return lost(tx, id) };
    match state {
        FAILED => {}
        CANCELLED => return Err(taken_back()),
        _ if crate::mutant("retry-anything") => {}
        _ => return Ok(false),
    }
    let reached = "SELECT 1 FROM message WHERE id = ?1 AND state <> ?2";
    if tx.one(reached, (key, code::FAILED), |_| Ok(()))?.is_some() && !crate::mutant("retry-anything") {
        return Ok(false);
    }
    let what = serde_json::from_str(&what)
        .map_err(|error| StoreError::Invalid(format!("the request can no longer be read: {error}")))?;
    if matches!(what, CommandKind::Send { .. }) && names::by_id(tx, account, id)?.is_none() {
        return Err(not_kept());
    }
    again(tx, account, conversation, what, id, at, false).map(|()| true)
}

/// The row is gone after its week, or never was one here, as with a message that was imported.
fn lost(tx: &mut Tx<'_>, id: MessageId) -> Result<bool> {
    let sql =
        "SELECT account, conversation, outgoing, state, text, attachments, reply_to, sent_at, retracted FROM message
               WHERE id = ?1";
    let found = tx.one(sql, [*id.0.as_bytes()], |row| {
        let reply_to = row.get::<_, Option<[u8; 16]>>(6)?.map(super::tx::message_id);
        let state = (row.get::<_, bool>(2)?, row.get::<_, i64>(3)?, row.get::<_, bool>(8)?);
        let said = (row.get::<_, String>(4)?, row.get::<_, Option<String>>(5)?, reply_to);
        Ok((AccountId(row.get(0)?), row.get::<_, i64>(1)?, state, said, Timestamp(row.get(7)?)))
    })?;
    let Some((account, conversation, state, (text, attachments, reply_to), at)) = found else {
        return match spent::fate(tx.conn, id)? {
            Some(_) => Err(not_kept()),
            None => Err(StoreError::not_found(format!("outbox row {id}"))),
        };
    };
    match state {
        (true, _, true) => return Err(taken_back()),
        (true, code::FAILED, false) => {}
        (true, ..) => return Ok(false),
        (false, ..) => return Err(StoreError::Invalid("only what one wrote oneself can be sent again".into())),
    }
    let attachments = match attachments {
        Some(json) => serde_json::from_str(&json)
            .map_err(|error| StoreError::Invalid(format!("its attachments can no longer be read: {error}")))?,
        None => Vec::new(),
    };
    let reply_to = reply_to.map(|id| CommandTarget { id, server: None, sender_ref: None, sender: String::new() });
    let what = CommandKind::Send { text, attachments, reply_to };
    // A machine from which it was exported while it waited may have sent it.
    let maybe_sent = spent::fate(tx.conn, id)?.is_none();
    again(tx, account, Some(conversation), what, id, at, maybe_sent).map(|()| true)
}

fn not_kept() -> StoreError {
    StoreError::Invalid("it is no longer kept: write it again".into())
}

fn taken_back() -> StoreError {
    StoreError::Invalid("it was taken back: write it again".into())
}

fn again(
    tx: &mut Tx<'_>,
    account: AccountId,
    conversation: Option<i64>,
    what: CommandKind,
    id: MessageId,
    at: Timestamp,
    maybe_sent: bool,
) -> Result<()> {
    let conv = conversation.map(|key| conversation::by_key(tx, key)).transpose()?;
    let draft = Draft { account, conversation: conv.as_ref().map(|conv| conv.id), what, id: Some(id), at };
    outbox::check(tx, &draft, conv.as_ref())?;
    tx.run("DELETE FROM outbox WHERE message = ?1", [*id.0.as_bytes()])?;
    tx.run("DELETE FROM spent WHERE id = ?1", [*id.0.as_bytes()])?;
    let row = outbox::insert(tx, &draft, conv.as_ref(), id, maybe_sent)?;
    let ours = if matches!(draft.what, CommandKind::Send { .. }) { names::by_id(tx, account, id)? } else { None };
    let Some(ours) = ours else {
        tx.change(account, crate::model::FeedKind::Changed, draft.conversation, Some(id))?;
        return Ok(());
    };
    // Last in its conversation until the server has it, as everything that waits.
    let position = place::PENDING + row.0;
    let waits = "UPDATE message SET position = ?2, state = ?3, error = NULL WHERE position = ?1";
    tx.run(waits, (ours.position, position, code::PENDING))?;
    settle::rekeyed(tx, ours.position, position, id)?;
    amend::announce(tx, account, Found { position, ..ours })
}

//! Handing outbox rows to the connection: in order, with everything that is known of what they are about.

use super::outbox::me;
use super::settle::{self, IN_FLIGHT};
use super::tx::{Result, Tx, message_id};
use super::{code, conversation, names};
use crate::model::{
    AccountId, Command, CommandKind, CommandTarget, ConversationKey, ConversationKind, MessageId, OutboxId,
    SendFailure, ServerRef, Timestamp,
};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// One open row as it is weighed for handing out.
struct Open {
    id: i64,
    conversation: Option<i64>,
    message: MessageId,
    what: String,
    in_flight: bool,
    maybe_sent: bool,
    written_at: i64,
    due_at: i64,
}

/// Hands rows out: pending and due, in order, never past an unsettled one of the same conversation that stays here.
pub(super) fn take(tx: &mut Tx<'_>, account: AccountId, limit: usize, now: Timestamp) -> Result<Vec<Command>> {
    let mut taken = Vec::new();
    let mut stuck: BTreeSet<Option<i64>> = BTreeSet::new();
    let mut after = 0;
    while taken.len() < limit {
        let rows = open_rows(tx, account, after)?;
        let Some(last) = rows.last().map(|row| row.id) else { break };
        after = last;
        for row in rows {
            let blocked = row.conversation.is_some() && stuck.contains(&row.conversation);
            if row.in_flight || blocked || taken.len() == limit {
                continue;
            }
            if row.due_at > now.ms() {
                stuck.insert(row.conversation);
                continue;
            }
            match hand_out(tx, account, &row)? {
                HandOut::Command(command) => taken.push(*command),
                HandOut::TargetWaits => drop(stuck.insert(row.conversation)),
                HandOut::Failed => {}
            }
        }
    }
    Ok(taken)
}

fn open_rows(tx: &Tx<'_>, account: AccountId, after: i64) -> Result<Vec<Open>> {
    tx.all(
        "SELECT id, conversation, message, what, state, maybe_sent, written_at, due_at FROM outbox
         WHERE account = ?1 AND state IN (0, 1) AND id > ?2 ORDER BY id LIMIT 256",
        (account.0, after),
        |row| {
            Ok(Open {
                id: row.get(0)?,
                conversation: row.get(1)?,
                message: message_id(row.get(2)?),
                what: row.get(3)?,
                in_flight: row.get::<_, i64>(4)? == IN_FLIGHT,
                maybe_sent: row.get(5)?,
                written_at: row.get(6)?,
                due_at: row.get(7)?,
            })
        },
    )
}

enum HandOut {
    Command(Box<Command>),
    TargetWaits,
    Failed,
}

fn hand_out(tx: &mut Tx<'_>, account: AccountId, row: &Open) -> Result<HandOut> {
    let refused = |tx: &mut Tx<'_>, code: &str, text: &str| {
        let failure = SendFailure { code: code.into(), text: text.into() };
        settle::fail(tx, account, OutboxId(row.id), &failure).map(|()| HandOut::Failed)
    };
    let mut what = match serde_json::from_str::<CommandKind>(&row.what) {
        Ok(what) => what,
        Err(error) => return refused(tx, "unreadable", &format!("the row cannot be read: {error}")),
    };
    if let Some(target) = target_of(&mut what) {
        match fill(tx, account, target)? {
            Filled::Yes => {}
            Filled::Waits => return Ok(HandOut::TargetWaits),
            // An answer to something that is gone is still worth sending.
            Filled::Never | Filled::Gone if matches!(what, CommandKind::Send { .. }) => drop_reply(&mut what),
            Filled::Never => return refused(tx, "target_failed", "the message it is about was never sent"),
            Filled::Gone => return refused(tx, "target_gone", "the message it is about is no longer here"),
        }
    }
    if let CommandKind::React { target, key, on, all } = &mut what {
        *all = reactions_after(tx, account, row.id, target.id, key, *on)?;
    }
    let conv = match row.conversation {
        Some(key) => Some(conversation::by_key(tx, key)?),
        None => None,
    };
    tx.run("UPDATE outbox SET state = 1, tries = tries + 1 WHERE id = ?1", [row.id])?;
    let flying = "UPDATE message SET state = 2 WHERE id = ?1 AND state = 1";
    if tx.run(flying, [*row.message.0.as_bytes()])? > 0
        && let Some(found) = names::by_id(tx, account, row.message)?
    {
        super::amend::announce(tx, account, found)?;
    }
    Ok(HandOut::Command(Box::new(Command {
        outbox: OutboxId(row.id),
        cid: row.message,
        conversation_kind: conv.as_ref().map_or(ConversationKind::Direct, |conv| conv.kind),
        conversation: conv.map(|conv| ConversationKey { server: conv.server, peer: conv.peer }),
        what,
        maybe_sent: row.maybe_sent,
        written_at: Timestamp(row.written_at),
    })))
}

/// The message that a request is about.
pub(super) fn target_of(what: &mut CommandKind) -> Option<&mut CommandTarget> {
    match what {
        CommandKind::Edit { target, .. }
        | CommandKind::Retract { target }
        | CommandKind::React { target, .. }
        | CommandKind::Mark { upto: target } => Some(target),
        CommandKind::Send { reply_to, .. } => reply_to.as_mut(),
        _ => None,
    }
}

fn drop_reply(what: &mut CommandKind) {
    if let CommandKind::Send { reply_to, .. } = what {
        *reply_to = None;
    }
}

enum Filled {
    Yes,
    Waits,
    Never,
    Gone,
}

/// All that is known of a target now.
fn fill(tx: &Tx<'_>, account: AccountId, target: &mut CommandTarget) -> Result<Filled> {
    Ok(match named(tx.conn, account.0, target)? {
        Some((true, code::PENDING | code::IN_FLIGHT)) => Filled::Waits,
        Some((true, code::FAILED)) => Filled::Never,
        Some(_) => Filled::Yes,
        // Named when it was read out of a damaged file.
        None if target.server.is_some() => Filled::Yes,
        None => Filled::Gone,
    })
}

/// Fills in how the server and its sender call a message: whether it is ours, and its state. `None`: it is not here.
pub(super) fn named(conn: &Connection, account: i64, target: &mut CommandTarget) -> Result<Option<(bool, i64)>> {
    super::tx::one(
        conn,
        "SELECT a.name, m.server_ref, m.server_order, m.sender_ref, u.user, m.outgoing, m.state FROM message m
         JOIN user u ON u.key = m.sender LEFT JOIN archive a ON a.key = m.archive WHERE m.id = ?1 AND m.account = ?2",
        (*target.id.0.as_bytes(), account),
        |row| {
            let archive = row.get::<_, Option<String>>(0)?;
            let rest = row.get::<_, Option<String>>(1)?;
            let order = row.get::<_, Option<i64>>(2)?.and_then(|order| u64::try_from(order).ok());
            target.server =
                archive.zip(rest).map(|(archive, rest)| ServerRef { id: names::join(&archive, &rest), order });
            target.sender_ref = row.get(3)?;
            target.sender = row.get(4)?;
            let outgoing: bool = row.get(5)?;
            if outgoing && target.sender_ref.is_none() {
                target.sender_ref = Some(target.id.to_string());
            }
            Ok((outgoing, row.get::<_, i64>(6)?))
        },
    )
}

/// All of our reactions on a message once this row and those before it are carried out.
fn reactions_after(
    tx: &Tx<'_>,
    account: AccountId,
    row: i64,
    target: MessageId,
    key: &str,
    on: bool,
) -> Result<Vec<String>> {
    let me = me(tx, account)?;
    let standing = "SELECT key FROM reaction WHERE message = ?1 AND by = ?2 AND stands = 1 ORDER BY key";
    let mut all: BTreeSet<String> =
        tx.all(standing, (*target.0.as_bytes(), me), |row| row.get(0))?.into_iter().collect();
    let open =
        "SELECT what FROM outbox WHERE account = ?1 AND state IN (0, 1) AND kind = 'react' AND id < ?2 ORDER BY id";
    for what in tx.all(open, (account.0, row), |row| row.get::<_, String>(0))? {
        if let Ok(CommandKind::React { target: other, key, on, .. }) = serde_json::from_str(&what)
            && other.id == target
        {
            set(&mut all, &key, on);
        }
    }
    set(&mut all, key, on);
    Ok(all.into_iter().collect())
}

fn set(all: &mut BTreeSet<String>, key: &str, on: bool) {
    if on {
        all.insert(key.to_owned());
    } else {
        all.remove(key);
    }
}

/// The connection is gone: whatever was handed out may or may not be at the server.
pub(super) fn requeue(tx: &mut Tx<'_>, account: AccountId) -> Result<()> {
    let rows = tx.run("UPDATE outbox SET state = 0, maybe_sent = 1 WHERE account = ?1 AND state = 1", [account.0])?;
    if rows > 0 {
        tx.ring(account);
    }
    Ok(())
}

/// Rows that wait until a time of day wait no longer.
pub(super) fn hasten(tx: &mut Tx<'_>, account: AccountId) -> Result<()> {
    let sql = "UPDATE outbox SET due_at = 0 WHERE account = ?1 AND state IN (0, 1) AND state = 0 AND due_at > 0";
    tx.run(sql, [account.0]).map(drop)
}

/// When the next deferred row becomes due. One that is due already and was not handed out stands behind another.
pub(super) fn due(conn: &Connection, account: AccountId, now: Timestamp) -> Result<Option<Timestamp>> {
    let sql = "SELECT min(due_at) FROM outbox WHERE account = ?1 AND state IN (0, 1) AND state = 0 AND due_at > ?2";
    let now = if crate::mutant("due-behind-another") { 0 } else { now.ms() };
    Ok(super::tx::one(conn, sql, (account.0, now), |row| row.get::<_, Option<i64>>(0))?.flatten().map(Timestamp))
}

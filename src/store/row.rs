//! A message's row as readers see it.

use super::tx::{Result, all, conversation_id, message_id, one};
use super::{StoreError, code, conversation, names};
use crate::model::{ConversationBrief, Message, MessageId, Position, Reaction, Seq, Timestamp};
use rusqlite::{Connection, Row};

/// What is selected, from what.
pub(super) fn select() -> String {
    format!(
        "SELECT m.position, m.id, acc.name, c.id, {}, c.peer, u.user, u.name, m.outgoing, m.state, m.kind, m.sent_at,
            m.seq, m.text, ar.name, m.server_ref, m.reply_to, m.reply_ref, m.edited_at, m.retracted, m.mentions,
            m.reacted, m.attachments, m.error, m.account",
        conversation::NAME
    )
}

/// The tables behind [`select`], with `m` bound by the caller's FROM. CROSS keeps the planner from starting elsewhere.
pub(super) const JOINS: &str = "CROSS JOIN account acc ON acc.id = m.account
     CROSS JOIN conversation c ON c.key = m.conversation CROSS JOIN user u ON u.key = m.sender LEFT JOIN archive ar ON ar.key = m.archive";

/// A row with what a second look is needed for.
pub(super) struct Loaded {
    message: Message,
    account: i64,
    reacted: bool,
    reply_ref: Option<String>,
}

pub(super) fn load(row: &Row<'_>) -> rusqlite::Result<Loaded> {
    let archive: Option<String> = row.get(14)?;
    let rest: Option<String> = row.get(15)?;
    let attachments: Option<String> = row.get(22)?;
    let direct: Option<String> = row.get(5)?;
    Ok(Loaded {
        message: Message {
            position: Position(row.get(0)?),
            id: message_id(row.get(1)?),
            account: row.get(2)?,
            conversation: ConversationBrief { id: conversation_id(row.get(3)?), name: row.get(4)?, peer: direct },
            sender: row.get(6)?,
            sender_name: row.get(7)?,
            outgoing: row.get(8)?,
            state: code::state(row.get(9)?),
            kind: code::kind(row.get(10)?),
            sent_at: Timestamp(row.get(11)?),
            seq: Seq(row.get(12)?),
            text: row.get(13)?,
            server_id: archive.zip(rest).map(|(archive, rest)| names::join(&archive, &rest)),
            reply_to: row.get::<_, Option<[u8; 16]>>(16)?.map(message_id),
            edited_at: row.get::<_, Option<i64>>(18)?.map(Timestamp),
            retracted: row.get(19)?,
            mentions_me: row.get(20)?,
            reactions: Vec::new(),
            attachments: attachments.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default(),
            error: row.get(23)?,
            snippet: None,
        },
        reply_ref: row.get(17)?,
        reacted: row.get(21)?,
        account: row.get(24)?,
    })
}

/// Adds reactions and a late answer's target.
pub(super) fn complete(conn: &Connection, loaded: Loaded) -> Result<Message> {
    let mut message = loaded.message;
    if loaded.reacted {
        message.reactions = all(
            conn,
            "SELECT key, by FROM reaction WHERE message = ?1 AND stands = 1 ORDER BY key, by",
            [*message.id.0.as_bytes()],
            |row| Ok(Reaction { key: row.get(0)?, by: row.get(1)? }),
        )?;
    }
    if let (None, Some(key)) = (message.reply_to, &loaded.reply_ref) {
        message.reply_to = late_target(conn, loaded.account, message.conversation.id, key)?;
    }
    Ok(message)
}

/// What a message answers, if that came after it.
fn late_target(
    conn: &Connection,
    account: i64,
    conversation: crate::model::ConversationId,
    key: &str,
) -> Result<Option<MessageId>> {
    let id = |row: &Row<'_>| row.get(0).map(message_id);
    match key.split_at_checked(2) {
        Some(("s:", server)) => {
            let (archive, rest) = names::split(server);
            one(
                conn,
                "SELECT m.id FROM message m JOIN archive a ON a.key = m.archive
                 WHERE a.account = ?1 AND a.name = ?2 AND m.server_ref = ?3",
                (account, archive, rest),
                id,
            )
        }
        Some(("u:", pair)) => {
            let Some((sender, reference)) = pair.split_once('\n') else { return Ok(None) };
            one(
                conn,
                "SELECT m.id FROM message m JOIN conversation c ON c.key = m.conversation JOIN user u ON u.key = m.sender
                 WHERE c.id = ?1 AND m.sender_ref = ?2 AND u.user = ?3 ORDER BY m.position DESC LIMIT 1",
                (*conversation.0.as_bytes(), reference, sender),
                id,
            )
        }
        Some(("o:", own)) => match own.parse::<MessageId>() {
            Ok(own) => {
                one(conn, "SELECT id FROM message WHERE id = ?1 AND account = ?2", (*own.0.as_bytes(), account), id)
            }
            Err(_) => Ok(None),
        },
        _ => Ok(None),
    }
}

/// One message.
pub(super) fn get(conn: &Connection, id: MessageId) -> Result<Message> {
    find(conn, id)?.ok_or_else(|| StoreError::not_found(format!("message {id}")))
}

/// Several; those that are gone are left out.
pub(super) fn several(conn: &Connection, ids: &[MessageId]) -> Result<Vec<Message>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(find(conn, *id)?);
    }
    Ok(found)
}

/// Those at these places, in this order.
pub(super) fn at(conn: &Connection, places: &[i64]) -> Result<Vec<Message>> {
    let sql = format!("{} FROM message m {JOINS} WHERE m.position = ?1", select());
    let mut found = Vec::with_capacity(places.len());
    for place in places {
        if let Some(loaded) = one(conn, &sql, [place], load)? {
            found.push(complete(conn, loaded)?);
        }
    }
    Ok(found)
}

fn find(conn: &Connection, id: MessageId) -> Result<Option<Message>> {
    let sql = format!("{} FROM message m {JOINS} WHERE m.id = ?1", select());
    one(conn, &sql, [*id.0.as_bytes()], load)?.map(|loaded| complete(conn, loaded)).transpose()
}

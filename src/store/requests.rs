//! The outbox as a list for people: what waits, what failed and why, what was done.

use super::tx::{Result, all, conversation_id, message_id};
use super::{OutboxState, conversation, outbox};
use crate::model::{AccountId, CommandKind, ConversationBrief, MessageId, Timestamp};
use rusqlite::Connection;

/// One request of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// The message's or the request's id.
    pub id: MessageId,
    /// The account's name.
    pub account: String,
    /// For which conversation, where it is for one.
    pub conversation: Option<ConversationBrief>,
    /// What is to be done; `None` where it cannot be read.
    pub what: Option<CommandKind>,
    /// How far it is.
    pub state: OutboxState,
    /// When the user asked for it.
    pub written_at: Timestamp,
    /// How often it was handed to a connection.
    pub tries: u32,
    /// It is not tried again before this time.
    pub due_at: Option<Timestamp>,
}

/// The newest requests first; `all`: settled ones too, for as long as they are kept.
pub(super) fn list(
    conn: &Connection,
    account: Option<AccountId>,
    settled: bool,
    limit: usize,
) -> Result<Vec<RequestInfo>> {
    let sql = format!(
        "SELECT o.message, a.name, c.id, {}, c.peer, o.what, o.state, o.maybe_sent, o.code, o.error, o.written_at, o.tries, o.due_at
         FROM outbox o JOIN account a ON a.id = o.account LEFT JOIN conversation c ON c.key = o.conversation
         WHERE (?1 IS NULL OR o.account = ?1) AND (?2 OR o.state IN (0, 1, 3)) ORDER BY o.id DESC LIMIT ?3",
        conversation::NAME
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(conn, &sql, (account.map(|account| account.0), settled, limit), |row| {
        let conversation = match row.get::<_, Option<[u8; 16]>>(2)? {
            Some(id) => Some(ConversationBrief { id: conversation_id(id), name: row.get(3)?, peer: row.get(4)? }),
            None => None,
        };
        let state = outbox::state_of(row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?);
        Ok(RequestInfo {
            id: message_id(row.get(0)?),
            account: row.get(1)?,
            conversation,
            what: serde_json::from_str(&row.get::<_, String>(5)?).ok(),
            state,
            written_at: Timestamp(row.get(10)?),
            tries: row.get(11)?,
            due_at: Some(row.get(12)?).filter(|due| *due > 0).map(Timestamp),
        })
    })
}

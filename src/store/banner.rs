//! Banners: a candidate is written with its message; what became of it is written after it was judged. One that is on
//! screen when its message is read stays here as `withdrawn` until it was taken down.

use super::code;
use super::tx::{Result, Tx, conversation_id, message_id};
use crate::model::{AccountId, ConversationId, FeedKind, MessageId, Timestamp};
use rusqlite::{Connection, Row};

/// A banner row: a candidate (`due`), or what the notification server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// The message.
    pub message: MessageId,
    /// Its account.
    pub account: AccountId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// How far it is.
    pub state: BannerState,
    /// When it became due.
    pub due_at: Timestamp,
    /// It came while catching up.
    pub catch_up: bool,
    /// Its sender asked for no noise.
    pub silent: bool,
}

/// How far a banner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BannerState {
    /// A candidate, to be judged.
    Due,
    /// Judged: not now (reason kept).
    Held(String),
    /// On screen.
    Shown {
        /// Unique bus name of the notification server that has it.
        server: String,
        /// Its id there.
        id: u32,
    },
    /// On screen, but its message was read or taken back: close it, then say `Dropped`.
    Withdrawn {
        /// Unique bus name of the notification server that has it.
        server: String,
        /// Its id there.
        id: u32,
    },
    /// Judged: never (reason kept).
    Dropped(String),
}

const DROPPED: i64 = 4;

/// How a message came.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) catch_up: bool,
    pub(super) silent: bool,
}

/// A message may raise a banner.
pub(super) fn due(tx: &Tx<'_>, account: AccountId, conversation: i64, id: MessageId, how: How) -> Result<()> {
    tx.run(
        "INSERT OR IGNORE INTO banner(message, account, conversation, state, due_at, catch_up, silent)
         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)",
        (*id.0.as_bytes(), account.0, conversation, tx.at.ms(), how.catch_up, how.silent),
    )?;
    Ok(())
}

/// The conversation was read up to somewhere: banners of what is read go.
pub(super) fn withdraw_read(tx: &mut Tx<'_>, conversation: i64) -> Result<()> {
    let read = tx.all(
        "SELECT b.message FROM banner b JOIN message m ON m.id = b.message
         WHERE b.conversation = ?1 AND m.state <> 0",
        [conversation],
        |row| row.get(0).map(message_id),
    )?;
    read.into_iter().try_for_each(|id| withdraw_one(tx, id))
}

/// One message's banner goes: at once, or by `notify` if it is on screen.
pub(super) fn withdraw_one(tx: &mut Tx<'_>, id: MessageId) -> Result<()> {
    let key = *id.0.as_bytes();
    let row = tx.one(
        "SELECT b.account, c.id, b.state FROM banner b JOIN conversation c ON c.key = b.conversation WHERE message = ?1",
        [key],
        |row| Ok((AccountId(row.get(0)?), conversation_id(row.get(1)?), row.get::<_, i64>(2)?)),
    )?;
    let Some((account, conversation, state)) = row else { return Ok(()) };
    match state {
        2 => tx.run("UPDATE banner SET state = 3 WHERE message = ?1", [key])?,
        3 => return Ok(()),
        _ => tx.run("DELETE FROM banner WHERE message = ?1", [key])?,
    };
    if state != DROPPED {
        tx.change(account, FeedKind::Banner, Some(conversation), Some(id))?;
    }
    Ok(())
}

/// Records what became of banners.
pub(super) fn set(tx: &mut Tx<'_>, states: &[(MessageId, BannerState)]) -> Result<()> {
    for (id, state) in states {
        set_one(tx, *id, state)?;
    }
    Ok(())
}

fn set_one(tx: &mut Tx<'_>, id: MessageId, state: &BannerState) -> Result<()> {
    let key = *id.0.as_bytes();
    let message = tx.one(
        "SELECT m.account, m.conversation, c.id, m.state, m.retracted FROM message m
         JOIN conversation c ON c.key = m.conversation WHERE m.id = ?1",
        [key],
        |row| {
            let found = (AccountId(row.get(0)?), row.get::<_, i64>(1)?, conversation_id(row.get(2)?));
            Ok((found, row.get::<_, i64>(3)? == code::RECEIVED && !row.get::<_, bool>(4)?))
        },
    )?;
    let Some(((account, conversation, conversation_id), unread)) = message else {
        tx.run("DELETE FROM banner WHERE message = ?1", [key])?;
        return Ok(());
    };
    let (code, reason, server, shown) = match state {
        BannerState::Due => (0, None, None, None),
        BannerState::Held(reason) => (1, Some(reason), None, None),
        // It was read while it was being put up.
        BannerState::Shown { server, id } if !unread => (3, None, Some(server), Some(*id)),
        BannerState::Shown { server, id } => (2, None, Some(server), Some(*id)),
        BannerState::Withdrawn { server, id } => (3, None, Some(server), Some(*id)),
        BannerState::Dropped(reason) => (DROPPED, Some(reason), None, None),
    };
    if !unread && server.is_none() {
        tx.run("DELETE FROM banner WHERE message = ?1", [key])?;
    } else {
        tx.run(
            "INSERT INTO banner(message, account, conversation, state, reason, server, shown, due_at, catch_up)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)
             ON CONFLICT(message) DO UPDATE SET state = excluded.state, reason = excluded.reason,
                server = excluded.server, shown = excluded.shown",
            rusqlite::params![key, account.0, conversation, code, reason, server, shown, tx.at.ms()],
        )?;
    }
    tx.change(account, FeedKind::Banner, Some(conversation_id), Some(id))?;
    Ok(())
}

const SELECT: &str =
    "SELECT b.message, b.account, c.id, b.state, b.reason, b.server, b.shown, b.due_at, b.catch_up, b.silent
     FROM banner b JOIN conversation c ON c.key = b.conversation LEFT JOIN message m ON m.id = b.message
     WHERE b.state < 4";

fn banner(row: &Row<'_>) -> rusqlite::Result<Banner> {
    let server = row.get::<_, Option<String>>(5)?.unwrap_or_default();
    let id = row.get::<_, Option<u32>>(6)?.unwrap_or_default();
    let state = match row.get(3)? {
        0_i64 => BannerState::Due,
        1 => BannerState::Held(row.get::<_, Option<String>>(4)?.unwrap_or_default()),
        2 => BannerState::Shown { server, id },
        _ => BannerState::Withdrawn { server, id },
    };
    Ok(Banner {
        message: message_id(row.get(0)?),
        account: AccountId(row.get(1)?),
        conversation: conversation_id(row.get(2)?),
        state,
        due_at: Timestamp(row.get(7)?),
        catch_up: row.get(8)?,
        silent: row.get(9)?,
    })
}

/// How many banners of a conversation were dropped for this reason and are not read yet.
pub(super) fn dropped(conn: &Connection, conversation: ConversationId, reason: &str) -> Result<u64> {
    let sql = "SELECT count(*) FROM banner b JOIN conversation c ON c.key = b.conversation
         WHERE c.id = ?1 AND b.state = 4 AND b.reason = ?2";
    let number: Option<i64> = super::tx::one(conn, sql, (*conversation.0.as_bytes(), reason), |row| row.get(0))?;
    Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default())
}

/// Gives banners of a conversation that were dropped for a reason another one.
pub(super) fn rename(tx: &Tx<'_>, conversation: ConversationId, reason: &str, now: &str) -> Result<()> {
    tx.run(
        "UPDATE banner SET reason = ?3 WHERE state = 4 AND reason = ?2
         AND conversation = (SELECT key FROM conversation WHERE id = ?1)",
        (*conversation.0.as_bytes(), reason, now),
    )?;
    Ok(())
}

/// Banners that are not settled, oldest first.
pub(super) fn list(conn: &Connection) -> Result<Vec<Banner>> {
    super::tx::all(conn, &format!("{SELECT} ORDER BY b.due_at, m.position"), [], banner)
}

/// The unsettled banners among these messages.
pub(super) fn of(conn: &Connection, messages: &[MessageId]) -> Result<Vec<Banner>> {
    let mut found = Vec::new();
    for id in messages {
        found.extend(super::tx::one(conn, &format!("{SELECT} AND b.message = ?1"), [*id.0.as_bytes()], banner)?);
    }
    Ok(found)
}

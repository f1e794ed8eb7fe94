//! Throwing old messages away: by age, number and size, an account at a time, in bounded steps, oldest first.
//!
//! What is not settled stays: a message that waits in the outbox, one that an outbox row is about, and one that failed
//! for as long as it has its row, since what the user wrote stands nowhere else. The ledger learns in the same transaction
//! what is no longer here, so that no range claims it and its hole says why.

use super::settle::{DONE, FAILED};
use super::tx::{Result, Tx, conversation_id, message_id, one};
use super::{banner, code, handout, place, spent};
use crate::model::{AccountId, CommandKind, ConversationId, FeedKind, MessageId, Position, Timestamp};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Messages that one step looks at.
const STEP: usize = 200;
/// What a message costs beside its text, bytes: its row and its index entries.
const ROW: i64 = 300;

/// How much of an account is kept; nothing said: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Messages that are older go.
    pub age: Option<Duration>,
    /// The newest so many stay.
    pub count: Option<u64>,
    /// The newest stay whose texts, with 300 bytes for each, come to so many bytes.
    pub bytes: Option<u64>,
}

impl Retention {
    /// Nothing is ever thrown away.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Rows that went.
    pub removed: usize,
    /// Go on from here; `None`: nothing more is to be done now.
    pub next: Option<Position>,
}

/// The place below which messages go; `None`: all stay.
pub(super) fn floor(
    conn: &Connection,
    account: AccountId,
    keep: &Retention,
    now: Timestamp,
) -> Result<Option<Position>> {
    let by_age = keep.age.map(|age| {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Position::of_ms(now.ms().saturating_sub(age).max(0)).0
    });
    let by_count = match keep.count {
        Some(count) => nth_newest(conn, account, count)?,
        None => None,
    };
    let by_size = match keep.bytes {
        Some(bytes) => heaviest(conn, account, i64::try_from(bytes).unwrap_or(i64::MAX))?,
        None => None,
    };
    Ok([by_age, by_count, by_size].into_iter().flatten().max().map(Position))
}

/// The place of the oldest of the newest `count` messages.
fn nth_newest(conn: &Connection, account: AccountId, count: u64) -> Result<Option<i64>> {
    let skip = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "SELECT position FROM message WHERE account = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2";
    let first_gone: Option<i64> = one(conn, sql, (account.0, skip), |row| row.get(0))?;
    Ok(first_gone.map(|place| place.saturating_add(1)))
}

/// The place below which the account's messages no longer fit into so many bytes.
fn heaviest(conn: &Connection, account: AccountId, bytes: i64) -> Result<Option<i64>> {
    let sql = "SELECT position, octet_length(text) + coalesce(octet_length(attachments), 0) FROM message
               WHERE account = ?1 ORDER BY position DESC";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([account.0])?;
    let mut left = bytes;
    while let Some(row) = rows.next()? {
        left = left.saturating_sub(row.get::<_, i64>(1)?.saturating_add(ROW));
        if left < 0 {
            return Ok(Some(row.get::<_, i64>(0)?.saturating_add(1)));
        }
    }
    Ok(None)
}

/// A message that is about to go.
struct Old {
    position: i64,
    id: MessageId,
    conversation: i64,
    public: ConversationId,
    outgoing: bool,
    state: i64,
    archive: Option<i64>,
    server_ref: Option<String>,
    sent_at: i64,
}

/// Deletes a few of the account's oldest messages that lie above `from` and below `floor`.
pub(super) fn step(tx: &mut Tx<'_>, account: AccountId, from: Position, floor: Position) -> Result<Swept> {
    let floor = floor.0.min(place::PENDING);
    let rows = oldest(tx, account, from.0, floor)?;
    let Some(last) = rows.last().map(|row| row.position) else { return Ok(Swept { removed: 0, next: None }) };
    let full = rows.len() == STEP;
    let wanted = wanted(tx, account)?;
    let mut newest_of: BTreeMap<i64, Old> = BTreeMap::new();
    let mut touched: BTreeMap<i64, (ConversationId, i64)> = BTreeMap::new();
    let mut removed = 0;
    for row in rows {
        let open = match row.state {
            code::PENDING | code::IN_FLIGHT => true,
            code::FAILED => has_row(tx, row.id)?,
            _ => false,
        };
        let open = open || wanted.contains(&row.id);
        if open && !crate::mutant("retention-takes-unsettled") {
            continue;
        }
        remove(tx, account, &row)?;
        removed += 1;
        let unread = &mut touched.entry(row.conversation).or_insert((row.public, 0)).1;
        *unread += i64::from(row.state == code::RECEIVED);
        if let Some(archive) = row.archive {
            newest_of.insert(archive, row);
        }
    }
    for (archive, row) in newest_of {
        if !crate::mutant("retention-false-range") {
            cut(tx, account, archive, &row)?;
        }
    }
    for (key, (id, unread)) in touched {
        tx.run("UPDATE conversation SET unread = max(0, unread - ?2) WHERE key = ?1", (key, unread))?;
        tx.change(account, FeedKind::Conversation, Some(id), None)?;
    }
    Ok(Swept { removed, next: full.then_some(Position(last)) })
}

fn oldest(tx: &Tx<'_>, account: AccountId, from: i64, floor: i64) -> Result<Vec<Old>> {
    tx.all(
        "SELECT m.position, m.id, m.conversation, c.id, m.outgoing, m.state, m.archive, m.server_ref, m.sent_at
         FROM message m CROSS JOIN conversation c ON c.key = m.conversation
         WHERE m.account = ?1 AND m.position > ?2 AND m.position < ?3 ORDER BY m.position LIMIT ?4",
        (account.0, from, floor, i64::try_from(STEP).unwrap_or(i64::MAX)),
        |row| {
            Ok(Old {
                position: row.get(0)?,
                id: message_id(row.get(1)?),
                conversation: row.get(2)?,
                public: conversation_id(row.get(3)?),
                outgoing: row.get(4)?,
                state: row.get(5)?,
                archive: row.get(6)?,
                server_ref: row.get(7)?,
                sent_at: row.get(8)?,
            })
        },
    )
}

/// Messages that open outbox rows are about.
fn wanted(tx: &Tx<'_>, account: AccountId) -> Result<BTreeSet<MessageId>> {
    let open = "SELECT what, message FROM outbox WHERE account = ?1 AND state IN (0, 1)";
    let rows = tx.all(open, [account.0], |row| Ok((row.get::<_, String>(0)?, message_id(row.get(1)?))))?;
    let mut wanted = BTreeSet::new();
    for (what, message) in rows {
        wanted.insert(message);
        let what = serde_json::from_str::<CommandKind>(&what);
        wanted.extend(what.ok().and_then(|mut what| handout::target_of(&mut what).map(|target| target.id)));
    }
    Ok(wanted)
}

/// An outbox row of this message is here.
fn has_row(tx: &Tx<'_>, id: MessageId) -> Result<bool> {
    Ok(tx.one("SELECT 1 FROM outbox WHERE message = ?1", [*id.0.as_bytes()], |_| Ok(()))?.is_some())
}

fn remove(tx: &mut Tx<'_>, account: AccountId, row: &Old) -> Result<()> {
    banner::withdraw_one(tx, row.id)?;
    if row.outgoing {
        spent::remember(tx, account, row.id, if row.state == code::FAILED { FAILED } else { DONE })?;
    }
    tx.run("DELETE FROM message WHERE position = ?1", [row.position])?;
    tx.change(account, FeedKind::Removed, Some(row.public), Some(row.id))?;
    Ok(())
}

/// The ledger: of this archive nothing up to this message is here any more.
fn cut(tx: &mut Tx<'_>, account: AccountId, archive: i64, row: &Old) -> Result<()> {
    let Some(upto) = &row.server_ref else { return Ok(()) };
    let spans = tx.all(
        "SELECT id, hi_position, conversation FROM span WHERE archive = ?1 AND lo_position <= ?2 ORDER BY lo_position",
        (archive, row.position),
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?)),
    )?;
    let own = spans.first().and_then(|(_, _, conversation)| *conversation);
    for (id, hi, conversation) in spans {
        shorten(tx, archive, id, hi, conversation, row, upto)?;
    }
    tx.run(
        "INSERT INTO thrown(archive, conversation, upto, upto_at, upto_position) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT(archive) DO UPDATE SET conversation = coalesce(excluded.conversation, conversation),
            upto = excluded.upto, upto_at = excluded.upto_at, upto_position = excluded.upto_position
         WHERE upto_position < excluded.upto_position",
        (archive, own, upto, row.sent_at, row.position),
    )?;
    let shown = own.map(|_| row.public);
    tx.change(account, FeedKind::Ledger, shown, None)?;
    Ok(())
}

/// A range now begins at the oldest of its messages that is still here, or is gone with the last of them.
fn shorten(
    tx: &Tx<'_>,
    archive: i64,
    id: i64,
    hi: i64,
    conversation: Option<i64>,
    row: &Old,
    upto: &str,
) -> Result<()> {
    let by =
        if conversation.is_some() { "conversation = ?2" } else { "account = (SELECT account FROM span WHERE id = ?2)" };
    let next = tx.one(
        &format!(
            "SELECT server_ref, sent_at, position FROM message WHERE {by} AND position > ?3 AND position <= ?4
             AND archive = ?1 AND server_ref IS NOT NULL ORDER BY position LIMIT 1"
        ),
        (archive, conversation.unwrap_or(id), row.position, hi),
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
    )?;
    match next {
        Some((lo, at, position)) => tx.run(
            "UPDATE span SET lo = ?2, lo_at = ?3, lo_position = ?4, after = ?5, at_start = 0, asked_at = NULL WHERE id = ?1",
            (id, lo, at, position, upto),
        )?,
        None => tx.run("DELETE FROM span WHERE id = ?1", [id])?,
    };
    Ok(())
}

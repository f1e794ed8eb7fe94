//! What is settled and old: outbox rows and the feed go after a week, in bounded steps. The ids of requests whose rows
//! went are remembered, so that a client which asks again with the same id still gets one message and not two.

use super::tx::{Result, Tx, message_id, one};
use super::{OutboxRow, outbox};
use crate::model::{AccountId, MessageId, OutboxId, Timestamp};
use rusqlite::Connection;

/// Rows that one step takes.
const STEP: i64 = 500;
const DAY: i64 = 86_400_000;
/// Settled outbox rows and the feed stay so long, milliseconds.
pub(super) const KEEP: i64 = 7 * DAY;
/// Ids of requests are remembered so long, milliseconds.
const REMEMBER: i64 = 400 * DAY;

/// Deletes a few rows that nobody needs any more; how many.
pub(super) fn sweep(tx: &Tx<'_>, now: Timestamp) -> Result<usize> {
    Ok(outbox(tx, now)? + feed(tx, now)? + forget(tx, now)?)
}

fn outbox(tx: &Tx<'_>, now: Timestamp) -> Result<usize> {
    let settled = if crate::mutant("sweep-unsettled") { "state >= 0" } else { "state > 1" };
    let rows = tx.all(
        &format!(
            "SELECT id, account, message, kind, state FROM outbox WHERE {settled}
             AND coalesce(settled_at, written_at) < ?1 ORDER BY coalesce(settled_at, written_at) LIMIT {STEP}"
        ),
        [now.ms().saturating_sub(KEEP)],
        |row| {
            let id = message_id(row.get(2)?);
            Ok((row.get::<_, i64>(0)?, AccountId(row.get(1)?), id, row.get::<_, String>(3)?, row.get::<_, i64>(4)?))
        },
    )?;
    let count = rows.len();
    for (row, account, id, kind, state) in rows {
        // Nobody knows the id of a mark, so nobody asks with it again.
        if kind != "mark" && !crate::mutant("sweep-forgets-ids") {
            remember(tx, account, id, state)?;
        }
        tx.run("DELETE FROM outbox WHERE id = ?1", [row])?;
    }
    Ok(count)
}

/// Notes which change is the newest now; deletes changes that are older than a note of a week ago.
fn feed(tx: &Tx<'_>, now: Timestamp) -> Result<usize> {
    let newest = tx.newest()?;
    tx.run("INSERT OR REPLACE INTO feed_mark(at, seq) VALUES (?1, ?2)", (now.ms(), newest.0))?;
    let old = "SELECT at, seq FROM feed_mark WHERE at < ?1 ORDER BY at DESC LIMIT 1";
    let mark =
        tx.one(old, [now.ms().saturating_sub(KEEP)], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let Some((at, seq)) = mark else { return Ok(0) };
    tx.run("DELETE FROM feed_mark WHERE at < ?1", [at])?;
    let step = "DELETE FROM change WHERE seq <= ?1 AND seq IN (SELECT seq FROM change ORDER BY seq LIMIT ?2)";
    tx.run(step, (seq, STEP))
}

fn forget(tx: &Tx<'_>, now: Timestamp) -> Result<usize> {
    let old = "DELETE FROM spent WHERE id IN (SELECT id FROM spent WHERE at < ?1 ORDER BY at LIMIT ?2)";
    tx.run(old, (now.ms().saturating_sub(REMEMBER), STEP))
}

/// The row or message of this id is gone; asking with the id again does nothing. What was done once stays done.
pub(super) fn remember(tx: &Tx<'_>, account: AccountId, id: MessageId, state: i64) -> Result<()> {
    tx.run(
        "INSERT INTO spent(id, account, state, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT(id) DO UPDATE SET state = excluded.state WHERE excluded.state = ?5",
        (*id.0.as_bytes(), account.0, state, tx.at.ms(), super::settle::DONE),
    )?;
    Ok(())
}

/// Whose request this id was, if its row is gone.
pub(super) fn owner(conn: &Connection, id: MessageId) -> Result<Option<AccountId>> {
    one(conn, "SELECT account FROM spent WHERE id = ?1", [*id.0.as_bytes()], |row| row.get(0).map(AccountId))
}

/// What became of a request whose row is gone.
pub(super) fn fate(conn: &Connection, id: MessageId) -> Result<Option<OutboxRow>> {
    one(conn, "SELECT state FROM spent WHERE id = ?1", [*id.0.as_bytes()], |row| {
        let state = outbox::state_of(row.get(0)?, false, None, None);
        Ok(OutboxRow { id: OutboxId(0), message: id, conversation: None, state })
    })
}

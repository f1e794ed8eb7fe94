//! A user's update stream: one ordered list of events, read from a cursor, pruned from behind.

use super::Stop;
use super::desk::{Desk, positive, stored};
use crate::db::DbError;
use crate::hub::ask::Answer;
use rusqlite::{Connection, params};

/// Bytes of events in one batch; one event more may still go with it.
const BATCH_BYTES: usize = 256 * 1024;
/// Rows that one round of pruning removes at most, so that nobody waits for it.
const PRUNE_ROWS: i64 = 5_000;

impl Desk<'_> {
    pub(super) fn resume(&mut self, app: &str) -> Result<Answer, Stop> {
        let (head, floor) = self.bounds()?;
        // A number beyond the head is of another epoch. A hello gives nobody a receipt: a cursor may stand where what a
        // snapshot left out is still being fetched. The first ack does.
        self.conn
            .prepare_cached("UPDATE device SET last_seen = ?2, app = ?3, acked = min(acked, ?4) WHERE id = ?1")?
            .execute(params![self.who.device, self.at, app, stored(head)])?;
        Ok(Answer::Resume { epoch: self.fixed.epoch.clone(), head, floor })
    }

    pub(super) fn head(&self, ping: u64) -> Result<Answer, Stop> {
        let mut select = self.conn.prepare_cached("SELECT token IS NOT NULL FROM device WHERE id = ?1")?;
        let valid: bool = select.query_row([self.who.device], |row| row.get(0))?;
        if !valid {
            return Ok(Answer::Revoked);
        }
        Ok(Answer::Head { ping, head: self.bounds()?.0 })
    }

    pub(super) fn fetch(&self, after: u64, limit: u64) -> Result<Answer, Stop> {
        let (head, floor) = self.bounds()?;
        if after < floor {
            return Ok(Answer::TooOld);
        }
        let sql = "SELECT u.cur, e.body, e.seq > 0 AND e.sender <> u.user FROM upd u JOIN event e ON e.id = u.event
            WHERE u.user = ?1 AND u.cur > ?2 ORDER BY u.cur LIMIT ?3";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query([self.who.user, stored(after), stored(limit)])?;
        let (mut cur, mut events, mut foreign, mut bytes) = (after, Vec::new(), false, 0);
        while bytes < BATCH_BYTES {
            let Some(row) = rows.next()? else { break };
            cur = positive(row.get(0)?);
            let event: String = row.get(1)?;
            bytes += event.len();
            events.push(event);
            foreign |= row.get::<_, bool>(2)?;
        }
        if (events.len() as u64) < limit && bytes < BATCH_BYTES {
            cur = cur.max(head);
        }
        Ok(Answer::Batch { after, cur, events, foreign })
    }

    fn bounds(&self) -> Result<(u64, u64), Stop> {
        let mut select = self.conn.prepare_cached("SELECT head, floor FROM user WHERE id = ?1")?;
        Ok(select.query_row([self.who.user], |row| Ok((positive(row.get(0)?), positive(row.get(1)?))))?)
    }
}

/// Removes what is older than the retention, one bounded round; `true`: there may be more.
///
/// Numbers of a stream and of events grow together, so that what is too old stands first in every stream.
pub(super) fn prune(conn: &Connection, now: i64, days: u64, events: u64) -> Result<bool, DbError> {
    let before = now.saturating_sub(stored(days).saturating_mul(86_400_000));
    let old: i64 = conn.query_row(
        "SELECT coalesce(max(id), 0) FROM (SELECT id, ts FROM event ORDER BY id LIMIT ?2) WHERE ts < ?1",
        [before, PRUNE_ROWS],
        |row| row.get(0),
    )?;
    let users: Vec<(i64, i64, i64)> = conn
        .prepare_cached("SELECT id, head, floor FROM user WHERE ?1 > 0 OR head - floor > ?2")?
        .query_map([old, stored(events)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut removed = 0;
    for (user, head, floor) in users {
        let aged: i64 = conn
            .prepare_cached(
                "SELECT coalesce(max(cur), 0) FROM (SELECT cur, event FROM upd WHERE user = ?1 ORDER BY cur LIMIT ?3)
                 WHERE event <= ?2",
            )?
            .query_row([user, old, PRUNE_ROWS], |row| row.get(0))?;
        let over = head.saturating_sub(stored(events)).max(aged).min(floor.saturating_add(PRUNE_ROWS));
        if over > floor {
            removed += conn.prepare_cached("DELETE FROM upd WHERE user = ?1 AND cur <= ?2")?.execute([user, over])?;
            conn.prepare_cached("UPDATE user SET floor = ?2 WHERE id = ?1")?.execute([user, over])?;
        }
    }
    if old > 0 {
        let sql = "DELETE FROM event WHERE id <= ?1 AND NOT EXISTS (SELECT 1 FROM user u
            WHERE (SELECT event FROM upd WHERE user = u.id ORDER BY cur LIMIT 1) <= ?1)";
        removed += conn.prepare_cached(sql)?.execute([old])?;
    }
    Ok(removed > 0)
}

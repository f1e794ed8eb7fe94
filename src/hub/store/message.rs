//! Messages as they stand in the table, and which of them a user may see.

use super::Stop;
use super::desk::{Desk, place, positive};
use crate::proto::hub::wire::ReactSum;
use crate::proto::hub::wire::event::Msg;
use rusqlite::{OptionalExtension, Row};

/// The columns that [`Desk::read_message`] wants, from `msg m`.
pub(super) const COLUMNS: &str = "m.seq, m.rev, (SELECT name FROM user WHERE id = m.sender), m.ts, m.cid, m.body, \
     m.att, m.mentions, m.re, m.edited, (SELECT name FROM user WHERE id = m.deleted), m.sender, m.id, m.deleted";

impl Desk<'_> {
    /// Reads a row of [`COLUMNS`] as the event that tells the message in its newest form.
    pub(super) fn read_message(&self, conv: &str, row: &Row<'_>) -> Result<Msg, Stop> {
        let from: String = row.get(2)?;
        let deleted_by: Option<String> = row.get(10)?;
        let json = |at: usize| -> Result<Option<String>, rusqlite::Error> { row.get(at) };
        let deleted = deleted_by.is_some();
        let reacts = self.reactions(row.get(12)?)?;
        Ok(Msg {
            conv: conv.to_owned(),
            seq: positive(row.get(0)?),
            rev: positive(row.get(1)?),
            ts: positive(row.get(3)?),
            cid: row.get(4)?,
            body: json(5)?.and_then(|text| serde_json::from_str(&text).ok()),
            att: json(6)?.and_then(|text| serde_json::from_str(&text).ok()),
            mentions: json(7)?.and_then(|text| serde_json::from_str(&text).ok()),
            re: row.get::<_, Option<i64>>(8)?.map(positive),
            edited: row.get::<_, Option<i64>>(9)?.map(positive),
            del: deleted.then_some(true),
            by: deleted_by.filter(|by| *by != from),
            from,
            reacts: (!reacts.is_empty()).then_some(reacts),
            n: None,
        })
    }

    fn reactions(&self, msg: i64) -> Result<Vec<ReactSum>, Stop> {
        let mut select = self.conn.prepare_cached(
            "SELECT key, count(*), max(user = ?2) FROM react WHERE msg = ?1 GROUP BY key ORDER BY key",
        )?;
        let sums = select.query_map([msg, self.who.user], |row| {
            let me: bool = row.get(2)?;
            Ok(ReactSum { key: row.get(0)?, n: positive(row.get(1)?), me: me.then_some(true) })
        })?;
        Ok(sums.collect::<Result<_, _>>()?)
    }

    /// The spans of `seq` that this user may see, lowest first; `None`: no end.
    pub(super) fn spans(&self, conv: i64) -> Result<Vec<(i64, Option<i64>)>, Stop> {
        let mut select =
            self.conn.prepare_cached("SELECT lo, hi FROM span WHERE conv = ?1 AND user = ?2 ORDER BY lo")?;
        let spans = select.query_map([conv, self.who.user], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(spans.collect::<Result<_, _>>()?)
    }

    /// This message exists, is not deleted, and this user may see it.
    pub(super) fn visible(&self, conv: i64, seq: i64) -> Result<bool, Stop> {
        let there: Option<bool> = self
            .conn
            .prepare_cached("SELECT deleted IS NULL FROM msg WHERE id = ?1")?
            .query_row([place(conv, seq)], |row| row.get(0))
            .optional()?;
        Ok(there == Some(true) && within(&self.spans(conv)?, seq))
    }

    /// The newest messages that this user may see, oldest first: at most `most`, and of `bytes` together.
    pub(super) fn newest(&self, conv: i64, name: &str, most: u64, bytes: &mut usize) -> Result<Vec<Msg>, Stop> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let spans = self.spans(conv)?;
        let sql = format!(
            "SELECT {COLUMNS} FROM msg m WHERE m.id > ?1 AND m.id < ?2
             AND NOT EXISTS (SELECT 1 FROM hidden WHERE user = ?3 AND msg = m.id) ORDER BY m.id DESC"
        );
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = select.query([place(conv, 0), place(conv + 1, 0), self.who.user])?;
        let mut newest = Vec::new();
        while let Some(row) = rows.next()? {
            if !within(&spans, row.get(0)?) {
                break;
            }
            let size = row.get_ref(5)?.as_str_or_null().ok().flatten().map_or(0, str::len) + 512;
            if newest.len() as u64 >= most || size > *bytes {
                break;
            }
            *bytes -= size;
            newest.push(self.read_message(name, row)?);
        }
        newest.reverse();
        Ok(newest)
    }
}

pub(super) fn within(spans: &[(i64, Option<i64>)], seq: i64) -> bool {
    spans.iter().any(|(lo, hi)| *lo <= seq && hi.is_none_or(|hi| seq <= hi))
}

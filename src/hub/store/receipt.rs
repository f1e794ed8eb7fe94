//! How far people have read and how far their devices have everything: positions that only move forward.

use super::Stop;
use super::desk::{Desk, Origin, positive, stored};
use crate::hub::ask::Hint;
use crate::proto::hub::wire::client::Mark;
use crate::proto::hub::wire::event::{Dlvd, Ephemeral, Read};
use crate::proto::hub::wire::server::Ok as WireOk;
use rusqlite::params;

/// In larger conversations receipts go to nobody else.
const RECEIPTS_MOST: usize = 16;
/// How long "is typing" holds unless repeated, milliseconds.
const TYPING_TTL: u64 = 6_000;

impl Desk<'_> {
    pub(super) fn mark(&mut self, frame: &Mark) -> Result<WireOk, Stop> {
        let (conv, _) = self.my_conv(&frame.conv)?;
        let want = stored(frame.read).min(conv.seq);
        let done = WireOk { conv: Some(conv.name.clone()), ts: Some(positive(self.at)), ..WireOk::default() };
        let moved = self
            .conn
            .prepare_cached(
                "UPDATE member SET read = ?3, delivered = max(delivered, ?3) WHERE conv = ?1 AND user = ?2 AND read < ?3",
            )?
            .execute([conv.id, self.who.user, want])?;
        if moved == 0 && frame.unread.is_none() {
            return Ok(WireOk { noop: Some(true), ..done });
        }
        let read = self.read_upto(conv.id)?;
        let (by, ts) = (self.who.user_name.clone(), positive(self.at));
        let event = Read { conv: conv.name, by, seq: positive(read), ts, unread: frame.unread };
        let mut users = if moved > 0 { self.others(conv.id)? } else { Vec::new() };
        if frame.unread.is_some() && !users.is_empty() {
            self.announce(&users, Read { unread: None, ..event.clone() }, Origin::default())?;
            users.clear();
        }
        users.push(self.who.user);
        self.announce(&users, event, Origin::default())?;
        Ok(done)
    }

    /// This device has everything up to `cur`: the senders of what is new in there get their receipts.
    pub(super) fn ack(&mut self, cur: u64) -> Result<(), Stop> {
        let cur = stored(cur);
        let before: i64 = self
            .conn
            .prepare_cached("SELECT acked FROM device WHERE id = ?1")?
            .query_row([self.who.device], |row| row.get(0))?;
        if cur <= before {
            return Ok(());
        }
        self.conn.prepare_cached("UPDATE device SET acked = ?2 WHERE id = ?1")?.execute([self.who.device, cur])?;
        let reached: Vec<(i64, i64)> = self
            .conn
            .prepare_cached(
                "SELECT e.conv, max(e.seq) FROM upd u JOIN event e ON e.id = u.event
                 WHERE u.user = ?1 AND u.cur > ?2 AND u.cur <= ?3 AND e.seq > 0 AND e.sender <> ?1 GROUP BY e.conv",
            )?
            .query_map([self.who.user, before, cur], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (conv, seq) in reached {
            self.delivered(conv, seq)?;
        }
        Ok(())
    }

    fn delivered(&mut self, conv: i64, seq: i64) -> Result<(), Stop> {
        let moved = self
            .conn
            .prepare_cached("UPDATE member SET delivered = ?3 WHERE conv = ?1 AND user = ?2 AND delivered < ?3")?
            .execute([conv, self.who.user, seq])?;
        let others = self.others(conv)?;
        if moved == 0 || others.is_empty() {
            return Ok(());
        }
        let name: String = self
            .conn
            .prepare_cached("SELECT name FROM conv WHERE id = ?1")?
            .query_row(params![conv], |row| row.get(0))?;
        let event = Dlvd { conv: name, by: self.who.user_name.clone(), seq: positive(seq) };
        self.announce(&others, event, Origin::default())
    }

    pub(super) fn typing(&mut self, conv: &str, on: bool) -> Result<(), Stop> {
        let (conv, _) = self.my_conv(conv)?;
        let by = self.who.user_name.clone();
        for user in self.others(conv.id)? {
            let ttl = if on { TYPING_TTL } else { 0 };
            let what = Ephemeral::Typing { conv: conv.name.clone(), by: by.clone(), ttl };
            self.hint(Hint::Eph { user, what });
        }
        Ok(())
    }

    /// The other members, where the conversation is small enough for receipts.
    fn others(&self, conv: i64) -> Result<Vec<i64>, Stop> {
        let mut users = self.audience(conv)?;
        if users.len() > RECEIPTS_MOST {
            return Ok(Vec::new());
        }
        users.retain(|user| *user != self.who.user);
        Ok(users)
    }
}

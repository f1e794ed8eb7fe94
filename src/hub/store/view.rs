//! A conversation as one of its members sees it, and the pages that list conversations and members.

use super::Stop;
use super::desk::{Desk, positive, role, stored};
use super::page::Page;
use crate::hub::ask::Answer;
use crate::proto::hub::wire::client::{Convs, Members};
use crate::proto::hub::wire::server::Ok as WireOk;
use crate::proto::hub::wire::{ConvKind, ConvObj, Member, User};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// Bytes of messages in one page of conversations.
const PAGE_BYTES: usize = 512 * 1024;
/// Unread messages are counted up to here.
const UNREAD_MOST: i64 = 999;

impl Desk<'_> {
    /// The conversation as `user` sees it, without messages.
    pub(super) fn view(&self, conv: i64, user: i64) -> Result<ConvObj, Stop> {
        let sql = "SELECT c.name, c.kind, c.seq, c.rev, c.ts, c.title, c.avatar,
                (SELECT name FROM user WHERE id = CASE ?2 WHEN c.low THEN c.high ELSE c.low END),
                (SELECT u.name FROM member o JOIN user u ON u.id = o.user
                 WHERE o.conv = c.id AND o.role = 'owner' AND o.active = 1),
                m.role, (SELECT count(*) FROM member WHERE conv = c.id AND active = 1),
                (SELECT min(lo) FROM span WHERE conv = c.id AND user = ?2), m.read, m.delivered
            FROM conv c JOIN member m ON m.conv = c.id AND m.user = ?2 WHERE c.id = ?1";
        let mut view = self.conn.prepare_cached(sql)?.query_row([conv, user], |row| {
            let (kind, word): (String, String) = (row.get(1)?, row.get(9)?);
            Ok(ConvObj {
                conv: row.get(0)?,
                kind: conv_kind(&kind),
                seq: positive(row.get(2)?),
                rev: positive(row.get(3)?),
                ts: Some(positive(row.get(4)?)),
                title: row.get(5)?,
                avatar: row.get(6)?,
                peer: if kind == "direct" { row.get(7)? } else { None },
                owner: row.get(8)?,
                role: Some(role(&word)),
                count: Some(positive(row.get(10)?)).filter(|count| *count > 0),
                joined: row.get::<_, Option<i64>>(11)?.map(positive),
                read: Some(positive(row.get(12)?)),
                delivered: Some(positive(row.get(13)?)),
                ..ConvObj::default()
            })
        })?;
        view.unread = Some(self.unread(conv, user, stored(view.read.unwrap_or_default()))?);
        Ok(view)
    }

    fn unread(&self, conv: i64, user: i64, read: i64) -> Result<u64, Stop> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM msg WHERE id > ?1 AND id < ?2 AND sender <> ?3
            AND deleted IS NULL LIMIT ?4)";
        let from = super::desk::place(conv, read);
        let upto = super::desk::place(conv + 1, 0);
        let mut count = self.conn.prepare_cached(sql)?;
        Ok(positive(count.query_row(params![from, upto, user, UNREAD_MOST], |row| row.get(0))?))
    }

    /// A page of the snapshot, in the order in which the conversations were made.
    pub(super) fn snap(&self, after: Option<&str>, convs: u64, msgs: u64) -> Result<Answer, Stop> {
        let from: Option<i64> = match after {
            None => None,
            Some(name) => self
                .conn
                .prepare_cached("SELECT id FROM conv WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()?,
        };
        let sql = "SELECT conv FROM member WHERE user = ?1 AND conv > ?2 AND active = 1 ORDER BY conv LIMIT ?3";
        let ids: Vec<i64> = self
            .conn
            .prepare_cached(sql)?
            .query_map([self.who.user, from.unwrap_or_default(), stored(convs.max(1)) + 1], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let (mut page, mut users, mut bytes) = (Vec::new(), BTreeSet::new(), PAGE_BYTES);
        for id in &ids {
            if page.len() as u64 == convs.max(1) || bytes == 0 {
                break;
            }
            let mut view = self.view(*id, self.who.user)?;
            let before = bytes;
            let last = self.newest(*id, &view.conv, msgs, &mut bytes)?;
            users.extend(view.peer.iter().cloned());
            users.extend(last.iter().map(|msg| msg.from.clone()));
            if !last.is_empty() {
                view.last = Some(last);
            }
            bytes = bytes.saturating_sub(if before == bytes { 1024 } else { 0 });
            page.push(view);
        }
        let more = page.len() < ids.len();
        let next = if more { page.last().map(|view| view.conv.clone()) } else { None };
        let users = users.into_iter().map(|user| User { user, ..User::default() }).collect();
        Ok(Answer::Snap { convs: page, users, next })
    }

    /// Conversations, the one with the newest message first.
    pub(super) fn convs(&self, frame: &Convs) -> Result<WireOk, Stop> {
        let (ts, below) = match &frame.cursor {
            None => (i64::MAX, i64::MAX),
            Some(token) => match self.open_page(token)? {
                Page::Convs { ts, conv } => (ts, conv),
                _ => return Err(super::page::foreign()),
            },
        };
        let limit = stored(frame.limit.unwrap_or(50));
        let sql = "SELECT c.id, c.ts FROM member m JOIN conv c ON c.id = m.conv
            WHERE m.user = ?1 AND m.active = 1 AND (c.ts, c.id) < (?2, ?3) ORDER BY c.ts DESC, c.id DESC LIMIT ?4";
        let mut ids: Vec<(i64, i64)> = self
            .conn
            .prepare_cached(sql)?
            .query_map([self.who.user, ts, below, limit + 1], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let more = ids.len() as i64 > limit;
        ids.truncate(usize::try_from(limit).unwrap_or_default());
        let cursor = match ids.last().filter(|_| more) {
            None => None,
            Some((conv, ts)) => Some(self.seal_page(&Page::Convs { ts: *ts, conv: *conv }, false)?),
        };
        let (mut convs, mut bytes) = (Vec::new(), PAGE_BYTES);
        for (id, _) in ids {
            let mut view = self.view(id, self.who.user)?;
            view.last = Some(self.newest(id, &view.conv, 1, &mut bytes)?).filter(|last| !last.is_empty());
            convs.push(view);
        }
        Ok(WireOk { convs: Some(convs), cursor, more: Some(more), ..WireOk::default() })
    }

    /// Members by name.
    pub(super) fn members(&self, frame: &Members) -> Result<WireOk, Stop> {
        let (conv, _) = self.my_conv(&frame.conv)?;
        let after = match &frame.cursor {
            None => String::new(),
            Some(token) => match self.open_page(token)? {
                Page::Members { conv: theirs, after } if theirs == conv.id => after,
                _ => return Err(super::page::foreign()),
            },
        };
        let limit = stored(frame.limit.unwrap_or(100));
        let sql = "SELECT u.name, m.role, m.read, m.delivered,
                (SELECT max(lo) FROM span s WHERE s.conv = m.conv AND s.user = m.user)
            FROM member m JOIN user u ON u.id = m.user
            WHERE m.conv = ?1 AND m.active = 1 AND u.name > ?2 ORDER BY u.name LIMIT ?3";
        let mut members: Vec<Member> = self
            .conn
            .prepare_cached(sql)?
            .query_map(params![conv.id, after, limit + 1], |row| {
                let word: String = row.get(1)?;
                Ok(Member {
                    user: row.get(0)?,
                    role: role(&word),
                    name: None,
                    joined: row.get::<_, Option<i64>>(4)?.map(|lo| positive(lo - 1)),
                    read: Some(positive(row.get(2)?)),
                    delivered: Some(positive(row.get(3)?)),
                })
            })?
            .collect::<Result<_, _>>()?;
        let more = members.len() as i64 > limit;
        members.truncate(usize::try_from(limit).unwrap_or_default());
        let cursor = match members.last().filter(|_| more) {
            None => None,
            Some(last) => Some(self.seal_page(&Page::Members { conv: conv.id, after: last.user.clone() }, false)?),
        };
        let rev = Some(positive(conv.rev));
        Ok(WireOk { conv: Some(conv.name), rev, members: Some(members), cursor, more: Some(more), ..WireOk::default() })
    }
}

fn conv_kind(word: &str) -> ConvKind {
    match word {
        "group" => ConvKind::Group,
        "channel" => ConvKind::Channel,
        _ => ConvKind::Direct,
    }
}

//! Changes to messages: edited, taken back, reacted to. Each counts one `rev` of the conversation.

use super::Stop;
use super::desk::{ConvRow, Desk, Origin, place, positive, stored};
use crate::proto::hub::wire::client;
use crate::proto::hub::wire::event;
use crate::proto::hub::wire::server::Ok as WireOk;
use crate::proto::hub::wire::{ErrorCode, Role, Scope, encode};
use rusqlite::{OptionalExtension, params};

/// Kinds of reaction that one message may carry.
const KEYS_MOST: i64 = 64;

/// What a change must know of its message.
struct Target {
    sender: i64,
    ts: i64,
    deleted: bool,
    body: Option<String>,
    edit_cid: Option<String>,
}

impl Desk<'_> {
    pub(super) fn edit(&mut self, frame: &client::Edit) -> Result<WireOk, Stop> {
        let (conv, _) = self.my_conv(&frame.conv)?;
        let seq = stored(frame.seq);
        let target = self.target(&conv, seq)?;
        if target.sender != self.who.user {
            return Err(Stop::forbidden("only its sender may edit a message"));
        }
        if target.deleted {
            return Err(Stop::refuse(ErrorCode::Conflict, "the message was deleted"));
        }
        let late = |within: u64| self.at.saturating_sub(target.ts) > stored(within);
        if self.fixed.settings.edit_ms.is_some_and(late) {
            return Err(Stop::forbidden("the time for editing this message is over"));
        }
        let body = encode(&frame.body);
        let repeat = frame.cid.is_some() && frame.cid == target.edit_cid;
        if repeat || (target.body.as_ref() == Some(&body) && frame.att.is_none()) {
            return Ok(WireOk { conv: Some(conv.name), noop: Some(true), ..WireOk::default() });
        }
        let rev = self.bump(conv.id)?;
        self.conn
            .prepare_cached(
                "UPDATE msg SET body = ?2, att = coalesce(?3, att), edited = ?4, edit_cid = ?5, rev = ?6 WHERE id = ?1",
            )?
            .execute(params![place(conv.id, seq), body, frame.att.as_ref().map(encode), self.at, frame.cid, rev])?;
        let edit = event::Edit {
            conv: conv.name.clone(),
            seq: frame.seq,
            rev: positive(rev),
            by: self.who.user_name.clone(),
            ts: positive(self.at),
            body: frame.body.clone(),
            att: frame.att.clone(),
        };
        self.tell_members(&conv, edit)?;
        Ok(self.changed(conv, rev))
    }

    pub(super) fn del(&mut self, frame: &client::Del) -> Result<WireOk, Stop> {
        match frame.scope {
            Scope::All => self.del_for_all(frame),
            Scope::Me => self.del_for_me(frame),
        }
    }

    fn del_for_all(&mut self, frame: &client::Del) -> Result<WireOk, Stop> {
        let (conv, role) = self.my_conv(&frame.conv)?;
        let mut seqs = Vec::new();
        for seq in &frame.seqs {
            let target = self.target(&conv, stored(*seq))?;
            let moderates = conv.kind == "group" && matches!(role, Role::Owner | Role::Admin);
            if target.sender != self.who.user && !moderates {
                return Err(Stop::forbidden("only its sender or a moderator may delete a message for everybody"));
            }
            if !target.deleted {
                seqs.push(*seq);
            }
        }
        if seqs.is_empty() {
            return Ok(WireOk { conv: Some(conv.name), noop: Some(true), ..WireOk::default() });
        }
        let rev = self.bump(conv.id)?;
        for seq in &seqs {
            let id = place(conv.id, stored(*seq));
            let sql = "UPDATE msg SET body = NULL, att = NULL, mentions = NULL, deleted = ?2, rev = ?3 WHERE id = ?1";
            self.conn.prepare_cached(sql)?.execute([id, self.who.user, rev])?;
            self.conn.prepare_cached("DELETE FROM react WHERE msg = ?1")?.execute([id])?;
        }
        let del = self.deleted(&conv, seqs, Scope::All, Some(positive(rev)));
        self.tell_members(&conv, del)?;
        Ok(self.changed(conv, rev))
    }

    fn del_for_me(&mut self, frame: &client::Del) -> Result<WireOk, Stop> {
        let (conv, _) = self.conv_named(&frame.conv)?;
        let mut seqs = Vec::new();
        for seq in &frame.seqs {
            self.target(&conv, stored(*seq))?;
            let hidden = self
                .conn
                .prepare_cached("INSERT INTO hidden(user, msg) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute([self.who.user, place(conv.id, stored(*seq))])?;
            if hidden > 0 {
                seqs.push(*seq);
            }
        }
        let noop = seqs.is_empty();
        if !noop {
            let del = self.deleted(&conv, seqs, Scope::Me, None);
            self.announce(&[self.who.user], del, Origin::default())?;
        }
        Ok(WireOk { conv: Some(conv.name), noop: noop.then_some(true), ..WireOk::default() })
    }

    pub(super) fn react(&mut self, frame: &client::React) -> Result<WireOk, Stop> {
        let (conv, _) = self.my_conv(&frame.conv)?;
        let id = place(conv.id, stored(frame.seq));
        if self.target(&conv, stored(frame.seq))?.deleted {
            return Err(Stop::refuse(ErrorCode::Conflict, "the message was deleted"));
        }
        let changed = if frame.on {
            let mut count =
                self.conn.prepare_cached("SELECT count(DISTINCT key) FROM react WHERE msg = ?1 AND key <> ?2")?;
            let keys: i64 = count.query_row(params![id, frame.key], |row| row.get(0))?;
            if keys >= KEYS_MOST {
                return Err(Stop::refuse(ErrorCode::Limit, "too many kinds of reaction on this message"));
            }
            let sql = "INSERT INTO react(msg, key, user) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            self.conn.prepare_cached(sql)?.execute(params![id, frame.key, self.who.user])?
        } else {
            let sql = "DELETE FROM react WHERE msg = ?1 AND key = ?2 AND user = ?3";
            self.conn.prepare_cached(sql)?.execute(params![id, frame.key, self.who.user])?
        };
        if changed == 0 {
            return Ok(WireOk { conv: Some(conv.name), noop: Some(true), ..WireOk::default() });
        }
        let rev = self.bump(conv.id)?;
        self.conn.prepare_cached("UPDATE msg SET rev = ?2 WHERE id = ?1")?.execute([id, rev])?;
        let react = event::React {
            conv: conv.name.clone(),
            seq: frame.seq,
            rev: positive(rev),
            by: self.who.user_name.clone(),
            key: frame.key.clone(),
            on: frame.on,
            ts: positive(self.at),
        };
        self.tell_members(&conv, react)?;
        Ok(self.changed(conv, rev))
    }

    /// The message, if this user may see it.
    fn target(&self, conv: &ConvRow, seq: i64) -> Result<Target, Stop> {
        let not_here = || Stop::refuse(ErrorCode::NotFound, format!("there is no message {seq}")).field("seq");
        if seq > conv.seq || !super::message::within(&self.spans(conv.id)?, seq) {
            return Err(not_here());
        }
        self.conn
            .prepare_cached("SELECT sender, ts, deleted IS NOT NULL, body, edit_cid FROM msg WHERE id = ?1")?
            .query_row([place(conv.id, seq)], |row| {
                Ok(Target {
                    sender: row.get(0)?,
                    ts: row.get(1)?,
                    deleted: row.get(2)?,
                    body: row.get(3)?,
                    edit_cid: row.get(4)?,
                })
            })
            .optional()?
            .ok_or_else(not_here)
    }

    fn deleted(&self, conv: &ConvRow, seqs: Vec<u64>, scope: Scope, rev: Option<u64>) -> event::Del {
        let (by, ts) = (self.who.user_name.clone(), positive(self.at));
        event::Del { conv: conv.name.clone(), seqs, by, ts, scope, rev }
    }

    fn tell_members(&mut self, conv: &ConvRow, event: impl Into<event::Event>) -> Result<(), Stop> {
        let users = self.audience(conv.id)?;
        self.announce(&users, event, Origin::default())
    }

    fn changed(&self, conv: ConvRow, rev: i64) -> WireOk {
        WireOk { conv: Some(conv.name), rev: Some(positive(rev)), ts: Some(positive(self.at)), ..WireOk::default() }
    }
}

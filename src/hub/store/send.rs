//! A message's way in: find or open the conversation, know a repeat, number it, tell everybody.

use super::Stop;
use super::desk::{ConvRow, Desk, Origin, place, positive, stored};
use crate::proto::hub::wire::client::Send;
use crate::proto::hub::wire::event::Msg;
use crate::proto::hub::wire::server::{ErrScope, Ok as WireOk};
use crate::proto::hub::wire::{Attachment, Body, ErrorCode, encode};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

impl Desk<'_> {
    pub(super) fn send(&mut self, frame: &Send) -> Result<WireOk, Stop> {
        let conv = match (&frame.conv, &frame.to) {
            (Some(name), _) => self.conv_named(name)?.0,
            (None, Some(to)) => self.direct(to)?.0,
            (None, None) => return Err(Stop::refuse(ErrorCode::BadRequest, "neither `conv` nor `to`").field("conv")),
        };
        let digest = digest(frame);
        if !crate::mutant("hub-dedupe-off")
            && let Some(first) = self.repeat(&conv, frame, &digest)?
        {
            return Ok(first);
        }
        let conv = self.my_conv(&conv.name)?.0;
        if let Some(before) = &frame.after
            && !self.has(&conv, before)?
        {
            let words = "the message before it is not here: send it first";
            return Err(Stop::refuse(ErrorCode::Unavailable, words).field("after").scope(ErrScope::Send));
        }
        if let Some(re) = frame.re
            && !self.visible(conv.id, stored(re))?
        {
            return Err(Stop::refuse(ErrorCode::NotFound, "the message it answers is not here").field("re"));
        }
        let (seq, rev) = self.number(&conv)?;
        self.keep(&conv, seq, rev, frame, &digest)?;
        let msg = self.message_event(&conv, seq, rev, frame);
        let users = self.audience(conv.id)?;
        self.announce(&users, msg, Origin { conv: conv.id, seq, sender: self.who.user })?;
        Ok(WireOk {
            conv: Some(conv.name),
            seq: Some(positive(seq)),
            rev: Some(positive(rev)),
            ts: Some(positive(self.at)),
            ..WireOk::default()
        })
    }

    /// The answer that the same message got before, if this is a repeat.
    fn repeat(&self, conv: &ConvRow, frame: &Send, digest: &[u8]) -> Result<Option<WireOk>, Stop> {
        let first = self
            .conn
            .prepare_cached("SELECT seq, ts, digest FROM msg WHERE conv = ?1 AND sender = ?2 AND cid = ?3")?
            .query_row(params![conv.id, self.who.user, frame.cid], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .optional()?;
        match first {
            None => Ok(None),
            Some((.., theirs)) if theirs != digest => {
                let words = "this cid belongs to another message of yours";
                Err(Stop::refuse(ErrorCode::CidReuse, words).field("cid").scope(ErrScope::Send))
            }
            Some((seq, ts, _)) => Ok(Some(WireOk {
                conv: Some(conv.name.clone()),
                seq: Some(positive(seq)),
                ts: Some(positive(ts)),
                dup: Some(true),
                ..WireOk::default()
            })),
        }
    }

    /// Whether a message of the sender's is stored.
    fn has(&self, conv: &ConvRow, cid: &str) -> Result<bool, Stop> {
        let sql = "SELECT 1 FROM msg WHERE conv = ?1 AND sender = ?2 AND cid = ?3";
        let mut find = self.conn.prepare_cached(sql)?;
        Ok(find.query_row(params![conv.id, self.who.user, cid], |_| Ok(())).optional()?.is_some())
    }

    fn number(&self, conv: &ConvRow) -> Result<(i64, i64), Stop> {
        let sql = "UPDATE conv SET seq = seq + 1, rev = rev + 1, ts = ?2 WHERE id = ?1 RETURNING seq, rev";
        let mut update = self.conn.prepare_cached(sql)?;
        Ok(update.query_row([conv.id, self.at], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    fn keep(&self, conv: &ConvRow, seq: i64, rev: i64, frame: &Send, digest: &[u8]) -> Result<(), Stop> {
        let cid = (!crate::mutant("hub-dedupe-off")).then_some(&frame.cid);
        self.conn
            .prepare_cached(
                "INSERT INTO msg(id, conv, seq, rev, sender, ts, cid, digest, body, att, mentions, re)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                place(conv.id, seq),
                conv.id,
                seq,
                rev,
                self.who.user,
                self.at,
                cid,
                digest,
                encode(&frame.body),
                frame.att.as_ref().map(encode),
                frame.mentions.as_ref().map(encode),
                frame.re.map(stored),
            ])?;
        Ok(())
    }

    fn message_event(&self, conv: &ConvRow, seq: i64, rev: i64, frame: &Send) -> Msg {
        Msg {
            conv: conv.name.clone(),
            seq: positive(seq),
            rev: positive(rev),
            from: self.who.user_name.clone(),
            ts: positive(self.at),
            cid: Some(frame.cid.clone()),
            body: Some(frame.body.clone()),
            re: frame.re,
            att: frame.att.clone(),
            mentions: frame.mentions.clone(),
            ..Msg::default()
        }
    }
}

/// A digest of all that a message says.
fn digest(frame: &Send) -> Vec<u8> {
    type Said<'a> = (&'a Body, Option<u64>, &'a Option<Vec<String>>, &'a Option<Vec<Attachment>>);
    let said: Said<'_> = (&frame.body, frame.re, &frame.mentions, &frame.att);
    let mut digest = Sha256::digest(encode(&said)).to_vec();
    digest.truncate(16);
    digest
}

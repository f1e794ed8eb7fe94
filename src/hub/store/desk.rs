//! The place where one ask is worked on: a connection inside a transaction, who asks, and what to tell others.

use super::{Fixed, Stop};
use crate::hub::ask::{Answer, Ask, Done, Hint, Identity};
use crate::model::Timestamp;
use crate::proto::hub::wire::server::{Err as WireErr, Ok as WireOk};
use crate::proto::hub::wire::{ClientFrame, ErrorCode, Event, Role, encode};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// One ask on its way.
pub(super) struct Desk<'a> {
    pub(super) conn: &'a Connection,
    pub(super) fixed: &'a Fixed,
    pub(super) who: &'a Identity,
    /// Wall-clock time, Unix milliseconds.
    pub(super) at: i64,
    hints: Vec<Hint>,
}

/// A conversation's row.
#[derive(Clone, Debug)]
pub(super) struct ConvRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) seq: i64,
    pub(super) rev: i64,
}

/// Where an event comes from, for receipts.
#[derive(Clone, Copy, Default)]
pub(super) struct Origin {
    pub(super) conv: i64,
    pub(super) seq: i64,
    pub(super) sender: i64,
}

/// Carries out one ask. A refusal of a request is an [`Answer::Err`] only after its savepoint was rolled back: it
/// leaves here as a [`Stop`].
pub(crate) fn carry_out(
    conn: &Connection,
    fixed: &Fixed,
    who: &Identity,
    ask: &Ask,
    at: Timestamp,
) -> Result<Done, Stop> {
    let mut desk = Desk::new(conn, fixed, who, at.ms());
    let answer = match ask {
        Ask::Authenticate(token) => Answer::Identity(desk.authenticate(token.expose())?),
        Ask::Resume { app } => desk.resume(app)?,
        Ask::Fetch { after, limit } => desk.fetch(*after, *limit)?,
        Ask::Head { ping } => desk.head(*ping)?,
        Ask::Ack { cur } => desk.ack(*cur).map(|()| Answer::Nothing)?,
        Ask::Snap { after, convs, msgs } => desk.snap(after.as_deref(), *convs, *msgs)?,
        Ask::Typing { conv, on } => desk.typing(conv, *on).map(|()| Answer::Nothing)?,
        Ask::Request(frame) => {
            let ok = desk.request(frame)?;
            Answer::Ok(Box::new(WireOk { re: frame.request().unwrap_or_default(), ..ok }))
        }
    };
    Ok(Done { answer, hints: desk.hints })
}

/// The answer to an ask that ended with a [`Stop`].
pub(crate) fn stopped(ask: &Ask, stop: Stop) -> Answer {
    match (ask, stop) {
        (Ask::Request(frame), Stop::Refuse(err)) => Answer::Err(Box::new(WireErr { re: frame.request(), ..*err })),
        (Ask::Ack { .. } | Ask::Typing { .. }, Stop::Refuse(_)) => Answer::Nothing,
        (_, Stop::Refuse(_)) => Answer::Failed,
        (Ask::Request(frame), Stop::Db(crate::db::DbError::Statement { intent, cause })) => {
            tracing::error!(%intent, %cause, "a request failed inside the hub");
            let msg = Some("the hub failed at this request; see its log".to_owned());
            Answer::Err(Box::new(WireErr { code: ErrorCode::Internal, re: frame.request(), msg, ..WireErr::default() }))
        }
        (ask, Stop::Db(error)) => {
            tracing::warn!(%error, "the hub's database did not take or give something");
            Answer::unavailable(ask)
        }
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(conn: &'a Connection, fixed: &'a Fixed, who: &'a Identity, at: i64) -> Self {
        Self { conn, fixed, who, at, hints: Vec::new() }
    }

    pub(super) fn into_hints(self) -> Vec<Hint> {
        self.hints
    }
}

impl Desk<'_> {
    fn request(&mut self, frame: &ClientFrame) -> Result<WireOk, Stop> {
        match frame {
            ClientFrame::Send(frame) => self.send(frame),
            ClientFrame::Edit(frame) => self.edit(frame),
            ClientFrame::Del(frame) => self.del(frame),
            ClientFrame::React(frame) => self.react(frame),
            ClientFrame::Mark(frame) => self.mark(frame),
            ClientFrame::Conv(frame) => self.conv(frame),
            ClientFrame::Hist(frame) => self.hist(frame),
            ClientFrame::Changes(frame) => self.changes(frame),
            ClientFrame::Convs(frame) => self.convs(frame),
            ClientFrame::Members(frame) => self.members(frame),
            ClientFrame::Auth(_) => self.rotate(),
            ClientFrame::Dev(frame) => self.dev(frame),
            _ => Err(Stop::refuse(ErrorCode::Unsupported, "this hub does not do that")),
        }
    }

    /// Puts an event into the update streams of these users.
    pub(super) fn announce(&mut self, users: &[i64], event: impl Into<Event>, origin: Origin) -> Result<(), Stop> {
        let body = encode(&event.into());
        self.conn
            .prepare_cached("INSERT INTO event(ts, conv, seq, sender, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![self.at, origin.conv, origin.seq, origin.sender, body])?;
        let id = self.conn.last_insert_rowid();
        let mut grow = self.conn.prepare_cached("UPDATE user SET head = head + 1 WHERE id = ?1 RETURNING head")?;
        let mut append = self.conn.prepare_cached("INSERT INTO upd(user, cur, event) VALUES (?1, ?2, ?3)")?;
        for user in users {
            let head: i64 = grow.query_row([user], |row| row.get(0))?;
            append.execute([*user, head, id])?;
            self.hints.push(Hint::Head { user: *user, head: positive(head) });
        }
        Ok(())
    }

    /// Something for others that is not stored.
    pub(super) fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    /// The members of now.
    pub(super) fn audience(&self, conv: i64) -> Result<Vec<i64>, Stop> {
        let mut select = self.conn.prepare_cached("SELECT user FROM member WHERE conv = ?1 AND active = 1")?;
        let users = select.query_map([conv], |row| row.get(0))?;
        Ok(users.collect::<Result<_, _>>()?)
    }

    pub(super) fn user_id(&self, name: &str, field: &str) -> Result<i64, Stop> {
        let mut select = self.conn.prepare_cached("SELECT id FROM user WHERE name = ?1")?;
        select.query_row([name], |row| row.get(0)).optional()?.ok_or_else(|| Stop::no_user(name, field))
    }

    pub(super) fn user_name(&self, id: i64) -> Result<String, Stop> {
        let mut select = self.conn.prepare_cached("SELECT name FROM user WHERE id = ?1")?;
        Ok(select.query_row([id], |row| row.get(0))?)
    }

    pub(super) fn conv_by(&self, column: &str, value: impl rusqlite::ToSql) -> Result<Option<ConvRow>, Stop> {
        let sql = format!("SELECT id, name, kind, seq, rev FROM conv WHERE {column} = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([value], ConvRow::read).optional()?)
    }

    /// A conversation that this user was ever in; for others it does not exist.
    pub(super) fn conv_named(&self, name: &str) -> Result<(ConvRow, Option<Role>), Stop> {
        let conv = self.conv_by("name", name)?.ok_or_else(Stop::no_conv)?;
        let mut select = self.conn.prepare_cached("SELECT role, active FROM member WHERE conv = ?1 AND user = ?2")?;
        let found = select
            .query_row([conv.id, self.who.user], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))
            .optional()?;
        match found {
            None => Err(Stop::no_conv()),
            Some((_, false)) => Ok((conv, None)),
            Some((word, true)) => Ok((conv, Some(role(&word)))),
        }
    }

    /// A conversation that this user is in now, and their role.
    pub(super) fn my_conv(&self, name: &str) -> Result<(ConvRow, Role), Stop> {
        let (conv, role) = self.conv_named(name)?;
        Ok((conv, role.ok_or_else(Stop::not_member)?))
    }

    /// Counts one change to the conversation.
    pub(super) fn bump(&self, conv: i64) -> Result<i64, Stop> {
        let mut update = self.conn.prepare_cached("UPDATE conv SET rev = rev + 1 WHERE id = ?1 RETURNING rev")?;
        Ok(update.query_row([conv], |row| row.get(0))?)
    }
}

impl ConvRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, name: row.get(1)?, kind: row.get(2)?, seq: row.get(3)?, rev: row.get(4)? })
    }
}

/// A message's row id.
pub(super) fn place(conv: i64, seq: i64) -> i64 {
    (conv << 32) | seq
}

/// A count of the database as the wire has it.
pub(super) fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A number of the wire as the database has it.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn role(word: &str) -> Role {
    match word {
        "owner" => Role::Owner,
        "admin" => Role::Admin,
        _ => Role::Member,
    }
}

pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

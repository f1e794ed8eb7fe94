//! Conversations come and go, and people in them.

use super::Stop;
use super::desk::{ConvRow, Desk, Origin, positive, role, role_word};
use crate::proto::hub::wire::client::{Conv, ConvVerb};
use crate::proto::hub::wire::event::{self, Event, Gone, GoneReason, MemberOp};
use crate::proto::hub::wire::server::Ok as WireOk;
use crate::proto::hub::wire::{ErrorCode, Role};
use rusqlite::{OptionalExtension, params};

impl Desk<'_> {
    pub(super) fn conv(&mut self, frame: &Conv) -> Result<WireOk, Stop> {
        match frame.op {
            ConvVerb::Direct => {
                let (conv, existed) = self.direct(need(frame.user.as_ref(), "user")?)?;
                Ok(WireOk { dup: existed.then_some(true), ..self.shown(conv.id)? })
            }
            ConvVerb::Create => self.create(frame),
            ConvVerb::Get => {
                let (conv, _) = self.my_conv(need(frame.conv.as_ref(), "conv")?)?;
                self.shown(conv.id)
            }
            ConvVerb::Set => self.set(frame),
            ConvVerb::Add => self.add(frame),
            ConvVerb::Remove => self.remove(frame),
            ConvVerb::Role => self.give_role(frame),
            ConvVerb::Leave => self.leave(frame),
        }
    }

    fn shown(&self, conv: i64) -> Result<WireOk, Stop> {
        let view = self.view(conv, self.who.user)?;
        let (name, rev) = (view.conv.clone(), view.rev);
        Ok(WireOk { conv: Some(name), rev: Some(rev), c: Some(view), ..WireOk::default() })
    }

    /// The direct conversation with this user, made if it was not there; and whether it was.
    pub(super) fn direct(&mut self, user: &str) -> Result<(ConvRow, bool), Stop> {
        let peer = self.user_id(user, "to")?;
        let me = self.who.user;
        if peer == me {
            return Err(Stop::refuse(ErrorCode::BadRequest, "that is you").field("to"));
        }
        let pair = [me.min(peer), me.max(peer)];
        let sql = "SELECT id, name, kind, seq, rev FROM conv WHERE low = ?1 AND high = ?2";
        let found = self.conn.prepare_cached(sql)?.query_row(pair, ConvRow::read).optional()?;
        if let Some(conv) = found {
            return Ok((conv, true));
        }
        let name = self.fixed.entropy.message_id(crate::model::Timestamp(self.at)).to_string();
        let sql = "INSERT INTO conv(name, kind, rev, ts, low, high, maker) VALUES (?1, 'direct', 1, ?2, ?3, ?4, ?5)";
        self.conn.prepare_cached(sql)?.execute(params![name, self.at, pair[0], pair[1], me])?;
        let id = self.conn.last_insert_rowid();
        for user in [me, peer] {
            self.enter(id, user, Role::Member, 0)?;
        }
        for user in [me, peer] {
            self.tell_conv(id, user)?;
        }
        Ok((ConvRow { id, name, kind: "direct".into(), seq: 0, rev: 1 }, false))
    }

    fn create(&mut self, frame: &Conv) -> Result<WireOk, Stop> {
        if let Some(cid) = &frame.cid {
            let sql = "SELECT id FROM conv WHERE maker = ?1 AND cid = ?2";
            let found: Option<i64> =
                self.conn.prepare_cached(sql)?.query_row(params![self.who.user, cid], |row| row.get(0)).optional()?;
            if let Some(conv) = found {
                return Ok(WireOk { dup: Some(true), ..self.shown(conv)? });
            }
        }
        let users = self.ids_of(frame.members.as_deref().unwrap_or_default(), "members")?;
        let name = self.fixed.entropy.message_id(crate::model::Timestamp(self.at)).to_string();
        self.conn
            .prepare_cached(
                "INSERT INTO conv(name, kind, title, avatar, rev, ts, maker, cid)
                 VALUES (?1, 'group', ?2, ?3, 1, ?4, ?5, ?6)",
            )?
            .execute(params![name, frame.title, frame.avatar, self.at, self.who.user, frame.cid])?;
        let id = self.conn.last_insert_rowid();
        self.enter(id, self.who.user, Role::Owner, 0)?;
        for user in users.iter().filter(|user| **user != self.who.user) {
            self.enter(id, *user, Role::Member, 0)?;
        }
        for user in self.audience(id)? {
            self.tell_conv(id, user)?;
        }
        self.shown(id)
    }

    fn set(&mut self, frame: &Conv) -> Result<WireOk, Stop> {
        let (conv, _) = self.moderated(frame)?;
        let sql = "UPDATE conv SET title = coalesce(?2, title), avatar = coalesce(?3, avatar), rev = rev + 1
            WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute(params![conv.id, frame.title, frame.avatar])?;
        for user in self.audience(conv.id)? {
            self.tell_conv(conv.id, user)?;
        }
        self.shown(conv.id)
    }

    fn add(&mut self, frame: &Conv) -> Result<WireOk, Stop> {
        let (conv, _) = self.moderated(frame)?;
        let mut names: Vec<String> = frame.members.clone().unwrap_or_default();
        names.extend(frame.user.clone());
        let there = self.audience(conv.id)?;
        let mut users = self.ids_of(&names, "members")?;
        users.retain(|user| !there.contains(user));
        if users.is_empty() {
            return Ok(WireOk { noop: Some(true), ..self.shown(conv.id)? });
        }
        if (there.len() + users.len()) as u64 > self.fixed.settings.members_most {
            let most = self.fixed.settings.members_most.to_string();
            return Err(Stop::refuse(ErrorCode::Limit, "too many members").with(|err| err.max = Some(most)));
        }
        for user in users {
            let told = self.audience(conv.id)?;
            let rev = self.bump(conv.id)?;
            self.enter(conv.id, user, Role::Member, conv.seq)?;
            self.tell_conv(conv.id, user)?;
            let event = self.membership(&conv, rev, user, MemberOp::Join, Some(Role::Member))?;
            self.announce(&told, event, Origin::default())?;
        }
        self.shown(conv.id)
    }

    fn remove(&mut self, frame: &Conv) -> Result<WireOk, Stop> {
        let (conv, mine) = self.moderated(frame)?;
        let user = self.user_id(need(frame.user.as_ref(), "user")?, "user")?;
        let Some(theirs) = self.role_of(conv.id, user)? else {
            return Ok(WireOk { noop: Some(true), ..self.shown(conv.id)? });
        };
        if user == self.who.user {
            return Err(Stop::refuse(ErrorCode::BadRequest, "that is you: use `leave`").field("user"));
        }
        if theirs == Role::Owner || (theirs == Role::Admin && mine != Role::Owner) {
            return Err(Stop::forbidden("your role does not allow to remove them"));
        }
        self.depart(&conv, user, MemberOp::Remove, GoneReason::Removed)?;
        self.shown(conv.id)
    }

    fn leave(&mut self, frame: &Conv) -> Result<WireOk, Stop> {
        let (conv, mine) = self.my_conv(need(frame.conv.as_ref(), "conv")?)?;
        if conv.kind == "direct" {
            return Err(Stop::forbidden("a direct conversation cannot be left"));
        }
        self.depart(&conv, self.who.user, MemberOp::Leave, GoneReason::Left)?;
        if mine == Role::Owner {
            self.find_heir(&conv)?;
        }
        let rev = self.conn.prepare_cached("SELECT rev FROM conv WHERE id = ?1")?.query_row([conv.id], |r| r.get(0))?;
        Ok(WireOk { conv: Some(conv.name), rev: Some(positive(rev)), ..WireOk::default() })
    }

    fn give_role(&mut self, frame: &Conv) -> Result<WireOk, Stop> {
        let (conv, mine) = self.moderated(frame)?;
        let user = self.user_id(need(frame.user.as_ref(), "user")?, "user")?;
        let Some(role) = frame.role else {
            return Err(Stop::refuse(ErrorCode::BadRequest, "`role` is missing").field("role"));
        };
        let Some(theirs) = self.role_of(conv.id, user)? else { return Err(Stop::no_user("", "user")) };
        if mine != Role::Owner || user == self.who.user {
            return Err(Stop::forbidden("only the owner gives roles, and to others"));
        }
        if theirs == role {
            return Ok(WireOk { noop: Some(true), ..self.shown(conv.id)? });
        }
        if role == Role::Owner {
            self.appoint(&conv, self.who.user, Role::Admin)?;
        }
        self.appoint(&conv, user, role)?;
        self.shown(conv.id)
    }

    /// Puts somebody in; they see what comes after `seq`, and all of it counts as new.
    fn enter(&self, conv: i64, user: i64, role: Role, seq: i64) -> Result<(), Stop> {
        self.conn
            .prepare_cached(
                "INSERT INTO member(conv, user, role, read, delivered) VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT DO UPDATE SET role = ?3, active = 1, read = max(read, ?4), delivered = max(delivered, ?4)",
            )?
            .execute(params![conv, user, role_word(role), seq])?;
        self.conn
            .prepare_cached("INSERT INTO span(conv, user, lo) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET hi = NULL")?
            .execute([conv, user, seq + 1])?;
        Ok(())
    }

    /// Takes somebody out; what they were there for stays theirs to see.
    fn depart(&mut self, conv: &ConvRow, user: i64, op: MemberOp, reason: GoneReason) -> Result<(), Stop> {
        let sql = "UPDATE member SET active = 0 WHERE conv = ?1 AND user = ?2";
        self.conn.prepare_cached(sql)?.execute([conv.id, user])?;
        let sql = "UPDATE span SET hi = ?3 WHERE conv = ?1 AND user = ?2 AND hi IS NULL";
        self.conn.prepare_cached(sql)?.execute([conv.id, user, conv.seq])?;
        let rev = self.bump(conv.id)?;
        let told = self.audience(conv.id)?;
        let event = self.membership(conv, rev, user, op, None)?;
        self.announce(&told, event, Origin::default())?;
        self.announce(&[user], Gone { conv: conv.name.clone(), reason }, Origin::default())
    }

    /// An owner left: the longest-serving admin follows, else the longest-serving member.
    fn find_heir(&mut self, conv: &ConvRow) -> Result<(), Stop> {
        let sql = "SELECT m.user FROM member m JOIN span s ON s.conv = m.conv AND s.user = m.user AND s.hi IS NULL
            WHERE m.conv = ?1 AND m.active = 1 ORDER BY m.role = 'admin' DESC, s.lo, m.user LIMIT 1";
        let heir: Option<i64> = self.conn.prepare_cached(sql)?.query_row([conv.id], |row| row.get(0)).optional()?;
        heir.map_or(Ok(()), |heir| self.appoint(conv, heir, Role::Owner))
    }

    fn appoint(&mut self, conv: &ConvRow, user: i64, role: Role) -> Result<(), Stop> {
        let sql = "UPDATE member SET role = ?3 WHERE conv = ?1 AND user = ?2";
        self.conn.prepare_cached(sql)?.execute(params![conv.id, user, role_word(role)])?;
        let rev = self.bump(conv.id)?;
        let event = self.membership(conv, rev, user, MemberOp::Role, Some(role))?;
        let told = self.audience(conv.id)?;
        self.announce(&told, event, Origin::default())
    }

    fn tell_conv(&mut self, conv: i64, user: i64) -> Result<(), Stop> {
        let view = self.view(conv, user)?;
        let event = event::Conv { conv: view.conv.clone(), rev: view.rev.max(1), c: view };
        self.announce(&[user], event, Origin::default())
    }

    fn membership(&self, conv: &ConvRow, rev: i64, user: i64, op: MemberOp, role: Option<Role>) -> Result<Event, Stop> {
        Ok(event::Member {
            conv: conv.name.clone(),
            rev: positive(rev),
            user: self.user_name(user)?,
            op,
            by: self.who.user_name.clone(),
            ts: positive(self.at),
            role,
        }
        .into())
    }

    /// A group that this user may change, and their role.
    fn moderated(&self, frame: &Conv) -> Result<(ConvRow, Role), Stop> {
        let (conv, role) = self.my_conv(need(frame.conv.as_ref(), "conv")?)?;
        if conv.kind == "direct" {
            return Err(Stop::forbidden("a direct conversation has its two members and no title"));
        }
        if role == Role::Member {
            return Err(Stop::forbidden("only the owner and admins may change this conversation"));
        }
        Ok((conv, role))
    }

    fn role_of(&self, conv: i64, user: i64) -> Result<Option<Role>, Stop> {
        let sql = "SELECT role FROM member WHERE conv = ?1 AND user = ?2 AND active = 1";
        let word: Option<String> =
            self.conn.prepare_cached(sql)?.query_row([conv, user], |row| row.get(0)).optional()?;
        Ok(word.map(|word| role(&word)))
    }

    fn ids_of(&self, names: &[String], field: &str) -> Result<Vec<i64>, Stop> {
        let mut ids = names.iter().map(|name| self.user_id(name, field)).collect::<Result<Vec<_>, _>>()?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

fn need<'a>(member: Option<&'a String>, field: &str) -> Result<&'a str, Stop> {
    let missing = || Stop::refuse(ErrorCode::BadRequest, format!("`{field}` is missing")).field(field);
    member.map(String::as_str).ok_or_else(missing)
}

//! The user's wishes on their way out: each row is sent once, its fate told once.
//!
//! A row that may have been sent before waits for its archive, which decides. Rows of one conversation keep their order.

use super::durable::Unseen;
use super::sm::SentRow;
use super::tag::Tag;
use super::{RECENT, Recent, Xmpp, jid, ns, rooms, stanzas};
use crate::model::{Attachment, Command, CommandKind, CommandTarget, OutboxId, SendFailure};
use std::collections::{BTreeSet, VecDeque};

/// Rows held at most; the driver offers fewer.
const MAX_HELD: usize = 1_024;

/// What to do with a row now.
enum Turn {
    Go,
    Wait,
    /// The archive has it already.
    Known,
    Fail(SendFailure),
}

fn failure(code: &str, text: &str) -> SendFailure {
    SendFailure { code: code.into(), text: text.into() }
}

/// Whom a row is for: a person's or room's address.
pub(super) fn address(command: &Command) -> Option<String> {
    let key = command.conversation.as_ref()?;
    key.peer.clone().or_else(|| key.server.clone())
}

impl Xmpp {
    pub(super) fn on_command(&mut self, command: Command) {
        let id = command.outbox;
        let known = self.flight.holds(id)
            || self.held.iter().any(|held| held.outbox == id)
            || self.session.done.contains(&id)
            || self.asked_for(id);
        if known || self.held.len() >= MAX_HELD {
            return;
        }
        // A row that is in doubt again is older than what was offered before it.
        let at = self.held.partition_point(|held| held.outbox < id);
        self.held.insert(at, command);
        self.pump();
    }

    fn asked_for(&self, row: OutboxId) -> bool {
        use super::session::About::{Row, RowAnyway};
        self.session.asks.values().any(|ask| matches!(ask.about, Row(id) | RowAnyway(id) if id == row))
            || self.rooms.values().any(|room| room.waits_for(row))
    }

    /// Sends what can go now, in order.
    pub(super) fn pump(&mut self) {
        if !self.online() || !self.session.ready {
            return;
        }
        let mut blocked = BTreeSet::new();
        let mut keep = VecDeque::new();
        for command in std::mem::take(&mut self.held) {
            let place = command.conversation.clone();
            let turn = if blocked.contains(&place) { Turn::Wait } else { self.turn(&command) };
            match turn {
                Turn::Go => self.execute(&command),
                Turn::Wait => {
                    if place.is_some() {
                        blocked.insert(place);
                    }
                    keep.push_back(command);
                }
                Turn::Known => self.settle_sent(command.outbox, None),
                Turn::Fail(failure) => self.settle_failed(command.outbox, failure),
            }
        }
        self.held = keep;
    }

    fn turn(&mut self, command: &Command) -> Turn {
        match &command.what {
            CommandKind::Create { .. } => match self.session.muc_service {
                Some(_) if self.session.present => Turn::Go,
                Some(_) => Turn::Wait,
                None => {
                    self.look_for_rooms_service();
                    Turn::Wait
                }
            },
            CommandKind::Send { .. }
            | CommandKind::Edit { .. }
            | CommandKind::Retract { .. }
            | CommandKind::React { .. }
            | CommandKind::Mark { .. }
            | CommandKind::Add { .. }
            | CommandKind::Remove { .. } => self.turn_in(command),
            _ if self.session.present => Turn::Go,
            _ => Turn::Wait,
        }
    }

    fn turn_in(&mut self, command: &Command) -> Turn {
        let Some(to) = address(command).filter(|to| jid::bare(to).is_some()) else {
            return Turn::Fail(failure("invalid_address", "it has no address to go to"));
        };
        let group = command.conversation_kind != crate::model::ConversationKind::Direct;
        let archive = if group { to.clone() } else { self.me.clone() };
        if group {
            match self.rooms.get(&to).map(|room| room.stand) {
                Some(rooms::Stand::Present) => {}
                Some(rooms::Stand::Refused) => {
                    return Turn::Fail(failure("forbidden", "the room does not take us in"));
                }
                None if self.session.rooms_known && self.session.present => {
                    return Turn::Fail(failure("not_in_room", "we are not in that room; join it first"));
                }
                _ => return Turn::Wait,
            }
        }
        if !matches!(command.what, CommandKind::Send { .. }) {
            return Turn::Go;
        }
        if self.waits_for_doubted(command, &to) {
            return Turn::Wait;
        }
        if command.maybe_sent && self.own_seen.contains(&command.cid) {
            return Turn::Known;
        }
        let none = super::archive::Sync::default();
        let sync = self.session.syncs.get(&archive).unwrap_or(&none);
        if sync.unavailable {
            return Turn::Go;
        }
        if command.maybe_sent && !sync.checked && !sync.is_given_up() && !crate::mutant("xmpp-resend-unchecked") {
            if sync.synced {
                self.sync(&archive);
            }
            return Turn::Wait;
        }
        // The first message ever waits for the archive's first page, so that looking for it later has a beginning.
        let begun = self.committed.archives.contains_key(&archive) || sync.is_failing();
        if begun { Turn::Go } else { Turn::Wait }
    }

    fn execute(&mut self, command: &Command) {
        let outbox = command.outbox;
        match &command.what {
            CommandKind::Join { room, nick } => match jid::bare(room) {
                Some(room) => self.want_room(&room, nick.clone(), Some(outbox)),
                None => self.settle_failed(outbox, failure("invalid_address", "that is no room's address")),
            },
            CommandKind::Leave => self.leave(command),
            CommandKind::Create { title, members } => self.create(command, title, members),
            CommandKind::ContactAdd { .. }
            | CommandKind::ContactAccept { .. }
            | CommandKind::ContactRemove { .. }
            | CommandKind::Block { .. } => self.contact(command),
            CommandKind::Add { user } => {
                let row = self.row(command, true);
                let room = address(command).unwrap_or_default();
                self.invite(&room, user, Some(row));
            }
            CommandKind::Remove { user } => {
                let room = address(command).unwrap_or_default();
                self.expel(&room, user, outbox);
            }
            CommandKind::Send { text, reply_to, attachments } => {
                self.send_message(command, text, reply_to.as_ref(), attachments);
            }
            CommandKind::Edit { target, text } => self.send_edit(command, target, text),
            CommandKind::Retract { target } => self.send_retraction(command, target),
            CommandKind::React { target, all, .. } => self.send_reactions(command, target, all),
            CommandKind::Mark { upto } => self.send_mark(command, upto),
        }
    }

    fn contact(&mut self, command: &Command) {
        let outbox = command.outbox;
        let (CommandKind::ContactAdd { user, .. }
        | CommandKind::ContactAccept { user }
        | CommandKind::ContactRemove { user }
        | CommandKind::Block { user, .. }) = &command.what
        else {
            return;
        };
        let Some(user) = jid::bare(user) else {
            return self.settle_failed(outbox, failure("invalid_address", "that is no address"));
        };
        match &command.what {
            CommandKind::ContactAdd { name, .. } => self.add_contact(&user, name.as_ref(), outbox),
            CommandKind::ContactAccept { .. } => {
                let row = self.row(command, true);
                self.accept_contact(&user, row);
            }
            CommandKind::ContactRemove { .. } => self.remove_contact(&user, outbox),
            CommandKind::Block { on, .. } => self.block(&user, *on, outbox),
            _ => {}
        }
    }

    pub(super) fn row(&self, command: &Command, settles: bool) -> SentRow {
        SentRow { outbox: command.outbox, cid: command.cid, settles }
    }

    /// Puts a message on the wire, unless it is larger than the server takes.
    fn put(&mut self, command: &Command, message: &Tag, row: SentRow) {
        if message.xml().len() > self.max_stanza {
            let text = format!("it is larger than the {} bytes that the server takes", self.max_stanza);
            return self.settle_failed(command.outbox, failure("too_large", &text));
        }
        let to = address(command).unwrap_or_default();
        self.recent.push_back(Recent { cid: command.cid, outbox: command.outbox, to });
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.doubted.remove(&command.outbox);
        self.send(message, Some(row));
    }

    fn send_message(&mut self, command: &Command, text: &str, reply_to: Option<&CommandTarget>, files: &[Attachment]) {
        let (to, kind, room) = self.route(command);
        let urls = files.iter().map(|file| file.url.as_str());
        let body = if text.is_empty() { urls.clone().collect::<Vec<_>>().join("\n") } else { text.to_owned() };
        let mut message = stanzas::message(kind, &to, &command.cid.to_string()).child(Tag::plain("body").text(body));
        message = message.children(urls.map(|url| Tag::new("x", ns::OOB).child(Tag::plain("url").text(url))));
        if let Some(id) = reply_to.and_then(|target| self.name_of(target, room)) {
            let author = reply_to.map(|target| target.sender.clone()).unwrap_or_default();
            let author = if room { format!("{to}/{author}") } else { author };
            message = message.child(Tag::new("reply", ns::REPLY).attr("to", author).attr("id", id));
        }
        message = message.child(Tag::new("markable", ns::MARKERS));
        if !room {
            message = message.child(Tag::new("request", ns::RECEIPTS));
        }
        if message.xml().len() <= self.max_stanza {
            self.note_unseen(command, &to, room);
        }
        let row = self.row(command, !room);
        self.put(command, &message, row);
    }

    fn note_unseen(&mut self, command: &Command, to: &str, room: bool) {
        let archive = if room { to.to_owned() } else { self.me.clone() };
        // Looking for it begins no later than what is on disk.
        let Some(row) = self.committed.archives.get(&archive) else { return };
        let (outbox, cid) = (command.outbox, command.cid);
        self.durable.unseen.retain(|unseen| unseen.cid != cid);
        let (after, nth) = (row.last.clone(), self.durable.next_nth());
        self.durable.unseen.push(Unseen { outbox, cid, to: to.to_owned(), archive, after, nth, acked: false });
    }

    /// Where a row goes, as what, and whether that is a room.
    fn route(&self, command: &Command) -> (String, &'static str, bool) {
        let room = command.conversation_kind != crate::model::ConversationKind::Direct;
        (address(command).unwrap_or_default(), if room { "groupchat" } else { "chat" }, room)
    }

    /// A message's name in stanzas about it: in rooms the room's id for it, else the id its sender gave it.
    fn name_of(&self, target: &CommandTarget, room: bool) -> Option<String> {
        if room {
            let server = target.server.as_ref()?;
            return server.id.split_once('/').map(|(_, id)| id.to_owned());
        }
        let own = target.sender.is_empty() || target.sender == self.me;
        target.sender_ref.clone().or_else(|| own.then(|| target.id.to_string()))
    }

    fn send_edit(&mut self, command: &Command, target: &CommandTarget, text: &str) {
        let (to, kind, _) = self.route(command);
        // A correction names the id its sender gave the message, in rooms too.
        let id = target.sender_ref.clone().unwrap_or_else(|| target.id.to_string());
        let message = stanzas::message(kind, &to, &command.cid.to_string())
            .child(Tag::plain("body").text(text))
            .child(Tag::new("replace", ns::CORRECT).attr("id", id));
        let row = self.row(command, true);
        self.put(command, &message, row);
    }

    fn send_retraction(&mut self, command: &Command, target: &CommandTarget) {
        let (to, kind, room) = self.route(command);
        let Some(id) = self.name_of(target, room) else { return self.unnamed(command) };
        let fallback = Tag::new("fallback", ns::FALLBACK).attr("for", ns::RETRACT);
        let words = "(took a message back; this client does not support that)";
        let message = stanzas::message(kind, &to, &command.cid.to_string())
            .child(Tag::new("retract", ns::RETRACT).attr("id", id))
            .child(fallback)
            .child(Tag::plain("body").text(words))
            .child(stanzas::hint("store"));
        let row = self.row(command, true);
        self.put(command, &message, row);
    }

    fn send_reactions(&mut self, command: &Command, target: &CommandTarget, all: &[String]) {
        let (to, kind, room) = self.route(command);
        let Some(id) = self.name_of(target, room) else { return self.unnamed(command) };
        let keys = all.iter().map(|key| Tag::plain("reaction").text(key));
        let message = stanzas::message(kind, &to, &command.cid.to_string())
            .child(Tag::new("reactions", ns::REACTIONS).attr("id", id).children(keys))
            .child(stanzas::hint("store"));
        let row = self.row(command, true);
        self.put(command, &message, row);
    }

    fn send_mark(&mut self, command: &Command, upto: &CommandTarget) {
        let (to, kind, room) = self.route(command);
        let Some(id) = self.name_of(upto, room) else {
            // It has no name that others know: there is nothing to tell.
            return self.settle_sent(command.outbox, None);
        };
        let message = stanzas::message(kind, &to, &command.cid.to_string())
            .child(Tag::new("displayed", ns::MARKERS).attr("id", id))
            .child(stanzas::hint("store"));
        let row = self.row(command, true);
        self.put(command, &message, row);
    }

    fn unnamed(&mut self, command: &Command) {
        self.settle_failed(command.outbox, failure("not_found", "the server has no name for that message"));
    }
}

//! Making, leaving and peopling rooms (XEP-0045, 7.8, 9, 10; XEP-0249).

use super::session::About;
use super::sm::SentRow;
use super::tag::Tag;
use super::{Xmpp, jid, ns, stanzas};
use crate::model::{Command, CommandKind, OutboxId, SendFailure};

impl Xmpp {
    /// Makes a private group. Its address comes from the row's id, so that a repeat makes no second one.
    pub(super) fn create(&mut self, command: &Command, title: &str, members: &[String]) {
        let Some(service) = self.session.muc_service.clone() else { return };
        let room = format!("{}@{service}", command.cid);
        self.want_room(&room, None, Some(command.outbox));
        if let Some(state) = self.rooms.get_mut(&room) {
            state.create = Some((title.to_owned(), members.to_vec()));
        }
    }

    /// No service here makes rooms.
    pub(super) fn no_rooms_service(&mut self) {
        let wanted = |command: &Command| matches!(command.what, CommandKind::Create { .. });
        let rows: Vec<OutboxId> = self.held.iter().filter(|c| wanted(c)).map(|c| c.outbox).collect();
        self.held.retain(|command| !wanted(command));
        for outbox in rows {
            let text = "the server has no service for groups".to_owned();
            self.settle_failed(outbox, SendFailure { code: "unavailable".into(), text });
        }
    }

    pub(super) fn leave(&mut self, command: &Command) {
        let key = command.conversation.as_ref();
        let room = key.and_then(|key| key.server.as_deref().or(key.peer.as_deref())).and_then(jid::bare);
        let Some(room) = room else {
            let failure = SendFailure { code: "invalid_address".into(), text: "that is no room".into() };
            return self.settle_failed(command.outbox, failure);
        };
        self.leave_room(&room);
        self.retract_bookmark(&room, command.outbox);
    }

    /// Makes somebody a member, where we may, and tells them.
    pub(super) fn invite(&mut self, room: &str, user: &str, row: Option<SentRow>) {
        let item = Tag::plain("item").attr("affiliation", "member").attr("jid", user);
        self.ask("set", Some(room), Tag::new("query", ns::MUC_ADMIN).child(item), About::Nothing, 60);
        let id = row.as_ref().map_or_else(|| self.names.id(), |row| row.cid.to_string());
        let invite = stanzas::message("normal", user, &id).child(Tag::new("x", ns::CONFERENCE).attr("jid", room));
        self.send(&invite, row);
    }

    /// Takes somebody's membership, which also throws them out of a members-only room.
    pub(super) fn expel(&mut self, room: &str, user: &str, outbox: OutboxId) {
        let occupant = self.rooms.get(room).and_then(|state| state.occupants.get(user));
        let user = occupant.and_then(|occupant| occupant.jid.clone()).or_else(|| jid::bare(user));
        let Some(user) = user else {
            let failure = SendFailure { code: "not_found".into(), text: "nobody of that name is there".into() };
            return self.settle_failed(outbox, failure);
        };
        let item = Tag::plain("item").attr("affiliation", "none").attr("jid", user);
        self.ask("set", Some(room), Tag::new("query", ns::MUC_ADMIN).child(item), About::Row(outbox), 60);
    }

    /// The server closed the stream over a stanza's size: the largest one out was too large.
    pub(super) fn learn_limit(&mut self) {
        let largest = self.flight.largest();
        // RFC 6120, 13.12: no server's limit is below 10,000 bytes.
        if largest > 10_000 {
            self.max_stanza = self.max_stanza.min(largest - 1);
        }
    }
}

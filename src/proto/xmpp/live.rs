//! What is true only for a moment, and what time brings: typing, receipts, deadlines.

use super::inbound::Place;
use super::tag::Tag;
use super::xml::Element;
use super::{Receipt, Xmpp, ns, stanzas};
use crate::model::{ConversationKey, Perishable};
use crate::proto::Output;
use std::time::Instant;

/// How long somebody counts as typing without another word, milliseconds.
const TYPING_MS: u64 = 30_000;

impl Xmpp {
    /// XEP-0085.
    pub(super) fn on_chat_state(&mut self, message: &Element, place: &Place) {
        let Some(state) = message.children().find(|c| c.has_ns(ns::CHATSTATES)) else { return };
        if !place.outgoing {
            let conversation = place.room.clone().unwrap_or_else(|| place.peer.clone());
            let (by, on) = (place.sender.clone(), state.name() == "composing");
            self.out.push_back(Output::Perishable(Perishable::Typing { conversation, by, on, ttl_ms: TYPING_MS }));
        }
    }

    pub(super) fn send_typing(&mut self, conversation: &ConversationKey, on: bool) {
        let Some(to) = conversation.server.as_ref().or(conversation.peer.as_ref()).cloned() else { return };
        let room = self.rooms.get(&to);
        if !self.online() || room.is_some_and(|room| !room.joined()) {
            return;
        }
        let kind = if room.is_some() { "groupchat" } else { "chat" };
        let state = Tag::new(if on { "composing" } else { "paused" }, ns::CHATSTATES);
        let message = Tag::new("message", ns::CLIENT).attr("type", kind).attr("to", to);
        self.send(&message.child(state).child(stanzas::hint("no-store")), None);
    }

    pub(super) fn send_receipt(&mut self, receipt: &Receipt) {
        if self.online() {
            let id = self.names.id();
            let received = Tag::new("received", ns::RECEIPTS).attr("id", &receipt.id);
            let message = Tag::new("message", ns::CLIENT).attr("type", "chat").attr("to", &receipt.to).attr("id", id);
            self.send(&message.child(received).child(stanzas::hint("store")), None);
        }
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        if self.confirm_at.take_if(|at| *at <= now).is_some() {
            self.confirm();
        }
        self.on_archive_time(now);
        self.on_doubts_time(now);
        self.on_unanswered(now);
        self.on_room_time(now);
        self.on_echo_time(now);
    }
}

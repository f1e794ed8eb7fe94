//! Contacts and their presence (RFC 6121): names for banners, requests shown once, pushes only from our own server.

use super::inbound::direct;
use super::session::About;
use super::sm::SentRow;
use super::tag::Tag;
use super::xml::Element;
use super::{Xmpp, errors, iq, jid, ns};
use crate::model::{
    Arrival, ConversationKind, ConversationUpdate, Event, MessageKind, Origin, OutboxId, Perishable, ServerRef,
    UserUpdate,
};
use crate::proto::Output;
use std::collections::BTreeMap;

/// Contacts remembered at most.
const MAX_CONTACTS: usize = 10_000;

/// Our contacts as the server has them.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Bare JID to whether they may see us.
    contacts: BTreeMap<String, Contact>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Contact {
    /// They see our presence.
    sees_us: bool,
    /// We see theirs.
    seen: bool,
}

impl Roster {
    /// They may know that we are there.
    pub(super) fn knows(&self, peer: &str) -> bool {
        self.contacts.get(peer).is_some_and(|contact| contact.sees_us)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.contacts.is_empty()
    }

    fn sees(&self, peer: &str) -> bool {
        self.contacts.get(peer).is_some_and(|contact| contact.seen)
    }
}

impl Xmpp {
    pub(super) fn on_roster(&mut self, answer: &Element) {
        if let Some(query) = iq::payload(answer, "query", ns::ROSTER) {
            self.roster.contacts.clear();
            self.on_roster_push(query);
        }
    }

    /// What changed in the roster; whose word it is was checked before.
    pub(super) fn on_roster_push(&mut self, query: &Element) {
        for item in query.children().filter(|c| c.is("item", ns::ROSTER)) {
            let Some(user) = item.attr("jid").and_then(jid::bare) else { continue };
            let subscription = item.attr("subscription").unwrap_or("none");
            if subscription == "remove" {
                self.roster.contacts.remove(&user);
                continue;
            }
            if self.roster.contacts.len() >= MAX_CONTACTS {
                return self.refuse();
            }
            let contact = Contact {
                sees_us: matches!(subscription, "from" | "both"),
                seen: matches!(subscription, "to" | "both"),
            };
            self.roster.contacts.insert(user.clone(), contact);
            // A contact is somebody to talk to, before the first word.
            self.event(Event::Conversation(ConversationUpdate {
                key: direct(&user),
                kind: ConversationKind::Direct,
                title: None,
                members: None,
                unread_below: None,
            }));
            if let Some(name) = item.attr("name").filter(|name| !name.is_empty()) {
                let name = name.chars().take(200).collect();
                self.event(Event::User(UserUpdate { user, name }));
            }
        }
    }

    pub(super) fn on_presence(&mut self, presence: &Element) {
        let Some(from) = presence.attr("from").and_then(jid::address) else { return };
        if self.durable.rooms.contains_key(&from.bare) || self.rooms.contains_key(&from.bare) {
            return self.on_room_presence(presence, &from);
        }
        match presence.attr("type") {
            Some("subscribe") => self.on_request(presence, &from.bare),
            None | Some("unavailable") if from.bare != self.me => {
                let state =
                    match (presence.attr("type"), super::xml::child_text(presence, "show", ns::CLIENT).as_deref()) {
                        (Some(_), _) => "offline",
                        (None, Some("away" | "xa")) => "away",
                        (None, Some("dnd")) => "dnd",
                        (None, _) => "online",
                    };
                let perishable = Perishable::Presence { user: from.bare, state: state.into() };
                self.out.push_back(Output::Perishable(perishable));
            }
            _ => {}
        }
    }

    /// Somebody wants to see when we are there. The server says it again at every login until it is answered.
    fn on_request(&mut self, presence: &Element, user: &str) {
        let words = errors::words(presence, "status", ns::CLIENT).map(|w| format!(" ({w})")).unwrap_or_default();
        let text = format!("asks to be a contact{words}; accept with `wakeful contact accept {user}`");
        self.event(Event::Message(Box::new(Arrival {
            conversation: direct(user),
            sender: user.to_owned(),
            outgoing: false,
            // Not an id of an archive, but as unique: one request a person is shown.
            server: Some(ServerRef { id: format!("{}/subscribe/{user}", self.me), order: None }),
            own_id: None,
            sender_ref: None,
            sent_at: self.wall,
            kind: MessageKind::System,
            text,
            reply_to: None,
            mentions_me: false,
            attachments: Vec::new(),
            rev: 0,
            edited_at: None,
            retracted: false,
            reactions: Vec::new(),
            silent: false,
            origin: Origin::Live,
        })));
    }

    pub(super) fn add_contact(&mut self, user: &str, name: Option<&String>, outbox: OutboxId) {
        let item = Tag::plain("item").attr("jid", user).opt("name", name);
        self.ask("set", None, Tag::new("query", ns::ROSTER).child(item), About::Row(outbox), 60);
        self.send(&subscription("subscribe", user), None);
    }

    pub(super) fn accept_contact(&mut self, user: &str, row: SentRow) {
        if !self.roster.sees(user) {
            self.send(&subscription("subscribe", user), None);
        }
        self.send(&subscription("subscribed", user), Some(row));
    }

    pub(super) fn remove_contact(&mut self, user: &str, outbox: OutboxId) {
        let item = Tag::plain("item").attr("jid", user).attr("subscription", "remove");
        self.ask("set", None, Tag::new("query", ns::ROSTER).child(item), About::RowAnyway(outbox), 60);
    }

    pub(super) fn block(&mut self, user: &str, on: bool, outbox: OutboxId) {
        let name = if on { "block" } else { "unblock" };
        let payload = Tag::new(name, ns::BLOCKING).child(Tag::plain("item").attr("jid", user));
        self.ask("set", None, payload, About::Row(outbox), 60);
    }
}

fn subscription(kind: &str, user: &str) -> Tag {
    Tag::new("presence", ns::CLIENT).attr("type", kind).attr("to", user)
}

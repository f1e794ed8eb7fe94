//! Which rooms all our devices want (XEP-0402).

use super::session::About;
use super::tag::{Tag, form};
use super::xml::{Element, child, child_text};
use super::{Xmpp, iq, jid, ns};
use crate::model::OutboxId;

/// Rooms entered of our own accord at most.
const MAX_ROOMS: usize = 500;

impl Xmpp {
    pub(super) fn on_bookmarks(&mut self, answer: &Element) {
        let items = iq::payload(answer, "pubsub", ns::PUBSUB).and_then(|pubsub| child(pubsub, "items", ns::PUBSUB));
        if let Some(items) = items {
            self.on_bookmark_items(items, ns::PUBSUB);
        }
        self.session.rooms_known = true;
        self.consider_caught_up();
    }

    /// Another device changed them.
    pub(super) fn on_bookmark_event(&mut self, event: &Element) {
        if let Some(items) = child(event, "items", ns::PUBSUB_EVENT).filter(|i| i.attr("node") == Some(ns::BOOKMARKS)) {
            self.on_bookmark_items(items, ns::PUBSUB_EVENT);
        }
    }

    fn on_bookmark_items(&mut self, items: &Element, space: &str) {
        for item in items.children().filter(|c| c.has_ns(space)) {
            let Some(room) = item.attr("id").and_then(jid::bare) else { continue };
            let conference = child(item, "conference", ns::BOOKMARKS);
            let wanted = conference.is_some_and(|c| matches!(c.attr("autojoin"), Some("true" | "1")));
            let known = self.durable.rooms.contains_key(&room);
            if wanted && !known && self.durable.rooms.len() < MAX_ROOMS {
                let nick = conference.and_then(|c| child_text(c, "nick", ns::BOOKMARKS));
                self.want_room(&room, nick, None);
            } else if !wanted && known && space == ns::PUBSUB_EVENT {
                self.leave_room(&room);
            }
        }
    }

    /// Lets our other devices know that we are in.
    pub(super) fn publish_bookmark(&mut self, room: &str) {
        let Some(row) = self.durable.rooms.get(room) else { return };
        let conference = Tag::new("conference", ns::BOOKMARKS)
            .attr("autojoin", "true")
            .opt("name", row.title.as_ref())
            .child(Tag::plain("nick").text(&row.nick));
        let item = Tag::plain("item").attr("id", room).child(conference);
        let publish = Tag::plain("publish").attr("node", ns::BOOKMARKS).child(item);
        let options = form(
            "http://jabber.org/protocol/pubsub#publish-options",
            &[
                ("pubsub#persist_items", "true"),
                ("pubsub#max_items", "max"),
                ("pubsub#send_last_published_item", "never"),
                ("pubsub#access_model", "whitelist"),
            ],
        );
        let pubsub = Tag::new("pubsub", ns::PUBSUB).child(publish).child(Tag::plain("publish-options").child(options));
        self.ask("set", None, pubsub, About::Nothing, 60);
    }

    /// Lets our other devices know that we left; the row is done with the answer, whatever it is.
    pub(super) fn retract_bookmark(&mut self, room: &str, row: OutboxId) {
        let item = Tag::plain("item").attr("id", room);
        let retract = Tag::plain("retract").attr("node", ns::BOOKMARKS).attr("notify", "true").child(item);
        self.ask("set", None, Tag::new("pubsub", ns::PUBSUB).child(retract), About::RowAnyway(row), 60);
    }
}

//! Questions and answers (RFC 6120, 8.2.3): ours with the address their answer must come from, theirs answered.

use super::session::{About, Ask};
use super::tag::Tag;
use super::xml::{Element, child};
use super::{Xmpp, disco, errors, jid, ns};
use crate::model::{Event, OutboxId, Outcome, SendFailure, ServerRef, Settled};
use crate::proto::Output;
use std::time::Instant;

/// Questions that may be open at once.
const MAX_ASKS: usize = 1_000;

impl Xmpp {
    /// Asks `to` (`None`: our own server) and returns the question's id.
    pub(super) fn ask(&mut self, kind: &str, to: Option<&str>, payload: Tag, about: About, seconds: u64) -> String {
        let id = self.names.id();
        let iq = Tag::new("iq", ns::CLIENT).attr("type", kind).attr("id", &id).opt("to", to).child(payload);
        if self.session.asks.len() < MAX_ASKS {
            let until = self.in_time(seconds);
            let to = to.unwrap_or_default().to_owned();
            self.session.asks.insert(id.clone(), Ask { to, about, until });
        }
        self.send(&iq, None);
        id
    }

    /// A round trip to our own server (XEP-0199).
    pub(super) fn ping(&mut self, about: About) {
        let to = self.settings.domain().to_owned();
        self.ask("get", Some(&to), Tag::new("ping", ns::PING), about, 300);
    }

    pub(super) fn on_probe(&mut self, n: u64) {
        if !self.online() {
            return;
        }
        // ejabberd holds presence back while nobody looks, even that we were thrown out of a room: a glance at each
        // probe lets it through.
        let glance = self.session.told_active == Some(false) && !self.rooms.is_empty();
        if glance {
            self.transmit(Tag::new("active", ns::CSI).xml());
        }
        self.ping(About::Probe(n));
        if glance {
            self.transmit(Tag::new("inactive", ns::CSI).xml());
        }
    }

    /// The server and our own account answer under several names.
    fn is_ours(&self, from: Option<&str>) -> bool {
        match from {
            None => true,
            Some(from) => from == self.settings.domain() || jid::bare(from).as_deref() == Some(self.me.as_str()),
        }
    }

    pub(super) fn on_iq(&mut self, iq: &Element) {
        let id = iq.attr("id").unwrap_or_default().to_owned();
        match iq.attr("type") {
            Some("result" | "error") => {
                let Some(ask) = self.session.asks.get(&id) else { return };
                let genuine = if ask.to.is_empty() || ask.to == self.settings.domain() || ask.to == self.me {
                    self.is_ours(iq.attr("from"))
                } else {
                    iq.attr("from") == Some(ask.to.as_str())
                };
                if !genuine {
                    return self.refuse();
                }
                if let Some(ask) = self.session.asks.remove(&id) {
                    self.on_answer(ask.about, iq);
                }
            }
            Some("get" | "set") => self.on_question(iq, &id),
            _ => self.refuse(),
        }
    }

    fn on_answer(&mut self, about: About, iq: &Element) {
        let error = iq.attr("type") == Some("error");
        match about {
            About::Bind { with_resource } => self.on_bound(with_resource, iq),
            About::ServerInfo => self.on_server_info(iq),
            About::AccountInfo => self.on_account_info(iq),
            About::Services => self.on_services(iq),
            About::ServiceInfo(service) => self.on_service_info(&service, iq),
            About::Roster => self.on_roster(iq),
            About::Bookmarks => self.on_bookmarks(iq),
            About::Probe(n) => self.out.push_back(Output::Proof(n)),
            About::Fence => self.on_fence(),
            About::Ack(upto) => self.on_pinged_ack(upto),
            About::Archive(query) => self.on_archive_answer(&query, iq),
            About::RoomInfo(room) => self.on_room_info(&room, iq),
            About::RoomConfig(room) => self.on_room_configured(&room, iq),
            About::InRoom(room) => self.on_self_ping(&room, iq),
            About::Row(outbox) if error => self.settle_failed(outbox, errors::send_failure(iq)),
            About::Row(outbox) | About::RowAnyway(outbox) => self.settle_sent(outbox, None),
            About::Carbons | About::Nothing => {}
        }
    }

    fn on_question(&mut self, iq: &Element, id: &str) {
        let Some(payload) = iq.children().next() else { return self.refuse() };
        let get = iq.attr("type") == Some("get");
        let answer = match (payload.name(), payload.ns().as_str(), get) {
            ("ping", ns::PING, true) => Some(None),
            ("query", ns::DISCO_INFO, true) => Some(Some(disco::answer(payload.attr("node")))),
            ("query", ns::VERSION, true) => {
                let name = Tag::plain("name").text("wakeful");
                let version = Tag::plain("version").text(env!("CARGO_PKG_VERSION"));
                Some(Some(Tag::new("query", ns::VERSION).child(name).child(version)))
            }
            ("query", ns::ROSTER, false) if self.is_ours(iq.attr("from")) => {
                self.on_roster_push(payload);
                Some(None)
            }
            ("block" | "unblock", ns::BLOCKING, false) if self.is_ours(iq.attr("from")) => Some(None),
            ("query", ns::ROSTER, false) | ("block" | "unblock", ns::BLOCKING, false) => {
                self.refuse();
                None
            }
            _ => None,
        };
        let reply = Tag::new("iq", ns::CLIENT).attr("id", id).opt("to", iq.attr("from"));
        let reply = match answer {
            Some(payload) => reply.attr("type", "result").children(payload),
            None => reply.attr("type", "error").child(
                Tag::plain("error").attr("type", "cancel").child(Tag::new("service-unavailable", ns::STANZA_ERROR)),
            ),
        };
        self.send(&reply, None);
    }

    /// Questions nobody answered end as if refused.
    pub(super) fn on_unanswered(&mut self, now: Instant) {
        let late = |ask: &Ask| ask.until.is_some_and(|until| until <= now);
        let ids: Vec<String> = self.session.asks.iter().filter(|(_, a)| late(a)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let Some(ask) = self.session.asks.remove(&id) else { continue };
            match ask.about {
                About::Probe(_) => {}
                About::Fence | About::Ack(_) | About::Archive(_) | About::Bind { .. } => {
                    self.broken("a question stayed unanswered");
                }
                about => {
                    let error = Tag::new("iq", ns::CLIENT)
                        .attr("type", "error")
                        .child(Tag::plain("error").child(Tag::new("remote-server-timeout", ns::STANZA_ERROR)));
                    if let Ok(iq) = super::xml::parse(&error.xml()) {
                        self.on_answer(about, &iq);
                    }
                }
            }
        }
    }

    /// A row is done; `server` is the server's name for the message.
    pub(super) fn settle_sent(&mut self, outbox: OutboxId, server: Option<ServerRef>) {
        self.row_ends(outbox);
        let outcome = Outcome::Sent { conversation: None, server, at: self.wall };
        self.event(Event::Settled(Settled { outbox, outcome }));
    }

    fn row_ends(&mut self, outbox: OutboxId) {
        self.session.done.insert(outbox);
        self.doubted.remove(&outbox);
        for room in self.rooms.values_mut() {
            room.echoes.done(outbox);
        }
    }

    pub(super) fn settle_failed(&mut self, outbox: OutboxId, failure: SendFailure) {
        self.row_ends(outbox);
        self.event(Event::Settled(Settled { outbox, outcome: Outcome::Failed(failure) }));
    }
}

/// The answer's payload of this name, where it is a result.
pub(super) fn payload<'a>(iq: &'a Element, name: &str, space: &str) -> Option<&'a Element> {
    if iq.attr("type") == Some("result") { child(iq, name, space) } else { None }
}

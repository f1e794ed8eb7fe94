//! Where a stanza goes, and who may have sent it.
//!
//! Carbons count only from our own bare JID (CVE-2017-5589), archive results only for a query of ours, ids only from
//! the archive that assigns them. What fails is counted and never shown.

use super::xml::{Element, child};
use super::{Xmpp, body, change, errors, jid, ns, stanzas};
use crate::model::{ConversationKey, MessageId, Origin, ServerRef, Timestamp};

/// By which way a message came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Live,
    /// A copy of what went to another device of ours (XEP-0280).
    CarbonReceived,
    /// A copy of what another device of ours sent.
    CarbonSent,
    /// Out of an archive.
    Archive {
        archive: String,
        id: String,
        at: Timestamp,
        origin: Origin,
    },
}

/// Where a message stands, once it is known to be genuine.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) conversation: ConversationKey,
    /// The room, where it is one.
    pub(super) room: Option<String>,
    /// The other person, bare (a room's occupant: full); in a room the room.
    pub(super) peer: String,
    pub(super) sender: String,
    pub(super) outgoing: bool,
    /// The archive's id for it.
    pub(super) id: Option<String>,
    /// Bare JID of that archive.
    pub(super) archive: String,
    pub(super) at: Timestamp,
    /// The server held it back, or it is out of an archive.
    pub(super) delayed: bool,
    pub(super) origin: Origin,
}

impl Place {
    pub(super) fn server(&self) -> Option<ServerRef> {
        self.id.as_ref().map(|id| ServerRef { id: format!("{}/{id}", self.archive), order: None })
    }
}

/// A direct conversation's name: the other's bare JID, on both sides of the key.
pub(super) fn direct(peer: &str) -> ConversationKey {
    ConversationKey { server: Some(peer.to_owned()), peer: Some(peer.to_owned()) }
}

impl Xmpp {
    pub(super) fn on_stanza(&mut self, stanza: &Element) {
        match stanza.name() {
            "iq" => self.on_iq(stanza),
            _ if !self.bound() => return self.refuse(),
            "message" => self.on_any_message(stanza),
            _ => self.on_presence(stanza),
        }
        self.count_in();
    }

    fn on_any_message(&mut self, message: &Element) {
        let from = message.attr("from");
        if message.attr("type") == Some("error") {
            return self.on_bounce(message);
        }
        if let Some(result) = child(message, "result", ns::MAM) {
            return self.on_archive_result(from, result);
        }
        for (name, via) in [("received", Via::CarbonReceived), ("sent", Via::CarbonSent)] {
            if let Some(carbon) = child(message, name, ns::CARBONS) {
                let inner = child(carbon, "forwarded", ns::FORWARD).and_then(|f| child(f, "message", ns::CLIENT));
                let genuine = from == Some(self.me.as_str()) || crate::mutant("xmpp-trust-any-carbon");
                return match inner {
                    Some(inner) if genuine => self.on_message(inner, &via),
                    _ => self.refuse(),
                };
            }
        }
        if let Some(event) = child(message, "event", ns::PUBSUB_EVENT) {
            if from.and_then(jid::bare).as_deref() == Some(self.me.as_str()) {
                self.on_bookmark_event(event);
            }
            return;
        }
        self.on_message(message, &Via::Live);
    }

    /// Live messages follow one another in their archive's order.
    fn steady(&self, mut place: Place, via: &Via) -> Place {
        if matches!(via, Via::Archive { .. }) {
            return place;
        }
        match place.id.as_deref().and_then(stanzas::time_of_id) {
            Some(at) => place.at = at,
            None if place.id.is_some() => {
                let row = self.durable.archives.get(&place.archive);
                let whole = self.session.syncs.get(&place.archive).is_some_and(|sync| sync.synced);
                place.at = stanzas::not_before(place.at, row.filter(|_| whole).map(|row| row.at));
            }
            None => {}
        }
        place
    }

    /// A message that came by a trusted way.
    pub(super) fn on_message(&mut self, message: &Element, via: &Via) {
        let Some(place) = self.place(message, via) else { return self.refuse() };
        let place = self.steady(place, via);
        if place.outgoing
            && let Some(cid) = stanzas::own_id(message)
        {
            self.on_own(cid, &place);
        }
        if !change::apply(self, message, &place) {
            body::arrive(self, message, &place, via);
        }
        if *via == Via::Live && !place.delayed {
            self.on_chat_state(message, &place);
        }
        if let (Some(id), false) = (&place.id, matches!(via, Via::Archive { .. })) {
            self.on_live_id(&place.archive.clone(), &id.clone(), place.at, place.delayed);
        }
    }

    fn place(&self, message: &Element, via: &Via) -> Option<Place> {
        let from = match message.attr("from") {
            Some(from) => jid::address(from)?,
            None => jid::Address { bare: self.me.clone(), resource: None },
        };
        let groupchat = message.attr("type") == Some("groupchat");
        let (at, delayed) = match via {
            Via::Archive { at, .. } => (*at, true),
            _ => match stanzas::delayed(message, &[self.settings.domain(), &self.me, &from.bare]) {
                Some(at) => (at, true),
                None => (self.wall, false),
            },
        };
        let origin = match via {
            Via::Archive { origin, .. } => *origin,
            _ if self.session.caught_up => Origin::Live,
            _ => Origin::CatchUp,
        };
        if groupchat {
            return self.room_place(message, via, from, (at, delayed, origin));
        }
        // A room's archive holds what was said to all, and nothing else.
        if matches!(via, Via::Archive { archive, .. } if *archive != self.me) {
            return None;
        }
        let outgoing = from.bare == self.me;
        if *via == Via::CarbonSent && !outgoing {
            return None;
        }
        let to = message.attr("to").and_then(jid::address);
        if *via == Via::CarbonReceived && to.as_ref().is_none_or(|to| to.bare != self.me) {
            return None;
        }
        let other = if outgoing { to.unwrap_or_else(|| from.clone()) } else { from };
        let peer = match &other.resource {
            Some(nick) if self.durable.rooms.contains_key(&other.bare) => format!("{}/{nick}", other.bare),
            _ => other.bare,
        };
        let id = match via {
            Via::Archive { id, .. } => Some(id.clone()),
            _ if self.durable.able.sid => stanzas::stanza_id(message, &self.me),
            _ => None,
        };
        let sender = if outgoing { self.me.clone() } else { peer.clone() };
        let archive = self.me.clone();
        Some(Place {
            conversation: direct(&peer),
            room: None,
            peer,
            sender,
            outgoing,
            id,
            archive,
            at,
            delayed,
            origin,
        })
    }

    fn room_place(
        &self,
        message: &Element,
        via: &Via,
        from: jid::Address,
        (at, delayed, origin): (Timestamp, bool, Origin),
    ) -> Option<Place> {
        let room = from.bare;
        let row = self.durable.rooms.get(&room)?;
        let id = match via {
            Via::Archive { archive, id, .. } if *archive == room => Some(id.clone()),
            Via::Live if self.rooms.get(&room).is_some_and(super::rooms::Room::present) => {
                if row.sid {
                    stanzas::stanza_id(message, &room)
                } else {
                    None
                }
            }
            _ => return None,
        };
        let sender = from.resource.unwrap_or_else(|| room.clone());
        let ours = self.rooms.get(&room).and_then(|state| state.occupant_id.as_deref());
        let theirs = child(message, "occupant-id", ns::OCCUPANT).and_then(|id| id.attr("id"));
        let outgoing = match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => sender == row.nick,
        };
        let conversation = ConversationKey::server(&room);
        let (peer, archive) = (room.clone(), room.clone());
        Some(Place { conversation, room: Some(room), peer, sender, outgoing, id, archive, at, delayed, origin })
    }

    /// One's own message was seen where it belongs: its row is done, whoever had doubts.
    fn on_own(&mut self, cid: MessageId, place: &Place) {
        let Some(server) = place.server() else { return };
        let mut rows = Vec::new();
        if let Some(at) = self.durable.unseen.iter().position(|unseen| unseen.cid == cid) {
            let seen = self.durable.unseen.remove(at);
            rows.push(seen.outbox);
            self.note_fresh(seen);
        }
        if let Some(at) = self.held.iter().position(|held| held.cid == cid)
            && let Some(held) = self.held.remove(at)
        {
            if rows.is_empty() {
                self.note_fresh_command(&held, &place.archive);
            }
            rows.push(held.outbox);
        }
        if place.room.is_some() {
            rows.extend(self.recent.iter().filter(|recent| recent.cid == cid).map(|recent| recent.outbox));
        }
        if self.own_seen.len() < 20_000 {
            self.own_seen.insert(cid);
        }
        rows.sort_unstable();
        rows.dedup();
        for outbox in rows {
            self.settle_sent(outbox, Some(server.clone()));
        }
    }

    /// An error for a message of ours (RFC 6120, 8.3): its row failed, with the reason.
    fn on_bounce(&mut self, message: &Element) {
        let cid = stanzas::own_id(message);
        let from = message.attr("from").and_then(jid::bare);
        // The newest: what failed before may have been sent again under its id.
        let recent = self.recent.iter().rev().find(|recent| Some(recent.cid) == cid);
        let unseen = self.durable.unseen.iter().find(|unseen| Some(unseen.cid) == cid);
        let row = recent.map(|r| (r.outbox, r.to.clone())).or_else(|| unseen.map(|u| (u.outbox, u.to.clone())));
        let Some((outbox, to)) = row else { return };
        let domain = self.settings.domain();
        // Only who got it, or our own server, can say that it failed.
        if from.is_some_and(|from| jid::bare(&to).as_deref() != Some(&from) && from != domain && from != self.me) {
            return self.refuse();
        }
        self.durable.unseen.retain(|unseen| Some(unseen.cid) != cid);
        self.durable.fresh.retain(|_, fresh| Some(fresh.row.cid) != cid);
        for sent in &mut self.flight.queue {
            sent.row.take_if(|row| row.outbox == outbox);
        }
        if self.on_room_bounce(&to, outbox, message) {
            return;
        }
        self.settle_failed(outbox, errors::send_failure(message));
    }
}

//! Rooms (XEP-0045): asked what they can, joined, lost and rejoined, left. A room is wanted until it is left or we are
//! thrown out.

use super::durable::RoomRow;
use super::echoes::Echoes;
use super::session::About;
use super::tag::{Tag, form};
use super::xml::Element;
use super::{Xmpp, disco, errors, iq, ns};
use crate::model::{
    Arrival, ConversationKey, ConversationKind, ConversationUpdate, Event, MessageKind, Origin, OutboxId, Outcome,
    SendFailure, Settled, Timestamp,
};
use crate::proto::xmpp::occupants::Occupant;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How far we are in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stand {
    /// Asked what it can.
    #[default]
    Asking,
    /// Presence is sent.
    Joining,
    /// In it.
    Present,
    /// Out of it for now; tried again later.
    Away,
    /// It does not take us.
    Refused,
}

/// A room in this session.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) stand: Stand,
    /// It has a name of its own: its subject is not its title.
    pub(super) named: bool,
    /// When to try, or to give up waiting.
    pub(super) again_at: Option<Instant>,
    nick_tries: u8,
    /// Our occupant id there (XEP-0421): tells us from another with our nick.
    pub(super) occupant_id: Option<String>,
    pub(super) occupants: BTreeMap<String, Occupant>,
    /// Rows that wait for our being there.
    joins: Vec<OutboxId>,
    /// What we said and it has not echoed.
    pub(super) echoes: Echoes,
    /// What to make of it, when it is new: title and whom to invite.
    pub(super) create: Option<(String, Vec<String>)>,
}

impl Room {
    /// What it says to us counts.
    pub(super) fn present(&self) -> bool {
        matches!(self.stand, Stand::Present | Stand::Joining)
    }

    pub(super) fn joined(&self) -> bool {
        self.stand == Stand::Present
    }

    /// Rows are offered again on the next connection.
    pub(super) fn connection_lost(&mut self) {
        self.joins.clear();
        self.echoes.forget();
        self.again_at = None;
    }

    pub(super) fn waits_for(&self, row: OutboxId) -> bool {
        self.joins.contains(&row) || self.echoes.holds(row)
    }

    /// Nothing is being waited for.
    pub(super) fn settled(&self) -> bool {
        !matches!(self.stand, Stand::Asking | Stand::Joining)
    }
}

impl Xmpp {
    /// Enters every room that is wanted and not yet entered.
    pub(super) fn enter_rooms(&mut self) {
        let out = |room: &&String| self.rooms.get(*room).is_none_or(|state| state.stand == Stand::Away);
        let wanted: Vec<String> = self.durable.rooms.keys().filter(out).cloned().collect();
        for room in wanted {
            self.start_join(&room);
        }
    }

    /// Wants a room and enters it as soon as that can be.
    pub(super) fn want_room(&mut self, room: &str, nick: Option<String>, row: Option<OutboxId>) {
        let default = self.settings.nick().to_owned();
        let nick = nick.filter(|nick| !nick.is_empty());
        let wanted = self
            .durable
            .rooms
            .entry(room.to_owned())
            .or_insert_with(|| RoomRow { nick: default, ..RoomRow::default() });
        if let Some(nick) = nick {
            wanted.nick = nick;
        }
        let here = self.rooms.get(room).is_some_and(Room::joined);
        if here && let Some(row) = row {
            return self.settle_joined(room, vec![row]);
        }
        let state = self.rooms.entry(room.to_owned()).or_insert_with(|| Room { stand: Stand::Away, ..Room::default() });
        state.joins.extend(row);
        if state.settled() && self.session.present {
            self.start_join(room);
        }
    }

    fn start_join(&mut self, room: &str) {
        let again_at = self.in_time(90);
        let state = self.rooms.entry(room.to_owned()).or_default();
        (state.stand, state.again_at, state.nick_tries) = (Stand::Asking, again_at, 0);
        let about = About::RoomInfo(room.to_owned());
        self.ask("get", Some(room), Tag::new("query", ns::DISCO_INFO), about, 60);
    }

    pub(super) fn on_room_info(&mut self, room: &str, answer: &Element) {
        let info = iq::payload(answer, "query", ns::DISCO_INFO);
        let Some(row) = self.durable.rooms.get_mut(room) else { return };
        if let Some(info) = info {
            (row.mam, row.sid) = disco::archive_abilities(info);
            let name = info.children().find(|c| c.name() == "identity").and_then(|c| c.attr("name"));
            let name = name.filter(|name| !name.is_empty());
            if let (Some(name), Some(state)) = (name, self.rooms.get_mut(room)) {
                state.named = true;
                row.title = Some(name.chars().take(300).collect());
            }
        }
        let (condition, _) = errors::stanza_condition(answer);
        if info.is_none() && condition.starts_with("remote-server") {
            return self.on_join_failed(room, answer);
        }
        self.send_join(room);
    }

    pub(super) fn send_join(&mut self, room: &str) {
        let Some(row) = self.durable.rooms.get(room) else { return };
        // The archive has what was said; without one the room's own memory must do.
        let history = match (row.mam, row.heard) {
            (true, _) => Tag::plain("history").attr("maxstanzas", "0"),
            (false, 0) => Tag::plain("history").attr("maxstanzas", "20"),
            (false, heard) => Tag::plain("history").attr("since", Timestamp(heard + 1).to_string()),
        };
        let to = format!("{room}/{}", row.nick);
        let join = Tag::new("presence", ns::CLIENT).attr("to", to).child(Tag::new("x", ns::MUC).child(history));
        let again_at = self.in_time(90);
        if let Some(state) = self.rooms.get_mut(room) {
            (state.stand, state.again_at) = (Stand::Joining, again_at);
            state.occupants.clear();
        }
        self.send(&join, None);
    }

    /// Our own presence came back: we are in.
    pub(super) fn on_joined(&mut self, room: &str, nick: &str, new: bool) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        if state.stand == Stand::Present {
            return;
        }
        (state.stand, state.again_at) = (Stand::Present, None);
        let joins = std::mem::take(&mut state.joins);
        let create = state.create.clone();
        let members = state.occupants.len() <= super::occupants::SHOWN;
        let members = members.then(|| super::occupants::members(&state.occupants));
        if let Some(row) = self.durable.rooms.get_mut(room) {
            row.joined = true;
            row.nick = nick.to_owned();
        }
        let title = self.durable.rooms.get(room).and_then(|row| row.title.clone());
        let title = title.or_else(|| create.as_ref().map(|(title, _)| title.clone()));
        self.event(Event::Conversation(ConversationUpdate {
            key: ConversationKey::server(room),
            kind: ConversationKind::Group,
            title,
            members,
            unread_below: None,
        }));
        if new {
            self.configure(room, create.as_ref());
        }
        if !joins.is_empty() {
            self.publish_bookmark(room);
            self.settle_joined(room, joins);
        }
        self.sync(room);
        self.pump();
    }

    fn settle_joined(&mut self, room: &str, rows: Vec<OutboxId>) {
        for outbox in rows {
            self.session.done.insert(outbox);
            let outcome =
                Outcome::Sent { conversation: Some(ConversationKey::server(room)), server: None, at: self.wall };
            self.event(Event::Settled(Settled { outbox, outcome }));
        }
    }

    /// A room that did not exist before: unlocked as it is, or made the private group that was asked for.
    fn configure(&mut self, room: &str, create: Option<&(String, Vec<String>)>) {
        let fields = create.map(|(title, _)| {
            form(
                "http://jabber.org/protocol/muc#roomconfig",
                &[
                    ("muc#roomconfig_roomname", title.as_str()),
                    ("muc#roomconfig_persistentroom", "1"),
                    ("muc#roomconfig_membersonly", "1"),
                    ("muc#roomconfig_whois", "anyone"),
                ],
            )
        });
        let fields = fields.unwrap_or_else(|| Tag::new("x", ns::XDATA).attr("type", "submit"));
        let query = Tag::new("query", ns::MUC_OWNER).child(fields);
        self.ask("set", Some(room), query, About::RoomConfig(room.to_owned()), 60);
    }

    pub(super) fn on_room_configured(&mut self, room: &str, _answer: &Element) {
        let create = self.rooms.get_mut(room).and_then(|state| state.create.take());
        for member in create.into_iter().flat_map(|(_, members)| members) {
            self.invite(room, &member, None);
        }
        // What it can do may have changed with its configuration.
        self.ask("get", Some(room), Tag::new("query", ns::DISCO_INFO), About::RoomInfo(room.to_owned()), 60);
    }

    /// The room answered our presence with an error, or not at all.
    pub(super) fn on_join_failed(&mut self, room: &str, answer: &Element) {
        let (condition, _) = errors::stanza_condition(answer);
        let again_at = self.in_time(300);
        let Some(state) = self.rooms.get_mut(room) else { return };
        if condition == "conflict" && state.nick_tries < 3 {
            state.nick_tries += 1;
            if let Some(row) = self.durable.rooms.get_mut(room) {
                row.nick.push('_');
            }
            return self.send_join(room);
        }
        let joins = std::mem::take(&mut state.joins);
        let asked_for = !joins.is_empty();
        let final_word = matches!(
            condition.as_str(),
            "forbidden" | "registration-required" | "not-authorized" | "not-allowed" | "gone" | "jid-malformed"
        );
        (state.stand, state.again_at) = if final_word { (Stand::Refused, None) } else { (Stand::Away, again_at) };
        for outbox in joins {
            self.settle_failed(outbox, errors::send_failure(answer));
        }
        if asked_for {
            self.durable.rooms.remove(room);
            self.rooms.remove(room);
        }
        self.consider_caught_up();
        self.pump();
    }

    /// We are out, and not for want of trying.
    pub(super) fn on_thrown_out(&mut self, room: &str, words: &str) {
        let key = ConversationKey::server(room);
        self.event(Event::Message(Box::new(Arrival {
            conversation: key.clone(),
            sender: room.to_owned(),
            outgoing: false,
            server: None,
            own_id: None,
            sender_ref: None,
            sent_at: self.wall,
            kind: MessageKind::System,
            text: words.to_owned(),
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
        self.event(Event::Gone(key));
        self.forget_room(room);
    }

    /// The room is no longer wanted.
    pub(super) fn forget_room(&mut self, room: &str) {
        self.echoes_unknown(room);
        self.rooms.remove(room);
        self.durable.rooms.remove(room);
        self.session.syncs.remove(room);
        self.consider_caught_up();
        self.pump();
    }

    /// Out for a moment (the room restarted, its server is away).
    pub(super) fn on_away(&mut self, room: &str, seconds: u64) {
        self.echoes_unknown(room);
        let again_at = self.in_time(seconds);
        if let Some(state) = self.rooms.get_mut(room) {
            (state.stand, state.again_at) = (Stand::Away, again_at);
        }
        if let Some(row) = self.durable.rooms.get_mut(room) {
            row.joined = false;
        }
        if let Some(row) = self.durable.archives.get_mut(room) {
            row.whole = false;
        }
        self.session.syncs.remove(room);
    }

    /// Says goodbye to a room.
    pub(super) fn leave_room(&mut self, room: &str) {
        if let Some(nick) = self.durable.rooms.get(room).map(|row| row.nick.clone()) {
            let to = format!("{room}/{nick}");
            self.send(&Tag::new("presence", ns::CLIENT).attr("type", "unavailable").attr("to", to), None);
            self.event(Event::Gone(ConversationKey::server(room)));
        }
        self.forget_room(room);
    }

    /// After a resumption: are we still in (XEP-0410)?
    pub(super) fn rejoin_resumed(&mut self) {
        let rooms: Vec<(String, RoomRow)> =
            self.durable.rooms.iter().map(|(jid, row)| (jid.clone(), row.clone())).collect();
        for (room, row) in rooms {
            let state = self.rooms.entry(room.clone()).or_default();
            if row.joined {
                state.stand = Stand::Present;
                self.ask_whether_in(&room);
            } else {
                self.start_join(&room);
            }
        }
    }

    pub(super) fn on_self_ping(&mut self, room: &str, answer: &Element) {
        if answer.attr("type") == Some("result") {
            self.no_echo_comes(room);
        } else if errors::stanza_condition(answer).0 == "not-acceptable" {
            self.on_away(room, 0);
            self.start_join(room);
        }
    }

    /// An error for something said in a room: not being in it is no failure of the message.
    pub(super) fn on_room_bounce(&mut self, to: &str, outbox: OutboxId, message: &Element) -> bool {
        let (condition, _) = errors::stanza_condition(message);
        if condition != "not-acceptable" || !self.rooms.contains_key(to) {
            return false;
        }
        self.on_away(to, 1);
        let outcome = Outcome::Later(Duration::from_secs(5));
        self.event(Event::Settled(Settled { outbox, outcome }));
        true
    }

    /// Times that have come in rooms.
    pub(super) fn on_room_time(&mut self, now: Instant) {
        let due = |state: &Room| state.again_at.is_some_and(|at| at <= now);
        let rooms: Vec<String> = self.rooms.iter().filter(|(_, s)| due(s)).map(|(room, _)| room.clone()).collect();
        for room in rooms {
            let waiting = self.rooms.get(&room).is_some_and(|state| !state.settled());
            if waiting {
                self.on_join_failed_silently(&room);
            } else if self.session.present {
                self.start_join(&room);
            } else if let Some(state) = self.rooms.get_mut(&room) {
                state.again_at = None;
            }
        }
    }

    fn on_join_failed_silently(&mut self, room: &str) {
        let again_at = self.in_time(300);
        let Some(state) = self.rooms.get_mut(room) else { return };
        (state.stand, state.again_at) = (Stand::Away, again_at);
        let joins = std::mem::take(&mut state.joins);
        let text = "the room does not answer".to_owned();
        for outbox in joins {
            self.settle_failed(outbox, SendFailure { code: "unreachable".into(), text: text.clone() });
        }
        self.consider_caught_up();
        self.pump();
    }
}

//! Who is in a room, and what a room's presence says about us: nick changed, thrown out, room gone.

use super::xml::{Element, child};
use super::{Xmpp, errors, jid, ns};
use crate::model::{ConversationKey, Event, Member, MemberUpdate, Role};
use std::collections::BTreeMap;

/// Rooms with more people than this do not have their comings and goings written down.
pub(super) const SHOWN: usize = 100;
/// More occupants than this are not remembered.
const REMEMBERED: usize = 5_000;

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Occupant {
    pub(super) role: Role,
    /// Their bare JID, where the room shows it.
    pub(super) jid: Option<String>,
}

/// The list as conversations have it.
pub(super) fn members(occupants: &BTreeMap<String, Occupant>) -> Vec<Member> {
    occupants.iter().map(|(nick, o)| Member { user: nick.clone(), name: None, role: o.role }).collect()
}

fn role(item: Option<&Element>) -> Role {
    match item.and_then(|item| item.attr("affiliation")) {
        Some("owner") => Role::Owner,
        Some("admin") => Role::Admin,
        _ => Role::Member,
    }
}

impl Xmpp {
    /// Presence from a room that is wanted.
    pub(super) fn on_room_presence(&mut self, presence: &Element, from: &jid::Address) {
        let room = &from.bare;
        let user = child(presence, "x", ns::MUC_USER);
        let codes: Vec<&str> = user
            .into_iter()
            .flat_map(Element::children)
            .filter(|c| c.name() == "status")
            .filter_map(|c| c.attr("code"))
            .collect();
        let item = user.and_then(|user| child(user, "item", ns::MUC_USER));
        let Some(nick) = &from.resource else {
            if presence.attr("type") == Some("error") {
                self.on_join_failed(room, presence);
            }
            return;
        };
        let own = codes.contains(&"110") || self.durable.rooms.get(room).is_some_and(|row| row.nick == *nick);
        match presence.attr("type") {
            Some("error") => {
                if self.rooms.get(room).is_some_and(|state| !state.settled()) {
                    self.on_join_failed(room, presence);
                }
            }
            Some("unavailable") if own => self.on_own_leave(room, user, &codes, item),
            Some("unavailable") => self.on_other_left(room, nick, &codes, item),
            None => {
                self.on_other_here(room, nick, item);
                if codes.contains(&"110") {
                    let id = child(presence, "occupant-id", ns::OCCUPANT).and_then(|id| id.attr("id"));
                    if let Some(state) = self.rooms.get_mut(room) {
                        state.occupant_id = id.map(str::to_owned);
                    }
                    self.on_joined(room, nick, codes.contains(&"201"));
                }
            }
            Some(_) => self.refuse(),
        }
    }

    fn on_other_here(&mut self, room: &str, nick: &str, item: Option<&Element>) {
        let jid = item.and_then(|item| item.attr("jid")).and_then(jid::bare);
        let occupant = Occupant { role: role(item), jid };
        let Some(state) = self.rooms.get_mut(room) else { return };
        if state.occupants.len() >= REMEMBERED {
            return;
        }
        let same = state.occupants.insert(nick.to_owned(), occupant.clone()).is_some_and(|old| old == occupant);
        if !same && state.joined() && state.occupants.len() <= SHOWN {
            self.tell_member(room, nick, Some(occupant.role));
        }
    }

    fn on_other_left(&mut self, room: &str, nick: &str, codes: &[&str], item: Option<&Element>) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        let occupant = state.occupants.remove(nick);
        let shown = state.joined() && state.occupants.len() < SHOWN;
        if shown {
            self.tell_member(room, nick, None);
        }
        let renamed = item.and_then(|item| item.attr("nick")).filter(|_| codes.contains(&"303"));
        if let (Some(new), Some(occupant), Some(state)) = (renamed, occupant, self.rooms.get_mut(room)) {
            state.occupants.insert(new.to_owned(), occupant.clone());
            if shown {
                self.tell_member(room, new, Some(occupant.role));
            }
        }
    }

    fn tell_member(&mut self, room: &str, nick: &str, role: Option<Role>) {
        let conversation = ConversationKey::server(room);
        self.event(Event::Member(MemberUpdate { conversation, user: nick.to_owned(), role }));
    }

    fn on_own_leave(&mut self, room: &str, user: Option<&Element>, codes: &[&str], item: Option<&Element>) {
        if !self.rooms.contains_key(room) {
            return;
        }
        if codes.contains(&"303") {
            let new = item.and_then(|item| item.attr("nick"));
            if let (Some(new), Some(row)) = (new, self.durable.rooms.get_mut(room)) {
                row.nick = new.to_owned();
            }
            return;
        }
        let reason = item.and_then(|item| errors::words(item, "reason", ns::MUC_USER));
        let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let destroyed = user.is_some_and(|user| child(user, "destroy", ns::MUC_USER).is_some());
        let technical = codes.contains(&"332") || codes.contains(&"333");
        if destroyed {
            self.on_thrown_out(room, "the room was closed");
        } else if codes.contains(&"301") {
            self.on_thrown_out(room, &format!("you were banned from the room{because}"));
        } else if codes.contains(&"307") && !technical {
            self.on_thrown_out(room, &format!("you were removed from the room{because}"));
        } else if codes.contains(&"321") || codes.contains(&"322") {
            self.on_thrown_out(room, "you are no longer a member of the room");
        } else {
            self.on_away(room, 10);
        }
    }
}

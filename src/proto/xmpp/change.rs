//! A message that is about another one: correction, retraction, reactions, receipt, marker, the end of a call.

use super::inbound::Place;
use super::xml::{Element, child, child_text};
use super::{Xmpp, jid, ns, stanzas};
use crate::model::{Amendment, Change, DeliveryMark, Event, ReadMark, Reader, Target, Upto};

/// Reactions a person may have on one message.
const MAX_REACTIONS: usize = 64;

/// Does what the message says about another one; false where it is a message in its own right.
pub(super) fn apply(xmpp: &mut Xmpp, message: &Element, place: &Place) -> bool {
    if let Some(event) =
        retraction(message, place).or_else(|| correction(message, place)).or_else(|| reaction(message, place))
    {
        xmpp.event(event);
        return true;
    }
    if let Some(event) = call_answered(message, place) {
        xmpp.event(event);
        return true;
    }
    let mut any = false;
    if let Some(event) = displayed(xmpp, message, place) {
        note_certain(xmpp, &event, place);
        xmpp.event(event);
        any = true;
    }
    if let Some(event) = received(xmpp, message, place) {
        note_certain(xmpp, &event, place);
        xmpp.event(event);
        any = true;
    }
    any && child(message, "body", ns::CLIENT).is_none()
}

/// What somebody else has is beyond doubt.
fn note_certain(xmpp: &mut Xmpp, event: &Event, place: &Place) {
    let upto = match event {
        Event::Delivered(mark) => &mark.upto,
        Event::Read(ReadMark { by: Reader::User(_), upto, .. }) => upto,
        _ => return,
    };
    if let Upto::Message(Target::Sender { id, .. }) = upto {
        xmpp.certain(&place.peer, id);
    }
}

fn id_of(element: &Element) -> Option<String> {
    element.attr("id").filter(|id| !id.is_empty() && id.len() <= 512).map(str::to_owned)
}

/// The target as this place names it: in rooms by the room's id, else by the id `sender` gave it.
fn target(place: &Place, sender: &str, id: String) -> Target {
    match &place.room {
        Some(room) => Target::Server(format!("{room}/{id}")),
        None => Target::Sender { sender: sender.to_owned(), id },
    }
}

fn change(place: &Place, target: Target, what: Amendment) -> Event {
    let (conversation, by) = (place.conversation.clone(), place.sender.clone());
    Event::Change(Change { conversation, target, rev: 0, by, at: place.at, what })
}

/// XEP-0424, in its present form, by fastening, and by a room's moderators (XEP-0425).
fn retraction(message: &Element, place: &Place) -> Option<Event> {
    let present = child(message, "retract", ns::RETRACT).map(|retract| (retract, id_of(retract)));
    let fastened = || {
        let apply = child(message, "apply-to", ns::FASTEN)?;
        let moderated = child(apply, "moderated", ns::MODERATE_0);
        let retract = child(moderated.unwrap_or(apply), "retract", ns::RETRACT_0)?;
        Some((if moderated.is_some() { apply } else { retract }, id_of(apply)))
    };
    let (element, id) = present.or_else(fastened)?;
    let id = id?;
    let moderated =
        child(element, "moderated", ns::MODERATE).is_some() || child(element, "moderated", ns::MODERATE_0).is_some();
    // A moderator's word comes from the room itself; from anybody else it is a forgery.
    if moderated && place.room.as_deref() != Some(place.sender.as_str()) {
        return None;
    }
    let target = match &place.room {
        Some(room) if moderated => Target::Server(format!("{room}/{id}")),
        Some(room) => Target::Authored { sender: place.sender.clone(), server: format!("{room}/{id}") },
        None => Target::Sender { sender: place.sender.clone(), id },
    };
    Some(change(place, target, Amendment::Retract))
}

/// XEP-0308: by the id the same sender gave the message before.
fn correction(message: &Element, place: &Place) -> Option<Event> {
    let id = id_of(child(message, "replace", ns::CORRECT)?)?;
    let text = child_text(message, "body", ns::CLIENT)?;
    let text = stanzas::without_fallback(message, &text);
    let target = Target::Sender { sender: place.sender.clone(), id };
    Some(change(place, target, Amendment::Edit { text }))
}

/// XEP-0444: the whole set. Who wrote the message it is about is not said.
fn reaction(message: &Element, place: &Place) -> Option<Event> {
    let reactions = child(message, "reactions", ns::REACTIONS)?;
    let id = id_of(reactions)?;
    let keys = reactions.children().filter(|c| c.name() == "reaction").map(Element::text);
    let keys = keys.filter(|key| !key.is_empty() && key.len() <= 64).take(MAX_REACTIONS).collect();
    Some(change(place, target(place, "", id), Amendment::Reactions { keys }))
}

/// XEP-0353: a call that another device of ours took was not missed.
fn call_answered(message: &Element, place: &Place) -> Option<Event> {
    let proceed = child(message, "proceed", ns::CALL).filter(|_| place.outgoing)?;
    let target = Target::Sender { sender: place.peer.clone(), id: id_of(proceed)? };
    let text = "call, answered on another device".to_owned();
    let (conversation, by) = (place.conversation.clone(), place.peer.clone());
    Some(Event::Change(Change { conversation, target, rev: 0, by, at: place.at, what: Amendment::Edit { text } }))
}

/// XEP-0333: ours from another device moves our read position; another's says that ours was read.
fn displayed(xmpp: &Xmpp, message: &Element, place: &Place) -> Option<Event> {
    let id = id_of(child(message, "displayed", ns::MARKERS)?)?;
    let (by, author) = match place.outgoing {
        true => (Reader::Me, place.peer.clone()),
        false => (Reader::User(place.sender.clone()), xmpp.me.clone()),
    };
    let upto = Upto::Message(target(place, &author, id));
    Some(Event::Read(ReadMark { conversation: place.conversation.clone(), by, upto, at: place.at }))
}

/// XEP-0184.
fn received(xmpp: &Xmpp, message: &Element, place: &Place) -> Option<Event> {
    let id = id_of(child(message, "received", ns::RECEIPTS)?)?;
    if place.outgoing || place.room.is_some() {
        return None;
    }
    let by = jid::bare(&place.sender)?;
    let upto = Upto::Message(Target::Sender { sender: xmpp.me.clone(), id });
    Some(Event::Delivered(DeliveryMark { conversation: place.conversation.clone(), by, upto }))
}

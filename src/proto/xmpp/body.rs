//! A message that is new: text, a file, a call that was missed, an invitation, or what we cannot read.

use super::inbound::{Place, Via, direct};
use super::xml::{Element, child, child_text};
use super::{Receipt, Xmpp, errors, jid, ns, stanzas};
use crate::model::{Arrival, Attachment, ConversationKey, ConversationUpdate, Event, MessageKind, Target};

/// What a message says.
struct Content {
    kind: MessageKind,
    text: String,
    /// An id other than the stanza's, by which later messages refer to it.
    id: Option<String>,
}

impl Content {
    fn new(kind: MessageKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), id: None }
    }
}

/// Makes of the message what it is; nothing where it says nothing.
pub(super) fn arrive(xmpp: &mut Xmpp, message: &Element, place: &Place, via: &Via) {
    if let Some((conversation, sender, text)) = invitation(message, place) {
        let content = Content::new(MessageKind::System, text);
        return xmpp.event(arrival(xmpp, message, place, content, Some((conversation, sender))));
    }
    if let Some(room) = place.room.clone().filter(|_| child(message, "body", ns::CLIENT).is_none())
        && let Some(subject) = child(message, "subject", ns::CLIENT)
    {
        return xmpp.on_subject(&room, &subject.text());
    }
    let Some(content) = content(message, place) else { return };
    xmpp.event(arrival(xmpp, message, place, content, None));
    if let Some(room) = &place.room
        && let Some(row) = xmpp.durable.rooms.get_mut(room)
    {
        row.heard = row.heard.max(place.at.ms());
    }
    owe_receipt(xmpp, message, place, via);
}

fn content(message: &Element, place: &Place) -> Option<Content> {
    let body = child_text(message, "body", ns::CLIENT);
    if encrypted(message) {
        let carries = |omemo: &Element, space: &str| child(omemo, "payload", space).is_some();
        let legacy = child(message, "encrypted", ns::OMEMO_LEGACY);
        let omemo = child(message, "encrypted", ns::OMEMO);
        let only_key =
            legacy.is_some_and(|e| !carries(e, ns::OMEMO_LEGACY)) || omemo.is_some_and(|e| !carries(e, ns::OMEMO));
        // A mere exchange of keys says nothing to people (XEP-0384, 5.5).
        if only_key && body.is_none() {
            return None;
        }
        let text = body.unwrap_or_else(|| "an encrypted message that cannot be read here".into());
        return Some(Content::new(MessageKind::Encrypted, text));
    }
    if let Some(propose) = child(message, "propose", ns::CALL)
        && !place.outgoing
    {
        let media = propose.children().find_map(|c| c.attr("media")).unwrap_or("audio");
        let id = propose.attr("id").map(str::to_owned);
        return Some(Content { id, ..Content::new(MessageKind::Call, format!("missed call ({})", clip(media, 16))) });
    }
    let body = body?;
    let text = stanzas::without_fallback(message, &body);
    let text = if text.is_empty() { body } else { text };
    let system = place.room.as_deref() == Some(place.sender.as_str());
    Some(Content::new(if system { MessageKind::System } else { MessageKind::Text }, text))
}

fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn encrypted(message: &Element) -> bool {
    message.children().any(|c| {
        c.is("encryption", ns::EME)
            || c.is("encrypted", ns::OMEMO)
            || c.is("encrypted", ns::OMEMO_LEGACY)
            || c.is("openpgp", ns::OPENPGP)
            || c.is("x", ns::PGP_LEGACY)
    })
}

/// An invitation to a room, direct (XEP-0249) or by the room (XEP-0045, 7.8.2): where it is shown, from whom, saying what.
fn invitation(message: &Element, place: &Place) -> Option<(ConversationKey, String, String)> {
    if place.outgoing || place.room.is_some() {
        return None;
    }
    let because = |reason: Option<String>| reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let how = |room: &str| format!("join it with `wakeful room join {room}`");
    if let Some(x) = child(message, "x", ns::MUC_USER)
        && let Some(invite) = child(x, "invite", ns::MUC_USER)
    {
        // The room says who invites: it speaks for itself only.
        let room = &place.peer;
        let who = invite.attr("from").and_then(jid::bare).unwrap_or_else(|| "somebody".into());
        let why = because(errors::words(invite, "reason", ns::MUC_USER));
        let text = format!("{who} invites you to the room {room}{why}; {}", how(room));
        return Some((direct(room), room.clone(), text));
    }
    let x = child(message, "x", ns::CONFERENCE)?;
    let room = jid::bare(x.attr("jid")?)?;
    let why = because(x.attr("reason").map(|reason| clip(reason, 200)));
    let text = format!("invitation to the room {room}{why}; {}", how(&room));
    Some((place.conversation.clone(), place.sender.clone(), text))
}

fn arrival(
    xmpp: &Xmpp,
    message: &Element,
    place: &Place,
    content: Content,
    elsewhere: Option<(ConversationKey, String)>,
) -> Event {
    let (conversation, sender) = elsewhere.unwrap_or_else(|| (place.conversation.clone(), place.sender.clone()));
    let nick = place.room.as_ref().and_then(|room| xmpp.durable.rooms.get(room)).map(|row| row.nick.as_str());
    let mentions_me = !place.outgoing && nick.is_some_and(|nick| stanzas::mentions(&content.text, nick));
    Event::Message(Box::new(Arrival {
        conversation,
        sender,
        outgoing: place.outgoing,
        server: place.server(),
        own_id: if place.outgoing { stanzas::own_id(message) } else { None },
        sender_ref: content.id.or_else(|| stanzas::sender_ref(message)),
        sent_at: place.at,
        kind: content.kind,
        text: content.text,
        reply_to: reply_to(message, place),
        mentions_me,
        attachments: attachments(message),
        rev: 0,
        edited_at: None,
        retracted: false,
        reactions: Vec::new(),
        silent: false,
        origin: place.origin,
    }))
}

/// What it answers (XEP-0461): in a room by the room's id, else by the id its sender gave it.
fn reply_to(message: &Element, place: &Place) -> Option<Target> {
    let reply = child(message, "reply", ns::REPLY)?;
    let id = reply.attr("id").filter(|id| id.len() <= 512)?.to_owned();
    match &place.room {
        Some(room) => Some(Target::Server(format!("{room}/{id}"))),
        None => {
            let sender = reply.attr("to").and_then(jid::bare).unwrap_or_default();
            Some(Target::Sender { sender, id })
        }
    }
}

fn attachments(message: &Element) -> Vec<Attachment> {
    let oob = message.children().filter(|c| c.is("x", ns::OOB));
    oob.filter_map(|x| child_text(x, "url", ns::OOB))
        .filter(|url| url.len() <= 4_096)
        .take(20)
        .map(|url| {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let name = path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned);
            let mime = mime(name.as_deref().unwrap_or_default()).to_owned();
            Attachment { url, mime, size: 0, name }
        })
        .collect()
}

/// The media type a file name suggests.
fn mime(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "ogg" | "opus" => "audio/ogg",
        "mp3" => "audio/mpeg",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// A receipt says that the message is here, so it waits for the commit; only contacts get one (XEP-0184, 5.3, 8).
fn owe_receipt(xmpp: &mut Xmpp, message: &Element, place: &Place, via: &Via) {
    let wanted = child(message, "request", ns::RECEIPTS).is_some() && place.room.is_none() && !place.outgoing;
    let (Some(id), Via::Live) = (message.attr("id"), via) else { return };
    if wanted && xmpp.roster.knows(&place.peer) && xmpp.receipts.len() < 10_000 {
        xmpp.receipts.push(Receipt { to: message.attr("from").unwrap_or(&place.peer).to_owned(), id: id.to_owned() });
    }
}

impl Xmpp {
    /// A room's subject stands for its title where it has no name.
    fn on_subject(&mut self, room: &str, subject: &str) {
        let named = self.rooms.get(room).is_some_and(|room| room.named);
        if named || subject.is_empty() {
            return;
        }
        let subject = clip(subject, 300);
        let Some(row) = self.durable.rooms.get_mut(room).filter(|row| row.title.as_ref() != Some(&subject)) else {
            return;
        };
        row.title = Some(subject.clone());
        self.event(Event::Conversation(ConversationUpdate {
            key: ConversationKey::server(room),
            kind: crate::model::ConversationKind::Group,
            title: Some(subject),
            members: None,
            unread_below: None,
        }));
    }
}

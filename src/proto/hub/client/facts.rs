//! What the hub says, as facts for the store. Plain translation: nothing here remembers anything.

use crate::model::{
    Amendment, Arrival, Attachment, Change, ConversationKey, ConversationKind, ConversationUpdate, DeliveryMark, Event,
    MemberUpdate, MessageKind, Origin, Reaction, ReadMark, Reader, Role, ServerRef, Span, SpanEdge, Target, Timestamp,
    Upto, UserUpdate,
};
use crate::proto::hub::wire::event::{Del, Dlvd, Edit, Member, MemberOp, Msg, React, Read};
use crate::proto::hub::wire::{self, Body, ConvKind, ConvObj};

/// Who we are and which numbering holds: what every translation needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Me {
    pub(super) user: String,
    pub(super) epoch: String,
}

pub(super) fn time(ms: u64) -> Timestamp {
    Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))
}

impl Me {
    pub(super) fn server_ref(&self, conv: &str, seq: u64) -> ServerRef {
        ServerRef { id: format!("{}/{conv}/{seq}", self.epoch), order: Some(seq) }
    }

    fn target(&self, conv: &str, seq: u64) -> Target {
        Target::Server(self.server_ref(conv, seq).id)
    }

    pub(super) fn archive(&self, conv: &str) -> String {
        format!("{}/{conv}", self.epoch)
    }

    pub(super) fn message(&self, msg: Msg, origin: Origin) -> Event {
        let outgoing = msg.from == self.user;
        let key = ConversationKey::server(msg.conv.clone());
        let (kind, text) = content(msg.body.as_ref());
        let reactions = msg.reacts.iter().flatten().filter(|sum| sum.me == Some(true));
        let retracted = msg.del == Some(true);
        Event::Message(Box::new(Arrival {
            outgoing,
            server: Some(self.server_ref(&msg.conv, msg.seq)),
            own_id: msg.cid.as_ref().filter(|_| outgoing).and_then(|cid| cid.parse().ok()),
            sender_ref: msg.cid,
            sent_at: time(msg.ts),
            kind,
            text: if retracted { String::new() } else { text },
            reply_to: msg.re.map(|seq| self.target(&msg.conv, seq)),
            mentions_me: msg.mentions.iter().flatten().any(|user| *user == self.user),
            attachments: msg.att.into_iter().flatten().map(attachment).collect(),
            rev: msg.rev,
            edited_at: msg.edited.map(time),
            retracted,
            reactions: reactions.map(|sum| Reaction { key: sum.key.clone(), by: self.user.clone() }).collect(),
            silent: msg.n == Some(0),
            origin,
            sender: msg.from,
            conversation: key,
        }))
    }

    /// The newest form of a message that is here already, as changes to it.
    pub(super) fn repair(&self, msg: Msg) -> Vec<Event> {
        let change = |what| {
            Event::Change(Change {
                conversation: ConversationKey::server(msg.conv.clone()),
                target: self.target(&msg.conv, msg.seq),
                rev: msg.rev,
                by: msg.by.clone().unwrap_or_else(|| msg.from.clone()),
                at: time(msg.edited.unwrap_or(msg.ts)),
                what,
            })
        };
        if msg.del == Some(true) {
            return vec![change(Amendment::Retract)];
        }
        if msg.edited.is_some() {
            return vec![change(Amendment::Edit { text: content(msg.body.as_ref()).1 })];
        }
        Vec::new()
    }

    pub(super) fn edit(&self, edit: Edit) -> Event {
        let what = Amendment::Edit { text: content(Some(&edit.body)).1 };
        self.change(edit.conv, edit.seq, edit.rev, edit.by, edit.ts, what)
    }

    pub(super) fn delete(&self, del: &Del) -> Vec<Event> {
        let one = |seq: &u64| {
            let rev = del.rev.unwrap_or_default();
            self.change(del.conv.clone(), *seq, rev, del.by.clone(), del.ts, Amendment::Retract)
        };
        del.seqs.iter().map(one).collect()
    }

    pub(super) fn react(&self, react: React) -> Event {
        let what = Amendment::React { key: react.key, on: react.on };
        self.change(react.conv, react.seq, react.rev, react.by, react.ts, what)
    }

    fn change(&self, conv: String, seq: u64, rev: u64, by: String, ts: u64, what: Amendment) -> Event {
        let target = self.target(&conv, seq);
        Event::Change(Change { conversation: ConversationKey::server(conv), target, rev, by, at: time(ts), what })
    }

    pub(super) fn read(&self, read: Read) -> Option<Event> {
        if read.unread == Some(true) {
            return None;
        }
        let by = if read.by == self.user { Reader::Me } else { Reader::User(read.by) };
        let conversation = ConversationKey::server(read.conv);
        Some(Event::Read(ReadMark { conversation, by, upto: Upto::Order(read.seq), at: time(read.ts) }))
    }

    pub(super) fn delivered(&self, dlvd: Dlvd) -> Option<Event> {
        let conversation = ConversationKey::server(dlvd.conv);
        let mark = DeliveryMark { conversation, by: dlvd.by, upto: Upto::Order(dlvd.seq) };
        (mark.by != self.user).then_some(Event::Delivered(mark))
    }

    /// `lo ..= hi` is contiguous. `above`: the message that directly follows, where known.
    pub(super) fn span(&self, conv: &str, lo: (u64, u64), hi: (u64, u64), at_start: bool, at_end: bool) -> Event {
        let edge = |(seq, ts): (u64, u64)| SpanEdge { id: seq.to_string(), at: time(ts) };
        Event::Span(Span {
            archive: self.archive(conv),
            conversation: Some(ConversationKey::server(conv)),
            lo: Some(edge(lo)),
            hi: Some(edge(hi)),
            after: (lo.0 > 1).then(|| (lo.0 - 1).to_string()),
            before: None,
            at_start: at_start || lo.0 == 1,
            at_end,
        })
    }
}

pub(super) fn key(conv: &ConvObj) -> ConversationKey {
    ConversationKey { server: Some(conv.conv.clone()), peer: conv.peer.clone() }
}

pub(super) fn conversation(conv: &ConvObj, unread_below: Option<u64>) -> Event {
    Event::Conversation(ConversationUpdate {
        key: key(conv),
        kind: match conv.kind {
            ConvKind::Direct => ConversationKind::Direct,
            ConvKind::Group => ConversationKind::Group,
            ConvKind::Channel => ConversationKind::Channel,
        },
        title: conv.title.clone(),
        members: None,
        unread_below,
    })
}

pub(super) fn role(role: wire::Role) -> Role {
    match role {
        wire::Role::Owner => Role::Owner,
        wire::Role::Admin => Role::Admin,
        wire::Role::Member => Role::Member,
    }
}

pub(super) fn member(member: Member) -> Event {
    let gone = matches!(member.op, MemberOp::Leave | MemberOp::Remove);
    let role = (!gone).then(|| role(member.role.unwrap_or_default()));
    Event::Member(MemberUpdate { conversation: ConversationKey::server(member.conv), user: member.user, role })
}

pub(super) fn user(user: String, name: Option<String>) -> Option<Event> {
    name.map(|name| Event::User(UserUpdate { user, name }))
}

fn content(body: Option<&Body>) -> (MessageKind, String) {
    let Some(body) = body else { return (MessageKind::Text, String::new()) };
    let text = body.text.clone().unwrap_or_default();
    let kind = match body.kind.as_str() {
        _ if body.ct.is_some() => MessageKind::Encrypted,
        "text" => MessageKind::Text,
        "call" => MessageKind::Call,
        "system" => MessageKind::System,
        _ => MessageKind::Unsupported,
    };
    (kind, text)
}

fn attachment(att: wire::Attachment) -> Attachment {
    Attachment { url: att.blob, mime: att.mime, size: att.size, name: att.name }
}

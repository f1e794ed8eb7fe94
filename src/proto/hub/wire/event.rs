//! Durable events (`ev_*`): what stands in a user's update stream. And what is true only for a moment (`eph`).

use super::object::{Attachment, Availability, Body, ConvObj, Pref, ReactSum, Role, Scope, words};
use super::{one_of, wire};
use serde::{Deserialize, Deserializer, Serialize, de};

one_of! {
    /// One durable event.
    Event {
        /// A message.
        Msg(Msg) = "msg",
        /// A message's new text.
        Edit(Edit) = "edit",
        /// Messages taken back.
        Del(Del) = "del",
        /// A reaction put or taken away.
        React(React) = "react",
        /// Somebody has read up to a point.
        Read(Read) = "read",
        /// Somebody's devices have everything up to a point.
        Dlvd(Dlvd) = "dlvd",
        /// A conversation appeared or changed.
        Conv(Conv) = "conv",
        /// A membership changed.
        Member(Member) = "member",
        /// The conversation is over for this user.
        Gone(Gone) = "gone",
        /// The user's own settings changed.
        Pref(PrefChange) = "pref",
        /// The user's devices changed.
        Dev(Dev) = "dev",
        /// A person's name or picture changed.
        User(UserChange) = "user",
        ?
        /// A kind that this version does not know, as it came.
        Unknown(serde_json::Value)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let Some(kind) = value.get("k").and_then(serde_json::Value::as_str).map(str::to_owned) else {
            return Err(de::Error::missing_field("k"));
        };
        match Self::read(&kind, &value) {
            Some(read) => read.map_err(de::Error::custom),
            None => Ok(Self::Unknown(value)),
        }
    }
}

wire! {
    /// A message in its newest form.
    Msg, "k" = "msg" {
        /// Conversation id.
        conv: String,
        /// Place in the conversation, from 1, without holes.
        seq: u64,
        /// The conversation's count of changes at which this message last changed.
        rev: u64,
        /// Who wrote it.
        from: String,
        /// The hub's time, Unix milliseconds.
        ts: u64,
        ?
        /// The sender's own id for it.
        cid: String,
        /// What it says; absent once deleted.
        body: Body,
        /// The message it answers.
        re: u64,
        /// Files.
        att: Vec<Attachment>,
        /// How much noise it makes: 0 none, 1 ordinary, 2 urgent.
        n: u64,
        /// Who is named in it.
        mentions: Vec<String>,
        /// When it was last edited, Unix milliseconds.
        edited: u64,
        /// Reactions.
        reacts: Vec<ReactSum>,
        /// Who deleted it, if that was not its sender.
        by: String,
        /// It was taken back.
        del: bool,
    }
}
wire! {
    /// A message's new text.
    Edit, "k" = "edit" {
        /// Conversation id.
        conv: String,
        /// Which message.
        seq: u64,
        /// The conversation's count of changes.
        rev: u64,
        /// Who edited it.
        by: String,
        /// When, Unix milliseconds.
        ts: u64,
        /// The whole new body.
        body: Body,
        ?
        /// The whole new list of files.
        att: Vec<Attachment>,
    }
}
wire! {
    /// Messages taken back.
    Del, "k" = "del" {
        /// Conversation id.
        conv: String,
        /// Which messages.
        seqs: Vec<u64>,
        /// Who did it.
        by: String,
        /// When, Unix milliseconds.
        ts: u64,
        /// For whom.
        scope: Scope,
        ?
        /// The conversation's count of changes; absent with scope `me`.
        rev: u64,
    }
}
wire! {
    /// A reaction put or taken away.
    React, "k" = "react" {
        /// Conversation id.
        conv: String,
        /// Which message.
        seq: u64,
        /// The conversation's count of changes.
        rev: u64,
        /// Who reacted.
        by: String,
        /// Emoji or short text.
        key: String,
        /// Put, or taken away.
        on: bool,
        /// When, Unix milliseconds.
        ts: u64,
    }
}
wire! {
    /// Somebody has read up to a point.
    Read, "k" = "read" {
        /// Conversation id.
        conv: String,
        /// Who.
        by: String,
        /// Up to this `seq`.
        seq: u64,
        /// When, Unix milliseconds.
        ts: u64,
        ?
        /// Marked as unread by hand.
        unread: bool,
    }
}
wire! {
    /// Somebody's devices have everything up to a point.
    Dlvd, "k" = "dlvd" {
        /// Conversation id.
        conv: String,
        /// Who.
        by: String,
        /// Up to this `seq`.
        seq: u64,
    }
}
wire! {
    /// A conversation appeared or changed.
    Conv, "k" = "conv" {
        /// Conversation id.
        conv: String,
        /// Its count of changes.
        rev: u64,
        /// The whole of it, as the receiver sees it.
        c: ConvObj,
    }
}
words! {
    /// What happened to a membership.
    MemberOp {
        /// Came.
        #[default]
        Join,
        /// Went.
        Leave,
        /// Was sent away.
        Remove,
        /// Has another role.
        Role,
    }
}
wire! {
    /// A membership changed.
    Member, "k" = "member" {
        /// Conversation id.
        conv: String,
        /// The conversation's count of changes.
        rev: u64,
        /// Whose membership.
        user: String,
        /// What happened.
        op: MemberOp,
        /// Who did it.
        by: String,
        /// When, Unix milliseconds.
        ts: u64,
        ?
        /// The role they have now.
        role: Role,
    }
}
words! {
    /// Why a conversation is over for a user.
    GoneReason {
        /// Left.
        #[default]
        Left,
        /// Sent away.
        Removed,
        /// The conversation itself was deleted.
        Deleted,
    }
}
wire! {
    /// The conversation is over for this user; what they have of it stays theirs.
    Gone, "k" = "gone" {
        /// Conversation id.
        conv: String,
        /// Why.
        reason: GoneReason,
    }
}
wire! {
    /// The user's own settings changed.
    PrefChange, "k" = "pref" {
        /// The settings now.
        p: Pref,
        ?
        /// For this conversation,
        conv: String,
        /// or for this person.
        user: String,
    }
}
words! {
    /// What happened to a device.
    DevOp {
        /// Has a token now.
        #[default]
        Added,
        /// Its token is void.
        Revoked,
        /// Has another name.
        Renamed,
    }
}
wire! {
    /// The user's devices changed.
    Dev, "k" = "dev" {
        /// What happened.
        op: DevOp,
        /// Which device.
        device: String,
        /// When, Unix milliseconds.
        ts: u64,
        ?
        /// What to call it.
        name: String,
    }
}
wire! {
    /// A person's name or picture changed.
    UserChange, "k" = "user" {
        /// User id.
        user: String,
        /// When, Unix milliseconds.
        ts: u64,
        ?
        /// What to call them.
        name: String,
        /// Blob of a picture.
        avatar: String,
    }
}

/// Something true only for a moment; never stored, may be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub enum Ephemeral {
    /// Somebody types.
    Typing {
        /// Conversation id.
        conv: String,
        /// Who.
        by: String,
        /// For how long this holds unless repeated, milliseconds; 0: stopped.
        ttl: u64,
    },
    /// Somebody's availability.
    Pres {
        /// Who.
        user: String,
        /// Whether they can be reached.
        st: Availability,
        /// In their own words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// When they were last here, Unix milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<u64>,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

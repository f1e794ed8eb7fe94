//! Objects that stand inside frames and events.

use super::event::Msg;
use super::wire;
use serde::{Deserialize, Serialize};

/// A device token in a frame. Its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }
    };
}
pub(crate) use words;

words! {
    /// What a member may do.
    Role {
        /// Everything.
        Owner,
        /// Members and title.
        Admin,
        /// Read and write.
        #[default]
        Member,
    }
}
words! {
    /// What a conversation is.
    ConvKind {
        /// Two people; unique by the pair.
        #[default]
        Direct,
        /// A group.
        Group,
        /// One writes, many read.
        Channel,
    }
}
words! {
    /// How a text is to be read.
    Format {
        /// As it is.
        #[default]
        Plain,
        /// Markdown.
        Md,
    }
}
words! {
    /// How closely the client's user looks; spares battery.
    Mode {
        /// In front of the user.
        #[default]
        Fg,
        /// In the background.
        Bg,
        /// Asleep: only what must be known.
        Doze,
    }
}
words! {
    /// For whom a message is deleted.
    Scope {
        /// For everybody.
        #[default]
        All,
        /// For this user only.
        Me,
    }
}
words! {
    /// What a history page is ordered by.
    Order {
        /// Oldest first.
        Asc,
        /// Newest first.
        #[default]
        Desc,
    }
}
words! {
    /// Whether a person can be reached.
    Availability {
        /// Here.
        Online,
        /// Not at the keyboard.
        Away,
        /// Do not disturb.
        Dnd,
        /// Not here.
        #[default]
        Offline,
    }
}

wire! {
    /// What a message says.
    Body {
        /// Its kind, such as `text`; at most 32 characters.
        #[serde(rename = "type")]
        kind: String,
        ?
        /// At most 16,384 characters.
        text: String,
        /// How to read the text.
        fmt: Format,
        /// The algorithm of `ct`, for end-to-end encrypted bodies.
        alg: String,
        /// Ciphertext, at most 65,536 characters.
        ct: String,
    }
}

impl Body {
    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: "text".into(), text: Some(text.into()), ..Self::default() }
    }
}

wire! {
    /// A file that goes with a message.
    Attachment {
        /// The blob's id.
        blob: String,
        /// Media type.
        mime: String,
        /// Bytes.
        size: u64,
        ?
        /// File name.
        name: String,
        /// Width, pixels.
        w: u64,
        /// Height, pixels.
        h: u64,
        /// Duration, milliseconds.
        dur: u64,
        /// Lower-case hexadecimal.
        sha256: String,
        /// Blob of a preview.
        thumb: String,
    }
}
wire! {
    /// A user's own settings for a conversation or a person.
    Pref {
        ?
        /// Muted until this Unix time in milliseconds; -1 for ever, 0 not.
        mute: i64,
        /// Only mentions count.
        mentions: bool,
        /// Place among the pinned; 0 not pinned.
        pin: u64,
        /// Put away.
        archive: bool,
        /// Blocked.
        block: bool,
    }
}
wire! {
    /// How many reacted with one key.
    ReactSum {
        /// Emoji or short text.
        key: String,
        /// How many.
        n: u64,
        ?
        /// The reader is one of them.
        me: bool,
    }
}
wire! {
    /// Somebody in a conversation.
    Member {
        /// User id.
        user: String,
        /// What they may do.
        role: Role,
        ?
        /// What to call them.
        name: String,
        /// The `seq` after which they joined.
        joined: u64,
        /// They have read up to this `seq`.
        read: u64,
        /// Their devices have everything up to this `seq`.
        delivered: u64,
    }
}
wire! {
    /// A person.
    User {
        /// User id.
        user: String,
        ?
        /// What to call them.
        name: String,
        /// Blob of a picture.
        avatar: String,
    }
}
wire! {
    /// One of a user's devices.
    Device {
        /// Device id.
        device: String,
        /// What to call it.
        name: String,
        ?
        /// Its system.
        platform: String,
        /// The program on it.
        app: String,
        /// Unix milliseconds.
        created: u64,
        /// Unix milliseconds.
        last_seen: u64,
        /// The one that asks.
        current: bool,
    }
}
wire! {
    /// A conversation as one of its members sees it.
    ConvObj {
        /// Conversation id.
        conv: String,
        /// What it is.
        kind: ConvKind,
        /// `seq` of its newest message; 0 while empty.
        seq: u64,
        /// Count of changes to it.
        rev: u64,
        ?
        /// Time of the newest message, Unix milliseconds.
        ts: u64,
        /// Title.
        title: String,
        /// Blob of a picture.
        avatar: String,
        /// The other person of a direct conversation.
        peer: String,
        /// Who owns it.
        owner: String,
        /// The reader's role.
        role: Role,
        /// How many members.
        count: u64,
        /// The first `seq` that the reader may see.
        joined: u64,
        /// The reader has read up to this `seq`.
        read: u64,
        /// The reader's devices have everything up to this `seq`.
        delivered: u64,
        /// How many messages of others lie above `read`.
        unread: u64,
        /// The reader's settings for it.
        pref: Pref,
        /// Its newest messages, oldest first.
        last: Vec<Msg>,
    }
}
wire! {
    /// What the hub takes and gives at most.
    Limits {
        /// Bytes of a client's frame.
        frame_in: u64,
        /// Bytes of a hub's frame.
        frame_out: u64,
        /// Characters of a text.
        text: u64,
        /// Requests without an answer at one time.
        inflight: u64,
        /// Messages of one history page.
        hist: u64,
        /// Members of a conversation.
        members: u64,
        /// Attachments of a message.
        atts: u64,
        /// Bytes of a blob; 0: none are taken.
        blob: u64,
        ?
        /// How long a message may be edited, milliseconds.
        edit_ms: u64,
    }
}

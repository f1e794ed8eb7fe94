//! Cursors on the wire: what to look for, batches of rows, and tokens to go on from.

use crate::model::{ConversationId, Hole, Message, MessageId, MessageKind, Order, Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// What to look for. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Find {
    /// Only this account's.
    pub account: Option<String>,
    /// Only this conversation's: a local id, a server id, an exact title or a user's name.
    pub conversation: Option<String>,
    /// In which order; newest first by default.
    pub sort: Order,
    /// Only what is older than this message.
    pub before: Option<MessageId>,
    /// Only what is newer than this message.
    pub after: Option<MessageId>,
    /// Begin half a batch before this message, then go on in order through it.
    pub around: Option<MessageId>,
    /// Only by this sender.
    pub sender: Option<String>,
    /// Only at or after this server time, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Only before this server time, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// Only this kind.
    pub kind: Option<MessageKind>,
    /// Only with a file.
    pub has_attachment: bool,
    /// Only with a link.
    pub has_link: bool,
    /// Only incoming and not read.
    pub unread: bool,
    /// Words, `pre*`, `"a phrase"`.
    pub text: Option<String>,
    /// Leave out so many first.
    pub skip: u32,
    /// At most so many in all; 0 or null: no limit.
    pub limit: Option<u32>,
}

/// Opens a cursor and gives its first batch. Nothing is read ahead of what is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CursorOpen {
    /// What to look for. Must be left out with a token.
    pub find: Find,
    /// Go on where this token was given: after a restart, a timeout, or without a session.
    pub token: Option<String>,
    /// Rows a batch (default 101 in the first, as MongoDB's; at most 1,000). 0 opens without reading.
    pub batch: Option<u32>,
    /// Bytes of JSON a batch, about (default and at most 1 MiB); one row always fits.
    pub bytes: Option<u32>,
    /// After history, go on with new messages; only oldest first and without `text`.
    pub tail: bool,
    /// Never close it for being idle.
    pub no_timeout: bool,
    /// What to do at a hole.
    pub holes: Holes,
    /// How long a batch may wait for the network or, with `tail`, for a new message: milliseconds (default 10,000, at
    /// most 60,000).
    pub wait_ms: Option<u64>,
}

/// What a cursor does where messages are missing on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holes {
    /// Give a `hole` row and go on behind it.
    #[default]
    Report,
    /// Ask the server and wait; a batch that ends before the answer says `waiting`.
    Fetch,
}

/// Gives the next batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CursorNext {
    /// Which.
    pub cursor: u64,
    /// Rows at most; without it, as at opening.
    #[serde(default)]
    pub batch: Option<u32>,
    /// How long to wait; without it, as at opening.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// Closes a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CursorClose {
    /// Which.
    pub cursor: u64,
}

/// Counts what is on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CursorCount {
    /// What to look for.
    pub find: Find,
}

/// One page without a session: nothing stays open. Pass the answer's `token` for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PageAsk {
    /// What to look for. Must be left out with a token.
    pub find: Find,
    /// Where the page before ended.
    pub token: Option<String>,
    /// Rows (default 50, at most 1,000).
    pub batch: Option<u32>,
}

/// Rows, and how to get the next ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Batch {
    /// The cursor, while it is open; null: it is exhausted and closed.
    pub cursor: Option<u64>,
    /// In the asked order.
    pub rows: Vec<Row>,
    /// What happened, since the cursor was opened, to rows that were already given or passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<ChangeNote>,
    /// The change as of which the cursor was opened: subscribe after it and nothing falls between.
    pub seq: Seq,
    /// Opens the cursor again behind these rows, even after a restart; null: exhausted.
    pub token: Option<String>,
    /// It stopped short of the asked number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// History is exhausted; what comes now is new (only with `tail`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

/// Why a batch stopped short while there is more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// Messages before this hole's end have been asked of the server; ask again for the next batch.
    Network(Hole),
    /// The account is not connected: the hole cannot be filled now.
    Offline(Hole),
    /// With `tail`: nothing new in the time given.
    Live,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Row {
    /// A message.
    Message(Box<Message>),
    /// Messages are missing here.
    Hole(Hole),
}

/// Something happened behind the reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChangeNote {
    /// What.
    pub kind: NoteKind,
    /// The message's id; null for `lost`, and for `read` where it is all.
    pub id: Option<MessageId>,
    /// For `read`: which conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The message as it is now, where it is still here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Box<Message>>,
}

/// What happened behind the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Its text, state or reactions changed, and it still fits.
    Changed,
    /// It no longer fits what was looked for.
    Left,
    /// We have read its conversation, here or on another device: no message up to this one is unread any more.
    Read,
    /// It is no longer here.
    Removed,
    /// It was filled into a hole that the reader had passed.
    Filled,
    /// More changes than are kept: read what you show anew.
    Lost,
}

//! One line of an export: JSON Lines, each an object with one member that says what it is. Later versions may add members;
//! readers ignore those that they do not know.

use super::{ConversationId, ConversationKind, Message, Position, Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// A line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Wakeful(ExportHead),
    /// An account; before its conversations.
    Account(AccountRecord),
    /// A conversation; before its messages.
    Conversation(ConversationRecord),
    /// A message. One that changed during the export stands again: the later line counts.
    Message(Box<MessageRecord>),
    /// A range of an archive in which nothing is missing.
    Span(SpanRecord),
    /// The last line.
    End(ExportEnd),
}

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExportHead {
    /// The version of this format: 1.
    pub format: u32,
    /// Which export; an import that is continued is known by it.
    pub id: String,
    /// The program that wrote it.
    pub version: String,
    /// When it was begun.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The newest change then: what changed after it is written again at the end.
    pub seq: Seq,
    /// Only this account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only this conversation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AccountRecord {
    /// Its name.
    pub name: String,
    /// `hub` or `xmpp`.
    pub protocol: String,
    /// Our own user id there, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub me: Option<String>,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConversationRecord {
    /// Local id.
    pub id: ConversationId,
    /// The account's name.
    pub account: String,
    /// Direct, group or channel.
    pub kind: ConversationKind,
    /// The server's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The other person of a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// We are no longer in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// How far we have read it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub read: Option<Position>,
    /// The same by the server's numbering.
    #[serde(default)]
    pub read_order: i64,
}

/// A message with what only this machine's bookkeeping needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MessageRecord {
    /// The message as `history --json` shows it.
    #[serde(flatten)]
    pub message: Message,
    /// The server's id of its conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_server: Option<String>,
    /// The server's number in its conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i64>,
    /// The id that its sender gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_ref: Option<String>,
    /// How often it changed, where the protocol counts that.
    #[serde(default)]
    pub rev: i64,
}

/// A range of an archive in which nothing is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SpanRecord {
    /// The account's name.
    pub account: String,
    /// The archive.
    pub archive: String,
    /// The server's id of the conversation, where the archive is that one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_server: Option<String>,
    /// Its oldest message.
    pub lo: String,
    /// Its time.
    #[schemars(with = "String")]
    pub lo_at: Timestamp,
    /// Its newest message.
    pub hi: String,
    /// Its time.
    #[schemars(with = "String")]
    pub hi_at: Timestamp,
    /// It directly follows this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// It directly precedes this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Nothing older exists.
    #[serde(default)]
    pub at_start: bool,
}

/// The last line of an export: what stands before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExportEnd {
    /// Lines before this one.
    pub lines: u64,
    /// Of these, messages.
    pub messages: u64,
    /// Of these, conversations.
    pub conversations: u64,
    /// SHA-256 of all bytes before this line, hexadecimal.
    pub sha256: String,
}

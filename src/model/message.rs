//! A message as the store has it and as every reader sees it.

use super::{Attachment, ConversationBrief, MessageId, Position, Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Text (with or without attachments).
    Text,
    /// End-to-end encrypted and not readable here; kept and shown as such.
    Encrypted,
    /// A call that was missed.
    Call,
    /// Something the server says about the conversation.
    System,
    /// A kind this version does not know; kept with its fallback text.
    Unsupported,
}

/// How far a message has come. Incoming: received, read. Outgoing: the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Incoming, durably here.
    Received,
    /// Outgoing: durably in the outbox.
    Pending,
    /// Outgoing: handed to the connection, not confirmed.
    InFlight,
    /// Outgoing: the server has it.
    Sent,
    /// Outgoing: a device of the receiver has it.
    Delivered,
    /// Incoming: read here or on another device. Outgoing: read by a receiver.
    Read,
    /// Outgoing: refused for good; the reason stands beside it.
    Failed,
}

/// A reaction by one person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reaction {
    /// Emoji or short text.
    pub key: String,
    /// Who reacted.
    pub by: String,
}

/// A piece of a message's text in an answer to a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SnippetPart {
    /// The text.
    pub text: String,
    /// It is what was searched for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hit: bool,
}

/// A message. Its JSON is the stable shape of `history --json`, `watch --json` and IPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    /// Local id, stable from pending on.
    pub id: MessageId,
    /// The account's name.
    pub account: String,
    /// Where it stands.
    pub conversation: ConversationBrief,
    /// User id of the sender as the protocol has it.
    pub sender: String,
    /// The sender's display name where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<String>,
    /// The text; empty when retracted.
    pub text: String,
    /// What it is.
    pub kind: MessageKind,
    /// The server's time (for pending ones: when it was written).
    #[schemars(with = "String")]
    pub sent_at: Timestamp,
    /// By us, from any device.
    pub outgoing: bool,
    /// How far it has come.
    pub state: MessageState,
    /// The server's id once known.
    pub server_id: Option<String>,
    /// Place in history, a decimal string.
    #[schemars(with = "String")]
    pub position: Position,
    /// The change in which this row last changed.
    pub seq: Seq,
    /// Why it failed, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// When it was last edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub edited_at: Option<Timestamp>,
    /// Taken back by its sender or a moderator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retracted: bool,
    /// It names us.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mentions_me: bool,
    /// Who reacted how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Only in answers to a search: the part of the text around what was found, which is marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Vec<SnippetPart>>,
}

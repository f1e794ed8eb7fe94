//! Conversations and who is in them.

use super::{AccountId, ConversationId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Two people. Unique by (account, peer).
    Direct,
    /// A group or room.
    Group,
    /// One writes, many read.
    Channel,
}

/// How a protocol names a conversation. At least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationKey {
    /// The server's id (the hub's conversation id; XMPP: the peer's or the room's bare JID).
    pub server: Option<String>,
    /// The other person in a direct conversation (hub user id, bare JID).
    pub peer: Option<String>,
}

impl ConversationKey {
    /// By the server's id.
    #[must_use]
    pub fn server(id: impl Into<String>) -> Self {
        Self { server: Some(id.into()), peer: None }
    }

    /// By the other person, while the server's id is not known.
    #[must_use]
    pub fn peer(user: impl Into<String>) -> Self {
        Self { server: None, peer: Some(user.into()) }
    }
}

/// A conversation as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Local id.
    pub id: ConversationId,
    /// Whose.
    pub account: AccountId,
    /// The account's name.
    pub account_name: String,
    /// Direct, group or channel.
    pub kind: ConversationKind,
    /// The server's id, once known.
    pub server: Option<String>,
    /// The other person of a direct conversation.
    pub peer: Option<String>,
    /// What to call it: the title, else the peer's name, else the peer, else the server's id.
    pub name: String,
    /// Incoming messages not read, with what the server counts below our history.
    pub unread: u64,
    /// Server time of the newest message.
    pub last_at: Option<Timestamp>,
    /// We are no longer in it; history stays readable.
    pub gone: bool,
}

/// The `{id, name, peer}` that stands in every message's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConversationBrief {
    /// Local id.
    pub id: ConversationId,
    /// What to call it.
    pub name: String,
    /// The other person of a direct conversation, else null.
    pub peer: Option<String>,
}

/// Somebody in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Member {
    /// User id as the protocol has it.
    pub user: String,
    /// Display name where known.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Members and title.
    Admin,
    /// Read and write.
    Member,
}

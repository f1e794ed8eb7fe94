//! What the user wants done at the server: one row of the outbox, handed to the protocol.

use super::{Attachment, ConversationKey, ConversationKind, MessageId, OutboxId, Target};

/// One row of the outbox on its way to the server. The machine answers with [`super::Event::Settled`].
///
/// The driver offers every unsettled row after each `Ready`; a machine that still holds a row ignores the repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Which row.
    pub outbox: OutboxId,
    /// The id by which the server recognises a repeat (hub `cid`, XMPP `origin-id`).
    pub cid: MessageId,
    /// The conversation it is for, as the protocol names it; `None` for commands about no conversation.
    pub conversation: Option<ConversationKey>,
    /// Direct, group or channel.
    pub conversation_kind: ConversationKind,
    /// What to do.
    pub what: CommandKind,
    /// It was on a connection before and its fate is not known: the server may have it.
    pub maybe_sent: bool,
    /// When the user did it (Unix milliseconds).
    pub written_at: super::Timestamp,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CommandKind {
    /// Send a message.
    Send {
        /// Its text.
        text: String,
        /// What it answers.
        reply_to: Option<CommandTarget>,
        /// Files.
        #[serde(default)]
        attachments: Vec<Attachment>,
    },
    /// Replace a message's text.
    Edit {
        /// Which.
        target: CommandTarget,
        /// The whole new text.
        text: String,
    },
    /// Take a message back.
    Retract {
        /// Which.
        target: CommandTarget,
    },
    /// Put or take away a reaction.
    React {
        /// Which message.
        target: CommandTarget,
        /// Emoji.
        key: String,
        /// Put, or take away.
        on: bool,
        /// All of our reactions on it afterwards (XEP-0444 sends the whole set).
        all: Vec<String>,
    },
    /// We have read up to here. One row a conversation; the highest wins.
    Mark {
        /// The newest message that was read.
        upto: CommandTarget,
    },
    /// Make a group.
    Create {
        /// Its title.
        title: String,
        /// User ids of the first members, without us.
        members: Vec<String>,
    },
    /// Add somebody.
    Add {
        /// User id.
        user: String,
    },
    /// Remove somebody.
    Remove {
        /// User id.
        user: String,
    },
    /// Leave the conversation.
    Leave,
    /// Join a room (XMPP).
    Join {
        /// Room's bare JID.
        room: String,
        /// Nick there.
        nick: Option<String>,
    },
    /// Ask for a contact (XMPP).
    ContactAdd {
        /// Bare JID.
        user: String,
        /// What to call them.
        name: Option<String>,
    },
    /// Accept a contact's request.
    ContactAccept {
        /// Bare JID.
        user: String,
    },
    /// Remove a contact.
    ContactRemove {
        /// Bare JID.
        user: String,
    },
    /// Block or unblock somebody.
    Block {
        /// User id.
        user: String,
        /// Block, or unblock.
        on: bool,
    },
}

/// How a command names the message it is about: all that is known of it when the row is handed out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommandTarget {
    /// Local id.
    pub id: MessageId,
    /// The server's id, filled in by the store when the row is handed out.
    #[serde(default)]
    pub server: Option<super::ServerRef>,
    /// The id its sender chose.
    #[serde(default)]
    pub sender_ref: Option<String>,
    /// Who wrote it.
    #[serde(default)]
    pub sender: String,
}

impl CommandTarget {
    /// As a change would name it.
    #[must_use]
    pub fn target(&self) -> Target {
        match &self.server {
            Some(server) => Target::Server(server.id.clone()),
            None => Target::Own(self.id),
        }
    }
}

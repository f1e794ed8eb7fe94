//! What clients ask, one type a method. `account` is always an account's name; `conversation` is a local id, a server
//! id, an exact title or a user's name, in this order.

use crate::model::{Attachment, ConversationId, Hole, MessageId, Timestamp};
use serde::{Deserialize, Serialize};

/// Declares parameter types with the derives they all share.
macro_rules! asks {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind,)* }
    )*};
}

asks! {
    /// Says who is there; optional, and best sent first.
    Hello {
        /// The client's name, for the log.
        client: String,
        /// The client's version.
        #[serde(default)]
        version: Option<String>,
    }

    /// The configured accounts.
    Accounts {}

    /// Conversations, newest activity first.
    Conversations {
        /// Only this account's.
        #[serde(default)]
        account: Option<String>,
        /// At most so many (default 500, at most 10,000).
        #[serde(default)]
        limit: Option<usize>,
    }

    /// One conversation.
    ConversationGet {
        /// Whose; may be left out with a local id, or when there is one account.
        #[serde(default)]
        account: Option<String>,
        /// Which.
        conversation: String,
    }

    /// Makes a group.
    ConversationCreate {
        /// By which account.
        account: String,
        /// Its title.
        title: String,
        /// User ids of the first members, without us.
        #[serde(default)]
        members: Vec<String>,
        /// The same id makes it once, however often it is asked.
        #[serde(default)]
        id: Option<MessageId>,
    }

    /// Joins a room by its address (XMPP).
    RoomJoin {
        /// By which account.
        account: String,
        /// The room's address.
        room: String,
        /// The nick to take there; without it, one's user name.
        #[serde(default)]
        nick: Option<String>,
        /// The same id joins it once, however often it is asked.
        #[serde(default)]
        id: Option<MessageId>,
    }

    /// Changes what the server knows of a contact (XMPP).
    Contact {
        /// By which account.
        account: String,
        /// Whose address.
        user: String,
        /// What to do.
        verb: ContactVerb,
        /// What to call them; only with `add`.
        #[serde(default)]
        name: Option<String>,
        /// The same id does it once, however often it is asked.
        #[serde(default)]
        id: Option<MessageId>,
    }

    /// Adds somebody.
    ConversationAdd {
        /// Whose; see `conversation.get`.
        #[serde(default)]
        account: Option<String>,
        /// To which.
        conversation: String,
        /// Whom.
        user: String,
    }

    /// Removes somebody.
    ConversationRemove {
        /// Whose; see `conversation.get`.
        #[serde(default)]
        account: Option<String>,
        /// From which.
        conversation: String,
        /// Whom.
        user: String,
    }

    /// Leaves a conversation; its history stays readable.
    ConversationLeave {
        /// Whose; see `conversation.get`.
        #[serde(default)]
        account: Option<String>,
        /// Which.
        conversation: String,
    }

    /// Who is in it.
    ConversationMembers {
        /// Whose; see `conversation.get`.
        #[serde(default)]
        account: Option<String>,
        /// Which.
        conversation: String,
    }

    /// Sends a message. The answer comes when it is durably in the outbox.
    Send {
        /// By which account; may be left out with a local conversation id, or when there is one account.
        #[serde(default)]
        account: Option<String>,
        /// Where; a user's name opens the direct conversation.
        conversation: String,
        /// The text.
        text: String,
        /// The message it answers.
        #[serde(default)]
        reply_to: Option<MessageId>,
        /// Files that are already at the server.
        #[serde(default)]
        attachments: Vec<Attachment>,
        /// The same id sends once, however often it is asked.
        #[serde(default)]
        id: Option<MessageId>,
    }

    /// Replaces a message's text.
    MessageEdit {
        /// Which.
        message: MessageId,
        /// The whole new text.
        text: String,
    }

    /// Takes a message back.
    MessageRetract {
        /// Which.
        message: MessageId,
    }

    /// Puts or takes away a reaction.
    MessageReact {
        /// To which.
        message: MessageId,
        /// Emoji.
        key: String,
        /// Put (default), or take away.
        #[serde(default = "yes")]
        on: bool,
    }

    /// One message.
    MessageGet {
        /// Which.
        id: MessageId,
    }

    /// How far an outbox row is.
    OutboxGet {
        /// The message's or the request's id.
        id: MessageId,
    }

    /// Answers when an outbox row has come so far, or failed.
    OutboxWait {
        /// The message's or the request's id.
        id: MessageId,
        /// How far.
        until: Until,
        /// Give up after so long, milliseconds (default 30,000, at most 600,000).
        #[serde(default)]
        timeout_ms: Option<u64>,
    }

    /// Takes an outbox row back that was never handed to a connection.
    OutboxCancel {
        /// The message's or the request's id.
        id: MessageId,
    }

    /// Sends something again that failed for good, under the id that it has.
    OutboxRetry {
        /// The message's or the request's id.
        id: MessageId,
    }

    /// We have read a conversation.
    MarkRead {
        /// Whose; see `conversation.get`.
        #[serde(default)]
        account: Option<String>,
        /// Which.
        conversation: String,
        /// Up to this message; without it, all that is here.
        #[serde(default)]
        upto: Option<MessageId>,
    }

    /// Who looks at what. Holds 30 s; say it again while it is true. Ends with the connection.
    AttentionSet {
        /// The conversation on screen, a local id; null: none.
        conversation: Option<ConversationId>,
        /// The user is away from the screen: banners come although a GUI is there.
        #[serde(default)]
        idle: bool,
    }

    /// We are typing, or stopped.
    Typing {
        /// Whose; see `conversation.get`.
        #[serde(default)]
        account: Option<String>,
        /// Where.
        conversation: String,
        /// Typing, or stopped.
        on: bool,
    }

    /// Asks for messages that are missing here. What comes of it is seen on the feed (`backfill`, `ledger`).
    Fetch {
        /// The hole as a cursor gave it.
        hole: Hole,
        /// How many messages (default 50, at most 500).
        #[serde(default)]
        limit: Option<u32>,
    }

    /// Incoming messages not read.
    Unread {
        /// Only this account's.
        #[serde(default)]
        account: Option<String>,
    }

    /// Makes a new connection now.
    Reconnect {
        /// Of this account; without it, of all.
        #[serde(default)]
        account: Option<String>,
    }

    /// Reads the configuration again.
    Reload {}

    /// Stops the daemon.
    Shutdown {}

    /// The newest decisions about banners, newest first.
    NotifyDecisions {
        /// At most so many (default 20).
        #[serde(default)]
        limit: Option<usize>,
    }

    /// Shows a test notification.
    NotifyTest {}

    /// Silences a conversation or an account, or lets it speak again.
    NotifyMute {
        /// Whose; alone: the whole account.
        #[serde(default)]
        account: Option<String>,
        /// Which.
        #[serde(default)]
        conversation: Option<String>,
        /// For how long.
        hold: Hold,
    }

    /// Do not disturb.
    NotifyDnd {
        /// For how long.
        hold: Hold,
    }

    /// Quiet hours: every day, banners are held between two local times.
    NotifyQuiet {
        /// What is wished.
        quiet: Quiet,
    }

    /// What is muted, do-not-disturb and quiet hours as they are now.
    NotifyChoices {}

    /// Why a message did or did not raise a banner.
    Why {
        /// Which.
        message: MessageId,
    }
}

/// What to do about a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactVerb {
    /// Ask to be contacts.
    Add,
    /// Accept their request.
    Accept,
    /// Be contacts no longer.
    Remove,
    /// Take nothing from them.
    Block,
    /// Take messages from them again.
    Unblock,
}

/// How far a message or request must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The server has it.
    Sent,
    /// A device of a receiver has it.
    Delivered,
}

/// How long a choice holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It is lifted.
    Off,
    /// Until it is lifted.
    Forever,
    /// Until this time, RFC 3339.
    Until(#[schemars(with = "String")] Timestamp),
}

/// Quiet hours as they are wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quiet {
    /// None, whatever the configuration says.
    Off,
    /// As the configuration says.
    Configured,
    /// Every day between these local times.
    Daily {
        /// First minute, counted from midnight, at most 1439.
        from: u16,
        /// First minute after it, likewise; earlier than `from`: past midnight.
        to: u16,
    },
}

fn yes() -> bool {
    true
}

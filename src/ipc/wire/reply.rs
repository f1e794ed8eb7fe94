//! What the daemon answers, apart from status, cursors and the feed.

use crate::model::{
    AccountState, Conversation, ConversationBrief, ConversationId, ConversationKind, Hole, Member, MessageId,
    MessageState, Seq, Timestamp,
};
use serde::{Deserialize, Serialize};

/// Declares answer types with the derives they all share.
macro_rules! replies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind,)* }
    )*};
}

replies! {
    /// The answer to `hello`.
    Welcome {
        /// The daemon's version.
        version: String,
        /// The version of this interface.
        protocol: u32,
        /// Every method it knows.
        capabilities: Vec<String>,
        /// What it refuses beyond.
        limits: Limits,
        /// The newest committed change.
        seq: Seq,
    }

    /// Limits of one client.
    Limits {
        /// Longest request line, bytes.
        request_bytes: usize,
        /// Open cursors.
        cursors: usize,
        /// Subscriptions.
        subscriptions: usize,
        /// Requests that wait for something.
        waiting: usize,
        /// After so long without `cursor.next` a cursor is closed, milliseconds.
        cursor_idle_ms: u64,
        /// After so long without `attention.set` attention ends, milliseconds.
        attention_lease_ms: u64,
    }

    /// It was done; there is nothing to tell.
    Done {}

    /// An account.
    AccountBrief {
        /// Its name.
        name: String,
        /// `hub` or `xmpp`; empty for an account that only has history here.
        protocol: String,
        /// Where its connection is.
        state: AccountState,
    }

    /// The answer to `accounts`.
    AccountList {
        /// By number.
        accounts: Vec<AccountBrief>,
    }

    /// The answer to `conversations`.
    ConversationList {
        /// Newest activity first.
        conversations: Vec<ConversationInfo>,
    }

    /// A conversation. The JSON of `wakeful conversation list --json`.
    ConversationInfo {
        /// Local id.
        id: ConversationId,
        /// The account's name.
        account: String,
        /// Direct, group or channel.
        kind: ConversationKind,
        /// What to call it.
        name: String,
        /// The other person of a direct conversation.
        peer: Option<String>,
        /// The server's id once known.
        server_id: Option<String>,
        /// Incoming messages not read.
        unread: u64,
        /// Server time of the newest message.
        #[schemars(with = "Option<String>")]
        last_at: Option<Timestamp>,
        /// We are no longer in it.
        gone: bool,
    }

    /// The answer to `conversation.members`.
    Members {
        /// Who is in it.
        members: Vec<Member>,
    }

    /// It is durably in the outbox.
    Queued {
        /// The message's id, or the request's: pass it to `outbox.get` and `outbox.wait`.
        id: MessageId,
        /// The conversation it is for; null while it is being made.
        conversation: Option<ConversationId>,
        /// The change that announced it.
        seq: Seq,
    }

    /// The answer to `outbox.get` and `outbox.wait`.
    OutboxInfo {
        /// The message's or the request's id.
        id: MessageId,
        /// Its conversation; null while it is being made.
        conversation: Option<ConversationId>,
        /// How far it is.
        state: OutboxProgress,
        /// Of a message: its state.
        message_state: Option<MessageState>,
        /// Why it failed: a stable code.
        code: Option<String>,
        /// Why it failed: plain words.
        text: Option<String>,
    }

    /// The answer to `outbox.list`.
    OutboxRows {
        /// Newest first.
        rows: Vec<OutboxEntry>,
    }

    /// One request of the outbox.
    OutboxEntry {
        /// The message's or the request's id.
        id: MessageId,
        /// The account's name.
        account: String,
        /// For which conversation, where it is for one.
        conversation: Option<ConversationBrief>,
        /// What is to be done: `send`, `edit`, `retract`, `react`, `mark`, `create`, `add`, ...
        kind: String,
        /// The text that is to be sent, or the reaction.
        text: Option<String>,
        /// How far it is.
        state: OutboxProgress,
        /// When it was asked for.
        #[schemars(with = "String")]
        written_at: Timestamp,
        /// How often it was handed to a connection.
        tries: u32,
        /// It is not tried again before this time.
        #[schemars(with = "Option<String>")]
        due_at: Option<Timestamp>,
        /// Why it failed: a stable code.
        code: Option<String>,
        /// Why it failed: plain words.
        error: Option<String>,
    }

    /// The answer to `holes`.
    HolesFound {
        /// Oldest first.
        holes: Vec<Hole>,
    }

    /// The answer to `import`.
    Imported {
        /// Messages that are new here.
        added: u64,
        /// Messages that were here already.
        known: u64,
        /// Lines of this export that are on disk.
        line: u64,
    }

    /// The answer to `outbox.cancel`.
    Cancelled {
        /// It will not be sent; `false`: it was handed to a connection already.
        cancelled: bool,
    }

    /// The answer to `outbox.retry`.
    Retried {
        /// It waits in the outbox again; `false`: it waited there already, or the server has it.
        retried: bool,
    }

    /// The answer to `cursor.count`.
    Counted {
        /// Messages on this machine that fit.
        count: u64,
    }

    /// The answer to `unread`.
    UnreadCount {
        /// Incoming messages not read.
        unread: u64,
    }
}

/// How far an outbox row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutboxProgress {
    /// On disk.
    Pending,
    /// Handed to the connection.
    InFlight,
    /// The server has it.
    Done,
    /// Refused for good.
    Failed,
}

impl From<Conversation> for ConversationInfo {
    fn from(from: Conversation) -> Self {
        Self {
            id: from.id,
            account: from.account_name,
            kind: from.kind,
            name: from.name,
            peer: from.peer,
            server_id: from.server,
            unread: from.unread,
            last_at: from.last_at,
            gone: from.gone,
        }
    }
}

//! What a reader asks of history, and what it gets.

use super::{AccountId, ConversationId, Message, MessageId, MessageKind, Position, Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// What is searched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything on this machine.
    All,
    /// One account.
    Account(AccountId),
    /// One conversation.
    Conversation(ConversationId),
}

/// In which order rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Newest first.
    #[default]
    Desc,
    /// Oldest first.
    Asc,
    /// Best match first; only with `text`, at most 1,000 rows out of the newest 100,000 matches.
    Rank,
    /// The same rows, best match last.
    RankAsc,
}

impl Order {
    /// By how well it matches.
    #[must_use]
    pub fn is_rank(self) -> bool {
        matches!(self, Self::Rank | Self::RankAsc)
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// Rows strictly older than this message.
    Before(MessageId),
    /// Rows strictly newer.
    After(MessageId),
    /// Rows on both sides of it, itself included.
    Around(MessageId),
}

/// A question to history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Query {
    /// Where.
    pub scope: Scope,
    /// In which order.
    pub order: Order,
    /// Begin here.
    pub anchor: Option<Anchor>,
    /// Only by this sender.
    pub sender: Option<String>,
    /// Only at or after this server time.
    pub since: Option<Timestamp>,
    /// Only before this server time.
    pub until: Option<Timestamp>,
    /// Only this kind.
    pub kind: Option<MessageKind>,
    /// Only with an attachment.
    pub has_attachment: bool,
    /// Only with a link in the text.
    pub has_link: bool,
    /// Only incoming and not read.
    pub unread: bool,
    /// Full text: words, `pre*`, `"a phrase"`.
    pub text: Option<String>,
    /// Leave out so many rows first.
    pub skip: u32,
    /// At most so many rows in all.
    pub limit: Option<u32>,
    /// Only what was here as of this change, or was filled into the past since.
    #[serde(default)]
    pub as_of: Option<Seq>,
}

impl Query {
    /// All of a scope, newest first.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            order: Order::Desc,
            anchor: None,
            sender: None,
            since: None,
            until: None,
            kind: None,
            has_attachment: false,
            has_link: false,
            unread: false,
            text: None,
            skip: 0,
            limit: None,
            as_of: None,
        }
    }
}

/// A stretch of history that is not on this machine. Two are the same hole if their bounds are.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hole {
    /// The conversation in which the reader met it.
    pub conversation: ConversationId,
    /// The archive it belongs to.
    pub archive: String,
    /// The newest message below it: (archive id, time). `None`: the hole reaches down to the beginning.
    pub below: Option<String>,
    /// The oldest message above it.
    pub above: Option<String>,
    /// Server times of its bounds, where known.
    #[schemars(with = "Option<String>")]
    pub from: Option<Timestamp>,
    /// Upper bound.
    #[schemars(with = "Option<String>")]
    pub to: Option<Timestamp>,
    /// Why the messages are not here.
    #[serde(default)]
    pub cause: HoleCause,
    /// What is being done about it.
    #[serde(default)]
    pub fill: HoleFill,
    /// When a reader last asked the server for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub asked_at: Option<Timestamp>,
}

/// Why messages are not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoleCause {
    /// Older than what was fetched when the conversation was first seen.
    #[default]
    NotFetched,
    /// They lie between two stretches that are here: they came while nobody listened.
    Missed,
    /// They were here and were thrown away, as the configuration's retention asks.
    Retention,
}

/// What is being done about a hole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoleFill {
    /// Nothing, until a reader comes to it.
    #[default]
    Open,
    /// The server was asked, and its answer is not here yet.
    Asked,
    /// It stays: what is thrown away is not fetched again.
    Kept,
}

impl Hole {
    fn bounds(&self) -> (ConversationId, &str, Option<&str>, Option<&str>) {
        (self.conversation, &self.archive, self.below.as_deref(), self.above.as_deref())
    }
}

impl PartialEq for Hole {
    fn eq(&self, other: &Self) -> bool {
        self.bounds() == other.bounds()
    }
}

impl Eq for Hole {}

/// One row of a page: a message, or a hole where messages are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageRow {
    /// A message.
    Message(Box<Message>),
    /// Messages are missing between the row before and the row after.
    Hole(Hole),
}

/// A page of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows in the asked order.
    pub rows: Vec<PageRow>,
    /// Pass it to go on from here; `None` when there is nothing more.
    pub next: Option<Position>,
    /// Rows that the next page must still leave out.
    pub skip: u32,
}

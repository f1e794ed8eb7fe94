//! The feed: every committed change in its order. Announced after the commit, read from the `change` table.

use super::{AccountId, ConversationId, MessageId, Seq};
use serde::{Deserialize, Serialize};

/// One committed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedItem {
    /// Its number.
    pub seq: Seq,
    /// Whose.
    pub account: AccountId,
    /// What kind.
    pub kind: FeedKind,
    /// Which conversation.
    pub conversation: Option<ConversationId>,
    /// Which message.
    pub message: Option<MessageId>,
}

/// What kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// A message appeared, with `Origin` live or catch-up, or written by us.
    Message,
    /// A message appeared in older history (snapshot, hole filled).
    Backfill,
    /// A message changed: state, text, reactions, retraction.
    Changed,
    /// A message is no longer here (retention, purge).
    Removed,
    /// A conversation appeared or changed (title, members, unread).
    Conversation,
    /// Our own read position moved.
    Read,
    /// The ledger changed: a hole appeared, shrank or closed.
    Ledger,
    /// The account has caught up.
    CaughtUp,
    /// A banner was held, shown, withdrawn or dropped.
    Banner,
}

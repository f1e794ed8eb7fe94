//! Subscriptions: every committed change after a point, in its order, without gap and without double.

use crate::model::{ConversationBrief, ConversationId, FeedKind, Message, MessageId, Perishable, Seq};
use serde::{Deserialize, Serialize};

/// Sends an `event` notification for every committed change after `after`. It is read from disk, so a slow reader
/// loses nothing and costs no memory; only when it falls behind what the feed keeps (7 days or 100,000 changes) does
/// it get a `resync`, after which events go on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The last change already seen; without it, the newest.
    #[serde(default)]
    pub after: Option<Seq>,
    /// Only this account's.
    #[serde(default)]
    pub account: Option<String>,
    /// Only this conversation's.
    #[serde(default)]
    pub conversation: Option<String>,
    /// Only these kinds; empty: all.
    #[serde(default)]
    pub kinds: Vec<FeedKind>,
    /// Typing and presence too, as `fleeting` notifications.
    #[serde(default)]
    pub fleeting: bool,
}

/// The answer to `subscribe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Subscribed {
    /// Names this subscription in its notifications and in `unsubscribe`.
    pub subscription: u64,
    /// Events come for every change after this one.
    pub seq: Seq,
}

/// Ends a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    /// Which.
    pub subscription: u64,
}

/// A committed change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// Which subscription it is for.
    pub subscription: u64,
    /// Its number: pass the last one seen as `after` to go on.
    pub seq: Seq,
    /// What kind of change.
    pub kind: FeedKind,
    /// The account's name.
    pub account: String,
    /// The conversation's local id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The message's local id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// The message as it is now (it may have changed again since).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

/// Changes between the last event and `seq` are no longer kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Resync {
    /// Which subscription it is for.
    pub subscription: u64,
    /// Events go on after this change.
    pub seq: Seq,
}

/// What is true only for a moment; never on disk, may be lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fleeting {
    /// The account's name.
    pub account: String,
    /// The conversation, where it is about one that is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationBrief>,
    /// Typing or presence.
    #[schemars(with = "serde_json::Value")]
    pub what: Perishable,
}

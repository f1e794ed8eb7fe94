//! What a protocol tells the store: durable facts, in the order in which they must be committed.

use super::{ConversationKey, ConversationKind, Member, MessageId, MessageKind, OutboxId, Reaction, Role, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One durable fact. A batch of them commits in one transaction with its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A conversation appeared or changed.
    Conversation(ConversationUpdate),
    /// We are no longer in it.
    Gone(ConversationKey),
    /// Somebody joined, left or changed role.
    Member(MemberUpdate),
    /// A person's display name.
    User(UserUpdate),
    /// A message as the server has it: new, or a repeat (which the store recognises).
    Message(Box<Arrival>),
    /// A change to a message, which may not be here yet (then it waits).
    Change(Change),
    /// Somebody has read up to a point.
    Read(ReadMark),
    /// A receiver's device has everything up to a point.
    Delivered(DeliveryMark),
    /// What became of an outbox row.
    Settled(Settled),
    /// A row that was called sent is uncertain again (a session that could not be resumed).
    Unconfirmed(OutboxId),
    /// A contiguous range of an archive is now here.
    Span(Span),
    /// Everything that was missed is here. Banners wait for it, at most 60 s.
    CaughtUp,
}

/// The server's name for a message: the only key by which others' messages are deduplicated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerRef {
    /// Unique for the account, for ever. Hub: `{epoch}/{conv}/{seq}`. XMPP: `{archive bare JID}/{stanza-id}`.
    pub id: String,
    /// The server's order within the conversation where it has one without holes (the hub's `seq`).
    pub order: Option<u64>,
}

/// Where a message came from; decides whether it may raise a banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// As it happens: banner.
    Live,
    /// Filling the gap since the last contiguous point: banner after `CaughtUp`.
    CatchUp,
    /// The newest page at first sight of a conversation: no banner.
    Snapshot,
    /// Older history on demand: no banner.
    History,
}

/// A message as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where.
    pub conversation: ConversationKey,
    /// Who (user id, bare JID, or a room's occupant nick).
    pub sender: String,
    /// By us, from any device.
    pub outgoing: bool,
    /// The server's name for it. `None` where the server assigns none: then it is never a repeat.
    pub server: Option<ServerRef>,
    /// The id we chose, looked at only when `outgoing`: matches the pending row.
    pub own_id: Option<MessageId>,
    /// The id the sender chose: never a dedupe key; corrections by the same sender refer to it.
    pub sender_ref: Option<String>,
    /// Server time.
    pub sent_at: Timestamp,
    /// What it is.
    pub kind: MessageKind,
    /// The text, or the fallback text.
    pub text: String,
    /// What it answers.
    pub reply_to: Option<Target>,
    /// It names us.
    pub mentions_me: bool,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// How often it changed; a change with a lower `rev` loses. 0 where the protocol counts none.
    pub rev: u64,
    /// Last edit that is already in `text`.
    pub edited_at: Option<Timestamp>,
    /// Already taken back.
    pub retracted: bool,
    /// Reactions that stand already.
    pub reactions: Vec<Reaction>,
    /// The sender asked for no noise.
    pub silent: bool,
    /// Live, catch-up, snapshot or history.
    pub origin: Origin,
}

#[cfg(test)]
impl Arrival {
    /// A live message of bob's in a hub's conversation, for tests.
    pub(crate) fn live(conversation: &str, order: u64, text: &str, sent_at: Timestamp) -> Self {
        Self {
            conversation: ConversationKey::server(conversation),
            sender: "bob".into(),
            outgoing: false,
            server: Some(ServerRef { id: format!("e1/{conversation}/{order}"), order: Some(order) }),
            own_id: None,
            sender_ref: None,
            sent_at,
            kind: MessageKind::Text,
            text: text.into(),
            reply_to: None,
            mentions_me: false,
            attachments: Vec::new(),
            rev: 1,
            edited_at: None,
            retracted: false,
            reactions: Vec::new(),
            silent: false,
            origin: Origin::Live,
        }
    }
}

/// A file that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attachment {
    /// Where it is (URL, or the hub's blob id).
    pub url: String,
    /// Media type.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// File name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How a change names its message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// By the server's id.
    Server(String),
    /// By the server's id; counts only if the message is by this sender.
    Authored {
        /// Who wrote the message.
        sender: String,
        /// The server's id.
        server: String,
    },
    /// By the id that its sender chose; counts only if the message is by this sender.
    Sender {
        /// Who wrote the message; empty: whoever of the conversation did (XEP-0444 does not say).
        sender: String,
        /// The id they gave it.
        id: String,
    },
    /// By our local id.
    Own(MessageId),
}

/// A change to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub conversation: ConversationKey,
    /// Which message.
    pub target: Target,
    /// Count of changes to that message; a lower one loses. 0 where the protocol counts none: then `at` decides.
    pub rev: u64,
    /// Who changed it.
    pub by: String,
    /// When, by the server.
    pub at: Timestamp,
    /// What changed.
    pub what: Amendment,
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amendment {
    /// New text.
    Edit {
        /// The whole new text.
        text: String,
    },
    /// Taken back.
    Retract,
    /// One reaction put or taken away.
    React {
        /// Emoji or short text.
        key: String,
        /// Put, or taken away.
        on: bool,
    },
    /// All reactions of `by` (XEP-0444 sends the whole set).
    Reactions {
        /// The set; empty takes all away.
        keys: Vec<String>,
    },
}

/// A conversation as the server describes it. `None` leaves what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationUpdate {
    /// Its name at the server.
    pub key: ConversationKey,
    /// Direct, group, channel.
    pub kind: ConversationKind,
    /// Title.
    pub title: Option<String>,
    /// The whole list of members, where the server gave it.
    pub members: Option<Vec<Member>>,
    /// Unread messages by the server's count that are older than anything here.
    pub unread_below: Option<u64>,
}

/// Somebody joined, left or changed role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberUpdate {
    /// Where.
    pub conversation: ConversationKey,
    /// Who.
    pub user: String,
    /// Their role now; `None`: they left.
    pub role: Option<Role>,
}

/// A person's display name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserUpdate {
    /// User id or bare JID.
    pub user: String,
    /// What to call them.
    pub name: String,
}

/// Whose reading it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Us, on any device.
    Me,
    /// Somebody else: our messages become read.
    User(String),
}

/// How far: everything at or before this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upto {
    /// The hub's `seq`.
    Order(u64),
    /// A message.
    Message(Target),
    /// A server time.
    Time(Timestamp),
}

/// Somebody has read a conversation up to a point. Never moves backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadMark {
    /// Where.
    pub conversation: ConversationKey,
    /// Who.
    pub by: Reader,
    /// How far.
    pub upto: Upto,
    /// When.
    pub at: Timestamp,
}

/// A receiver's device has everything of ours up to a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryMark {
    /// Where.
    pub conversation: ConversationKey,
    /// Who.
    pub by: String,
    /// How far.
    pub upto: Upto,
}

/// What became of an outbox row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which row.
    pub outbox: OutboxId,
    /// What became of it.
    pub outcome: Outcome,
}

/// An outbox row's fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has it. The row is done; a message becomes `sent`.
    Sent {
        /// The conversation's server id, if it became known by this.
        conversation: Option<ConversationKey>,
        /// The server's name for the message.
        server: Option<ServerRef>,
        /// The server's time.
        at: Timestamp,
    },
    /// Refused for good.
    Failed(SendFailure),
    /// Not now: offer it again after this long.
    Later(Duration),
}

/// Why a message will never be sent, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// Stable code, e.g. `forbidden`, `not_found`, `too_large`.
    pub code: String,
    /// Plain words.
    pub text: String,
}

/// One end of a contiguous range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanEdge {
    /// The archive's id of the message at this end (hub: the decimal `seq`; XMPP: the archive id).
    pub id: String,
    /// Its server time.
    pub at: Timestamp,
}

/// "Between `lo` and `hi` nothing is missing." Ranges that touch are merged by the store.
///
/// Hub: one archive a conversation, ids are `seq`s, so `after` is always `lo - 1`. XMPP: one's own archive (all
/// direct conversations together) and one a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which archive (hub: `{epoch}/{conv}`; XMPP: bare JID).
    pub archive: String,
    /// The conversation, where the archive is one conversation's own.
    pub conversation: Option<ConversationKey>,
    /// Oldest message of the range; `None` with `hi: None` for an empty range between `after` and `before`.
    pub lo: Option<SpanEdge>,
    /// Newest.
    pub hi: Option<SpanEdge>,
    /// The range directly follows the archive's message with this id.
    pub after: Option<String>,
    /// The range directly precedes the message with this id.
    pub before: Option<String>,
    /// Nothing older exists at the server (or nothing that it would give).
    pub at_start: bool,
    /// Nothing newer existed when this was said: live messages follow on directly.
    pub at_end: bool,
}

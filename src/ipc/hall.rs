//! What the server is given: the store, the channels to its sibling rooms, and its limits. Made in `daemon`.

use super::wire::{Fault, Hold, Quiet};
use crate::model::{AccountId, Addressed, Attention, ConversationId, MessageId, Perishable, Statuses};
use crate::store::Store;
use crate::world::{Clock, Entropy};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Everything the server may touch.
#[derive(Clone)]
pub struct Hall {
    /// The hall itself.
    pub store: Store,
    /// Who looks at what, over all clients; written by the server alone. It also goes out as
    /// [`crate::model::Signal::Attention`] on `signals`.
    pub attention: watch::Sender<Attention>,
    /// What the links say about themselves.
    pub statuses: watch::Receiver<Statuses>,
    /// Readers' wishes, to the links: attention, fetch, typing, reconnect.
    pub signals: broadcast::Sender<Addressed>,
    /// Typing and presence, from the links.
    pub perishables: broadcast::Sender<(AccountId, Perishable)>,
    /// What only the daemon can do.
    pub control: mpsc::Sender<Control>,
    /// Clocks.
    pub clock: Clock,
    /// Randomness: ids of messages, the key of page tokens.
    pub entropy: Entropy,
    /// Limits.
    pub settings: Settings,
}

/// How a request to the daemon is answered.
pub type Answer = oneshot::Sender<Result<Value, Fault>>;

/// What clients ask that only the daemon can do. Dropping an [`Answer`] answers `unavailable`.
#[derive(Debug)]
pub enum Control {
    /// Stop in order. The client has its answer already.
    Shutdown,
    /// Read the configuration again; answer what changed, or why it was refused.
    Reload(Answer),
    /// Delete everything of an account that is no longer configured, by its name.
    Purge(String, Answer),
    /// The newest decisions about banners, newest first, as a JSON array.
    NotifyDecisions(usize, Answer),
    /// Show a test notification; answer what became of it.
    NotifyTest(Answer),
    /// Keep a choice of the user's; answer all choices that hold now.
    Choose(Wish, Answer),
    /// All choices that hold now.
    Choices(Answer),
    /// Why this message raised a banner or not.
    Why(MessageId, Answer),
}

/// A choice of the user's about banners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Silence a conversation.
    MuteConversation(ConversationId, Hold),
    /// Silence an account, by its name.
    MuteAccount(String, Hold),
    /// Do not disturb.
    Dnd(Hold),
    /// Quiet hours.
    Quiet(Quiet),
}

/// Limits of the server and of each client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Clients at once.
    pub clients: usize,
    /// Open cursors a client.
    pub cursors: usize,
    /// Subscriptions a client.
    pub subscriptions: usize,
    /// Requests a client that wait for something.
    pub waiting: usize,
    /// Longest request line, bytes.
    pub request_bytes: usize,
    /// Bytes of answers that wait for a client to read; beyond them nothing more is made for it.
    pub queue_bytes: usize,
    /// After so long without `cursor.next` a cursor is closed.
    pub cursor_idle: Duration,
    /// How long `attention.set` holds.
    pub attention_lease: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clients: 128,
            cursors: 1_024,
            subscriptions: 32,
            waiting: 64,
            request_bytes: super::wire::MAX_REQUEST,
            queue_bytes: 256 << 10,
            cursor_idle: Duration::from_secs(600),
            attention_lease: Duration::from_millis(super::wire::ATTENTION_LEASE_MS),
        }
    }
}

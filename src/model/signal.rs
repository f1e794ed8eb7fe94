//! What crosses between rooms that never meet, on bounded channels made in `daemon`. Never on disk.

use super::{AccountId, ConversationId, ConversationKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// A signal for one account, or for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// `None`: for every account.
    pub account: Option<AccountId>,
    /// What it says.
    pub signal: Signal,
}

/// Facts about the machine and wishes of readers. Hints: one that is lost is made good later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Addresses or routes changed. `local_gone`: an address that was in use is no longer ours.
    Network {
        /// There is a default route now.
        routed: bool,
        /// An address that sockets may be bound to has vanished.
        local_gone: bool,
    },
    /// About to sleep: say goodbye.
    Sleeping,
    /// Awake again after this long.
    Woke {
        /// How long it slept.
        slept: Duration,
    },
    /// Mains, battery, metered.
    Power(Power),
    /// The screen was locked or unlocked.
    Locked(bool),
    /// Who looks at what changed.
    Attention(Attention),
    /// A reader reached a hole.
    Fetch(FetchHole),
    /// We are typing, or stopped.
    Typing {
        /// Where.
        conversation: ConversationKey,
        /// Typing, or stopped.
        on: bool,
    },
    /// The user wants a new connection now.
    Reconnect,
}

/// What power and network cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// On battery.
    pub battery: bool,
    /// The network is metered.
    pub metered: bool,
}

/// Who looks at what, over all attached GUIs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// GUIs that hold an attention lease, looking or idle.
    pub attached: usize,
    /// Conversations on screen with the user present.
    pub looking: BTreeSet<ConversationId>,
}

/// A reader reached a hole: fetch a page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchHole {
    /// Which archive.
    pub archive: String,
    /// The conversation, where the archive is one conversation's own.
    pub conversation: Option<ConversationKey>,
    /// Archive id of the newest message below the hole.
    pub below: Option<String>,
    /// Archive id of the oldest message above it; the page directly before it is wanted.
    pub above: Option<String>,
    /// How many messages.
    pub limit: u32,
}

/// What is true only for a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Perishable {
    /// Somebody is typing, for at most so long.
    Typing {
        /// Where: the server's id.
        conversation: String,
        /// Who.
        by: String,
        /// Typing, or stopped.
        on: bool,
        /// Milliseconds after which it is no longer true.
        ttl_ms: u64,
    },
    /// Somebody came or went.
    Presence {
        /// Who.
        user: String,
        /// `online`, `away`, `dnd`, `offline`.
        state: String,
    },
}

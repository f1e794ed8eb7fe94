//! `status`: what every account's connection is doing. The JSON of `wakeful status --json`.

use crate::model::{AccountState, AccountStatus, Quarantined, Reason, Seq, StoreState, StoreStatus, Timestamp};
use serde::{Deserialize, Serialize};

/// Every account's state, once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusAsk {}

/// Every account's state now, and a `status` notification whenever one changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusSubscribe {}

/// The answer to `status` and the body of its notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StatusInfo {
    /// One entry an account, by its number.
    pub accounts: Vec<AccountInfo>,
    /// The newest committed change.
    pub seq: Seq,
    /// How the file with everything in it is.
    #[serde(default)]
    pub store: StoreInfo,
    /// Why messages cannot be written (no room, read-only, an error of the device); null: they can.
    #[serde(default)]
    pub disk: Option<String>,
}

/// How the file with everything in it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StoreInfo {
    /// What is known of it.
    pub state: StoreState,
    /// Why it is damaged, or why it has to be read through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// A damaged file was moved aside and rebuilt from the servers; told until that file is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Quarantined>,
}

impl From<StoreStatus> for StoreInfo {
    fn from(from: StoreStatus) -> Self {
        Self { state: from.state, detail: from.detail, quarantined: from.quarantined }
    }
}

/// One account. Ages are whole milliseconds as of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AccountInfo {
    /// Its name.
    pub name: String,
    /// `hub` or `xmpp`.
    pub protocol: String,
    /// Where the connection is.
    pub state: AccountState,
    /// Age of the last proven round trip; null: none yet.
    pub last_round_trip_ms_ago: Option<u64>,
    /// How long that round trip took.
    pub rtt_ms: Option<u64>,
    /// How long it has been in this state.
    pub for_ms: Option<u64>,
    /// Attempts since it was last online.
    pub attempts: u32,
    /// Until the next attempt; null: none is planned.
    pub next_try_in_ms: Option<u64>,
    /// Why it is not online, or why it last was not.
    pub last_error: Option<ReasonInfo>,
    /// Everything missed is here.
    pub caught_up: bool,
    /// Bytes of messages and pings in both directions since start, without what TLS and TCP put around them.
    pub bytes: u64,
    /// The same in the last hour, to within 150 s.
    #[serde(default)]
    pub bytes_last_hour: u64,
    /// How often the account's task woke up in the last hour.
    #[serde(default)]
    pub wakeups_last_hour: u64,
    /// Connections made since start.
    pub connects: u64,
    /// Connections after the first, in the last day, to within an hour.
    #[serde(default)]
    pub reconnects_last_day: u64,
    /// Frames, stanzas or fields of the server's that were ignored or refused.
    pub refused: u64,
    /// Incoming messages not read.
    #[serde(default)]
    pub unread: u64,
}

/// A reason with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReasonInfo {
    /// Stable code and details.
    #[serde(flatten)]
    pub reason: Reason,
    /// One plain sentence.
    pub text: String,
    /// What to do about it; null: waiting is enough.
    pub remedy: Option<String>,
}

impl From<&Reason> for ReasonInfo {
    fn from(reason: &Reason) -> Self {
        Self { reason: reason.clone(), text: reason.text(), remedy: reason.remedy().map(Into::into) }
    }
}

impl AccountInfo {
    /// An account's status as of `now`.
    #[must_use]
    pub fn at(status: &AccountStatus, unread: u64, now: Timestamp) -> Self {
        let ago = |at: Timestamp| u64::try_from(now.ms().saturating_sub(at.ms())).unwrap_or(0);
        let until = |at: Timestamp| u64::try_from(at.ms().saturating_sub(now.ms())).unwrap_or(0);
        Self {
            name: status.name.clone(),
            protocol: status.protocol.clone(),
            state: status.state,
            last_round_trip_ms_ago: status.last_round_trip_at.map(ago),
            rtt_ms: status.rtt_ms,
            for_ms: status.since.map(ago),
            attempts: status.attempts,
            next_try_in_ms: status.next_try_at.map(until),
            last_error: status.last_error.as_ref().map(ReasonInfo::from),
            caught_up: status.caught_up,
            bytes: status.bytes,
            bytes_last_hour: status.bytes_hour.sum(now),
            wakeups_last_hour: status.wakeups_hour.sum(now),
            connects: status.connects,
            reconnects_last_day: status.reconnects_day.sum(now),
            refused: status.refused,
            unread,
        }
    }
}

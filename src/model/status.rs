//! What a link says about itself. It never says `online` without a proven round trip.

use super::{AccountId, Day, Hour, Reason, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of one account's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Not started, or there is no network.
    #[default]
    Offline,
    /// Between two attempts, or paused with a reason.
    Waiting,
    /// Resolving, connecting, TLS, upgrade.
    Dialing,
    /// Logging in.
    Opening,
    /// Logged in and proven alive.
    Online,
    /// Stopped until the user does something; the reason says what.
    Halted,
}

/// One account's status. Times are Unix milliseconds, so that a reader can compute ages itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountStatus {
    /// The account's name.
    pub name: String,
    /// `hub` or `xmpp`.
    pub protocol: String,
    /// Where the connection is.
    pub state: AccountState,
    /// When the last round trip was proven.
    pub last_round_trip_at: Option<Timestamp>,
    /// How long that round trip took, milliseconds.
    pub rtt_ms: Option<u64>,
    /// Since when the account is in this state.
    pub since: Option<Timestamp>,
    /// Attempts since it was last online.
    pub attempts: u32,
    /// When the next attempt comes.
    pub next_try_at: Option<Timestamp>,
    /// Why it is not online, or why it last was not.
    pub last_error: Option<Reason>,
    /// Everything missed is here.
    pub caught_up: bool,
    /// Bytes of messages and pings in both directions since start, without what TLS and TCP put around them.
    pub bytes: u64,
    /// The same in the last hour.
    pub bytes_hour: Hour,
    /// How often the account's task woke up in the last hour.
    pub wakeups_hour: Hour,
    /// Connections made since start.
    pub connects: u64,
    /// Connections after the first, in the last day.
    pub reconnects_day: Day,
    /// Frames, stanzas or fields of the server's that were ignored or refused as invalid or forged.
    pub refused: u64,
}

/// Every account's status, shared by a watch channel made in `daemon`.
pub type Statuses = BTreeMap<AccountId, AccountStatus>;

/// How the file with everything in it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// What is known of it.
    pub state: StoreState,
    /// Why it is damaged.
    pub detail: Option<String>,
    /// A damaged file was moved aside and this one begun in its place; until that file is deleted.
    pub quarantined: Option<Quarantined>,
}

/// What is known of the file with everything in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    /// The process before ended in order, or a check has found nothing wrong.
    #[default]
    Sound,
    /// The process before did not end in order: it is being read through.
    Checking,
    /// Damaged: it is moved aside at the next start.
    Damaged,
}

/// A damaged file that was moved aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Quarantined {
    /// Where it is now.
    pub file: String,
    /// When it was moved.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What was wrong with it.
    pub why: String,
    /// Requests that waited in its outbox and were carried over.
    pub carried: u64,
    /// Its outbox could not be read to the end: what was written and not sent may be missing.
    pub incomplete: bool,
}

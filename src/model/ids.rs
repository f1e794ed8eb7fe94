//! Identifiers and orders. Each is a newtype, so that none is ever taken for another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(with = "String")] pub Uuid);

        impl $name {
            /// A new id from a wall-clock time in Unix milliseconds and ten random bytes (RFC 9562, version 7).
            #[must_use]
            pub fn new(unix_ms: u64, random: &[u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, random).into_uuid())
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// A conversation on this machine: a local UUIDv7; the server's own id is a column beside it.
    ConversationId
}
uuid_id! {
    /// A message on this machine: a local UUIDv7, stable from pending on. For messages we send it is also
    /// the id that the server sees (the hub's `cid`, XMPP's `origin-id`).
    MessageId
}

macro_rules! int_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

int_id! {
    /// An account in this store. Never reused. On the outside an account is known by its name.
    AccountId(i64)
}
int_id! {
    /// A row of the outbox; grows in the order of the user's actions, never reused.
    OutboxId(i64)
}
int_id! {
    /// The order of changes: one number for every committed change in the store. The feed, subscriptions and
    /// lag recovery run on it. Never mixed with [`Position`].
    Seq(i64)
}
int_id! {
    /// A batch on its way from the driver to the store; unique within one process.
    BatchId(u64)
}

/// The place of a message in history: server time and a tie-break (server milliseconds shifted left by 20 bits,
/// or more). It is the message's primary key, so keyset paging and full-text order stay right after backfill.
/// Over IPC it is a string, since it exceeds 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub i64);

impl Position {
    /// Bits below the millisecond.
    pub const TIE_BITS: u32 = 20;

    /// The first position of a server time in Unix milliseconds.
    #[must_use]
    pub fn of_ms(unix_ms: i64) -> Self {
        Self(unix_ms.saturating_mul(1 << Self::TIE_BITS))
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

//! What clients ask about what is kept: the outbox, holes, what is left of an account, lines of an export.

use crate::model::Record;
use serde::{Deserialize, Serialize};

/// The outbox, newest first: what waits and what failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboxList {
    /// Only this account's.
    #[serde(default)]
    pub account: Option<String>,
    /// Settled ones too, for as long as they are kept (7 days).
    #[serde(default)]
    pub all: bool,
    /// At most so many (default 100, at most 1,000).
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What is missing on this machine, oldest first; at most 1,000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoleList {
    /// Only this account's; or whose conversation, see `conversation.get`.
    #[serde(default)]
    pub account: Option<String>,
    /// Only this conversation's.
    #[serde(default)]
    pub conversation: Option<String>,
}

/// Deletes everything of an account that is no longer configured. Nothing is deleted at the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPurge {
    /// Its name.
    pub account: String,
}

/// Takes lines of `wakeful export` in, in their order; of what is here already only what is newer is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The `id` in the export's first line.
    pub export: String,
    /// How many lines of it are in with these.
    pub line: u64,
    /// The lines; none: only asks how far it is. With the last line of all (`end`) that is forgotten.
    #[serde(default)]
    pub records: Vec<Record>,
}

//! Errors on the wire: a stable code, plain words, and what to do about it.

use serde::{Deserialize, Serialize};

/// The stable codes. `data.code` carries the name, `code` the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The line is not JSON.
    Parse,
    /// The object is not a JSON-RPC 2.0 request.
    InvalidRequest,
    /// No such method.
    UnknownMethod,
    /// The parameters do not fit the method.
    BadParams,
    /// Something that should not happen.
    Internal,
    /// No such account, conversation, message or row.
    NotFound,
    /// A name that fits several conversations.
    Ambiguous,
    /// Not allowed: another user's process.
    Forbidden,
    /// The line is longer than the limit.
    TooLarge,
    /// Too many clients, requests, subscriptions or cursors at once.
    Busy,
    /// The cursor timed out, was closed, or never existed; `data.reopen` says where to go on.
    CursorNotFound,
    /// A `cursor.next` on a cursor whose previous `cursor.next` is not answered yet.
    CursorInUse,
    /// The token was not made by this daemon or has been changed.
    BadToken,
    /// The disk does not take or give data.
    Disk,
    /// The server refused it for good.
    Refused,
    /// It did not happen in the time given.
    Timeout,
    /// The daemon is stopping.
    Closing,
    /// This daemon has nobody to answer it.
    Unavailable,
}

impl FaultCode {
    /// The number in `code`: JSON-RPC's own below -32600, ours from -32001 downwards.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest => -32600,
            Self::UnknownMethod => -32601,
            Self::BadParams => -32602,
            Self::Internal => -32603,
            Self::NotFound => -32001,
            Self::Ambiguous => -32002,
            Self::Forbidden => -32003,
            Self::TooLarge => -32004,
            Self::Busy => -32005,
            Self::CursorNotFound => -32006,
            Self::CursorInUse => -32007,
            Self::BadToken => -32008,
            Self::Disk => -32009,
            Self::Refused => -32010,
            Self::Timeout => -32011,
            Self::Closing => -32012,
            Self::Unavailable => -32013,
        }
    }
}

/// The `error` of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The number of `data.code`.
    pub code: i32,
    /// Plain words.
    pub message: String,
    /// The rest.
    pub data: FaultData,
}

/// The `data` of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FaultData {
    /// The stable name.
    pub code: FaultCode,
    /// What to do about it, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// For a cursor that is gone: pass it as `token` to `cursor.open` to go on where it stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopen: Option<String>,
}

impl Fault {
    /// An error with plain words.
    #[must_use]
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        let data = FaultData { code, remedy: None, reopen: None };
        Self { code: code.number(), message: message.into(), data }
    }

    /// And what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.data.remedy = Some(remedy.into());
        self
    }

    /// And where a lost cursor can be opened again.
    #[must_use]
    pub fn reopen(mut self, token: Option<String>) -> Self {
        self.data.reopen = token;
        self
    }

    /// The stable name.
    #[must_use]
    pub fn kind(&self) -> FaultCode {
        self.data.code
    }

    /// Parameters that do not fit.
    #[must_use]
    pub fn params(message: impl Into<String>) -> Self {
        Self::new(FaultCode::BadParams, message)
    }
}

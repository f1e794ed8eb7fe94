//! Close codes as policy: 1000, 1001 and 40xx retry with backoff, 41xx not before `after`, 42xx stop and tell the user.

use std::time::Duration;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode {
    /// The WebSocket close code.
    pub code: u16,
    /// In a word.
    pub reason: &'static str,
    /// Not again before this long.
    pub after: Option<Duration>,
}

/// The codes that this hub uses.
#[expect(missing_docs, reason = "the reason beside each says it")]
pub mod code {
    use super::CloseCode;
    use std::time::Duration;

    const fn plain(code: u16, reason: &'static str) -> CloseCode {
        CloseCode { code, reason, after: None }
    }

    pub const NORMAL: CloseCode = plain(1000, "bye");
    pub const GOING_AWAY: CloseCode = plain(1001, "shutdown");
    pub const SILENT: CloseCode = plain(4000, "silent");
    pub const NO_HELLO: CloseCode = plain(4001, "no hello");
    pub const SLOW: CloseCode = plain(4002, "slow reader");
    pub const BEHIND: CloseCode = plain(4003, "cursor too old");
    pub const INTERNAL: CloseCode = plain(4004, "internal");
    pub const CROWDED: CloseCode =
        CloseCode { code: 4100, reason: "too many connections", after: Some(Duration::from_secs(30)) };
    pub const VIOLATION: CloseCode = plain(4200, "protocol violation");
    pub const TOKEN: CloseCode = plain(4201, "token not valid");
    pub const TOO_LARGE: CloseCode = plain(4209, "frame too large");
}

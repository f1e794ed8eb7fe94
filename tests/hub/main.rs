//! The hub as its clients meet it: real sockets, real SQLite files, a real WebSocket client.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod client;
mod conversations;
mod cursors;
mod delivery;
mod history;
mod process;
mod refusal;
mod restart;

//! Local IPC: JSON-RPC 2.0, one object a line, on a Unix socket; server, session, cursors, and the Rust client.
//!
//! The server reads and writes the store only; what else it needs (attention, statuses, signals, the daemon's own
//! controls) comes through the channels of a [`Hall`]. It never talks to a network or to the desktop.

mod client;
mod codec;
mod cursors;
mod hall;
mod leases;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod token;
pub mod wire;

pub use client::{Client, ClientError, Cursor, Subscription};
pub use hall::{Answer, Control, Hall, Settings, Wish};
pub use server::{BindError, bind, serve};

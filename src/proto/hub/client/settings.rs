//! What a hub account is made of.

use crate::model::{CheckpointRow, Secret};
use std::time::Duration;

/// What a hub account is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `wss://…` (or `ws://` on this machine).
    pub url: String,
    /// The device's token.
    pub token: Secret,
    /// What the hub is told about this program, such as `wakeful/0.1.0`; at most 64 characters.
    pub app: String,
    /// The rows of `store.checkpoint(account)`.
    pub checkpoint: Vec<CheckpointRow>,
    /// Conversations on one page of a snapshot.
    pub snap_convs: u64,
    /// Newest messages that a snapshot brings for each conversation, at most 20.
    pub snap_msgs: u64,
    /// Messages on one page when a gap is filled.
    pub fill_page: u64,
    /// Most events without an ack.
    pub window: u64,
    /// The hub is asked again, and then left, when what was announced does not come for this long.
    pub repair_after: Duration,
    /// First pause before a command is offered again that the hub could not carry out now; it doubles.
    pub later: Duration,
    /// Largest frame to accept, bytes.
    pub max_frame: usize,
}

impl Settings {
    /// The shipped values for this address and token.
    #[must_use]
    pub fn new(url: String, token: Secret, checkpoint: Vec<CheckpointRow>) -> Self {
        Self {
            url,
            token,
            app: concat!("wakeful/", env!("CARGO_PKG_VERSION")).to_owned(),
            checkpoint,
            snap_convs: 50,
            snap_msgs: 20,
            fill_page: 200,
            window: 1024,
            repair_after: Duration::from_secs(10),
            later: Duration::from_secs(5),
            max_frame: 2 << 20,
        }
    }
}

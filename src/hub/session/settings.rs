//! How sessions behave: times, credit, limits.

use crate::proto::hub::wire::Limits;
use std::time::Duration;

/// How sessions behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hello must have come this long after the upgrade.
    pub hello_within: Duration,
    /// Advice for the client's pings.
    pub ping_every: Duration,
    /// How long the client should wait for a pong.
    pub pong_within: Duration,
    /// The hub hangs up after this much silence.
    pub silence_most: Duration,
    /// Most events without an ack; a client may ask for less.
    pub window: u64,
    /// A cursor further behind than this gets a snapshot.
    pub too_far: u64,
    /// How far back the update stream reaches, days.
    pub retain_days: u64,
    /// How far back the update stream reaches, events.
    pub retain_events: u64,
    /// What is taken and given at most.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hello_within: Duration::from_secs(10),
            ping_every: Duration::from_secs(45),
            pong_within: Duration::from_secs(10),
            silence_most: Duration::from_secs(600),
            window: 1024,
            too_far: 10_000,
            retain_days: 30,
            retain_events: 100_000,
            limits: Limits {
                frame_in: 128 * 1024,
                frame_out: 1024 * 1024,
                text: 16_384,
                inflight: 64,
                hist: 200,
                members: 1_000,
                atts: 10,
                blob: 0,
                edit_ms: None,
            },
        }
    }
}

//! Every interval and bound of a link, in one place; `daemon` maps the configuration to them.

use std::time::Duration;

/// Intervals and bounds of one link. The defaults are what is shipped; tests shorten them.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Between the last proven round trip and the next probe, on mains.
    pub probe_interval: Duration,
    /// The same on battery or a metered network.
    pub probe_interval_saving: Duration,
    /// The server's advised probe interval wins; `false` where the user chose an interval.
    pub take_advice: bool,
    /// An unanswered probe means a dead connection after this long.
    pub probe_timeout: Duration,
    /// Window of the first retry; it grows by half with each failure.
    pub backoff_first: Duration,
    /// Largest window during the first [`backoff_early`](Self::backoff_early) of an outage.
    pub backoff_cap_early: Duration,
    /// How long an outage counts as young; afterwards the cap grows in proportion to its length.
    pub backoff_early: Duration,
    /// Largest window of a long outage, on mains.
    pub backoff_cap: Duration,
    /// The same on battery.
    pub backoff_cap_battery: Duration,
    /// Proven health of this length ends an outage and resets the backoff; nothing else does.
    pub healthy_after: Duration,
    /// After a wake-up or network change: a new dial joins the race when the probe is unanswered for this long.
    pub race_after: Duration,
    /// A server forgets a silent client after this long, unless the protocol knows better.
    pub server_timeout: Duration,
    /// After a wake-up or network change failed dials are repeated quickly for this long.
    pub grace: Duration,
    /// Quick dials (told by a signal, not by the backoff) that may follow one another.
    pub quick_dials: u32,
    /// One more quick dial is allowed after each of these.
    pub quick_refill: Duration,
    /// A dial ends after this long whatever its steps do.
    pub dial_timeout: Duration,
    /// From the open WebSocket to logged in.
    pub login_timeout: Duration,
    /// A link that cannot write to disk leaves after this long.
    pub stall_limit: Duration,
    /// A commit that takes longer than this counts as a stall.
    pub slow_commit: Duration,
    /// After a goodbye for sleep: dial again if no wake-up is told for this long.
    pub nap: Duration,
    /// First pause before a failed commit is tried again; it doubles.
    pub commit_retry: Duration,
    /// Longest such pause.
    pub commit_retry_cap: Duration,
    /// Frames in one batch.
    pub batch_frames: usize,
    /// Payload bytes in one batch.
    pub batch_bytes: usize,
    /// Outbox rows handed out at once.
    pub inflight: usize,
    /// Frames waiting to be written; more means that the connection does not take them.
    pub send_queue: usize,
    /// Saying goodbye and finishing a commit at shutdown take at most this long.
    pub farewell: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            probe_interval: s(45),
            probe_interval_saving: s(300),
            take_advice: true,
            probe_timeout: s(10),
            backoff_first: Duration::from_millis(500),
            backoff_cap_early: s(10),
            backoff_early: s(120),
            backoff_cap: s(60),
            backoff_cap_battery: s(120),
            healthy_after: s(60),
            race_after: s(1),
            server_timeout: s(120),
            grace: s(10),
            quick_dials: 6,
            quick_refill: s(10),
            dial_timeout: s(45),
            login_timeout: s(30),
            stall_limit: s(30),
            slow_commit: s(5),
            nap: s(30),
            commit_retry: Duration::from_millis(250),
            commit_retry_cap: s(10),
            batch_frames: 256,
            batch_bytes: 1 << 20,
            inflight: 32,
            send_queue: 1024,
            farewell: s(1),
        }
    }
}

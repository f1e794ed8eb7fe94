//! `[daemon]` and `[link]`: what holds for every account. What is not said keeps its room's default.

use super::Interval;
use serde::Deserialize;

/// The daemon itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Daemon {
    /// What is logged, such as `info` or `wakeful::link=debug,info`; `--log` and `WAKEFUL_LOG` win.
    pub log: Option<String>,
}

/// How connections are kept alive. The defaults are right for nearly everybody; tests shorten them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// Between the last proven round trip and the next probe, on mains (default: as the server advises, else 45 s).
    pub probe_interval: Option<Interval>,
    /// The same on battery or a metered network (default 5 min).
    pub probe_interval_saving: Option<Interval>,
    /// An unanswered probe means a dead connection after this long (default 10 s).
    pub probe_timeout: Option<Interval>,
    /// Window of the first retry (default 500 ms).
    pub backoff_first: Option<Interval>,
    /// Largest window during the first minutes of an outage (default 10 s).
    pub backoff_cap_early: Option<Interval>,
    /// Largest window of a long outage, on mains (default 60 s).
    pub backoff_cap: Option<Interval>,
    /// The same on battery (default 120 s).
    pub backoff_cap_battery: Option<Interval>,
    /// Proven health of this length resets the backoff (default 60 s).
    pub healthy_after: Option<Interval>,
    /// After waking: a new dial joins when the probe is unanswered for this long (default 1 s).
    pub race_after: Option<Interval>,
    /// A server forgets a silent client after this long.
    pub server_timeout: Option<Interval>,
    /// A dial ends after this long.
    pub dial_timeout: Option<Interval>,
    /// From the open WebSocket to logged in.
    pub login_timeout: Option<Interval>,
}

impl Link {
    /// No interval may be zero: a probe or retry without pause would be a storm.
    pub(super) fn check(&self) -> Result<(), String> {
        let named = [
            ("probe_interval", self.probe_interval),
            ("probe_interval_saving", self.probe_interval_saving),
            ("probe_timeout", self.probe_timeout),
            ("backoff_first", self.backoff_first),
            ("backoff_cap_early", self.backoff_cap_early),
            ("backoff_cap", self.backoff_cap),
            ("backoff_cap_battery", self.backoff_cap_battery),
            ("healthy_after", self.healthy_after),
            ("race_after", self.race_after),
            ("server_timeout", self.server_timeout),
            ("dial_timeout", self.dial_timeout),
            ("login_timeout", self.login_timeout),
        ];
        match named.iter().find(|(_, value)| value.is_some_and(|value| value.duration().is_zero())) {
            Some((name, _)) => Err(format!("{name} must not be zero")),
            None => Ok(()),
        }
    }
}

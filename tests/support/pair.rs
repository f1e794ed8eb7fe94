//! Two people on one hub, each with a daemon of their own.

use super::{Home, Hub};
use serde_json::Value;

/// Two people on one hub, each with an account called `home`.
pub struct Pair {
    /// The hub, which runs.
    pub hub: Hub,
    /// One of them.
    pub alice: Home,
    /// The other.
    pub bob: Home,
}

impl Pair {
    /// A hub that runs and two homes whose daemons do not.
    pub fn new() -> Self {
        Self::with_alice(Home::new())
    }

    /// The same, with a home for alice that is somewhere special.
    pub fn with_alice(alice: Home) -> Self {
        let hub = Hub::start();
        let [alice, bob] = [("alice", alice), ("bob", Home::new())].map(|(name, home)| {
            home.add_account("home", &hub.url(), &hub.user(name)).ok();
            home
        });
        Self { hub, alice, bob }
    }
}

/// The texts of messages as `history --json` gives them.
pub fn texts(history: &[Value]) -> Vec<&str> {
    history.iter().filter_map(|message| message["text"].as_str()).collect()
}

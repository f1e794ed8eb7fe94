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
        let hub = Hub::start();
        let [alice, bob] = ["alice", "bob"].map(|name| {
            let home = Home::new();
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

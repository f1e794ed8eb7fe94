//! What a person sees of a connection and does about it: `status`, `watch --status`, `reconnect`.

use crate::support::{Pair, Process};
use serde_json::Value;

fn account(line: &str) -> Option<Value> {
    let status: Value = serde_json::from_str(line).ok()?;
    status["accounts"].as_array()?.iter().find(|account| account["name"] == "home").cloned()
}

#[test]
fn an_outage_is_streamed_with_its_reason_and_its_next_try_and_reconnect_ends_it_before_that() {
    let mut pair = Pair::new();
    let _bob = pair.bob.daemon();
    pair.bob.wait_state("home", "online");
    let mut states = Process::start("states", &mut pair.bob.command(&["watch", "--status", "--json"]));
    let mut wait = |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        states.wait_line(what, |line| account(line).filter(|account| wanted(account)))
    };
    let online = wait("online", &|account| account["state"] == "online");
    assert_eq!((&online["connects"], &online["reconnects_last_day"]), (&1.into(), &0.into()), "{online}");
    assert!(online["last_round_trip_ms_ago"].is_u64() && online["bytes_last_hour"].as_u64() > Some(100), "{online}");

    pair.hub.stop();
    // Later tries wait longer, so that what ends it is the wish and not the clock.
    let waiting = wait("a wait", &|account| account["attempts"].as_u64() >= Some(5) && account["state"] == "waiting");
    assert_eq!(waiting["last_error"]["code"], "connect", "{waiting}");
    assert!(waiting["last_error"]["text"].is_string() && waiting["next_try_in_ms"].is_u64(), "{waiting}");

    pair.hub.up();
    pair.bob.run(&["reconnect", "home"]).ok();
    let back = wait("online again", &|account| account["state"] == "online");
    assert_eq!((&back["connects"], &back["reconnects_last_day"]), (&2.into(), &1.into()), "{back}");
    assert_eq!(back["attempts"], 0, "{back}");
    let refused = pair.bob.run(&["reconnect", "nobody"]);
    assert!(refused.code != 0 && refused.stderr.contains("nobody"), "{}", refused.stderr);
}

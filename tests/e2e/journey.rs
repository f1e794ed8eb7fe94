//! What one person writes reaches the other, whoever is down in between.

use crate::support::{Home, Pair, eventually, texts};

/// Waits until a message is in the history. (`watch` shows what is new; what was there before the first login of
/// all is history, and only history.)
fn arrives(home: &Home, text: &str) {
    eventually(text, || texts(&home.history("home")).contains(&text).then_some(()));
}

#[test]
fn a_message_reaches_the_other_person_and_is_answered() {
    let pair = Pair::new();
    let (_alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    let (mut to_alice, mut to_bob) = (pair.alice.watch(), pair.bob.watch());

    pair.alice.run(&["send", "home", "bob", "hello <b>bob</b> 🐦 שלום", "--wait", "sent"]).ok();
    let heard = to_bob.wait_text("hello <b>bob</b> 🐦 שלום");
    assert_eq!((&heard["outgoing"], &heard["state"]), (&false.into(), &"received".into()), "{heard}");
    assert_eq!((&heard["account"], &heard["sender"]), (&"home".into(), &"alice".into()), "{heard}");
    for field in ["id", "conversation", "sent_at", "server_id"] {
        assert!(!heard[field].is_null(), "{field} in {heard}");
    }

    pair.bob.run(&["send", "home", "alice", "hello alice"]).ok();
    let answer = to_alice.wait_text("hello alice");
    assert_eq!(answer["sender"], "bob");
    assert_eq!(texts(&pair.alice.history("home")), ["hello <b>bob</b> 🐦 שלום", "hello alice"]);
    assert_eq!(texts(&pair.bob.history("home")), ["hello <b>bob</b> 🐦 שלום", "hello alice"]);
    assert_eq!(pair.alice.wait_state("home", "online")["name"], "home");
}

#[test]
fn what_is_written_while_the_hub_is_down_goes_out_once_when_it_is_back() {
    let mut pair = Pair::new();
    pair.hub.stop();
    let (_alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    pair.alice.run(&["send", "home", "bob", "written offline"]).ok();
    let pending = pair.alice.history("home");
    assert_eq!(pending[0]["state"], "pending", "{pending:?}");
    assert_ne!(pair.alice.status("home")["state"], "online");
    pair.hub.up();
    arrives(&pair.bob, "written offline");
    assert_eq!(texts(&pair.bob.history("home")), ["written offline"]);
}

#[test]
fn what_arrived_while_the_daemon_was_off_is_there_after_its_start() {
    let pair = Pair::new();
    let bob = pair.bob.daemon();
    pair.bob.wait_state("home", "online");
    assert!(bob.stop().success());
    let _alice = pair.alice.daemon();
    for n in 0..20 {
        pair.alice.run(&["send", "home", "bob", &format!("number {n}"), "--wait", "sent"]).ok();
    }
    let _bob = pair.bob.daemon();
    pair.bob.watch().wait_text("number 19");
    let expected: Vec<String> = (0..20).map(|n| format!("number {n}")).collect();
    assert_eq!(texts(&pair.bob.history("home")), expected);
}

#[test]
fn what_was_written_before_a_kill_goes_out_once_after_the_next_start() {
    let mut pair = Pair::new();
    pair.hub.stop();
    let alice = pair.alice.daemon();
    pair.alice.run(&["send", "home", "bob", "before the kill"]).ok();
    alice.kill9();
    pair.hub.up();
    let (_alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    arrives(&pair.bob, "before the kill");
    pair.alice.run(&["send", "home", "bob", "after the kill", "--wait", "sent"]).ok();
    arrives(&pair.bob, "after the kill");
    assert_eq!(texts(&pair.bob.history("home")), ["before the kill", "after the kill"]);
}

#[test]
fn a_group_is_made_and_everybody_in_it_hears() {
    let pair = Pair::new();
    let (_alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    pair.alice.run(&["conversation", "create", "home", "the garden", "bob"]).ok();
    pair.alice.run(&["send", "home", "the garden", "who waters?", "--wait", "sent"]).ok();
    let heard = pair.bob.watch().wait_text("who waters?");
    assert_eq!(heard["conversation"]["name"], "the garden", "{heard}");
    let list = pair.bob.run(&["conversation", "list", "--json"]).json_lines();
    assert!(list.iter().any(|one| one["name"] == "the garden"), "{list:?}");
}

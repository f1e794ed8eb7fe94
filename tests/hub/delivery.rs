//! Messages arrive: at once, later, again after a cut, exactly once, in order, and only as fast as they are taken.

use crate::client::{Client, Running, cid};
use serde_json::json;
use std::time::Duration;
use wakeful::hub::Settings;

#[tokio::test]
async fn a_first_message_opens_the_direct_conversation_for_both_and_then_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let ok = alice.say("bob", "hello").await;
    assert_eq!(ok["seq"], 1);
    for (client, peer) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        let events = client.take_events(2).await;
        assert_eq!(events[0]["k"], "conv");
        assert_eq!((&events[0]["c"]["peer"], &events[0]["c"]["kind"]), (&json!(peer), &json!("direct")));
        assert_eq!((&events[1]["k"], &events[1]["from"]), (&json!("msg"), &json!("alice")));
        assert_eq!((&events[1]["body"]["text"], &events[1]["conv"]), (&json!("hello"), &ok["conv"]));
    }
    let answer = bob.say("alice", "hello yourself").await;
    assert_eq!((&answer["conv"], &answer["seq"]), (&ok["conv"], &json!(2)));
    hub.stop().await;
}

#[tokio::test]
async fn what_was_sent_while_somebody_was_away_arrives_in_order_when_they_resume() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let mut alice = hub.user("alice").await;
    let token = hub.token("bob").await;
    let bob = Client::ready(hub.addr, &token).await;
    let (epoch, cur) = (bob.epoch.clone(), bob.cur);
    drop(bob);
    for n in 0..300 {
        alice.say("bob", &format!("{n}")).await;
    }
    let (mut bob, welcome) = Client::resume(hub.addr, &token, &epoch, cur).await;
    assert_eq!(welcome["resume"], "ok");
    assert_eq!(bob.texts(300).await, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
    hub.stop().await;
}

#[tokio::test]
async fn what_was_received_but_not_stored_comes_again_from_the_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let mut alice = hub.user("alice").await;
    let token = hub.token("bob").await;
    let mut bob = Client::ready(hub.addr, &token).await;
    for n in 0..5 {
        alice.say("bob", &format!("{n}")).await;
    }
    let stored = bob.cur;
    assert_eq!(bob.texts(5).await.len(), 5);
    let (mut bob, _) = Client::resume(hub.addr, &token, &bob.epoch, stored).await;
    assert_eq!(bob.texts(5).await, ["0", "1", "2", "3", "4"]);
    let resync = json!({"t": "ack", "cur": stored, "resync": true});
    bob.cur = stored;
    bob.write(&resync).await;
    assert_eq!(bob.texts(5).await, ["0", "1", "2", "3", "4"], "a resync starts again from its cursor");
    hub.stop().await;
}

#[tokio::test]
async fn a_repeated_send_is_answered_with_the_first_ones_place_and_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let send = json!({"t": "send", "to": "bob", "cid": cid(), "body": {"type": "text", "text": "once"}});
    let first = alice.ok(send.clone()).await;
    let again = alice.ok(send.clone()).await;
    assert_eq!((&again["seq"], &again["conv"], &again["dup"]), (&first["seq"], &first["conv"], &json!(true)));
    let mut by_conv = send.clone();
    by_conv.as_object_mut().unwrap().remove("to");
    by_conv["conv"] = first["conv"].clone();
    assert_eq!(alice.ok(by_conv).await["dup"], true);
    let mut other = send;
    other["body"]["text"] = json!("twice");
    assert_eq!(alice.err(other).await["code"], "cid_reuse");
    alice.say("bob", "next").await;
    assert_eq!(bob.texts(2).await, ["once", "next"]);
    hub.stop().await;
}

#[tokio::test]
async fn the_same_cid_from_two_people_is_two_messages() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let conv = alice.say("bob", "first").await["conv"].clone();
    let send = json!({"t": "send", "conv": conv, "cid": cid(), "body": {"type": "text", "text": "same"}});
    assert!(alice.ok(send.clone()).await.get("dup").is_none());
    assert!(bob.ok(send).await.get("dup").is_none(), "nobody can suppress another's message");
    hub.stop().await;
}

#[tokio::test]
async fn all_devices_of_a_user_get_everything_also_what_they_sent_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut phone, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let mut laptop = hub.user("alice").await;
    phone.say("bob", "from the phone").await;
    laptop.say("bob", "from the laptop").await;
    for client in [&mut phone, &mut laptop, &mut bob] {
        assert_eq!(client.texts(2).await, ["from the phone", "from the laptop"]);
    }
    hub.stop().await;
}

#[tokio::test]
async fn reading_goes_to_own_devices_and_to_the_other_and_never_back() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let mut laptop = hub.user("bob").await;
    let conv = alice.say("bob", "1").await["conv"].clone();
    alice.say("bob", "2").await;
    bob.texts(2).await;
    let delivered = alice.event("dlvd").await;
    assert_eq!((&delivered["by"], &delivered["conv"]), (&json!("bob"), &conv));
    bob.ok(json!({"t": "mark", "conv": conv, "read": 2})).await;
    for client in [&mut alice, &mut laptop, &mut bob] {
        let read = client.event("read").await;
        assert_eq!((&read["by"], &read["seq"]), (&json!("bob"), &json!(2)));
    }
    assert_eq!(bob.ok(json!({"t": "mark", "conv": conv, "read": 1})).await["noop"], true);
    assert_eq!(bob.ok(json!({"t": "mark", "conv": conv, "read": 99})).await["noop"], true, "clamped to the newest");
    let mut fresh = hub.user("bob").await;
    assert!(fresh.events.is_empty());
    let got = fresh.ok(json!({"t": "conv", "op": "get", "conv": conv})).await;
    assert_eq!((&got["c"]["read"], &got["c"]["unread"]), (&json!(2), &json!(0)));
    hub.stop().await;
}

#[tokio::test]
async fn no_more_than_the_window_goes_out_without_an_ack() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let mut alice = hub.user("alice").await;
    let token = hub.token("bob").await;
    let mut bob = Client::dial(hub.addr, Some(&token)).await.unwrap();
    bob.hello(json!({"window": 16})).await;
    bob.pages().await;
    for n in 0..40 {
        alice.say("bob", &format!("{n}")).await;
    }
    let (start, mut got) = (bob.cur, 0);
    while got < 16 {
        let batch = bob.frame().await;
        got += batch["evs"].as_array().unwrap().len();
        bob.cur = batch["cur"].as_u64().unwrap();
    }
    assert_eq!(got, 16);
    let ping = json!({"t": "ping", "n": 7});
    bob.write(&ping).await;
    let pong = bob.frame().await;
    assert_eq!(pong["t"], "pong", "without credit nothing but the pong comes: {pong}");
    assert_eq!((&pong["n"], pong["head"].as_u64()), (&json!(7), Some(start + 41)));
    let ping = json!({"t": "ping", "n": 8, "cur": bob.cur});
    bob.write(&ping).await;
    bob.events.clear();
    assert_eq!(bob.take_events(25).await.len(), 25, "a ping's cursor is an ack");
    hub.stop().await;
}

#[tokio::test]
async fn typing_reaches_who_is_there_and_is_never_stored() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let conv = alice.say("bob", "x").await["conv"].clone();
    bob.texts(1).await;
    let typing = json!({"t": "typing", "conv": conv, "on": true});
    alice.write(&typing).await;
    let eph = bob.frame().await;
    assert_eq!(
        (&eph["t"], &eph["evs"][0]["k"], &eph["evs"][0]["by"]),
        (&json!("eph"), &json!("typing"), &json!("alice"))
    );
    let state = json!({"t": "state", "mode": "bg"});
    bob.write(&state).await;
    bob.ok(json!({"t": "conv", "op": "get", "conv": conv})).await;
    alice.write(&typing).await;
    alice.say("bob", "y").await;
    let next = bob.frame().await;
    assert_eq!(next["t"], "ev", "in the background nobody is told who types: {next}");
    hub.stop().await;
}

#[tokio::test]
async fn a_reader_who_does_not_read_is_cut_off_and_finds_everything_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.server.write_within = Duration::from_millis(700);
    let hub = Running::start_with(dir.path(), settings).await;
    let mut alice = hub.user("alice").await;
    let token = hub.token("bob").await;
    let mut bob = Client::dial_narrow(hub.addr, &token).await;
    bob.hello(json!({"window": 4096})).await;
    bob.pages().await;
    let (epoch, cur) = (bob.epoch.clone(), bob.cur);
    let text = "x".repeat(16_000);
    for _ in 0..400 {
        alice.say("bob", &text).await;
    }
    let mut over = None;
    for _ in 0..4_100 {
        tokio::time::sleep(Duration::from_millis(if over.is_none() { 1_500 } else { 0 })).await;
        over = bob.message().await;
        if !matches!(over, Some(Ok(_))) {
            break;
        }
    }
    assert!(!matches!(over, Some(Ok(_))), "the connection of who does not read ends");
    let (mut bob, welcome) = Client::resume(hub.addr, &token, &epoch, cur).await;
    assert_eq!(welcome["resume"], "ok");
    assert_eq!(bob.texts(400).await.len(), 400);
    hub.stop().await;
}

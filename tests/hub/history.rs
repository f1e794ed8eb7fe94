//! Pages of history and of conversations by signed tokens.

use crate::client::{Client, Running};
use serde_json::{Value, json};

async fn talk(hub: &Running, messages: u64) -> (Client, Client, Value) {
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let mut conv = Value::Null;
    for n in 1..=messages {
        let who = if n % 3 == 0 { (&mut bob, "alice") } else { (&mut alice, "bob") };
        let text = if n % 10 == 0 { format!("{n} see https://example.org") } else { format!("{n}") };
        conv = who.0.say(who.1, &text).await["conv"].clone();
    }
    (alice, bob, conv)
}

pub(crate) fn seqs(page: &Value) -> Vec<u64> {
    page["msgs"].as_array().unwrap().iter().map(|msg| msg["seq"].as_u64().unwrap()).collect()
}

/// All pages from this first request on.
pub(crate) async fn walk(client: &mut Client, first: Value) -> Vec<u64> {
    let mut page = client.ok(first).await;
    let mut all = seqs(&page);
    while let Some(cursor) = page.get("cursor").cloned() {
        assert_eq!(page["more"], true);
        page = client.ok(json!({"t": "hist", "cursor": cursor})).await;
        all.extend(seqs(&page));
    }
    assert_eq!(page["more"], false);
    all
}

#[tokio::test]
async fn pages_in_both_orders_give_every_message_once() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob, conv) = talk(&hub, 45).await;
    let down: Vec<u64> = (1..=45).rev().collect();
    assert_eq!(walk(&mut alice, json!({"t": "hist", "conv": conv, "limit": 10})).await, down);
    let up: Vec<u64> = (1..=45).collect();
    assert_eq!(walk(&mut bob, json!({"t": "hist", "conv": conv, "limit": 7, "order": "asc"})).await, up);
    let between = json!({"t": "hist", "conv": conv, "after": 10, "before": 20, "limit": 4});
    assert_eq!(walk(&mut bob, between).await, (11..20).rev().collect::<Vec<_>>());
    let skipped = json!({"t": "hist", "conv": conv, "skip": 40, "limit": 2});
    assert_eq!(walk(&mut bob, skipped).await, [5, 4, 3, 2, 1]);
    let around = bob.ok(json!({"t": "hist", "conv": conv, "around": 20, "limit": 5, "order": "asc"})).await;
    assert_eq!(seqs(&around), [18, 19, 20, 21, 22]);
    let newest = bob.ok(json!({"t": "hist", "conv": conv, "limit": 1})).await;
    assert_eq!((seqs(&newest), &newest["floor"]), (vec![45], &json!(1)));
    hub.stop().await;
}

#[tokio::test]
async fn filters_hold_across_pages() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, _bob, conv) = talk(&hub, 45).await;
    let by = json!({"t": "hist", "conv": conv, "limit": 4, "filter": {"from": "bob"}});
    assert_eq!(walk(&mut alice, by).await, (1..=15).rev().map(|n| n * 3).collect::<Vec<u64>>());
    let links = json!({"t": "hist", "conv": conv, "limit": 3, "filter": {"has": "link"}});
    assert_eq!(walk(&mut alice, links).await, [40, 30, 20, 10]);
    let text = json!({"t": "hist", "conv": conv, "order": "asc", "filter": {"text": "SEE HTTPS"}});
    assert_eq!(walk(&mut alice, text).await, [10, 20, 30, 40]);
    let none = json!({"t": "hist", "conv": conv, "filter": {"has": "att"}});
    assert_eq!(walk(&mut alice, none).await, [0; 0]);
    hub.stop().await;
}

#[tokio::test]
async fn messages_that_arrive_between_pages_do_not_shift_them() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob, conv) = talk(&hub, 20).await;
    let first = alice.ok(json!({"t": "hist", "conv": conv, "limit": 10})).await;
    bob.say("alice", "new").await;
    let second = alice.ok(json!({"t": "hist", "cursor": first["cursor"]})).await;
    assert_eq!((seqs(&first), seqs(&second)), ((11..=20).rev().collect(), (1..=10).rev().collect()));
    hub.stop().await;
}

#[tokio::test]
async fn a_token_ends_after_ten_minutes_and_says_where_to_reopen_unless_it_has_no_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, _bob, conv) = talk(&hub, 20).await;
    let short = alice.ok(json!({"t": "hist", "conv": conv, "limit": 5})).await["cursor"].clone();
    let endless = alice.ok(json!({"t": "hist", "conv": conv, "limit": 5, "no_timeout": true})).await["cursor"].clone();
    hub.clock.jump(599_000);
    alice.ok(json!({"t": "hist", "cursor": short})).await;
    hub.clock.jump(2_000);
    let err = alice.err(json!({"t": "hist", "cursor": short})).await;
    assert_eq!((&err["code"], &err["at"]), (&json!("cursor_expired"), &json!(16)));
    let reopened = alice.ok(json!({"t": "hist", "conv": conv, "before": err["at"], "limit": 5})).await;
    assert_eq!(seqs(&reopened), [15, 14, 13, 12, 11]);
    assert_eq!(seqs(&alice.ok(json!({"t": "hist", "cursor": endless})).await), [15, 14, 13, 12, 11]);
    hub.stop().await;
}

#[tokio::test]
async fn a_token_that_was_changed_or_belongs_to_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob, conv) = talk(&hub, 20).await;
    let cursor = alice.ok(json!({"t": "hist", "conv": conv, "limit": 5})).await["cursor"].as_str().unwrap().to_owned();
    assert_eq!(bob.err(json!({"t": "hist", "cursor": cursor})).await["code"], "bad_cursor");
    assert_eq!(alice.err(json!({"t": "convs", "cursor": cursor})).await["code"], "bad_cursor");
    for at in [0, cursor.len() / 2, cursor.len() - 2] {
        let mut changed = cursor.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(alice.err(json!({"t": "hist", "cursor": changed})).await["code"], "bad_cursor", "at {at}");
    }
    for wrong in ["", "x", "AAAA", "!!!"] {
        assert_eq!(alice.err(json!({"t": "hist", "cursor": wrong})).await["code"], "bad_cursor", "{wrong}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn conversations_are_listed_newest_first_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let mut alice = hub.user("alice").await;
    for n in 0..7 {
        hub.token(&format!("u{n}")).await;
        hub.clock.jump(10);
        alice.say(&format!("u{n}"), "hi").await;
    }
    let mut peers = Vec::new();
    let mut page = alice.ok(json!({"t": "convs", "limit": 3})).await;
    loop {
        let convs = page["convs"].as_array().unwrap();
        assert!(convs.iter().all(|conv| conv["last"].as_array().unwrap().len() == 1));
        peers.extend(convs.iter().map(|conv| conv["peer"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.get("cursor").cloned() else { break };
        page = alice.ok(json!({"t": "convs", "limit": 3, "cursor": cursor})).await;
    }
    assert_eq!(peers, ["u6", "u5", "u4", "u3", "u2", "u1", "u0"]);
    hub.stop().await;
}

//! Groups: who is in them, who sees what, who may do what; and changes to messages.

use crate::client::{Client, Running, cid};
use serde_json::{Value, json};

async fn group(owner: &mut Client, members: &[&str]) -> Value {
    let create = json!({"t": "conv", "op": "create", "title": "Garden", "members": members, "cid": cid()});
    owner.ok(create).await["conv"].clone()
}

fn texts(page: &Value) -> Vec<String> {
    let text = |msg: &Value| msg["body"]["text"].as_str().unwrap_or("(gone)").to_owned();
    page["msgs"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn a_group_is_told_to_all_its_members_and_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob, mut carol) = (hub.user("alice").await, hub.user("bob").await, hub.user("carol").await);
    let create = json!({"t": "conv", "op": "create", "title": "Garden", "members": ["bob", "carol"], "cid": cid()});
    let made = alice.ok(create.clone()).await;
    let again = alice.ok(create).await;
    assert_eq!((&again["conv"], &again["dup"]), (&made["conv"], &json!(true)));
    for client in [&mut alice, &mut bob, &mut carol] {
        let event = client.event("conv").await;
        assert_eq!((&event["c"]["title"], &event["c"]["count"]), (&json!("Garden"), &json!(3)));
        assert_eq!(event["c"]["owner"], "alice");
    }
    bob.say_in(&made["conv"], "hello all").await;
    for client in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(client.texts(1).await, ["hello all"]);
    }
    let members = carol.ok(json!({"t": "members", "conv": made["conv"], "limit": 2})).await;
    assert_eq!((members["members"].as_array().unwrap().len(), &members["more"]), (2, &json!(true)));
    let rest = carol.ok(json!({"t": "members", "conv": made["conv"], "cursor": members["cursor"]})).await;
    assert_eq!(rest["members"][0]["user"], "carol");
    hub.stop().await;
}

#[tokio::test]
async fn who_leaves_and_comes_back_sees_what_they_were_there_for() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob, mut carol) = (hub.user("alice").await, hub.user("bob").await, hub.user("carol").await);
    let conv = group(&mut alice, &["carol"]).await;
    alice.say_in(&conv, "before bob").await;
    alice.ok(json!({"t": "conv", "op": "add", "conv": conv, "user": "bob"})).await;
    let joined = carol.event("member").await;
    assert_eq!((&joined["user"], &joined["op"]), (&json!("bob"), &json!("join")));
    assert_eq!(bob.event("conv").await["c"]["unread"], 0);
    alice.say_in(&conv, "with bob").await;
    bob.ok(json!({"t": "conv", "op": "leave", "conv": conv})).await;
    assert_eq!(bob.event("gone").await["reason"], "left");
    alice.say_in(&conv, "without bob").await;
    let send = json!({"t": "send", "conv": conv, "cid": cid(), "body": {"type": "text", "text": "no"}});
    assert_eq!(bob.err(send).await["code"], "not_member");
    assert_eq!(texts(&bob.ok(json!({"t": "hist", "conv": conv, "order": "asc"})).await), ["with bob"]);
    alice.ok(json!({"t": "conv", "op": "add", "conv": conv, "members": ["bob"]})).await;
    alice.say_in(&conv, "bob again").await;
    let page = bob.ok(json!({"t": "hist", "conv": conv, "order": "asc"})).await;
    assert_eq!((texts(&page), &page["floor"]), (vec!["with bob".into(), "bob again".into()], &json!(2)));
    let mut later = bob.ok(json!({"t": "changes", "conv": conv, "since": 0})).await;
    assert_eq!(texts(&later), ["with bob", "bob again"], "changes show no more than history");
    later["msgs"] = json!([]);
    hub.stop().await;
}

#[tokio::test]
async fn roles_say_who_may_change_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob, mut carol) = (hub.user("alice").await, hub.user("bob").await, hub.user("carol").await);
    let mut dave = hub.user("dave").await;
    let conv = group(&mut alice, &["bob", "carol"]).await;
    let set = json!({"t": "conv", "op": "set", "conv": conv, "title": "Kitchen"});
    assert_eq!(bob.err(set.clone()).await["code"], "forbidden");
    assert_eq!(dave.err(set.clone()).await["code"], "not_found", "for others it does not exist");
    alice.ok(json!({"t": "conv", "op": "role", "conv": conv, "user": "bob", "role": "admin"})).await;
    assert_eq!(bob.ok(set).await["c"]["title"], "Kitchen");
    assert_eq!(bob.err(json!({"t": "conv", "op": "remove", "conv": conv, "user": "alice"})).await["code"], "forbidden");
    bob.ok(json!({"t": "conv", "op": "remove", "conv": conv, "user": "carol"})).await;
    assert_eq!(carol.event("gone").await["reason"], "removed");
    alice.ok(json!({"t": "conv", "op": "leave", "conv": conv})).await;
    let got = bob.ok(json!({"t": "conv", "op": "get", "conv": conv})).await;
    assert_eq!((&got["c"]["owner"], &got["c"]["count"]), (&json!("bob"), &json!(1)), "the admin inherits");
    assert_eq!(bob.err(json!({"t": "conv", "op": "direct", "user": "bob"})).await["code"], "bad_request");
    hub.stop().await;
}

#[tokio::test]
async fn edits_deletions_and_reactions_reach_all_and_count_one_rev_each() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let sent = alice.say("bob", "teh text").await;
    let (conv, rev) = (sent["conv"].clone(), sent["rev"].as_u64().unwrap());
    let edit = json!({"t": "edit", "conv": conv, "seq": 1, "body": {"type": "text", "text": "the text"}, "cid": cid()});
    assert_eq!(bob.err(edit.clone()).await["code"], "forbidden");
    assert_eq!(alice.ok(edit.clone()).await["rev"], rev + 1);
    assert_eq!(alice.ok(edit).await["noop"], true, "a repeat changes nothing");
    let react = json!({"t": "react", "conv": conv, "seq": 1, "key": "👍", "on": true});
    assert_eq!(bob.ok(react.clone()).await["rev"], rev + 2);
    assert_eq!(bob.ok(react).await["noop"], true);
    let page = alice.ok(json!({"t": "hist", "conv": conv})).await;
    assert_eq!((&page["msgs"][0]["body"]["text"], &page["msgs"][0]["rev"]), (&json!("the text"), &json!(rev + 2)));
    assert_eq!(page["msgs"][0]["reacts"], json!([{"key": "👍", "n": 1}]));
    assert_eq!(bob.err(json!({"t": "del", "conv": conv, "seqs": [1], "scope": "all"})).await["code"], "forbidden");
    assert_eq!(alice.ok(json!({"t": "del", "conv": conv, "seqs": [1], "scope": "all"})).await["rev"], rev + 3);
    let page = bob.ok(json!({"t": "hist", "conv": conv})).await;
    assert_eq!(
        (&page["msgs"][0]["del"], page["msgs"][0].get("body")),
        (&json!(true), None),
        "only a tombstone is left"
    );
    let late = json!({"t": "react", "conv": conv, "seq": 1, "key": "x", "on": true});
    assert_eq!(bob.err(late).await["code"], "conflict");
    let kinds: Vec<Value> = bob.take_events(5).await.iter().map(|event| event["k"].clone()).collect();
    assert_eq!(kinds, ["conv", "msg", "edit", "react", "del"]);
    let changed = alice.ok(json!({"t": "changes", "conv": conv, "since": rev})).await;
    assert_eq!((changed["msgs"].as_array().unwrap().len(), &changed["since"]), (1, &json!(rev + 3)));
    hub.stop().await;
}

#[tokio::test]
async fn deleted_for_me_is_gone_for_my_devices_alone() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    let mut laptop = hub.user("bob").await;
    let conv = alice.say("bob", "secret").await["conv"].clone();
    alice.say("bob", "other").await;
    let del = json!({"t": "del", "conv": conv, "seqs": [1], "scope": "me"});
    assert!(bob.ok(del.clone()).await.get("noop").is_none());
    assert_eq!(bob.ok(del).await["noop"], true);
    assert_eq!(laptop.event("del").await["scope"], "me");
    assert_eq!(texts(&laptop.ok(json!({"t": "hist", "conv": conv})).await), ["other"]);
    assert_eq!(texts(&alice.ok(json!({"t": "hist", "conv": conv})).await), ["other", "secret"]);
    hub.stop().await;
}

//! The hub stops, dies and comes back; another process works on its data meanwhile.

use crate::client::{Client, Running};
use serde_json::json;
use wakeful::hub::{Hub, Settings};
use wakeful::world::{Clock, Entropy};

#[tokio::test]
async fn a_restart_says_goodbye_with_1001_and_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (alice_token, bob_token) = (hub.token("alice").await, hub.token("bob").await);
    let mut alice = Client::ready(hub.addr, &alice_token).await;
    let mut bob = Client::ready(hub.addr, &bob_token).await;
    let cid = crate::client::cid();
    let send = json!({"t": "send", "to": "bob", "cid": cid, "body": {"type": "text", "text": "before"}});
    let first = alice.ok(send.clone()).await;
    bob.texts(1).await;
    let (epoch, cur) = (bob.epoch.clone(), bob.cur);
    let (hub, words) = tokio::join!(hub.restart(), bob.last_words());
    assert_eq!(words.2, Some(1001));
    let (mut alice, _) = Client::resume(hub.addr, &alice_token, &epoch, alice.cur).await;
    assert_eq!(alice.ok(send).await["seq"], first["seq"], "a repeat across the restart is known");
    alice.say("bob", "after").await;
    let (mut bob, welcome) = Client::resume(hub.addr, &bob_token, &epoch, cur).await;
    assert_eq!((&welcome["resume"], &welcome["epoch"]), (&json!("ok"), &json!(epoch)));
    assert_eq!(bob.texts(1).await, ["after"]);
    hub.stop().await;
}

#[tokio::test]
async fn what_was_answered_with_ok_is_in_a_copy_of_the_files_taken_at_that_moment() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, bob_token) = (hub.user("alice").await, hub.token("bob").await);
    let epoch = alice.epoch.clone();
    let copies = tempfile::tempdir().unwrap();
    for n in 1..=5_u64 {
        alice.say("bob", &format!("{n}")).await;
        // What a power cut or kill at this moment would leave.
        let copy = copies.path().join(n.to_string());
        std::fs::create_dir(&copy).unwrap();
        for name in ["hub.db", "hub.db-wal"] {
            std::fs::copy(dir.path().join(name), copy.join(name)).unwrap();
        }
        let revived = Running::start(&copy).await;
        let (mut bob, _) = Client::resume(revived.addr, &bob_token, &epoch, 0).await;
        let expected: Vec<String> = (1..=n).map(|n| n.to_string()).collect();
        assert_eq!(bob.texts(usize::try_from(n).unwrap()).await, expected);
        revived.stop().await;
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_user_added_by_another_process_can_log_in_at_once_and_a_device_joins_a_user() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let beside = Hub::open(dir.path(), Settings::default(), Clock::system(), Entropy::system()).await.unwrap();
    let carol = beside.add_user("carol", None).await.unwrap();
    assert!(!carol.existed);
    Client::ready(hub.addr, carol.token.expose()).await;
    let second = beside.add_user("carol", Some("laptop")).await.unwrap();
    assert!(second.existed && second.token != carol.token);
    Client::ready(hub.addr, second.token.expose()).await;
    Client::ready(hub.addr, carol.token.expose()).await;
    let taken = beside.add_user("carol", Some("laptop")).await.unwrap_err().to_string();
    assert!(taken.contains("laptop") && taken.contains("--device"), "{taken}");
    assert!(beside.add_user("no spaces", None).await.is_err());
    assert_eq!(beside.users().await.unwrap()[0].devices, 2);
    beside.close().await;
    hub.stop().await;
}

#[tokio::test]
async fn tokens_stand_nowhere_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let token = hub.token("alice").await;
    let mut client = Client::ready(hub.addr, &token).await;
    let rotated = client.ok(json!({"t": "auth", "op": "rotate"})).await["token"].as_str().unwrap().to_owned();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [&token, &rotated] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
    hub.stop().await;
}

#[tokio::test]
async fn cursors_that_cannot_be_used_get_a_snapshot_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.server.session.too_far = 5;
    settings.store.retain_events = 8;
    let hub = Running::start_with(dir.path(), settings).await;
    let mut alice = hub.user("alice").await;
    let token = hub.token("bob").await;
    let epoch = alice.epoch.clone();
    for n in 0..30 {
        alice.say("bob", &format!("{n}")).await;
    }
    let reason = async |epoch: &str, cur: u64| {
        let (mut bob, welcome) = Client::resume(hub.addr, &token, epoch, cur).await;
        let convs = if welcome["resume"] == "snap" { bob.pages().await } else { Vec::new() };
        (welcome["reason"].clone(), convs)
    };
    assert_eq!(reason("another", 3).await.0, "epoch");
    assert_eq!(reason(&epoch, 999).await.0, "future");
    assert_eq!(reason(&epoch, 20).await.0, "too_far");
    let (why, convs) = reason(&epoch, 27).await;
    assert!(why.is_null() && convs.is_empty(), "{why}");
    let beside = Hub::open(dir.path(), Settings::default(), Clock::system(), Entropy::system()).await.unwrap();
    beside.close().await;
    let hub = {
        let mut settings = Settings::default();
        settings.store.retain_events = 8;
        hub.stop().await;
        Running::start_with(dir.path(), settings).await
    };
    let (mut bob, mut welcome) = Client::resume(hub.addr, &token, &epoch, 2).await;
    for _ in 0..50 {
        if welcome["reason"] == "too_old" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        (bob, welcome) = Client::resume(hub.addr, &token, &epoch, 2).await;
    }
    assert_eq!(welcome["reason"], "too_old", "pruning at the start took what lies beyond the retention");
    let convs = bob.pages().await;
    assert_eq!(convs.len(), 1);
    let last = convs[0]["last"].as_array().unwrap();
    assert_eq!((last.len(), &last[19]["body"]["text"]), (20, &json!("29")));
    assert_eq!((&convs[0]["unread"], &convs[0]["seq"], &convs[0]["peer"]), (&json!(30), &json!(30), &json!("alice")));
    hub.stop().await;
}

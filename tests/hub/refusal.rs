//! Bad input: each fault gets its own clear answer and close code, and nobody else notices.

use crate::client::{Client, PATIENCE, Running};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use wakeful::hub::Settings;

async fn http(hub: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(hub.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn a_wrong_token_is_told_as_401_with_a_json_body_before_any_websocket() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let token = hub.token("alice").await;
    for wrong in ["nonsense", &token.to_lowercase(), &token[1..]] {
        let Err(Error::Http(answer)) = Client::dial(hub.addr, Some(wrong)).await else { panic!("no HTTP status") };
        assert_eq!(answer.status(), 401);
    }
    let upgrade = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wakeful.v1.json\r\n\
        Authorization: Bearer nonsense\r\n\r\n";
    let answer = http(&hub, upgrade).await;
    let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert!(answer.contains("application/json") && body["error"] == "unauthenticated", "{answer}");
    hub.stop().await;
}

#[tokio::test]
async fn a_browser_shows_its_token_in_hello_and_a_wrong_one_there_ends_with_42xx() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let token = hub.token("alice").await;
    let mut browser = Client::dial(hub.addr, None).await.unwrap();
    assert_eq!(browser.hello(json!({"token": token})).await["user"], "alice");
    for wrong in [json!({"t": "hello", "app": "b", "token": "nonsense"}), json!({"t": "hello", "app": "b"})] {
        let mut browser = Client::dial(hub.addr, None).await.unwrap();
        browser.write(&wrong).await;
        let (err, bye, code) = browser.last_words().await;
        assert_eq!((&err["code"], &bye["code"], code), (&json!("unauthenticated"), &json!(4201), Some(4201)));
    }
    hub.stop().await;
}

#[tokio::test]
async fn frames_that_are_none_end_the_connection_with_bad_frame_and_42xx() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let garbage =
        [Message::text("{"), Message::text("[]"), Message::binary(vec![1, 2]), Message::text("[".repeat(5000))];
    for message in garbage {
        let mut client = hub.user("alice").await;
        client.raw(message).await;
        let (err, bye, code) = client.last_words().await;
        assert_eq!((&err["code"], &bye["code"], code), (&json!("bad_frame"), &json!(4200), Some(4200)));
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_request_that_is_wrong_is_answered_and_the_connection_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let mut alice = hub.user("alice").await;
    let err = alice.err(json!({"t": "mark", "conv": "a b", "read": 1})).await;
    assert_eq!((&err["code"], &err["field"]), (&json!("bad_request"), &json!("conv")));
    assert_eq!(alice.err(json!({"t": "poll"})).await["code"], "unsupported");
    assert_eq!(alice.err(json!({"t": "pref", "conv": "c", "mute": 1})).await["code"], "unsupported");
    let text = "x".repeat(16_385);
    let send = json!({"t": "send", "to": "bob", "cid": crate::client::cid(), "body": {"type": "text", "text": text}});
    assert_eq!(alice.err(send).await["code"], "too_large");
    let send = json!({"t": "send", "to": "bob", "cid": crate::client::cid(), "body": {"type": "text", "text": "hi"}});
    let err = alice.err(send).await;
    assert_eq!((&err["code"], &err["field"]), (&json!("not_found"), &json!("to")));
    assert_eq!(alice.err(json!({"t": "hist", "conv": "nowhere"})).await["code"], "not_found");
    hub.stop().await;
}

#[tokio::test]
async fn a_giant_frame_is_refused_with_the_limit_while_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let (mut alice, mut bob) = (hub.user("alice").await, hub.user("bob").await);
    alice.raw(Message::text("x".repeat(8 << 20))).await;
    let (err, bye, code) = alice.last_words().await;
    assert_eq!((&err["code"], &err["max"]), (&json!("too_large"), &json!("131072")));
    assert_eq!((&bye["code"], code), (&json!(4209), Some(4209)));
    bob.say("alice", "still here").await;
    hub.stop().await;
}

#[tokio::test]
async fn hello_comes_first_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let token = hub.token("alice").await;
    let mut early = Client::dial(hub.addr, Some(&token)).await.unwrap();
    let ping = json!({"t": "ping", "n": 1});
    early.write(&ping).await;
    assert_eq!(early.last_words().await.2, Some(4200));
    let mut twice = Client::ready(hub.addr, &token).await;
    let hello = json!({"t": "hello", "app": "again"});
    twice.write(&hello).await;
    assert_eq!(twice.last_words().await.2, Some(4200));
    hub.stop().await;
}

#[tokio::test]
async fn half_sent_upgrades_and_silent_clients_are_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.server.upgrade_within = Duration::from_millis(300);
    settings.server.session.hello_within = Duration::from_millis(300);
    settings.server.session.silence_most = Duration::from_millis(600);
    let hub = Running::start_with(dir.path(), settings).await;
    let mut half = TcpStream::connect(hub.addr).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nUpgr").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, half.read_to_end(&mut rest)).await.expect("it is cut off");
    assert!(read.is_err() || rest.is_empty());
    let token = hub.token("alice").await;
    let mut mute = Client::dial(hub.addr, Some(&token)).await.unwrap();
    let (_, bye, code) = mute.last_words().await;
    assert_eq!((&bye["reason"], code), (&json!("no hello"), Some(4001)));
    let mut silent = Client::ready(hub.addr, &token).await;
    assert_eq!(silent.last_words().await.2, Some(4000));
    hub.stop().await;
}

#[tokio::test]
async fn other_http_requests_get_a_status_and_health_says_ok() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    assert!(http(&hub, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(http(&hub, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.starts_with("HTTP/1.1 426 "));
    assert!(http(&hub, "POST / HTTP/1.1\r\nHost: h\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(9_000));
    assert!(http(&hub, &long).await.starts_with("HTTP/1.1 431 "));
    hub.stop().await;
}

#[tokio::test]
async fn a_revoked_device_is_cut_off_at_once_and_a_rotated_token_has_its_grace() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path()).await;
    let token = hub.token("alice").await;
    let mut phone = Client::ready(hub.addr, &token).await;
    let new = phone.ok(json!({"t": "auth", "op": "rotate"})).await["token"].as_str().unwrap().to_owned();
    Client::ready(hub.addr, &new).await;
    Client::ready(hub.addr, &token).await;
    hub.clock.jump(601_000);
    assert!(Client::dial(hub.addr, Some(&token)).await.is_err(), "the grace is over");
    let mut laptop = hub.user("alice").await;
    let devices = laptop.ok(json!({"t": "dev", "op": "list"})).await;
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2);
    laptop.ok(json!({"t": "dev", "op": "revoke", "device": "d1"})).await;
    assert_eq!(phone.last_words().await.2, Some(4201));
    assert!(Client::dial(hub.addr, Some(&new)).await.is_err());
    hub.stop().await;
}

#[tokio::test]
async fn over_tls_the_same_is_spoken_and_plain_text_gets_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    assert!(wakeful::hub::tls_config(&key, &cert).is_err(), "swapped files are told, not taken");
    let tls = wakeful::hub::tls_config(&cert, &key).unwrap();
    let hub = Running::start_tls(dir.path(), Settings::default(), Some(tls)).await;
    let token = hub.token("alice").await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(hub.addr).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let upgrade = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wakeful.v1.json\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    let mut plain = TcpStream::connect(hub.addr).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _cut = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "nothing in the clear");
    hub.stop().await;
}

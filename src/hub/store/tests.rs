//! The record without sockets: what is numbered, committed, refused, and told to whom.

#![allow(clippy::result_large_err, reason = "answers as they stand on the wire")]

use super::*;
use crate::proto::hub::wire::server::{Err as WireErr, Ok as WireOk};
use crate::proto::hub::wire::{ErrorCode, decode_client};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};

const AT: Timestamp = Timestamp(1_700_000_000_000);

struct Bench {
    store: Store,
    hints: mpsc::Receiver<Vec<Hint>>,
}

impl Bench {
    fn new() -> Self {
        let (tell, hints) = mpsc::channel();
        let tell = Mutex::new(tell);
        let announce = move |told: Vec<Hint>| tell.lock().unwrap().send(told).unwrap();
        let store = Store::in_memory(Settings::default(), Entropy::seeded(7), announce).unwrap();
        Self { store, hints }
    }

    fn user(&self, name: &str) -> Identity {
        let added = futures_util::FutureExt::now_or_never(self.store.add_user(name, None, AT)).unwrap().unwrap();
        let ask = Ask::Authenticate(added.token);
        let Answer::Identity(Some(who)) = self.store.carry_out_now(&nobody(), ask, AT).answer else { panic!() };
        let heard = self.hints.try_iter().count();
        assert!(heard <= 2);
        who
    }

    fn request(&self, who: &Identity, mut frame: Value) -> Result<WireOk, Box<WireErr>> {
        static ID: AtomicU64 = AtomicU64::new(1);
        frame["id"] = json!(ID.fetch_add(1, Ordering::Relaxed));
        let ask = Ask::Request(Box::new(decode_client(&frame.to_string()).unwrap()));
        match self.store.carry_out_now(who, ask, AT).answer {
            Answer::Ok(ok) => Ok(*ok),
            Answer::Err(err) => Err(err),
            other => panic!("{other:?}"),
        }
    }

    fn say(&self, who: &Identity, to: &str, text: &str) -> Result<WireOk, Box<WireErr>> {
        self.request(who, json!({"t": "send", "to": to, "cid": cid(), "body": {"type": "text", "text": text}}))
    }

    fn stream(&self, who: &Identity, after: u64) -> (u64, Vec<Value>) {
        let answer = self.store.carry_out_now(who, Ask::Fetch { after, limit: 100 }, AT).answer;
        let Answer::Batch { cur, events, .. } = answer else { panic!("{answer:?}") };
        (cur, events.iter().map(|event| serde_json::from_str(event).unwrap()).collect())
    }
}

fn cid() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("01900000-0000-7000-8000-{:012x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn seqs_have_no_holes_and_refused_sends_leave_no_trace() {
    let bench = Bench::new();
    let (alice, bob) = (bench.user("alice"), bench.user("bob"));
    assert_eq!(bench.say(&alice, "carol", "x").unwrap_err().code, ErrorCode::NotFound);
    let first = bench.say(&alice, "bob", "1").unwrap();
    let bad = json!({"t": "send", "conv": first.conv, "cid": cid(), "re": 9, "body": {"type": "text"}});
    assert_eq!(bench.request(&alice, bad).unwrap_err().field.as_deref(), Some("re"));
    let turns = [(&bob, "alice"), (&alice, "bob"), (&bob, "alice"), (&alice, "bob"), (&bob, "alice")];
    let seqs: Vec<u64> = turns.iter().map(|(who, to)| bench.say(who, to, "x").unwrap().seq.unwrap()).collect();
    assert_eq!((first.seq, seqs), (Some(1), vec![2, 3, 4, 5, 6]));
    let (cur, events) = bench.stream(&bob, 0);
    assert_eq!((cur, events.len()), (7, 7), "the conversation and six messages");
}

#[test]
fn a_repeat_is_stored_once_and_told_once() {
    let bench = Bench::new();
    let (alice, bob) = (bench.user("alice"), bench.user("bob"));
    let send = json!({"t": "send", "to": "bob", "cid": cid(), "body": {"type": "text", "text": "once"}});
    let first = bench.request(&alice, send.clone()).unwrap();
    bench.hints.try_iter().for_each(drop);
    let again = bench.request(&alice, send).unwrap();
    assert_eq!((again.seq, again.dup), (first.seq, Some(true)));
    assert_eq!(bench.hints.try_iter().flatten().count(), 0, "nobody is told twice");
    assert_eq!(bench.stream(&bob, 0).1.len(), 2);
}

#[test]
fn a_message_that_comes_after_another_is_not_taken_without_it() {
    let bench = Bench::new();
    let alice = bench.user("alice");
    bench.user("bob");
    let (first, second) = (cid(), cid());
    let send = |cid: &str, after: Option<&str>| {
        let mut frame = json!({"t": "send", "to": "bob", "cid": cid, "body": {"type": "text", "text": cid}});
        if let Some(after) = after {
            frame["after"] = json!(after);
        }
        bench.request(&alice, frame)
    };
    let refused = send(&second, Some(&first)).unwrap_err();
    assert_eq!((refused.code, refused.field.as_deref()), (ErrorCode::Unavailable, Some("after")));
    assert_eq!(send(&first, None).unwrap().seq, Some(1), "nothing was stored before");
    assert_eq!(send(&second, Some(&first)).unwrap().seq, Some(2));
    assert_eq!(send(&second, Some(&cid())).unwrap().dup, Some(true), "what is stored is stored");
}

#[test]
fn hints_name_everybody_whose_stream_has_grown() {
    let bench = Bench::new();
    let (alice, bob) = (bench.user("alice"), bench.user("bob"));
    bench.say(&alice, "bob", "x").unwrap();
    let mut hints: Vec<Hint> = bench.hints.try_iter().flatten().collect();
    hints.sort_by_key(|hint| if let Hint::Head { user, head } = hint { (*user, *head) } else { (0, 0) });
    let head = |user, head| Hint::Head { user, head };
    assert_eq!(hints, [head(alice.user, 1), head(alice.user, 2), head(bob.user, 1), head(bob.user, 2)]);
}

#[test]
fn receipts_go_to_nobody_else_in_large_conversations() {
    let bench = Bench::new();
    let alice = bench.user("alice");
    let others: Vec<Identity> = (0..16).map(|n| bench.user(&format!("u{n}"))).collect();
    let names: Vec<&str> = others.iter().map(|who| who.user_name.as_str()).collect();
    let small = json!({"t": "conv", "op": "create", "members": names[1..]});
    let large = json!({"t": "conv", "op": "create", "members": names});
    for (create, heard) in [(small, true), (large, false)] {
        let conv = bench.request(&alice, create).unwrap().conv.unwrap();
        let send = json!({"t": "send", "conv": conv, "cid": cid(), "body": {"type": "text", "text": "x"}});
        bench.request(&alice, send).unwrap();
        let before = bench.stream(&alice, 0).0;
        bench.request(&others[1], json!({"t": "mark", "conv": conv, "read": 1})).unwrap();
        let kinds: Vec<Value> = bench.stream(&alice, before).1.iter().map(|event| event["k"].clone()).collect();
        assert_eq!(kinds.contains(&json!("read")), heard, "{kinds:?}");
    }
}

#[test]
fn an_ack_gives_each_sender_one_receipt_for_the_newest_message() {
    let bench = Bench::new();
    let (alice, bob) = (bench.user("alice"), bench.user("bob"));
    for _ in 0..3 {
        bench.say(&alice, "bob", "x").unwrap();
    }
    let (before, (cur, _)) = (bench.stream(&alice, 0).0, bench.stream(&bob, 0));
    for _ in 0..2 {
        assert_eq!(bench.store.carry_out_now(&bob, Ask::Ack { cur }, AT).answer, Answer::Nothing);
    }
    let told = bench.stream(&alice, before).1;
    assert_eq!((told.len(), &told[0]["k"], &told[0]["seq"]), (1, &json!("dlvd"), &json!(3)));
    assert_eq!(bench.stream(&bob, cur).1.len(), 0, "and nothing comes back to who received them");
}

#[test]
fn every_event_and_answer_is_valid_by_the_strict_schema() {
    let mut schema: Value = serde_json::from_str(include_str!("../../../docs/hub-protocol.schema.json")).unwrap();
    schema.as_object_mut().unwrap().remove("oneOf");
    let of = |name: &str| {
        let mut schema = schema.clone();
        schema["$ref"] = json!(format!("#/$defs/{name}"));
        jsonschema::validator_for(&schema).unwrap()
    };
    let (event, frame) = (of("event"), of("server_frame"));
    let bench = Bench::new();
    let (alice, bob) = (bench.user("alice"), bench.user("bob"));
    bench.user("carol");
    let conv = bench.say(&alice, "bob", "hi").unwrap().conv.unwrap();
    let group = bench.request(&alice, json!({"t": "conv", "op": "create", "title": "G", "members": ["bob"]})).unwrap();
    let group = group.conv.unwrap();
    let requests = [
        json!({"t": "edit", "conv": conv, "seq": 1, "body": {"type": "text", "text": "ho"}}),
        json!({"t": "react", "conv": conv, "seq": 1, "key": "x", "on": true}),
        json!({"t": "mark", "conv": conv, "read": 1, "unread": true}),
        json!({"t": "hist", "conv": conv}),
        json!({"t": "changes", "conv": conv, "since": 0}),
        json!({"t": "convs"}),
        json!({"t": "members", "conv": conv}),
        json!({"t": "dev", "op": "list"}),
        json!({"t": "dev", "op": "rename", "name": "phone"}),
        json!({"t": "auth", "op": "rotate"}),
        json!({"t": "del", "conv": conv, "seqs": [1], "scope": "me"}),
        json!({"t": "del", "conv": conv, "seqs": [1], "scope": "all"}),
        json!({"t": "conv", "op": "add", "conv": group, "members": ["carol"]}),
        json!({"t": "conv", "op": "role", "conv": group, "user": "carol", "role": "admin"}),
        json!({"t": "conv", "op": "set", "conv": group, "title": "H"}),
        json!({"t": "conv", "op": "remove", "conv": group, "user": "bob"}),
        json!({"t": "conv", "op": "get", "conv": group}),
        json!({"t": "conv", "op": "leave", "conv": group}),
        json!({"t": "conv", "op": "get", "conv": "nowhere"}),
        json!({"t": "dev", "op": "revoke", "device": "none"}),
    ];
    for request in requests {
        let answer = match bench.request(&alice, request.clone()) {
            Ok(ok) => serde_json::to_value(ok),
            Err(err) => serde_json::to_value(err),
        };
        let answer = answer.unwrap();
        assert!(frame.is_valid(&answer), "{request} {answer}");
    }
    for who in [&alice, &bob] {
        for told in bench.stream(who, 0).1 {
            assert!(event.is_valid(&told), "{told}");
        }
        let Answer::Snap { convs, .. } =
            bench.store.carry_out_now(who, Ask::Snap { after: None, convs: 9, msgs: 9 }, AT).answer
        else {
            panic!()
        };
        let snap = json!({"t": "snap", "part": 1, "more": false, "convs": convs, "users": []});
        assert!(frame.is_valid(&snap), "{snap}");
    }
}

#[test]
fn a_page_token_that_was_not_signed_here_is_refused() {
    let bench = Bench::new();
    let (alice, bob) = (bench.user("alice"), bench.user("bob"));
    for _ in 0..3 {
        bench.say(&alice, "bob", "x").unwrap();
    }
    let conv = bench.say(&alice, "bob", "x").unwrap().conv;
    let page = bench.request(&alice, json!({"t": "hist", "conv": conv, "limit": 1})).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(page.cursor.unwrap()).unwrap();
    let text = String::from_utf8(bytes[16..].to_vec()).unwrap();
    let forged = text.replace(&format!(r#""u":{}"#, alice.user), &format!(r#""u":{}"#, bob.user));
    assert_ne!(text, forged);
    let token = URL_SAFE_NO_PAD.encode([&bytes[..16], forged.as_bytes()].concat());
    let err = bench.request(&bob, json!({"t": "hist", "cursor": token})).unwrap_err();
    assert_eq!(err.code, ErrorCode::BadCursor);
}

#[tokio::test]
async fn nothing_is_answered_with_ok_and_nobody_is_told_when_the_commit_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, hints) = mpsc::channel();
    let announce = move |told: Vec<Hint>| drop(tell.send(told));
    let store = Store::open(&dir.path().join("hub.db"), Settings::default(), Entropy::seeded(1), announce).unwrap();
    for name in ["alice", "bob"] {
        store.add_user(name, None, AT).await.unwrap();
    }
    let fail: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let hook = |conn: &Connection| {
        conn.commit_hook(Some(|| fail.load(Ordering::Relaxed)))?;
        Ok::<_, Stop>(((), Vec::new()))
    };
    store.writer.call(hook).await.unwrap_or_else(|stop| panic!("{stop:?}"));
    let alice = Identity { user: 1, user_name: "alice".into(), device: 1, device_name: "d1".into() };
    let bob = Identity { user: 2, user_name: "bob".into(), ..alice.clone() };
    let send = json!({"t": "send", "id": 5, "to": "bob", "cid": cid(), "body": {"type": "text", "text": "x"}});
    let ask = || Ask::Request(Box::new(decode_client(&send.to_string()).unwrap()));
    hints.try_iter().for_each(drop);
    fail.store(true, Ordering::Relaxed);
    let Answer::Err(err) = store.carry_out(&alice, ask(), AT).await.answer else { panic!("it was not committed") };
    assert!(matches!(err.code, ErrorCode::Unavailable | ErrorCode::Internal), "{err:?}");
    assert_eq!(err.re, Some(5));
    assert_eq!(hints.try_iter().flatten().count(), 0);
    fail.store(false, Ordering::Relaxed);
    let Answer::Ok(ok) = store.carry_out(&alice, ask(), AT).await.answer else { panic!("now it can be") };
    assert_eq!((ok.seq, ok.dup), (Some(1), None));
    let Answer::Batch { events, .. } = store.carry_out(&bob, Ask::Fetch { after: 0, limit: 9 }, AT).await.answer else {
        panic!()
    };
    assert_eq!(events.len(), 2);
    store.close().await;
}

#[tokio::test]
async fn a_commit_that_fails_is_a_reason_to_try_again_and_not_to_give_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("hub.db"), Settings::default(), Entropy::seeded(1), |_| ()).unwrap();
    store.add_user("alice", None, AT).await.unwrap();
    let full = |pages: i64| {
        move |conn: &Connection| {
            conn.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))?;
            Ok::<_, Stop>(((), Vec::new()))
        }
    };
    store.writer.call(full(1)).await.unwrap_or_else(|stop| panic!("{stop:?}"));
    let alice = Identity { user: 1, user_name: "alice".into(), device: 1, device_name: "d1".into() };
    let title = "x".repeat(256);
    let create = |id: u64| {
        let frame = json!({"t": "conv", "id": id, "op": "create", "title": title, "cid": cid()});
        Ask::Request(Box::new(decode_client(&frame.to_string()).unwrap()))
    };
    let mut refused = None;
    for id in 1..2_000 {
        if let Answer::Err(err) = store.carry_out(&alice, create(id), AT).await.answer {
            refused = Some(err);
            break;
        }
    }
    let refused = refused.expect("the disk is full at some time");
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(refused.retry_after.is_some());
    store.writer.call(full(1_000_000)).await.unwrap_or_else(|stop| panic!("{stop:?}"));
    assert!(matches!(store.carry_out(&alice, create(9_999), AT).await.answer, Answer::Ok(_)));
    store.close().await;
}

#[test]
fn pruning_takes_what_is_older_than_the_retention_and_leaves_the_rest_readable() {
    let bench = Bench::new();
    let (alice, bob) = (bench.user("alice"), bench.user("bob"));
    let day = |day: i64| Timestamp(AT.ms() + day * 86_400_000);
    for n in 0..40 {
        let frame = json!({"t": "send", "id": 1, "to": "bob", "cid": cid(), "body": {"type": "text", "text": "x"}});
        let ask = Ask::Request(Box::new(decode_client(&frame.to_string()).unwrap()));
        assert!(matches!(bench.store.carry_out_now(&alice, ask, day(n)).answer, Answer::Ok(_)));
    }
    let prune = || futures_util::FutureExt::now_or_never(bench.store.prune(day(40))).unwrap().unwrap();
    while prune() {}
    let count = |table: &'static str| {
        let job = move |conn: &Connection| {
            let sql = format!("SELECT count(*) FROM {table}");
            Ok::<_, Stop>((conn.query_row(&sql, [], |row| row.get::<_, i64>(0))?, Vec::new()))
        };
        futures_util::FutureExt::now_or_never(bench.store.writer.call(job)).unwrap().unwrap_or_else(|e| panic!("{e:?}"))
    };
    assert_eq!((count("event"), count("upd"), count("msg")), (30, 60, 40), "messages stay, events of 30 days stay");
    let old = bench.store.carry_out_now(&bob, Ask::Fetch { after: 10, limit: 9 }, AT).answer;
    assert_eq!(old, Answer::TooOld);
    let (cur, events) = bench.stream(&bob, 11);
    assert_eq!((cur, events.len(), &events[0]["seq"]), (41, 30, &json!(11)));
}

#[test]
fn a_page_looks_at_a_bounded_number_of_rows_and_says_where_to_go_on() {
    let bench = Bench::new();
    let (ann, bob) = (bench.user("ann"), bench.user("bob"));
    let conv = bench.say(&ann, "bob", "needle").unwrap().conv.unwrap();
    let fill = "WITH RECURSIVE n(x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < 25000)
        INSERT INTO msg(id, conv, seq, rev, sender, ts, digest, body)
        SELECT (conv << 32) | x, conv, x, x + 1, sender, ts, digest, '{\"type\":\"text\",\"text\":\"hay\"}'
        FROM n, msg WHERE msg.seq = 1";
    let job = move |conn: &Connection| {
        conn.execute(fill, [])?;
        conn.execute("UPDATE conv SET seq = 25000, rev = 25001", [])?;
        Ok::<_, Stop>(((), Vec::new()))
    };
    futures_util::FutureExt::now_or_never(bench.store.writer.call(job)).unwrap().unwrap();
    let rare = json!({"t": "hist", "conv": conv, "filter": {"text": "needle"}});
    let first = bench.request(&bob, rare).unwrap();
    assert_eq!((first.msgs.unwrap().len(), first.more), (0, Some(true)));
    let second = bench.request(&bob, json!({"t": "hist", "cursor": first.cursor.unwrap()})).unwrap();
    assert_eq!((second.msgs.unwrap().len(), second.more), (1, Some(false)));
}

#[test]
fn oldest_first_pages_end_with_what_was_there_at_the_opening_and_their_token_ends_too() {
    let bench = Bench::new();
    let (ann, bob) = (bench.user("ann"), bench.user("bob"));
    let said: Vec<_> = (0..4).map(|n| bench.say(&ann, "bob", &n.to_string()).unwrap().conv.unwrap()).collect();
    let conv = said.last().unwrap().clone();
    let first = bench.request(&bob, json!({"t": "hist", "conv": conv, "order": "asc", "limit": 2})).unwrap();
    bench.say(&ann, "bob", "later").unwrap();
    let rest = json!({"t": "hist", "id": 9, "cursor": first.cursor.unwrap()});
    let second = bench.request(&bob, rest.clone()).unwrap();
    assert_eq!((second.msgs.unwrap().len(), second.more), (2, Some(false)));
    let ask = Ask::Request(Box::new(decode_client(&rest.to_string()).unwrap()));
    let late = bench.store.carry_out_now(&bob, ask, Timestamp(AT.ms() + 601_000)).answer;
    assert!(matches!(&late, Answer::Err(err) if err.code == ErrorCode::CursorExpired && err.at == Some(2)), "{late:?}");
}

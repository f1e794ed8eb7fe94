//! What MongoDB's manual says of cursors, sentence by sentence, of the hub's `hist`. `ipc::tests::conformance` is the
//! same list for the daemon's own store.

use crate::client::{Client, Running, cid};
use crate::history::{self, seqs};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Alice and bob, and the conversation in which alice has said the numbers from 1 on.
struct Scene {
    hub: Running,
    alice: Client,
    bob: Client,
    conv: Value,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new(messages: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hub = Running::start(dir.path()).await;
        let (mut alice, bob) = (hub.user("alice").await, hub.user("bob").await);
        let mut conv = Value::Null;
        for n in 1..=messages {
            conv = alice.say("bob", &n.to_string()).await["conv"].clone();
        }
        Self { hub, alice, bob, conv, _dir: dir }
    }

    fn ask(&self, more: Value) -> Value {
        let mut ask = json!({"t": "hist", "conv": self.conv});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask
    }

    async fn open(&mut self, more: Value) -> Value {
        let ask = self.ask(more);
        self.bob.ok(ask).await
    }

    async fn next(&mut self, page: &Value, more: Value) -> Value {
        let mut ask = json!({"t": "hist", "cursor": page["cursor"]});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.bob.ok(ask).await
    }

    /// All pages.
    async fn walk(&mut self, more: Value) -> Vec<u64> {
        let first = self.ask(more);
        history::walk(&mut self.bob, first).await
    }
}

fn down(range: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    range.rev().collect()
}

#[tokio::test]
async fn batches_come_one_at_a_time_each_of_its_own_size() {
    let mut s = Scene::new(70).await;
    let first = s.open(json!({})).await;
    assert_eq!(seqs(&first), down(21..=70), "50 without a wish");
    let second = s.next(&first, json!({"limit": 7})).await;
    let third = s.next(&second, json!({})).await;
    assert_eq!((seqs(&second), seqs(&third)), (down(14..=20), down(7..=13)));
    assert_eq!(s.bob.err(s.ask(json!({"limit": 201}))).await["code"], "bad_request");
    assert_eq!(s.bob.err(s.ask(json!({"limit": 0}))).await["code"], "bad_request");
    s.hub.stop().await;
}

#[tokio::test]
async fn the_last_batch_says_that_it_is_the_last_and_has_no_token() {
    let mut s = Scene::new(10).await;
    let first = s.open(json!({"limit": 10})).await;
    assert_eq!((&first["more"], first.get("cursor")), (&json!(false), None), "a page that is exactly full");
    let nothing = s.open(json!({"filter": {"has": "att"}})).await;
    assert_eq!((seqs(&nothing).len(), &nothing["more"], nothing.get("cursor")), (0, &json!(false), None));
    s.hub.stop().await;
}

#[tokio::test]
async fn skip_comes_before_limit_and_has_a_bound() {
    let mut s = Scene::new(12).await;
    let page = s.open(json!({"limit": 3, "skip": 5})).await;
    assert_eq!(seqs(&page), [7, 6, 5]);
    assert_eq!(seqs(&s.next(&page, json!({})).await), [4, 3, 2], "it counts once");
    assert_eq!(s.open(json!({"skip": 12})).await["more"], false);
    assert_eq!(s.bob.err(s.ask(json!({"skip": 10_001}))).await["code"], "bad_request");
    s.hub.stop().await;
}

#[tokio::test]
async fn sort_goes_both_ways_and_pages_begin_before_after_and_around_a_message() {
    let mut s = Scene::new(30).await;
    assert_eq!(s.walk(json!({"limit": 7, "order": "desc"})).await, down(1..=30));
    assert_eq!(s.walk(json!({"limit": 7, "order": "asc"})).await, (1..=30).collect::<Vec<_>>());
    assert_eq!(s.walk(json!({"limit": 4, "before": 10})).await, down(1..=9));
    assert_eq!(s.walk(json!({"limit": 4, "after": 20})).await, (21..=30).collect::<Vec<_>>());
    assert_eq!(s.walk(json!({"limit": 4, "after": 20, "order": "desc"})).await, down(21..=30));
    assert_eq!(s.walk(json!({"limit": 4, "around": 20, "order": "asc"})).await, (18..=30).collect::<Vec<_>>());
    assert_eq!(s.walk(json!({"limit": 4, "around": 20, "order": "desc"})).await, down(1..=21));
    s.hub.stop().await;
}

#[tokio::test]
async fn an_idle_token_ends_and_its_error_says_where_to_reopen_unless_it_has_no_timeout() {
    let mut s = Scene::new(20).await;
    let mortal = s.open(json!({"limit": 5})).await;
    let immortal = s.open(json!({"limit": 5, "no_timeout": true})).await;
    s.hub.clock.jump(601_000);
    let err = s.bob.err(json!({"t": "hist", "cursor": mortal["cursor"]})).await;
    assert_eq!((&err["code"], &err["at"]), (&json!("cursor_expired"), &json!(16)));
    assert_eq!(seqs(&s.open(json!({"before": err["at"], "limit": 5})).await), down(11..=15));
    let second = s.next(&immortal, json!({})).await;
    s.hub.clock.jump(601_000);
    assert_eq!(seqs(&s.next(&second, json!({})).await), down(6..=10), "every further token of it has none either");
    s.hub.stop().await;
}

#[tokio::test]
async fn every_batch_begins_the_idle_time_anew() {
    let mut s = Scene::new(20).await;
    let mut page = s.open(json!({"limit": 5})).await;
    for _ in 0..3 {
        s.hub.clock.jump(599_000);
        page = s.next(&page, json!({})).await;
    }
    assert_eq!(seqs(&page), down(1..=5));
    s.hub.stop().await;
}

#[tokio::test]
async fn a_token_is_a_place_and_gives_the_same_page_again_to_each_device_and_after_a_restart() {
    let mut s = Scene::new(20).await;
    let first = s.open(json!({"limit": 5})).await;
    for _ in 0..2 {
        assert_eq!(seqs(&s.next(&first, json!({})).await), down(11..=15));
    }
    let token = s.hub.hub.add_user("bob", Some("second")).await.unwrap().token.expose().to_owned();
    let mut second = Client::ready(s.hub.addr, &token).await;
    let ask = json!({"t": "hist", "cursor": first["cursor"]});
    assert_eq!(seqs(&second.ok(ask.clone()).await), down(11..=15));
    let hub = s.hub.restart().await;
    let mut again = Client::ready(hub.addr, &token).await;
    assert_eq!(seqs(&again.ok(ask).await), down(11..=15));
    hub.stop().await;
}

#[tokio::test]
async fn a_token_of_somebody_else_or_changed_is_refused() {
    let mut s = Scene::new(20).await;
    let page = s.open(json!({"limit": 5})).await;
    let stolen = json!({"t": "hist", "cursor": page["cursor"]});
    assert_eq!(s.alice.err(stolen).await["code"], "bad_cursor");
    let mut changed = page["cursor"].as_str().unwrap().to_owned().into_bytes();
    changed[3] = if changed[3] == b'A' { b'B' } else { b'A' };
    let changed = json!({"t": "hist", "cursor": String::from_utf8(changed).unwrap()});
    assert_eq!(s.bob.err(changed).await["code"], "bad_cursor");
    s.hub.stop().await;
}

#[tokio::test]
async fn later_messages_shift_no_page_in_either_direction_and_are_not_given() {
    let mut s = Scene::new(20).await;
    let mut both =
        [s.open(json!({"limit": 6, "order": "desc"})).await, s.open(json!({"limit": 6, "order": "asc"})).await];
    let mut seen = both.each_ref().map(seqs);
    for round in 0..4 {
        s.alice.say("bob", &format!("late {round}")).await;
        for (page, seen) in both.iter_mut().zip(&mut seen) {
            if page["more"] == true {
                *page = s.next(page, json!({})).await;
                seen.extend(seqs(page));
            }
        }
    }
    assert!(both.iter().all(|page| page["more"] == false), "they end");
    assert_eq!(seen, [down(1..=20), (1..=20).collect()]);
    s.hub.stop().await;
}

#[tokio::test]
async fn edits_and_deletions_ahead_of_the_reader_are_seen_and_shift_nothing() {
    let mut s = Scene::new(12).await;
    let first = s.open(json!({"limit": 4})).await;
    let conv = s.conv.clone();
    s.alice.ok(json!({"t": "edit", "conv": conv, "seq": 7, "body": {"type": "text", "text": "edited"}})).await;
    s.alice.ok(json!({"t": "del", "conv": conv, "seqs": [6, 10], "scope": "all"})).await;
    s.bob.ok(json!({"t": "del", "conv": conv, "seqs": [5], "scope": "me"})).await;
    let second = s.next(&first, json!({})).await;
    assert_eq!(seqs(&second), [8, 7, 6, 4], "what was deleted for everybody stands as such; one's own is gone");
    assert_eq!((&second["msgs"][1]["body"]["text"], &second["msgs"][2]["del"]), (&json!("edited"), &json!(true)));
    assert_eq!(seqs(&s.next(&second, json!({})).await), [3, 2, 1]);
    s.hub.stop().await;
}

#[tokio::test]
async fn filters_hold_across_batches_and_unread_is_what_others_wrote_above_the_mark() {
    let mut s = Scene::new(9).await;
    let conv = s.conv.clone();
    for n in 0..3 {
        s.bob.say_in(&conv, &format!("mine {n}")).await;
    }
    s.bob.ok(json!({"t": "mark", "conv": conv, "read": 4})).await;
    assert_eq!(s.walk(json!({"limit": 2, "filter": {"unread": true}})).await, [9, 8, 7, 6, 5]);
    assert_eq!(s.walk(json!({"limit": 2, "filter": {"unread": true}, "order": "asc"})).await, [5, 6, 7, 8, 9]);
    assert_eq!(s.walk(json!({"limit": 2, "filter": {"from": "bob"}})).await, [12, 11, 10]);
    assert_eq!(s.walk(json!({"limit": 1, "filter": {"text": "MINE"}, "skip": 1})).await, [11, 10]);
    s.hub.stop().await;
}

#[tokio::test]
async fn a_batch_ends_at_its_bytes_and_goes_on_behind_them() {
    let mut s = Scene::new(1).await;
    let (conv, long) = (s.conv.clone(), "x".repeat(16_000));
    for _ in 0..40 {
        s.alice.say_in(&conv, &long).await;
    }
    let first = s.open(json!({"limit": 200})).await;
    assert!((30..40).contains(&seqs(&first).len()) && first["more"] == true, "{} of 41", seqs(&first).len());
    assert_eq!(s.walk(json!({"limit": 200})).await, down(1..=41));
    s.hub.stop().await;
}

/// One reader of the model.
struct Reader {
    ascending: bool,
    opened: BTreeSet<u64>,
    seen: Vec<u64>,
    page: Value,
}

#[tokio::test]
async fn every_message_that_existed_at_opening_and_still_exists_is_given_exactly_once_in_order() {
    for seed in 0..6 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut s = Scene::new(5).await;
        let conv = s.conv.clone();
        let mut here: BTreeMap<u64, bool> = (1..=5).map(|seq| (seq, true)).collect();
        let mut readers: Vec<Reader> = Vec::new();
        for _ in 0..120 {
            match dice.u32(0..100) {
                0..35 => {
                    let said = s.alice.say_in(&conv, "more").await;
                    here.insert(said["seq"].as_u64().unwrap(), true);
                }
                35..45 => {
                    let seq = dice.u64(1..=here.len() as u64);
                    if here[&seq] {
                        let body = json!({"type": "text", "text": cid()});
                        s.alice.ok(json!({"t": "edit", "conv": conv, "seq": seq, "body": body})).await;
                    }
                }
                45..52 => {
                    let seq = dice.u64(1..=here.len() as u64);
                    s.bob.request(json!({"t": "del", "conv": conv, "seqs": [seq], "scope": "me"})).await;
                    here.insert(seq, false);
                }
                52..62 if readers.len() < 6 => {
                    let (ascending, limit) = (dice.bool(), dice.u64(1..6));
                    let order = if ascending { "asc" } else { "desc" };
                    let page = s.open(json!({"order": order, "limit": limit})).await;
                    let opened = here.iter().filter(|(_, there)| **there).map(|(seq, _)| *seq).collect();
                    readers.push(Reader { ascending, opened, seen: seqs(&page), page });
                }
                _ if !readers.is_empty() => {
                    let which = dice.usize(0..readers.len());
                    advance(&mut s, &mut readers[which], dice.u64(1..6)).await;
                }
                _ => {}
            }
        }
        for reader in &mut readers {
            while reader.page["more"] == true {
                advance(&mut s, reader, 5).await;
            }
            let ordered = reader.seen.windows(2).all(|pair| (pair[0] < pair[1]) == reader.ascending);
            assert!(ordered, "seed {seed}: doubled or out of order: {:?}", reader.seen);
            let seen: BTreeSet<u64> = reader.seen.iter().copied().collect();
            let lost: Vec<_> = reader.opened.iter().filter(|seq| here[*seq] && !seen.contains(seq)).collect();
            let extra: Vec<_> = seen.difference(&reader.opened).collect();
            assert!(lost.is_empty() && extra.is_empty(), "seed {seed}: lost {lost:?}, not there at opening {extra:?}");
        }
        s.hub.stop().await;
    }
}

async fn advance(s: &mut Scene, reader: &mut Reader, limit: u64) {
    if reader.page["more"] == true {
        reader.page = s.next(&reader.page, json!({"limit": limit})).await;
        reader.seen.extend(seqs(&reader.page));
    }
}

//! Recorded frames and what must come of them.

mod gaps;

use super::{Hub, Settings};
use crate::machine::Machine;
use crate::model::{
    BatchId, Checkpoint, CheckpointRow, Command, CommandKind, ConversationKey, ConversationKind, Event, FetchHole,
    MessageId, Origin, OutboxId, Outcome, Reason, Secret, Signal, Timestamp,
};
use crate::proto::hub::wire::decode_client;
use crate::proto::{CloseCode, Frame, FrameBody, Input, Output, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A client, its clock, and what a driver would keep.
struct Play {
    hub: Hub,
    now: Instant,
    rows: BTreeMap<String, Vec<u8>>,
    events: Vec<Event>,
    batch: u64,
}

impl Play {
    fn with(rows: BTreeMap<String, Vec<u8>>) -> Self {
        let checkpoint: Vec<_> =
            rows.iter().map(|(key, value)| CheckpointRow { key: key.clone(), value: Some(value.clone()) }).collect();
        let settings = Settings::new("ws://127.0.0.1/".into(), Secret::new("token".into()), checkpoint);
        let now = crate::world::Clock::system().now();
        Self { hub: Hub::new(settings), now, rows, events: Vec::new(), batch: 0 }
    }

    /// Logged in with the cursor at 10.
    fn live() -> Self {
        let cursor = br#"{"epoch":"e1","cur":10}"#.to_vec();
        let mut play = Self::with(BTreeMap::from([("cursor".to_owned(), cursor)]));
        play.tell(Input::Opened { at: Timestamp(0) });
        play.hear(welcome(json!({"resume": "ok", "head": 10})));
        play.commit();
        play
    }

    /// What it wants; frames as JSON. Events are kept aside.
    fn tell(&mut self, input: Input) -> Vec<Value> {
        self.hub.handle_input(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Value> {
        let mut out = Vec::new();
        while let Some(output) = self.hub.poll_output() {
            match output {
                Output::Transmit(Frame { body: FrameBody::Text(text), .. }) => {
                    decode_client(&text).expect("within the schema's bounds");
                    out.push(serde_json::from_str(&text).unwrap());
                }
                Output::Event(event) => self.events.push(event),
                Output::Ready => out.push(json!("ready")),
                Output::Proof(n) => out.push(json!({"proof": n})),
                Output::Disconnect(verdict, reason) => out.push(json!(format!("{verdict:?} {reason:?}"))),
                Output::Perishable(what) => out.push(json!(format!("{what:?}"))),
                Output::Checkpoint(_, Checkpoint { rows }) => {
                    for row in rows {
                        match row.value {
                            Some(value) => self.rows.insert(row.key, value),
                            None => self.rows.remove(&row.key),
                        };
                    }
                }
                Output::Transmit(other) => panic!("{other:?}"),
            }
        }
        out
    }

    fn hear(&mut self, frame: Value) -> Vec<Value> {
        self.tell(Input::Frame(Frame::received(frame.to_string(), Timestamp(1))))
    }

    fn commit(&mut self) -> Vec<Value> {
        self.batch += 1;
        let mut out = self.tell(Input::Cut(BatchId(self.batch)));
        out.extend(self.tell(Input::Committed(BatchId(self.batch))));
        out
    }

    /// So many milliseconds later.
    fn wait(&mut self, ms: u64) -> Vec<Value> {
        self.now += Duration::from_millis(ms);
        self.hub.handle_timeout(self.now);
        self.drain()
    }

    fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn messages(&mut self) -> Vec<(u64, Origin)> {
        let order = |event| match event {
            Event::Message(message) => Some((message.server.unwrap().order.unwrap(), message.origin)),
            _ => None,
        };
        self.take_events().into_iter().filter_map(order).collect()
    }
}

fn welcome(with: Value) -> Value {
    let mut frame = json!({
        "t": "welcome", "user": "me", "device": "d", "conn": "c", "epoch": "e1", "resume": "ok", "head": 0, "now": 1,
        "window": 256, "caps": [], "ka": {"interval": 45000, "timeout": 10000, "max": 600000},
        "limits": {"frame_in": 1, "frame_out": 1, "text": 1, "inflight": 2, "hist": 3, "members": 1, "atts": 1, "blob": 0},
        "retain": {"days": 1, "events": 1},
    });
    let members = with.as_object().unwrap().clone();
    frame.as_object_mut().unwrap().extend(members);
    frame
}

fn msg(conv: &str, seq: u64, from: &str) -> Value {
    json!({"k": "msg", "conv": conv, "seq": seq, "rev": seq, "from": from, "ts": 1000 + seq,
           "cid": "01890000-0000-7000-8000-000000000001", "body": {"type": "text", "text": "hello"}})
}

fn ev(prev: u64, cur: u64, evs: Value) -> Value {
    json!({"t": "ev", "prev": prev, "cur": cur, "evs": evs})
}

fn send(row: i64, to: ConversationKey) -> Input {
    Input::Command(Box::new(Command {
        outbox: OutboxId(row),
        cid: "01890000-0000-7000-8000-000000000007".parse::<MessageId>().unwrap(),
        conversation: Some(to),
        conversation_kind: ConversationKind::Direct,
        what: CommandKind::Send { text: "hi".into(), reply_to: None, attachments: Vec::new() },
        maybe_sent: false,
        written_at: Timestamp(0),
    }))
}

fn outcomes(events: Vec<Event>) -> Vec<Outcome> {
    let settled = |event| if let Event::Settled(settled) = event { Some(settled.outcome) } else { None };
    events.into_iter().filter_map(settled).collect()
}

#[test]
fn the_first_hello_has_no_cursor_and_the_next_one_has_what_was_committed() {
    let mut play = Play::with(BTreeMap::new());
    let hello = &play.tell(Input::Opened { at: Timestamp(0) })[0];
    assert!(hello.get("cur").is_none() && hello["t"] == "hello");
    let out = play.hear(welcome(json!({"resume": "snap", "reason": "first", "head": 7})));
    assert_eq!(out, [json!("ready")]);
    let last: Vec<_> = (4..=6).map(|seq| msg("c", seq, "bob")).collect();
    let conv =
        json!({"conv": "c", "kind": "direct", "peer": "bob", "seq": 6, "rev": 9, "read": 4, "unread": 2, "last": last});
    play.hear(json!({"t": "snap", "part": 1, "more": false, "epoch": "e1", "cur": 7, "convs": [conv], "users": []}));
    assert_eq!(play.messages(), [(4, Origin::Snapshot), (5, Origin::Snapshot), (6, Origin::Snapshot)]);
    play.commit();
    let mut again = Play::with(play.rows);
    let hello = &again.tell(Input::Opened { at: Timestamp(0) })[0];
    assert_eq!((&hello["epoch"], &hello["cur"]), (&json!("e1"), &json!(7)));
}

#[test]
fn nothing_is_acknowledged_before_it_is_committed() {
    let mut play = Play::live();
    assert_eq!(play.hear(ev(10, 11, json!([msg("c", 1, "bob")]))), [] as [Value; 0]);
    assert_eq!(play.tell(Input::Cut(BatchId(90))), [] as [Value; 0]);
    assert_eq!(play.tell(Input::Probe(1)), [json!({"t": "ping", "n": 1, "cur": 10})]);
    assert_eq!(play.tell(Input::Committed(BatchId(90))), [json!({"t": "ack", "cur": 11})]);
}

#[test]
fn events_count_only_where_they_fit_the_cursor_and_a_hole_is_asked_for_from_what_is_on_disk() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 1, "bob")])));
    assert_eq!(play.hear(ev(13, 14, json!([msg("c", 4, "bob")]))), [] as [Value; 0]);
    assert_eq!(play.messages(), [(1, Origin::Live)]);
    let out = play.commit();
    assert_eq!(out, [json!({"t": "ack", "cur": 11}), json!({"t": "ack", "cur": 11, "resync": true})]);
    play.hear(ev(11, 14, json!([msg("c", 2, "bob"), msg("c", 3, "bob"), msg("c", 4, "bob")])));
    assert_eq!(play.messages().len(), 3);
    assert_eq!(play.hub.poll_timeout(), None);
    play.hear(ev(11, 12, json!([msg("c", 2, "bob")])));
    assert!(play.messages().is_empty(), "what lies behind the cursor is a repeat");
}

#[test]
fn a_hole_that_is_not_mended_leads_to_a_new_connection() {
    let mut play = Play::live();
    assert_eq!(play.hear(ev(12, 13, json!([]))), [json!({"t": "ack", "cur": 10, "resync": true})]);
    play.now += Duration::from_secs(10);
    play.hub.handle_timeout(play.now);
    assert!(play.drain()[0].as_str().unwrap().starts_with("Retry Protocol"));
}

#[test]
fn a_pong_ahead_of_the_cursor_with_nothing_coming_shows_a_lost_hint() {
    let mut play = Play::live();
    play.tell(Input::Probe(5));
    let out = play.hear(json!({"t": "pong", "n": 5, "head": 12, "now": 1}));
    assert_eq!(out, [json!({"proof": 5}), json!({"t": "ack", "cur": 10, "resync": true})]);
    play.tell(Input::Probe(6));
    assert_eq!(
        play.hear(json!({"t": "pong", "n": 5, "head": 10, "now": 1})),
        [] as [Value; 0],
        "an older answer proves nothing"
    );
}

#[test]
fn what_was_not_committed_is_forgotten_with_the_connection() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 1, "bob")])));
    play.tell(Input::Cut(BatchId(90)));
    play.tell(Input::Closed(None));
    assert_eq!(play.tell(Input::Committed(BatchId(90))), [] as [Value; 0]);
    assert_eq!(play.tell(Input::Opened { at: Timestamp(0) })[0]["cur"], 10);
}

#[test]
fn a_new_epoch_forgets_every_number_and_says_so_in_the_server_ids() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 1, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    play.take_events();
    play.tell(Input::Opened { at: Timestamp(0) });
    play.hear(welcome(json!({"resume": "snap", "reason": "epoch", "epoch": "e2", "head": 3})));
    let conv = json!({"conv": "d", "kind": "group", "title": "G", "seq": 1, "rev": 1, "last": [msg("d", 1, "bob")]});
    let out = play
        .hear(json!({"t": "snap", "part": 1, "more": false, "epoch": "e2", "cur": 3, "convs": [conv], "users": []}));
    assert_eq!(out, [json!({"t": "members", "id": 1, "conv": "d", "limit": 200})]);
    let ids = play.events.iter().filter_map(|event| match event {
        Event::Message(message) => message.server.clone(),
        _ => None,
    });
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0].id, "e2/d/1");
    play.commit();
    assert!(!play.rows.contains_key("conv:c") && play.rows.contains_key("conv:d"));
}

#[test]
fn only_our_own_messages_match_by_the_id_that_the_sender_chose() {
    let mut play = Play::live();
    play.hear(ev(10, 12, json!([msg("c", 1, "bob"), msg("c", 2, "me")])));
    let own = play.take_events().into_iter().filter_map(|event| match event {
        Event::Message(message) => Some((message.outgoing, message.own_id.is_some())),
        _ => None,
    });
    assert_eq!(own.collect::<Vec<_>>(), [(false, false), (true, true)]);
}

#[test]
fn a_message_to_somebody_new_names_the_person_and_learns_the_conversation_from_the_answer() {
    let mut play = Play::live();
    play.take_events();
    let out = play.tell(send(1, ConversationKey::peer("bob")));
    assert_eq!((&out[0]["to"], out[0].get("conv")), (&json!("bob"), None));
    assert_eq!(play.tell(send(1, ConversationKey::peer("bob"))), [] as [Value; 0], "a repeat of a row that is out");
    play.hear(json!({"t": "ok", "re": 1, "conv": "c", "seq": 4, "rev": 4, "ts": 77}));
    let [Outcome::Sent { conversation: Some(key), server: Some(server), at }] = &outcomes(play.take_events())[..]
    else {
        panic!()
    };
    assert_eq!((key.server.as_deref(), key.peer.as_deref()), (Some("c"), Some("bob")));
    assert_eq!((server.id.as_str(), server.order, at.ms()), ("e1/c/4", Some(4), 77));
}

/// A message of this row with an id of its own, and that id.
fn named(row: u8, to: ConversationKey) -> (String, Input) {
    let Input::Command(mut command) = send(row.into(), to) else { unreachable!() };
    command.cid = MessageId(uuid::Uuid::from_bytes([0x01, 0x89, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, row]));
    (command.cid.to_string(), Input::Command(command))
}

#[test]
fn a_message_names_the_one_before_it_that_was_refused_for_now_until_that_comes_again() {
    let mut play = Play::live();
    let to = || ConversationKey::server("c1");
    let ((first, one), (_, two)) = (named(1, to()), named(2, to()));
    play.tell(one);
    play.hear(json!({"t": "err", "re": 1, "code": "unavailable"}));
    assert_eq!(play.tell(two)[0]["after"], json!(first), "it was taken from the disk before that knew");
    play.hear(json!({"t": "err", "re": 2, "code": "unavailable", "field": "after"}));
    let (second, two) = named(2, to());
    assert_eq!(play.tell(two)[0]["after"], Value::Null, "the disk knows, so the first one is gone");
    play.hear(json!({"t": "err", "re": 3, "code": "unavailable"}));
    assert_eq!(play.tell(named(1, to()).1)[0]["after"], Value::Null, "nothing was written before it");
    assert_eq!(play.tell(named(3, to()).1)[0]["after"], json!(second));
}

#[test]
fn a_message_names_the_one_before_it_that_is_still_on_its_way() {
    let mut play = Play::live();
    let bob = |server: Option<&str>| ConversationKey { server: server.map(Into::into), peer: Some("bob".into()) };
    let (first, command) = named(1, bob(None));
    let out = play.tell(command);
    assert_eq!(out[0]["after"], Value::Null, "{out:?}");
    let (_, command) = named(2, ConversationKey::server("other"));
    assert_eq!(play.tell(command)[0]["after"], Value::Null, "of another conversation");
    let (second, command) = named(3, bob(Some("c1")));
    assert!(play.tell(command).is_empty(), "the limit is two");
    let (_, command) = named(4, bob(Some("c1")));
    assert!(play.tell(command).is_empty());
    let out = play.hear(json!({"t": "ok", "re": 1, "conv": "c1", "seq": 1, "rev": 1, "ts": 5}));
    assert_eq!(out[0]["after"], json!(first), "as it was when it was written");
    let out = play.hear(json!({"t": "ok", "re": 2, "conv": "other", "seq": 1, "rev": 1, "ts": 5}));
    assert_eq!(out[0]["after"], json!(second));
    play.hear(json!({"t": "ok", "re": 3, "conv": "c1", "seq": 2, "rev": 2, "ts": 5}));
    play.hear(json!({"t": "ok", "re": 4, "conv": "c1", "seq": 3, "rev": 3, "ts": 5}));
    let (_, command) = named(5, bob(Some("c1")));
    assert_eq!(play.tell(command)[0]["after"], Value::Null, "nothing is on its way");
}

#[test]
fn a_refusal_is_final_or_comes_later_with_growing_pauses() {
    let mut play = Play::live();
    play.take_events();
    let mut pauses = Vec::new();
    for id in 1..=3 {
        play.tell(send(1, ConversationKey::server("c")));
        play.hear(json!({"t": "err", "re": id, "code": "unavailable"}));
        let [Outcome::Later(pause)] = outcomes(play.take_events())[..] else { panic!() };
        pauses.push(pause.as_secs());
    }
    assert_eq!(pauses, [5, 10, 20]);
    play.tell(send(1, ConversationKey::server("c")));
    play.hear(json!({"t": "err", "re": 4, "code": "not_member", "msg": "not in there"}));
    let [Outcome::Failed(failure)] = &outcomes(play.take_events())[..] else { panic!() };
    assert_eq!((failure.code.as_str(), failure.text.as_str()), ("not_member", "not in there"));
}

#[test]
fn no_more_requests_are_open_than_the_hub_allows() {
    let mut play = Play::live();
    let out: Vec<_> = (1..=5).flat_map(|row| play.tell(send(row, ConversationKey::server("c")))).collect();
    assert_eq!(out.len(), 2);
    assert_eq!(play.hear(json!({"t": "ok", "re": 1, "conv": "c", "seq": 1, "ts": 1})).len(), 1);
}

#[test]
fn one_event_that_does_not_read_costs_itself_and_nothing_else() {
    let mut play = Play::live();
    let bad = json!({"k": "msg", "conv": 7});
    play.hear(ev(10, 13, json!([msg("c", 1, "bob"), bad, {"k": "hologram"}, msg("c", 2, "bob")])));
    assert_eq!(play.messages().len(), 2);
    assert_eq!(play.hub.refused, 2);
    assert_eq!(play.commit(), [json!({"t": "ack", "cur": 13})]);
    play.hear(json!({"t": "hologram"}));
    play.hear(json!([1, 2]));
    assert_eq!(play.hub.refused, 4);
}

#[test]
fn goodbyes_and_close_codes_carry_their_verdict_once() {
    let mut play = Play::live();
    let out = play.hear(json!({"t": "bye", "code": 4100, "after": 7000}));
    assert!(out[0].as_str().unwrap().starts_with("RetryAfter(7s) Busy"), "{out:?}");
    let close = |code| Input::Closed(Some(CloseCode { code, reason: "x".into() }));
    assert_eq!(play.tell(close(4100)), [] as [Value; 0]);
    let mut play = Play::live();
    assert!(play.tell(close(4201))[0].as_str().unwrap().starts_with("Halt Unauthorized"));
    let mut play = Play::live();
    assert_eq!(play.tell(close(1001))[0], json!(format!("{:?} {:?}", Verdict::Retry, Reason::ServerShutdown)));
}

#[test]
fn a_readers_hole_is_fetched_from_above_and_its_range_is_told() {
    let mut play = Play::live();
    play.take_events();
    let hole = FetchHole {
        archive: "e1/c".into(),
        conversation: None,
        below: Some("2".into()),
        above: Some("9".into()),
        limit: 50,
    };
    let out = play.tell(Input::Signal(Signal::Fetch(hole.clone())));
    assert_eq!(out, [json!({"t": "hist", "id": 1, "conv": "c", "before": 9, "order": "desc", "limit": 3})]);
    assert_eq!(play.tell(Input::Signal(Signal::Fetch(hole))), [] as [Value; 0]);
    let page: Vec<_> = (6..=8).rev().map(|seq| msg("c", seq, "bob")).collect();
    play.hear(json!({"t": "ok", "re": 1, "msgs": page, "more": true, "cursor": "x"}));
    let Some(Event::Span(span)) = play.events.last() else { panic!() };
    assert_eq!((span.after.as_deref(), span.before.as_deref()), (Some("5"), Some("9")));
    assert_eq!((span.lo.as_ref().unwrap().id.as_str(), span.at_start), ("6", false));
    assert_eq!(play.messages(), [(6, Origin::History), (7, Origin::History), (8, Origin::History)]);
}

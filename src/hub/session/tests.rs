//! Sessions by transcript: what happened, and what was done about it.

use super::*;
use crate::proto::hub::wire::decode_server;
use crate::proto::hub::wire::server::ServerFrame;
use serde_json::{Value, json};

const AT: Timestamp = Timestamp(1_700_000_000_000);

struct Scene {
    session: Session,
    now: Instant,
}

fn alice() -> Identity {
    Identity { user: 1, user_name: "alice".into(), device: 7, device_name: "d1".into() }
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "some instant to start from")]
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self { session: Session::new(settings, now), now }
    }

    /// Connected with a valid token, nothing said.
    fn opened() -> Self {
        let mut scene = Self::new(Settings::default());
        scene.tell(Input::Opened { who: Some(alice()), conn: "c".into() });
        scene
    }

    /// Live, with everything up to `cur` at the client and a stream that ends there.
    fn live(cur: u64, window: u64) -> Self {
        let mut scene = Self::opened();
        scene.frame(json!({"t": "hello", "app": "t", "epoch": "e", "cur": cur, "window": window}));
        scene.answer(Answer::Resume { epoch: "e".into(), head: cur, floor: 0 });
        scene
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.session.handle_input(self.now, input);
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    fn frame(&mut self, frame: Value) -> Vec<Output> {
        self.tell(Input::Frame { text: frame.to_string(), at: AT })
    }

    fn answer(&mut self, answer: Answer) -> Vec<Output> {
        self.tell(Input::Answer { answer, at: AT })
    }

    fn wait(&mut self, seconds: u64) -> Vec<Output> {
        self.now += Duration::from_secs(seconds);
        self.session.handle_timeout(self.now);
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    fn batch(&mut self, after: u64, cur: u64) -> Vec<Output> {
        let events = (after..cur).map(|n| format!(r#"{{"k":"dlvd","conv":"c","by":"b","seq":{n}}}"#)).collect();
        self.answer(Answer::Batch { after, cur, events, foreign: true })
    }
}

fn sent(outputs: &[Output]) -> Vec<ServerFrame> {
    let text = |output: &Output| match output {
        Output::Transmit(text) => Some(decode_server(text).unwrap()),
        _ => None,
    };
    outputs.iter().filter_map(text).collect()
}

fn closed(outputs: &[Output]) -> Option<u16> {
    outputs.iter().find_map(|output| if let Output::Close(code) = output { Some(code.code) } else { None })
}

fn fetch(after: u64, limit: u64) -> Output {
    Output::Ask(Ask::Fetch { after, limit })
}

#[test]
fn the_seat_at_the_bus_is_taken_before_the_store_is_asked_where_to_go_on() {
    let mut scene = Scene::opened();
    let outputs = scene.frame(json!({"t": "hello", "app": "t/1", "epoch": "e", "cur": 4}));
    let resume = Ask::Resume { app: "t/1".into() };
    assert_eq!(outputs, [Output::Joined(alice()), Output::Ask(resume)]);
    let outputs = scene.answer(Answer::Resume { epoch: "e".into(), head: 6, floor: 2 });
    let ServerFrame::Welcome(welcome) = &sent(&outputs)[0] else { panic!("{outputs:?}") };
    assert_eq!((welcome.head, welcome.reason, welcome.window), (6, None, 1024));
    assert_eq!(outputs[1], fetch(4, 100));
}

#[test]
fn a_hint_that_overtakes_the_answer_to_resume_is_not_lost() {
    let mut scene = Scene::opened();
    scene.frame(json!({"t": "hello", "app": "t/1", "epoch": "e", "cur": 4}));
    assert!(scene.tell(Input::Head(5)).is_empty());
    let outputs = scene.answer(Answer::Resume { epoch: "e".into(), head: 4, floor: 0 });
    assert_eq!(outputs[1..], [fetch(4, 100)]);
}

#[test]
fn a_client_may_wish_for_fewer_pings_up_to_where_silence_means_death() {
    for (wish, interval) in [(json!({}), 45_000), (json!({"min": 120_000}), 120_000), (json!({"max": 20_000}), 20_000)]
    {
        let mut scene = Scene::opened();
        scene.frame(json!({"t": "hello", "app": "t", "ka": wish}));
        let outputs = scene.answer(Answer::Resume { epoch: "e".into(), head: 0, floor: 0 });
        let ServerFrame::Welcome(welcome) = &sent(&outputs)[0] else { panic!() };
        assert_eq!(welcome.ka.interval, interval);
    }
    let hello = Hello { ka: Some(client::KeepaliveWish { min: Some(u64::MAX), max: None }), ..Hello::default() };
    assert_eq!(super::resume::interval(45_000, 300_000, &hello), 300_000);
}

#[test]
fn whoever_cannot_go_on_gets_a_snapshot_and_the_reason() {
    let hello = |epoch: Option<&str>, cur: Option<u64>| Hello { epoch: epoch.map(Into::into), cur, ..Hello::default() };
    let reason = |hello: Hello| super::resume::snap_reason(&hello, "e", 100, 10, 50);
    use crate::proto::hub::wire::server::SnapReason::{Epoch, First, Future, TooFar, TooOld};
    assert_eq!(reason(hello(None, None)), Some(First));
    assert_eq!(reason(hello(Some("e"), None)), Some(First));
    assert_eq!(reason(hello(Some("f"), Some(100))), Some(Epoch));
    assert_eq!(reason(hello(Some("e"), Some(101))), Some(Future));
    assert_eq!(reason(hello(Some("e"), Some(9))), Some(TooOld));
    assert_eq!(reason(hello(Some("e"), Some(49))), Some(TooFar));
    assert_eq!(reason(hello(Some("e"), Some(50))), None);
    assert_eq!(reason(hello(Some("e"), Some(100))), None);
}

#[test]
fn a_snapshot_stands_for_the_head_at_its_beginning_so_that_nothing_falls_between() {
    let mut scene = Scene::opened();
    scene.frame(json!({"t": "hello", "app": "t", "snap": {"convs": 1, "msgs": 2}}));
    let outputs = scene.answer(Answer::Resume { epoch: "e".into(), head: 9, floor: 0 });
    assert_eq!(outputs[1], Output::Ask(Ask::Snap { after: None, convs: 1, msgs: 2 }));
    assert!(scene.tell(Input::Head(11)).is_empty(), "events wait for the end of the snapshot");
    assert!(scene.frame(json!({"t": "ping", "n": 1, "cur": 500})).len() == 1, "an old cursor in a ping harms nobody");
    let page = |next: Option<&str>| Answer::Snap { convs: vec![], users: vec![], next: next.map(Into::into) };
    let outputs = scene.answer(page(Some("c1")));
    assert_eq!(outputs[1], Output::Ask(Ask::Snap { after: Some("c1".into()), convs: 1, msgs: 2 }));
    let outputs = scene.answer(page(None));
    let ServerFrame::Snap(last) = &sent(&outputs)[0] else { panic!() };
    assert_eq!((last.part, last.more, last.cur, last.epoch.as_deref()), (2, false, Some(9), Some("e")));
    assert_eq!(outputs[1], fetch(9, 100));
}

#[test]
fn batches_follow_one_another_without_a_gap_and_stop_when_the_credit_is_used() {
    let mut scene = Scene::live(5, 16);
    assert_eq!(scene.tell(Input::Head(40)), [fetch(5, 16)]);
    assert!(scene.tell(Input::Head(41)).is_empty(), "one fetch at a time");
    let outputs = scene.batch(5, 15);
    let ServerFrame::Ev(ev) = &sent(&outputs)[0] else { panic!() };
    assert_eq!((ev.prev, ev.cur, ev.evs.len()), (5, 15, 10));
    assert_eq!(outputs[1], fetch(15, 6));
    let outputs = scene.batch(15, 21);
    let ServerFrame::Ev(ev) = &sent(&outputs)[0] else { panic!() };
    assert_eq!((ev.prev, ev.cur), (15, 21));
    assert_eq!(outputs.len(), 1, "no credit, no fetch");
    assert!(scene.tell(Input::Head(60)).is_empty());
    let outputs = scene.frame(json!({"t": "ack", "cur": 15}));
    assert_eq!(outputs, [Output::Ask(Ask::Ack { cur: 15 }), fetch(21, 10)]);
}

#[test]
fn receipts_are_asked_for_once_and_only_where_messages_of_others_were_acknowledged() {
    let mut scene = Scene::live(0, 256);
    scene.tell(Input::Head(4));
    scene.batch(0, 4);
    assert_eq!(scene.frame(json!({"t": "ack", "cur": 4})), [Output::Ask(Ask::Ack { cur: 4 })]);
    assert!(scene.frame(json!({"t": "ack", "cur": 4})).is_empty());
    scene.tell(Input::Head(6));
    let own = vec![r#"{"k":"dlvd","conv":"c","by":"b","seq":1}"#.to_owned()];
    scene.answer(Answer::Batch { after: 4, cur: 6, events: own, foreign: false });
    assert!(scene.frame(json!({"t": "ack", "cur": 6})).is_empty());
}

#[test]
fn receipts_for_what_came_with_a_hello_or_a_snapshot_wait_for_its_acknowledgement() {
    let mut scene = Scene::live(7, 256);
    assert!(scene.frame(json!({"t": "ack", "cur": 3})).is_empty(), "an older cursor is none");
    assert_eq!(scene.frame(json!({"t": "ack", "cur": 7})), [Output::Ask(Ask::Ack { cur: 7 })]);
    assert!(scene.frame(json!({"t": "ack", "cur": 7})).is_empty());
}

#[test]
fn a_resync_starts_again_from_its_cursor_and_drops_what_was_under_way() {
    let mut scene = Scene::live(0, 256);
    scene.tell(Input::Head(10));
    scene.batch(0, 5);
    let outputs = scene.frame(json!({"t": "ack", "cur": 2, "resync": true}));
    assert!(!outputs.contains(&fetch(2, 100)), "the fetch from 5 is still under way");
    let outputs = scene.batch(5, 10);
    assert_eq!(outputs, [fetch(2, 100)], "its answer fits no more and is not sent");
    let ServerFrame::Ev(ev) = &sent(&scene.batch(2, 10))[0] else { panic!() };
    assert_eq!((ev.prev, ev.cur), (2, 10));
    assert!(scene.frame(json!({"t": "ack", "cur": 99})).is_empty(), "never sent: no harm");
    assert_eq!(closed(&scene.frame(json!({"t": "ack", "cur": 99, "resync": true}))), Some(4003));
}

#[test]
fn a_lost_hint_is_made_good_by_the_next_ping() {
    let mut scene = Scene::live(3, 256);
    assert_eq!(scene.frame(json!({"t": "ping", "n": 8})), [Output::Ask(Ask::Head { ping: 8 })]);
    let outputs = scene.answer(Answer::Head { ping: 8, head: 5 });
    let ServerFrame::Pong(pong) = &sent(&outputs)[0] else { panic!() };
    assert_eq!((pong.n, pong.head, pong.now), (8, 5, 1_700_000_000_000));
    assert_eq!(outputs[1], fetch(3, 100));
}

#[test]
fn too_many_requests_at_once_are_refused_one_by_one_and_the_rest_goes_on() {
    let mut scene = Scene::live(0, 256);
    for id in 1..=64 {
        let outputs = scene.frame(json!({"t": "convs", "id": id}));
        assert!(matches!(&outputs[..], [Output::Ask(Ask::Request(_))]), "{id}: {outputs:?}");
    }
    let ServerFrame::Err(err) = &sent(&scene.frame(json!({"t": "convs", "id": 65})))[0] else { panic!() };
    assert_eq!((err.code, err.re, err.max.as_deref()), (ErrorCode::Limit, Some(65), Some("64")));
    scene.answer(Answer::Ok(Box::new(server::Ok { re: 1, ..server::Ok::default() })));
    assert!(matches!(&scene.frame(json!({"t": "convs", "id": 66}))[..], [Output::Ask(_)]));
}

#[test]
fn frames_before_welcome_wait_for_it_up_to_a_bound() {
    let mut scene = Scene::opened();
    scene.frame(json!({"t": "hello", "app": "t", "epoch": "e", "cur": 0}));
    for n in 0..16 {
        assert!(scene.frame(json!({"t": "ping", "n": n})).is_empty());
    }
    let outputs = scene.answer(Answer::Resume { epoch: "e".into(), head: 0, floor: 0 });
    assert_eq!(outputs.len(), 17, "welcome, then what waited");
    let mut flood = Scene::opened();
    flood.frame(json!({"t": "hello", "app": "t", "epoch": "e", "cur": 0}));
    let codes: Vec<_> = (0..17).map(|n| closed(&flood.frame(json!({"t": "ping", "n": n})))).collect();
    assert_eq!((codes[15], codes[16]), (None, Some(4200)));
}

#[test]
fn silence_ends_a_connection_and_any_frame_counts_as_life() {
    let mut scene = Scene::opened();
    assert_eq!(closed(&scene.wait(9)), None);
    assert_eq!(closed(&scene.wait(1)), Some(4001), "no hello");
    let mut scene = Scene::live(0, 256);
    scene.wait(599);
    scene.frame(json!({"t": "pong", "n": 1}));
    assert_eq!(closed(&scene.wait(599)), None);
    assert_eq!(closed(&scene.wait(1)), Some(4000));
    assert!(scene.session.poll_timeout().is_none() && scene.frame(json!({"t": "ping", "n": 1})).is_empty());
}

#[test]
fn close_codes_say_whether_to_come_back() {
    let mut cases = vec![
        (Input::Shutdown, 1001),
        (Input::Revoked, 4201),
        (Input::Binary, 4200),
        (Input::Oversized, 4209),
        (Input::Answer { answer: Answer::TooOld, at: AT }, 4003),
        (Input::Answer { answer: Answer::Failed, at: AT }, 4004),
        (Input::Answer { answer: Answer::Revoked, at: AT }, 4201),
    ];
    cases.push((Input::Frame { text: json!({"t": "bye", "code": 1000}).to_string(), at: AT }, 1000));
    cases.push((Input::Frame { text: "nonsense".into(), at: AT }, 4200));
    for (input, code) in cases {
        let mut scene = Scene::live(0, 256);
        let outputs = scene.tell(input.clone());
        assert_eq!(closed(&outputs), Some(code), "{input:?}");
        let frames = sent(&outputs);
        let Some(ServerFrame::Bye(bye)) = frames.last() else { panic!("{input:?}: no bye") };
        assert_eq!(bye.code, u64::from(code), "the bye says the same as the close frame");
    }
}

#[test]
fn every_frame_that_a_session_sends_is_valid_by_the_strict_schema() {
    let mut schema: Value = serde_json::from_str(include_str!("../../../docs/hub-protocol.schema.json")).unwrap();
    schema.as_object_mut().unwrap().remove("oneOf");
    schema["$ref"] = json!("#/$defs/server_frame");
    let strict = jsonschema::validator_for(&schema).unwrap();
    let mut outputs = Vec::new();
    let mut scene = Scene::opened();
    outputs.extend(scene.frame(json!({"t": "hello", "app": "t"})));
    outputs.extend(scene.answer(Answer::Resume { epoch: "e".into(), head: 0, floor: 0 }));
    outputs.extend(scene.answer(Answer::Snap { convs: vec![], users: vec![], next: None }));
    outputs.extend(scene.frame(json!({"t": "nope", "id": 3})));
    outputs.extend(scene.frame(json!({"t": "mark", "id": 3, "conv": "", "read": 1})));
    outputs.extend(scene.tell(Input::Eph(Ephemeral::Typing { conv: "c".into(), by: "b".into(), ttl: 1 })));
    outputs.extend(scene.tell(Input::Head(3)));
    outputs.extend(scene.batch(0, 3));
    outputs.extend(scene.answer(Answer::Head { ping: 1, head: 3 }));
    outputs.extend(scene.tell(Input::Oversized));
    let texts = outputs.iter().filter_map(|output| if let Output::Transmit(text) = output { Some(text) } else { None });
    let mut kinds = BTreeSet::new();
    for text in texts {
        let frame: Value = serde_json::from_str(text).unwrap();
        assert!(strict.is_valid(&frame), "{text}");
        kinds.insert(frame["t"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["bye", "eph", "err", "ev", "pong", "snap", "welcome"]);
}

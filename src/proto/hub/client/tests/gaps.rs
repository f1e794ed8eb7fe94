//! What a snapshot leaves out: it is fetched, and until it is here nothing is acknowledged.

use super::*;
use crate::model::{CommandTarget, ServerRef};

#[test]
fn after_a_long_outage_the_gap_is_filled_before_it_calls_itself_caught_up() {
    let mut play = Play::live();
    play.hear(ev(10, 12, json!([msg("c", 1, "bob"), msg("c", 2, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    play.take_events();
    play.tell(Input::Opened { at: Timestamp(0) });
    play.hear(welcome(json!({"resume": "snap", "reason": "too_old", "head": 90})));
    let last: Vec<_> = (8..=9).map(|seq| msg("c", seq, "bob")).collect();
    let conv = json!({"conv": "c", "kind": "direct", "peer": "bob", "seq": 9, "rev": 12, "read": 0, "unread": 9, "last": last});
    let snap = json!({"t": "snap", "part": 1, "more": false, "epoch": "e1", "cur": 90, "convs": [conv], "users": []});
    let out = play.hear(snap);
    assert_eq!(out[0], json!({"t": "hist", "id": 1, "conv": "c", "after": 2, "order": "asc", "limit": 3}));
    assert_eq!(out[1], json!({"t": "changes", "id": 2, "conv": "c", "since": 2, "limit": 3}));
    assert_eq!(play.messages(), [(8, Origin::CatchUp), (9, Origin::CatchUp)]);
    play.hear(ev(90, 91, json!([msg("c", 10, "bob")])));
    play.commit();
    let mark: Value = serde_json::from_slice(&play.rows["conv:c"]).unwrap();
    assert_eq!((&mark["seq"], &mark["gap"], &mark["top"]), (&json!(2), &json!(8), &json!(10)));
    let page: Vec<_> = (3..=5).map(|seq| msg("c", seq, "bob")).collect();
    let out = play.hear(json!({"t": "ok", "re": 1, "msgs": page, "more": true, "cursor": "x"}));
    assert_eq!(out[0]["after"], 5);
    let mut edited = msg("c", 1, "bob");
    edited["edited"] = json!(5000);
    edited["rev"] = json!(11);
    play.hear(json!({"t": "ok", "re": 2, "msgs": [edited], "more": false, "since": 12}));
    assert!(play.events.iter().any(|event| matches!(event, Event::Change(change) if change.rev == 11)));
    assert!(!play.events.contains(&Event::CaughtUp));
    let page: Vec<_> = (6..=8).map(|seq| msg("c", seq, "bob")).collect();
    play.hear(json!({"t": "ok", "re": 3, "msgs": page, "more": true, "cursor": "x"}));
    assert!(play.events.contains(&Event::CaughtUp));
    play.commit();
    let mark: Value = serde_json::from_slice(&play.rows["conv:c"]).unwrap();
    assert_eq!((&mark["seq"], mark.get("gap")), (&json!(10), None));
}

/// A snapshot after an outage: `c` with messages 8 and 9, at 90.
fn after_an_outage(play: &mut Play) -> Vec<Value> {
    play.tell(Input::Opened { at: Timestamp(0) });
    play.hear(welcome(json!({"resume": "snap", "reason": "too_old", "head": 90})));
    let last: Vec<_> = (8..=9).map(|seq| msg("c", seq, "bob")).collect();
    let conv =
        json!({"conv": "c", "kind": "direct", "peer": "bob", "seq": 9, "rev": 9, "read": 0, "unread": 9, "last": last});
    play.hear(json!({"t": "snap", "part": 1, "more": false, "epoch": "e1", "cur": 90, "convs": [conv], "users": []}))
}

#[test]
fn nothing_is_acknowledged_while_older_messages_are_still_being_fetched() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 5, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    assert_eq!(after_an_outage(&mut play)[0]["after"], 5);
    assert_eq!(play.commit(), [] as [Value; 0], "6 and 7 are not here yet");
    play.hear(ev(90, 91, json!([msg("c", 10, "bob")])));
    assert_eq!(play.commit(), [] as [Value; 0], "nor after a newer one came");
    assert_eq!(play.tell(Input::Probe(1)), [json!({"t": "ping", "n": 1})]);
    let page: Vec<_> = (6..=7).map(|seq| msg("c", seq, "bob")).collect();
    play.hear(json!({"t": "ok", "re": 1, "msgs": page, "more": true, "cursor": "x"}));
    assert_eq!(play.tell(Input::Probe(2)), [json!({"t": "ping", "n": 2})], "here, but not on disk");
    assert_eq!(play.commit().last(), Some(&json!({"t": "ack", "cur": 91})));
}

/// After an outage, with the changes here and 6 and 7 asked for: 5, 8 and 9 are on disk.
fn lacking_two() -> Play {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 5, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    play.take_events();
    after_an_outage(&mut play);
    play.hear(json!({"t": "ok", "re": 2, "msgs": [], "more": false, "since": 9}));
    play.commit();
    play
}

#[test]
fn what_can_never_be_fetched_holds_no_acknowledgement_back() {
    let mut play = lacking_two();
    play.hear(json!({"t": "err", "re": 1, "code": "not_found"}));
    assert_eq!(play.hub.poll_timeout(), None);
    assert!(play.events.contains(&Event::CaughtUp));
    assert_eq!(play.commit().last(), Some(&json!({"t": "ack", "cur": 90})));
}

#[test]
fn a_page_that_cannot_be_had_now_is_asked_for_again_and_nothing_is_said_to_be_here_meanwhile() {
    let mut play = lacking_two();
    assert_eq!(play.hear(json!({"t": "err", "re": 1, "code": "unavailable"})), [] as [Value; 0]);
    assert_eq!(play.hear(ev(90, 91, json!([msg("c", 10, "bob")]))), [] as [Value; 0], "nor sooner");
    assert_eq!(play.commit(), [] as [Value; 0], "6 and 7 are not here yet");
    assert_eq!(play.tell(mark(1, 9)), [] as [Value; 0], "and not read");
    assert!(!play.events.contains(&Event::CaughtUp));
    assert_eq!(play.wait(999), [] as [Value; 0]);
    let again = json!({"t": "hist", "id": 3, "conv": "c", "after": 5, "order": "asc", "limit": 3});
    assert_eq!(play.wait(1), [again]);
    assert_eq!(play.hear(json!({"t": "err", "re": 3, "code": "rate_limited", "retry_after": 7000})), [] as [Value; 0]);
    assert_eq!(play.wait(6_999), [] as [Value; 0], "the hub said when");
    assert_eq!(play.wait(1).len(), 1);
    let page: Vec<_> = (6..=7).map(|seq| msg("c", seq, "bob")).collect();
    play.hear(json!({"t": "ok", "re": 4, "msgs": page, "more": true, "cursor": "x"}));
    assert!(play.events.contains(&Event::CaughtUp));
    let read = json!({"t": "mark", "id": 5, "conv": "c", "read": 9});
    assert_eq!(play.commit(), [json!({"t": "ack", "cur": 91}), read]);
    assert_eq!(play.hub.poll_timeout(), None);
}

#[test]
fn changes_that_cannot_be_had_now_are_asked_for_again_before_it_calls_itself_caught_up() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 7, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    play.take_events();
    assert_eq!(after_an_outage(&mut play)[0]["t"], "changes");
    play.hear(json!({"t": "err", "re": 1, "code": "timeout"}));
    assert!(!play.events.contains(&Event::CaughtUp));
    assert_eq!(play.commit(), [json!({"t": "ack", "cur": 90})], "every message is here");
    let again = json!({"t": "changes", "id": 2, "conv": "c", "since": 7, "limit": 3});
    assert_eq!(play.wait(1_000), [again]);
    play.hear(json!({"t": "ok", "re": 2, "msgs": [], "more": false, "since": 9}));
    assert!(play.events.contains(&Event::CaughtUp));
}

#[test]
fn a_page_that_does_not_come_for_half_a_minute_is_given_up_for_this_connection() {
    let mut play = lacking_two();
    for (re, pause) in [(1, 1_000), (3, 2_000), (4, 4_000), (5, 8_000), (6, 16_000)] {
        play.hear(json!({"t": "err", "re": re, "code": "internal"}));
        assert!(!play.events.contains(&Event::CaughtUp));
        assert_eq!(play.commit(), [] as [Value; 0]);
        assert_eq!((play.wait(pause - 1).len(), play.wait(1).len()), (0, 1));
    }
    play.hear(json!({"t": "err", "re": 7, "code": "internal"}));
    assert_eq!(play.hub.poll_timeout(), None);
    assert!(play.events.contains(&Event::CaughtUp));
    assert_eq!(play.commit(), [json!({"t": "ack", "cur": 90})]);
    let asked = play.hear(ev(90, 91, json!([msg("c", 10, "bob")])));
    assert_eq!(asked[0]["after"], 5, "a new message is a reason to ask once more");
    play.hear(json!({"t": "err", "re": 8, "code": "internal"}));
    assert_eq!((play.hub.poll_timeout(), play.commit()), (None, vec![json!({"t": "ack", "cur": 91})]));
    play.tell(Input::Closed(None));
    play.tell(Input::Opened { at: Timestamp(0) });
    assert_eq!(play.hear(welcome(json!({"resume": "ok", "head": 91})))[1]["after"], 5, "and so is the next connection");
    play.hear(json!({"t": "err", "re": 1, "code": "internal"}));
    assert_eq!(play.wait(1_000).len(), 1);
    play.hear(json!({"t": "err", "re": 2, "code": "rate_limited", "retry_after": 600_000}));
    assert_eq!(play.hub.poll_timeout(), None, "nothing is held for minutes");
}

#[test]
fn a_conversation_that_is_gone_is_not_asked_for_again() {
    let mut play = lacking_two();
    play.hear(json!({"t": "err", "re": 1, "code": "unavailable"}));
    play.hear(ev(90, 91, json!([{"k": "gone", "conv": "c", "reason": "left"}])));
    play.commit();
    assert_eq!(play.wait(1_000), [] as [Value; 0]);
    assert!(play.events.contains(&Event::CaughtUp));
    assert_eq!(play.commit().last(), None);
    assert_eq!(play.hub.acked, 91);
}

#[test]
fn who_resumes_acknowledges_at_once_since_a_hello_gives_nobody_a_receipt() {
    let mut play = Play::live();
    play.tell(Input::Closed(None));
    play.tell(Input::Opened { at: Timestamp(0) });
    let out = play.hear(welcome(json!({"resume": "ok", "head": 10})));
    assert_eq!(out, [json!("ready"), json!({"t": "ack", "cur": 10})]);
}

#[test]
fn a_conversation_that_began_during_a_long_outage_is_fetched_whole_and_counted_once() {
    let mut play = Play::live();
    play.tell(Input::Closed(None));
    play.take_events();
    let out = after_an_outage(&mut play);
    assert_eq!(out[0], json!({"t": "hist", "id": 1, "conv": "c", "after": 0, "order": "asc", "limit": 3}));
    let counted =
        play.events.iter().any(|event| matches!(event, Event::Conversation(news) if news.unread_below.is_some()));
    assert!(!counted, "each counts when it comes");
    play.take_events();
    for (re, first, last) in [(1, 1, 3), (2, 4, 6), (3, 7, 7)] {
        let page: Vec<_> = (first..=last).map(|seq| msg("c", seq, "bob")).collect();
        play.hear(json!({"t": "ok", "re": re, "msgs": page, "more": true, "cursor": "x", "floor": 1}));
    }
    let Some(Event::Span(first)) = play.events.iter().find(|event| matches!(event, Event::Span(_))) else { panic!() };
    assert!(first.at_start && first.after.is_none(), "{first:?}");
    assert_eq!(play.messages(), (1..=7).map(|seq| (seq, Origin::CatchUp)).collect::<Vec<_>>());
    play.commit();
    let mark: Value = serde_json::from_slice(&play.rows["conv:c"]).unwrap();
    assert_eq!((&mark["seq"], mark.get("gap")), (&json!(9), None));
}

fn mark(row: i64, seq: u64) -> Input {
    let server = Some(ServerRef { id: format!("e1/c/{seq}"), order: Some(seq) });
    let id = MessageId::new(seq, &[7; 10]);
    let Input::Command(mut command) = send(row, ConversationKey::server("c")) else { panic!() };
    command.what = CommandKind::Mark { upto: CommandTarget { id, server, sender_ref: None, sender: "bob".into() } };
    Input::Command(command)
}

/// To the hub "read up to 9" says that all below 9 has arrived.
#[test]
fn a_read_mark_waits_for_older_messages_that_are_still_being_fetched() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 5, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    after_an_outage(&mut play);
    play.commit();
    assert_eq!(play.tell(mark(1, 9)), [] as [Value; 0], "6 and 7 are not here yet");
    assert_eq!(play.tell(mark(1, 9)), [] as [Value; 0], "a repeat of a row that waits");
    play.hear(json!({"t": "ok", "re": 2, "msgs": [], "more": false, "since": 9}));
    let below = play.tell(mark(2, 5));
    assert_eq!(below, [json!({"t": "mark", "id": 3, "conv": "c", "read": 5})], "all below is here");
    let page: Vec<_> = (6..=7).map(|seq| msg("c", seq, "bob")).collect();
    let filled = play.hear(json!({"t": "ok", "re": 1, "msgs": page, "more": true, "cursor": "x"}));
    assert_eq!(filled, [] as [Value; 0], "here, but not on disk");
    let read = json!({"t": "mark", "id": 4, "conv": "c", "read": 9});
    assert_eq!(play.commit(), [json!({"t": "ack", "cur": 90}), read]);
}

#[test]
fn a_read_mark_waits_while_the_snapshot_comes_and_not_for_what_can_never_be_fetched() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 5, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    after_an_outage(&mut play);
    play.commit();
    play.tell(mark(1, 9));
    play.tell(Input::Closed(None));
    play.tell(Input::Opened { at: Timestamp(0) });
    play.hear(welcome(json!({"resume": "snap", "reason": "too_old", "head": 90})));
    assert_eq!(play.tell(mark(1, 9)), [] as [Value; 0], "what is missing will be asked for after the snapshot");
    play.hear(json!({"t": "snap", "part": 1, "more": false, "epoch": "e1", "cur": 90, "users": [], "convs": [
        {"conv": "c", "kind": "direct", "peer": "bob", "seq": 9, "rev": 9, "read": 0, "unread": 9, "last": [msg("c", 9, "bob")]}]}));
    play.commit();
    play.hear(json!({"t": "ok", "re": 2, "msgs": [], "more": false, "since": 9}));
    play.commit();
    let out = play.hear(json!({"t": "err", "re": 1, "code": "not_found"}));
    assert_eq!([out, play.commit()].concat()[0], json!({"t": "mark", "id": 3, "conv": "c", "read": 9}));
}

#[test]
fn marks_that_wait_take_no_more_than_their_share_of_the_places() {
    let mut play = Play::live();
    play.hear(ev(10, 11, json!([msg("c", 5, "bob")])));
    play.commit();
    play.tell(Input::Closed(None));
    after_an_outage(&mut play);
    play.commit();
    play.take_events();
    for row in 1..=17 {
        play.tell(mark(row, 9));
    }
    assert!(matches!(outcomes(play.take_events())[..], [Outcome::Later(_)]), "the last goes back to the disk");
}

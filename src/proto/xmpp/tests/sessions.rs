//! Stream management: acknowledged is what is on disk; a broken session goes on, or is given up cleanly.

use super::*;

fn last_ack(rig: &Rig) -> u32 {
    let frames = rig.server.got.iter().rev();
    let ack = frames.map(|f| super::super::xml::parse(f).unwrap()).find(|e| e.name() == "a").unwrap();
    ack.attr("h").unwrap().parse().unwrap()
}

#[test]
fn nothing_is_acknowledged_before_it_is_on_disk() {
    let mut rig = Rig::online();
    rig.feed("<r xmlns='urn:xmpp:sm:3'/>");
    let before = last_ack(&rig);
    rig.server.bob_says("one");
    rig.frame();
    rig.feed("<r xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(last_ack(&rig), before);
    rig.cut();
    rig.feed("<r xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(last_ack(&rig), before);
    rig.commit();
    assert_eq!(last_ack(&rig), before + 1);
}

#[test]
fn a_broken_session_goes_on_and_what_was_not_committed_comes_again_once() {
    let mut rig = Rig::online();
    rig.server.bob_says("kept");
    rig.flow();
    rig.server.bob_says("seen but not committed");
    rig.frame();
    rig.lose();
    rig.server.bob_says("while away");
    rig.connect();
    rig.run();
    assert_eq!(rig.sent("<resume "), 1);
    assert_eq!(rig.sent("</bind>"), 1);
    assert_eq!(rig.disk.texts(), ["kept", "seen but not committed", "while away"]);
    assert_eq!(rig.disk.events.iter().filter(|e| **e == Event::CaughtUp).count(), 2);
}

#[test]
fn a_session_is_resumed_even_after_the_daemon_was_killed() {
    let mut rig = Rig::online();
    rig.server.bob_says("one");
    rig.flow();
    rig.server.bob_says("two");
    rig.frame();
    rig.crash();
    rig.server.bob_says("three");
    rig.connect();
    rig.run();
    assert_eq!((rig.sent("<resume "), rig.sent("</bind>")), (1, 1));
    assert_eq!(rig.disk.texts(), ["one", "two", "three"]);
}

#[test]
fn what_the_server_has_not_got_is_sent_again_and_only_that() {
    let mut rig = Rig::online();
    let first = rig.say("one");
    rig.flow();
    assert_eq!(rig.state(first), RowState::Sent);
    rig.connected = false;
    let second = rig.say("two");
    rig.connected = true;
    assert_eq!(rig.sent("<body>two"), 0, "it was lost on the way");
    rig.lose();
    rig.connect();
    rig.run();
    assert_eq!(rig.state(second), RowState::Sent);
    assert_eq!((rig.sent("<body>one"), rig.sent("<body>two")), (1, 1));
    assert_eq!(rig.server.archive.len(), 2);
}

#[test]
fn a_lost_session_is_replaced_and_the_archive_makes_up_for_it() {
    let mut rig = Rig::online();
    rig.server.bob_says("one");
    rig.flow();
    rig.lose();
    rig.server.killed(0);
    for text in ["two", "three"] {
        rig.server.bob_says(text);
    }
    rig.connect();
    rig.run();
    assert_eq!((rig.sent("<resume "), rig.sent("</bind>")), (1, 2));
    assert_eq!(rig.disk.texts(), ["one", "two", "three"]);
    assert_eq!(rig.disk.messages.last().unwrap().origin, Origin::CatchUp);
}

#[test]
fn two_connections_dropped_right_after_resume_end_the_session() {
    let mut rig = Rig::online();
    rig.lose();
    rig.server.drops_resume = true;
    for _ in 0..3 {
        rig.server.bob_says("x");
        rig.connect();
        rig.run();
    }
    assert_eq!(rig.sent("<resume "), 2);
    assert!(rig.ready);
    assert_eq!(rig.disk.texts().len(), 3);
}

#[test]
fn counters_run_over_two_to_the_thirty_second() {
    let mut rig = Rig::online();
    rig.xmpp.flight.base = u32::MAX;
    let row = rig.say("over the edge");
    let wrapped = 0;
    rig.server.out.clear();
    rig.feed(&format!("<a xmlns='urn:xmpp:sm:3' h='{wrapped}'/>"));
    rig.cut();
    rig.commit();
    assert_eq!(rig.state(row), RowState::Sent);
}

#[test]
fn a_server_that_acknowledges_more_than_was_sent_is_left_and_its_session_forgotten() {
    let mut rig = Rig::online();
    rig.feed("<a xmlns='urn:xmpp:sm:3' h='999'/>");
    assert!(matches!(rig.verdict, Some((Verdict::Retry, Reason::Protocol { .. }))));
    rig.connect();
    rig.run();
    assert_eq!(rig.sent("<resume "), 0);
    assert_eq!(rig.refused(), 1);
}

#[test]
fn a_server_without_stream_management_is_asked_by_ping_whether_it_has_what_was_sent() {
    let mut rig = Rig::new();
    rig.server.no_sm = true;
    rig.connect();
    rig.run();
    let row = rig.say("hello");
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.sent("<enable xmlns='urn:xmpp:sm:3'"), 0);
    rig.server.bob_says("hi");
    rig.run();
    assert_eq!(rig.disk.texts(), ["hello", "hi"]);
}

#[test]
fn the_server_is_told_whether_anybody_looks() {
    let mut rig = Rig::online();
    assert_eq!(rig.sent("<inactive"), 1);
    let attention = |attached| crate::model::Attention { attached, ..crate::model::Attention::default() };
    for attached in [1, 2, 0] {
        rig.input(Input::Signal(crate::model::Signal::Attention(attention(attached))));
    }
    assert_eq!((rig.sent("<active"), rig.sent("<inactive")), (1, 2));
}

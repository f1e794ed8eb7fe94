//! The outbox: once, in order, with a fate for each row.

use super::*;
use crate::model::CommandTarget;

#[test]
fn what_was_sent_is_named_by_its_archive_soon_after() {
    let mut rig = Rig::online();
    let row = rig.say("hello");
    rig.flow();
    assert_eq!(rig.state(row), RowState::Sent);
    assert!(rig.disk.messages.is_empty());
    rig.run();
    let message = &rig.disk.messages[0];
    assert!(message.outgoing && message.own_id.is_some() && message.server.is_some());
    assert_eq!(rig.sent("<body>hello"), 1);
}

#[test]
fn a_row_that_may_have_been_sent_waits_for_the_archive_and_is_not_sent_twice() {
    let mut rig = Rig::online();
    let row = rig.say("once");
    rig.crash();
    rig.server.killed(0);
    rig.connect();
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.server.archive.len(), 1);
    assert_eq!(rig.sent("<body>once"), 1);
}

#[test]
fn an_archive_that_fails_after_the_servers_start_doubles_nothing_and_one_that_fails_for_ever_blocks_nothing() {
    for (failures, copies) in [(4, 1), (18, 1), (usize::MAX, 2)] {
        let mut rig = Rig::online();
        rig.server.bob_says("before");
        rig.flow();
        let row = rig.say("once");
        rig.crash();
        rig.server.killed(0);
        rig.server.mam_fails = failures;
        rig.connect();
        for _ in 0..12 {
            rig.run();
        }
        let newer = rig.say("newer");
        for _ in 0..12 {
            rig.pass(60);
            rig.run();
        }
        assert_eq!((rig.state(row), rig.state(newer)), (RowState::Sent, RowState::Sent));
        let texts: Vec<&str> = rig.server.archive.iter().map(|kept| kept.text.as_str()).collect();
        assert_eq!(texts, [vec!["before"], vec!["once"; copies], vec!["newer"]].concat());
        let told = rig.disk.events.iter().filter(|e| **e == Event::CaughtUp).count();
        assert_eq!(told, if failures == usize::MAX { 1 } else { 2 });
    }
}

#[test]
fn a_connection_that_breaks_between_the_decision_about_a_doubted_row_and_its_offer_blocks_nothing() {
    let mut rig = Rig::online();
    rig.server.bob_says("before");
    rig.flow();
    let row = rig.say("forgotten");
    rig.run();
    rig.lose();
    rig.server.killed(1);
    rig.connect();
    rig.flow();
    assert!(rig.disk.events.contains(&Event::Unconfirmed(row)));
    // The user takes it back meanwhile, so that the outbox never offers it again.
    let cancelled = rig.disk.outbox.get_mut(&row).unwrap();
    cancelled.state = RowState::Failed("cancelled".into());
    rig.lose();
    let newer = rig.say("newer");
    rig.connect();
    rig.run();
    assert_eq!(rig.sent("<resume "), 2);
    assert_eq!(rig.state(newer), RowState::Sent);
}

#[test]
fn a_row_that_the_server_never_got_is_sent_after_the_archive_said_so() {
    let mut rig = Rig::online();
    rig.connected = false;
    let row = rig.say("lost");
    rig.connected = true;
    rig.crash();
    rig.server.killed(0);
    rig.connect();
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.server.archive.len(), 1);
}

#[test]
fn what_a_killed_server_forgot_is_unconfirmed_and_sent_again() {
    let mut rig = Rig::online();
    rig.server.bob_says("before");
    rig.flow();
    let row = rig.say("forgotten");
    rig.flow();
    assert_eq!(rig.state(row), RowState::Sent);
    rig.lose();
    rig.server.killed(1);
    rig.connect();
    rig.run();
    assert!(rig.disk.events.contains(&Event::Unconfirmed(row)));
    assert_eq!(rig.state(row), RowState::Sent);
    let texts: Vec<&str> = rig.server.archive.iter().map(|kept| kept.text.as_str()).collect();
    assert_eq!(texts, ["before", "forgotten"]);
}

#[test]
fn what_the_archive_had_shown_and_a_killed_server_forgot_is_unconfirmed_and_sent_again_before_what_is_newer() {
    let mut rig = Rig::online();
    rig.server.bob_says("before");
    rig.flow();
    let row = rig.say("forgotten");
    rig.run();
    assert!(rig.disk.messages.iter().any(|m| m.text == "forgotten" && m.server.is_some()), "the archive showed it");
    rig.lose();
    rig.server.killed(1);
    let newer = rig.say("newer");
    rig.connect();
    rig.run();
    assert!(rig.disk.events.contains(&Event::Unconfirmed(row)));
    assert_eq!((rig.state(row), rig.state(newer)), (RowState::Sent, RowState::Sent));
    let texts: Vec<&str> = rig.server.archive.iter().map(|kept| kept.text.as_str()).collect();
    assert_eq!(texts, ["before", "forgotten", "newer"]);
}

#[test]
fn what_was_shown_is_doubted_also_when_the_daemon_was_killed_with_the_server_but_not_after_its_archive_may_have_expired()
 {
    for (days, again) in [(0, 1), (2, 0)] {
        let mut rig = Rig::online();
        rig.server.bob_says("before");
        let row = rig.say("forgotten");
        rig.run();
        rig.crash();
        rig.server.killed(1);
        rig.wall += days * 86_400_000;
        rig.connect();
        rig.run();
        assert_eq!(rig.disk.events.contains(&Event::Unconfirmed(row)), again == 1);
        assert_eq!(rig.server.archive.iter().filter(|kept| kept.text == "forgotten").count(), again);
    }
}

#[test]
fn what_the_other_side_has_or_what_is_long_past_is_beyond_doubt() {
    for (delivered, passes) in [(true, 0), (false, 200)] {
        let mut rig = Rig::online();
        rig.server.bob_says("before");
        let row = rig.say("hello");
        rig.run();
        if delivered {
            let id = rig.disk.outbox[&row].command.cid;
            rig.server.bob_sends("b9", &format!("<received xmlns='urn:xmpp:receipts' id='{id}'/>"), "");
            rig.run();
        }
        rig.pass(passes);
        rig.server.bob_says("later");
        rig.flow();
        rig.lose();
        rig.server.killed(0);
        rig.connect();
        rig.run();
        assert!(!rig.disk.events.contains(&Event::Unconfirmed(row)));
        assert_eq!(rig.sent("<body>hello"), 1);
    }
}

#[test]
fn what_was_still_on_its_way_when_the_archive_was_asked_is_looked_for_again() {
    let mut rig = Rig::online();
    rig.say("first");
    rig.flow();
    rig.pass(3);
    // The question is out; the next one follows it, and the answer cannot have it.
    let row = rig.say("second");
    rig.run();
    let cid = rig.disk.outbox[&row].command.cid;
    assert!(rig.disk.messages.iter().any(|m| m.own_id == Some(cid) && m.server.is_some()));
}

#[test]
fn what_a_killed_server_kept_is_unconfirmed_until_seen_and_not_sent_again() {
    let mut rig = Rig::online();
    let row = rig.say("kept");
    rig.flow();
    rig.lose();
    rig.server.killed(0);
    rig.connect();
    rig.run();
    assert!(rig.disk.events.contains(&Event::Unconfirmed(row)));
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.server.archive.len(), 1);
}

/// An error for a message of ours, as `from` sends it.
fn bounce(rig: &mut Rig, id: crate::model::MessageId, from: &str) {
    rig.feed(&format!(
        "<message xmlns='jabber:client' type='error' id='{id}' from='{from}'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    rig.cut();
    rig.commit();
}

#[test]
fn a_bounce_fails_the_row_with_its_reason_but_only_from_whom_it_went_to() {
    let mut rig = Rig::online();
    let row = rig.say("hello");
    rig.flow();
    let id = rig.disk.outbox[&row].command.cid;
    bounce(&mut rig, id, "evil@y.test");
    assert_eq!((rig.state(row), rig.refused()), (RowState::Sent, 1));
    bounce(&mut rig, id, BOB);
    assert_eq!(rig.state(row), RowState::Failed("unavailable".into()));
}

#[test]
fn what_bounced_and_is_sent_again_under_its_id_may_bounce_again() {
    let mut rig = Rig::online();
    let row = rig.say("hello");
    rig.flow();
    let id = rig.disk.outbox[&row].command.cid;
    bounce(&mut rig, id, BOB);
    rig.ready = false;
    let again = rig.say("hello");
    rig.disk.outbox.get_mut(&again).unwrap().command.cid = id;
    rig.ready = true;
    rig.offer();
    rig.flow();
    assert_eq!((rig.sent("<body>hello"), rig.state(again)), (2, RowState::Sent));
    bounce(&mut rig, id, BOB);
    assert_eq!(rig.state(again), RowState::Failed("unavailable".into()));
}

#[test]
fn a_message_over_the_servers_limit_is_refused_before_it_costs_the_connection() {
    let mut rig = Rig::online();
    let row = rig.say(&"x".repeat(300 * 1024));
    rig.run();
    assert_eq!(rig.state(row), RowState::Failed("too_large".into()));
    assert_eq!(rig.sent("xxxx"), 0);
}

#[test]
fn a_message_that_cost_the_session_is_not_tried_for_ever() {
    let mut rig = Rig::online();
    rig.connected = false;
    let row = rig.say(&"x".repeat(100 * 1024));
    rig.connected = true;
    rig.feed(
        "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
         <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    );
    assert!(matches!(rig.verdict, Some((Verdict::RetryAfter(_), Reason::Policy { .. }))));
    rig.connect();
    rig.run();
    assert_eq!(rig.state(row), RowState::Failed("too_large".into()));
}

#[test]
fn changes_of_ours_reach_the_wire_and_are_settled_once_the_server_has_them() {
    let mut rig = Rig::online();
    let target = CommandTarget {
        id: MessageId::new(1, &[1; 10]),
        server: None,
        sender_ref: Some("b1".into()),
        sender: BOB.into(),
    };
    let kinds = [
        (
            CommandKind::Edit { target: target.clone(), text: "better".into() },
            "<replace xmlns='urn:xmpp:message-correct:0' id='b1'",
        ),
        (CommandKind::Retract { target: target.clone() }, "<retract xmlns='urn:xmpp:message-retract:1' id='b1'"),
        (
            CommandKind::React { target: target.clone(), key: "👍".into(), on: true, all: vec!["👍".into()] },
            "<reaction>👍</reaction>",
        ),
        (CommandKind::Mark { upto: target }, "<displayed xmlns='urn:xmpp:chat-markers:0' id='b1'"),
    ];
    for (what, needle) in kinds {
        let row = rig.write(what, BOB, ConversationKind::Direct);
        rig.run();
        assert_eq!(rig.state(row), RowState::Sent, "{needle}");
        assert_eq!(rig.sent(needle), 1, "{needle}");
    }
}

#[test]
fn contacts_are_added_accepted_removed_and_blocked() {
    let mut rig = Rig::online();
    let bob = || BOB.to_owned();
    for (what, needle) in [
        (CommandKind::ContactAdd { user: bob(), name: Some("Bob".into()) }, "name='Bob'"),
        (CommandKind::ContactAccept { user: bob() }, "type='subscribed'"),
        (CommandKind::Block { user: bob(), on: true }, "<block xmlns='urn:xmpp:blocking'"),
        (CommandKind::ContactRemove { user: bob() }, "subscription='remove'"),
    ] {
        let row = rig.write(what, "", ConversationKind::Direct);
        rig.run();
        assert_eq!(rig.state(row), RowState::Sent, "{needle}");
        assert_eq!(rig.sent(needle), 1, "{needle}");
    }
    let row = rig.write(CommandKind::ContactAdd { user: "@".into(), name: None }, "", ConversationKind::Direct);
    rig.run();
    assert_eq!(rig.state(row), RowState::Failed("invalid_address".into()));
}

#[test]
fn what_is_written_while_offline_goes_out_once_and_in_order() {
    let mut rig = Rig::online();
    rig.lose();
    for n in 0..5 {
        rig.say(&format!("n{n}"));
    }
    rig.connect();
    rig.run();
    let texts: Vec<&str> = rig.server.archive.iter().map(|kept| kept.text.as_str()).collect();
    assert_eq!(texts, ["n0", "n1", "n2", "n3", "n4"]);
}

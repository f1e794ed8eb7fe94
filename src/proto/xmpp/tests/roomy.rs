//! Rooms: joined, caught up, lost, rejoined; nobody speaks for the room but the room.

use super::server::ROOM;
use super::*;
use crate::model::{Amendment, ConversationKey, MessageKind, Target};

fn in_room() -> (Rig, OutboxId) {
    let mut rig = Rig::online();
    let row = join(&mut rig);
    rig.run();
    (rig, row)
}

fn join(rig: &mut Rig) -> OutboxId {
    rig.write(CommandKind::Join { room: ROOM.into(), nick: Some("alice".into()) }, "", ConversationKind::Direct)
}

fn presence(nick: &str, kind: &str, inner: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' from='{ROOM}/{nick}' to='{ME}/r'{kind}><x xmlns='http://jabber.org/protocol/muc#user'>{inner}</x></presence>"
    )
}

fn gone(rig: &Rig) -> bool {
    rig.disk.events.contains(&Event::Gone(ConversationKey::server(ROOM)))
}

#[test]
fn a_room_is_joined_bookmarked_and_caught_up() {
    let mut rig = Rig::online();
    for n in 0..5 {
        rig.server.room_says("bob", &format!("r{n}"), &format!("<body>r{n}</body>"), "");
    }
    let row = join(&mut rig);
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.disk.texts().len(), 5);
    assert_eq!(rig.disk.messages[0].sender, "bob");
    assert_eq!(rig.disk.messages[0].conversation, ConversationKey::server(ROOM));
    assert_eq!(rig.sent("<publish node='urn:xmpp:bookmarks:1'"), 1);
    assert!(rig.disk.events.iter().any(|e| matches!(e, Event::Conversation(c) if c.title.as_deref() == Some("talk"))));
    assert_eq!(rig.refused(), 0);
}

#[test]
fn an_own_message_to_a_room_is_settled_by_the_rooms_echo() {
    let (mut rig, _) = in_room();
    let what = CommandKind::Send { text: "hello".into(), reply_to: None, attachments: Vec::new() };
    let row = rig.write(what, ROOM, ConversationKind::Group);
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.server.room.len(), 1);
    let echo = &rig.disk.messages[0];
    assert!(echo.outgoing && echo.own_id.is_some() && echo.server.is_some());
}

#[test]
fn a_message_that_no_room_echoes_is_looked_for_in_its_archive_and_fails_where_it_is_not_there() {
    for (drops, fate) in [(false, RowState::Sent), (true, RowState::Failed("not_taken".into()))] {
        let (mut rig, _) = in_room();
        (rig.server.no_echo, rig.server.drops_speech) = (!drops, drops);
        let what = CommandKind::Send { text: "hello".into(), reply_to: None, attachments: Vec::new() };
        let row = rig.write(what, ROOM, ConversationKind::Group);
        rig.flow();
        assert_eq!(rig.state(row), RowState::Open, "neither sent nor failed is known yet");
        rig.pass(6);
        rig.run();
        assert_eq!(rig.state(row), fate);
        assert_eq!(rig.sent("<body>hello"), 1);
        assert_eq!(
            rig.disk.messages.iter().filter(|m| m.text == "hello" && m.server.is_some()).count(),
            usize::from(!drops)
        );
    }
}

#[test]
fn what_was_said_after_the_room_had_lost_us_goes_out_once_we_are_back() {
    let (mut rig, _) = in_room();
    rig.server.drops_speech = true;
    let what = CommandKind::Send { text: "hello".into(), reply_to: None, attachments: Vec::new() };
    let row = rig.write(what, ROOM, ConversationKind::Group);
    rig.flow();
    rig.server.drops_speech = false;
    let pings = rig.sent("/alice'><ping");
    rig.connected = false;
    rig.pass(6);
    rig.connected = true;
    let ping = rig.server.got.iter().rev().find(|f| f.contains("/alice'><ping"));
    assert_eq!((pings, ping.is_some()), (0, false), "it was kept from the server");
    let id = rig.xmpp.session.asks.iter().find(|(_, ask)| ask.to.ends_with("/alice")).unwrap().0.clone();
    rig.feed(&format!(
        "<iq xmlns='jabber:client' type='error' id='{id}' from='{ROOM}/alice'><error type='cancel'>\
         <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.server.room.len(), 1);
}

#[test]
fn a_room_message_that_may_have_been_sent_is_looked_for_in_the_rooms_archive() {
    let (mut rig, _) = in_room();
    let what = CommandKind::Send { text: "hello".into(), reply_to: None, attachments: Vec::new() };
    let row = rig.write(what, ROOM, ConversationKind::Group);
    rig.crash();
    rig.server.killed(0);
    rig.connect();
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert_eq!(rig.server.room.len(), 1);
}

#[test]
fn after_an_outage_the_room_is_rejoined_and_its_gap_filled() {
    let (mut rig, _) = in_room();
    rig.server.room_says("bob", "r0", "<body>r0</body>", "");
    rig.flow();
    rig.lose();
    rig.server.killed(0);
    for n in 1..=24 {
        rig.server.room_says("bob", &format!("r{n}"), &format!("<body>r{n}</body>"), "");
    }
    rig.connect();
    rig.run();
    let wanted: Vec<String> = (0..=24).map(|n| format!("r{n}")).collect();
    assert_eq!(rig.disk.texts(), wanted);
    assert_eq!(
        rig.disk.events.last(),
        rig.disk.events.iter().rfind(|e| matches!(e, Event::CaughtUp)).or(rig.disk.events.last())
    );
}

#[test]
fn a_resumed_session_asks_whether_it_is_still_in_and_goes_back_when_not() {
    let (mut rig, _) = in_room();
    rig.lose();
    rig.connect();
    while rig.sent("room@muc.x.test/alice'><ping") == 0 {
        assert!(rig.frame());
    }
    let ping = rig.server.got.iter().rev().find(|f| f.contains("/alice'><ping")).unwrap();
    let id = super::super::xml::parse(ping).unwrap().attr("id").unwrap().to_owned();
    rig.server.out.retain(|frame| !frame.contains(&id));
    let joins = rig.sent("http://jabber.org/protocol/muc'");
    rig.feed(&format!(
        "<iq xmlns='jabber:client' type='error' id='{id}' from='{ROOM}/alice'><error type='cancel'>\
         <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    rig.run();
    assert_eq!(rig.sent("http://jabber.org/protocol/muc'"), joins + 1);
}

#[test]
fn a_kick_is_told_and_ends_it_and_a_restart_of_the_service_does_not() {
    let (mut rig, _) = in_room();
    rig.feed(&presence(
        "alice",
        " type='unavailable'",
        "<item><reason>rude</reason></item><status code='110'/><status code='307'/>",
    ));
    rig.cut();
    rig.commit();
    assert!(gone(&rig));
    let told = rig.disk.messages.last().unwrap();
    assert_eq!(told.kind, MessageKind::System);
    assert!(told.text.contains("rude"));
    let (mut rig, _) = in_room();
    rig.feed(&presence("alice", " type='unavailable'", "<status code='110'/><status code='332'/>"));
    let joins = rig.sent("http://jabber.org/protocol/muc'");
    rig.pass(11);
    rig.run();
    assert!(!gone(&rig));
    assert_eq!(rig.sent("http://jabber.org/protocol/muc'"), joins + 1);
}

#[test]
fn our_nick_may_change_and_a_taken_one_is_made_another() {
    let (mut rig, _) = in_room();
    rig.feed(&presence("alice", " type='unavailable'", "<item nick='al'/><status code='303'/><status code='110'/>"));
    rig.feed(&presence("al", "", "<item/><status code='110'/>"));
    rig.server.room_says("al", "x1", "<body>mine</body>", "");
    rig.flow();
    assert!(rig.disk.messages.last().unwrap().outgoing && !gone(&rig));
    let mut rig = Rig::online();
    join(&mut rig);
    while rig.sent("http://jabber.org/protocol/muc'") == 0 {
        assert!(rig.frame());
    }
    rig.server.out.clear();
    rig.feed(&format!(
        "<presence xmlns='jabber:client' from='{ROOM}/alice' type='error'><error type='cancel'>\
         <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    ));
    assert_eq!(rig.sent("room@muc.x.test/alice_'"), 1);
}

#[test]
fn a_room_that_does_not_take_us_fails_the_row_with_its_reason() {
    let mut rig = Rig::online();
    let row = join(&mut rig);
    while rig.sent("http://jabber.org/protocol/muc'") == 0 {
        assert!(rig.frame());
    }
    rig.server.out.clear();
    rig.feed(&format!(
        "<presence xmlns='jabber:client' from='{ROOM}/alice' type='error'><error type='auth'>\
         <registration-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    ));
    rig.cut();
    rig.commit();
    assert_eq!(rig.state(row), RowState::Failed("forbidden".into()));
}

#[test]
fn in_rooms_changes_go_by_the_rooms_id_and_moderation_only_by_the_room() {
    let (mut rig, _) = in_room();
    let retract = |extra: &str| format!("<retract xmlns='urn:xmpp:message-retract:1' id='m7'>{extra}</retract>");
    let moderated = retract("<moderated xmlns='urn:xmpp:message-moderate:1'/>");
    rig.server.room_says("bob", "c1", &retract(""), "");
    rig.server.room_says("bob", "c2", &format!("{moderated}<body>x</body>"), "");
    rig.flow();
    rig.feed(&format!("<message xmlns='jabber:client' from='{ROOM}' type='groupchat' id='c3'>{moderated}</message>"));
    rig.cut();
    rig.commit();
    let by: Vec<&str> = rig
        .disk
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Change(change) if change.what == Amendment::Retract => {
                let server = format!("{ROOM}/m7");
                let by_room = change.by == ROOM;
                let bobs = Target::Authored { sender: "bob".into(), server: server.clone() };
                assert_eq!(change.target, if by_room { Target::Server(server) } else { bobs });
                Some(change.by.as_str())
            }
            _ => None,
        })
        .collect();
    assert_eq!(by, ["bob", ROOM]);
}

#[test]
fn bookmarked_rooms_are_entered_and_rooms_left_elsewhere_are_left() {
    let mut rig = Rig::new();
    rig.server.bookmarks = format!(
        "<item id='{ROOM}'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'><nick>alice</nick></conference></item>"
    );
    rig.connect();
    rig.run();
    assert!(rig.server.in_room);
    rig.feed(&format!(
        "<message xmlns='jabber:client' from='{ME}'><event xmlns='http://jabber.org/protocol/pubsub#event'>\
         <items node='urn:xmpp:bookmarks:1'><retract id='{ROOM}'/></items></event></message>"
    ));
    rig.run();
    assert!(!rig.server.in_room && gone(&rig));
}

#[test]
fn each_probe_lets_through_what_a_server_holds_back_while_nobody_looks() {
    let (mut rig, _) = in_room();
    let before = rig.server.got.len();
    rig.input(Input::Probe(1));
    let names = |frame: &String| super::super::xml::parse(frame).unwrap().name().to_owned();
    let sent: Vec<String> = rig.server.got[before..].iter().map(names).collect();
    assert_eq!(sent[..3], ["active", "iq", "inactive"]);
}

#[test]
fn leaving_says_goodbye_and_takes_the_bookmark_away() {
    let (mut rig, _) = in_room();
    let row = rig.write(CommandKind::Leave, ROOM, ConversationKind::Group);
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
    assert!(gone(&rig) && !rig.server.in_room);
    assert_eq!(rig.sent("<retract node='urn:xmpp:bookmarks:1'"), 1);
    let what = CommandKind::Send { text: "hello".into(), reply_to: None, attachments: Vec::new() };
    let row = rig.write(what, ROOM, ConversationKind::Group);
    rig.run();
    assert_eq!(rig.state(row), RowState::Failed("not_in_room".into()));
}

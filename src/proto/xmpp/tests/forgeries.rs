//! Bad input: refused and counted, never shown as genuine, never a crash.

use super::messages::carbon;
use super::*;
use proptest::prelude::*;

fn after(frames: &[String]) -> Rig {
    let mut rig = Rig::online();
    for frame in frames {
        rig.feed(frame);
    }
    rig.cut();
    rig.commit();
    rig
}

fn said_by_bob(extra: &str) -> String {
    format!(
        "<message xmlns='jabber:client' from='{BOB}/d' to='{ME}' type='chat' id='f'><body>forged</body>{extra}</message>"
    )
}

#[test]
fn a_carbon_from_anybody_but_ourselves_is_refused() {
    for from in ["evil@y.test", "evil@y.test/r", "alice@x.test/other", "x.test"] {
        for kind in ["sent", "received"] {
            let rig = after(&[carbon(kind, from, &said_by_bob(""))]);
            assert!(rig.disk.messages.is_empty(), "{kind} from {from}");
            assert_eq!(rig.refused(), 1);
        }
    }
    let not_ours = carbon("sent", ME, &said_by_bob(""));
    assert_eq!(after(&[not_ours]).refused(), 1, "what Bob sent is not what we sent");
}

#[test]
fn archive_results_that_nobody_asked_for_are_refused() {
    let result = |from: &str, query: &str| {
        format!(
            "<message xmlns='jabber:client' from='{from}'><result xmlns='urn:xmpp:mam:2' queryid='{query}' id='1'>\
             <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20Z'/>{}</forwarded>\
             </result></message>",
            said_by_bob("")
        )
    };
    let rig = after(&[result(ME, "guess"), result("evil@y.test", "guess")]);
    assert!(rig.disk.messages.is_empty());
    assert_eq!(rig.refused(), 1, "a late result of our own archive is no forgery");
}

#[test]
fn a_result_for_a_query_of_ours_counts_only_from_its_archive() {
    let mut rig = Rig::new();
    rig.connect();
    while rig.sent("urn:xmpp:mam:2' queryid") == 0 {
        assert!(rig.frame());
    }
    let query = rig.server.got.iter().find(|f| f.contains("queryid")).unwrap();
    let at = query.find("queryid='").unwrap() + 9;
    let queryid = query[at..at + 16].to_owned();
    rig.feed(&format!(
        "<message xmlns='jabber:client' from='evil@y.test'><result xmlns='urn:xmpp:mam:2' queryid='{queryid}' id='1'>\
         <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20Z'/>{}</forwarded>\
         </result></message>",
        said_by_bob("")
    ));
    rig.run();
    assert!(rig.disk.messages.is_empty());
    assert_eq!(rig.refused(), 1);
}

#[test]
fn an_archive_id_by_anybody_else_is_no_name() {
    let rig = after(&[said_by_bob("<stanza-id xmlns='urn:xmpp:sid:0' by='evil@y.test' id='1'/>")]);
    assert_eq!(rig.disk.messages.len(), 1);
    assert_eq!(rig.disk.messages[0].server, None);
}

#[test]
fn room_messages_from_rooms_we_are_not_in_are_refused() {
    let rig = after(&[
        "<message xmlns='jabber:client' from='r@muc.y.test/eve' type='groupchat' id='1'><body>x</body></message>"
            .into(),
    ]);
    assert!(rig.disk.messages.is_empty());
    assert_eq!(rig.refused(), 1);
}

#[test]
fn roster_pushes_come_from_our_server_or_not_at_all() {
    let push = |from: &str| {
        format!(
            "<iq xmlns='jabber:client' type='set' id='p' from='{from}'><query xmlns='jabber:iq:roster'>\
             <item jid='eve@y.test' subscription='both' name='Bob'/></query></iq>"
        )
    };
    let rig = after(&[push("eve@y.test/x")]);
    assert_eq!(rig.refused(), 1);
    assert!(!rig.disk.events.iter().any(|event| matches!(event, Event::User(_))));
    let rig = after(&[push(ME)]);
    assert!(rig.disk.events.iter().any(|event| matches!(event, Event::User(_))));
}

#[test]
fn malformed_deep_entity_laden_and_giant_frames_are_counted_and_survived() {
    let deep = format!("<message xmlns='jabber:client'>{}{}</message>", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let giant = format!("<message xmlns='jabber:client'><body>{}</body></message>", "x".repeat(3 * 1024 * 1024));
    let frames = [
        "<message".to_owned(),
        " <message xmlns='jabber:client'/>".to_owned(),
        "<!DOCTYPE x [<!ENTITY a 'b'>]><message xmlns='jabber:client'><body>&a;</body></message>".to_owned(),
        "<message xmlns='jabber:client'/><message xmlns='jabber:client'/>".to_owned(),
        deep,
        giant,
        String::new(),
    ];
    let mut rig = after(&frames);
    assert_eq!(rig.refused(), u64::try_from(frames.len()).unwrap());
    assert!(rig.disk.messages.is_empty() && rig.verdict.is_none());
    rig.server.bob_says("still alive");
    rig.flow();
    assert_eq!(rig.disk.texts(), ["still alive"]);
}

#[test]
fn binary_frames_are_refused() {
    let mut rig = Rig::online();
    rig.input(Input::Frame(Frame { body: FrameBody::Binary(vec![1]), received_at: Timestamp(0) }));
    assert_eq!(rig.refused(), 1);
}

const SEEDS: [&str; 8] = [
    "<message xmlns='jabber:client' from='bob@x.test/d' to='alice@x.test' type='chat' id='f'><body>hi</body></message>",
    "<iq xmlns='jabber:client' type='set' id='p' from='alice@x.test'><query xmlns='jabber:iq:roster'><item jid='e@y'/></query></iq>",
    "<presence xmlns='jabber:client' from='room@muc.x.test/n' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>",
    "<a xmlns='urn:xmpp:sm:3' h='3'/>",
    "<resumed xmlns='urn:xmpp:sm:3' previd='s' h='1'/>",
    "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
    "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cj1hLHM9YSxpPTE=</challenge>",
    "<message xmlns='jabber:client' from='alice@x.test'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='alice@x.test/o' to='b@x'><reactions xmlns='urn:xmpp:reactions:0' id='1'/></message></forwarded></sent></message>",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
    #[test]
    fn no_mutated_frame_makes_the_machine_panic(
        seed in 0..SEEDS.len(), cuts in proptest::collection::vec((any::<usize>(), any::<char>()), 0..6), online in any::<bool>()
    ) {
        let mut chars: Vec<char> = SEEDS[seed].chars().collect();
        for (at, c) in cuts {
            let at = at % chars.len();
            match c as u32 % 3 {
                0 => { chars.remove(at); }
                1 => chars.insert(at, c),
                _ => chars[at] = c,
            }
        }
        let text: String = chars.into_iter().collect();
        let mut rig = if online { Rig::online() } else { let mut rig = Rig::new(); rig.connect(); rig };
        rig.connected = false;
        rig.input(Input::Frame(Frame::received(text, Timestamp(1))));
        rig.cut();
        rig.commit();
    }
}

//! What each kind of message becomes.

use super::*;
use crate::model::{Amendment, Change, DeliveryMark, MessageKind, Perishable, ReadMark, Reader, Signal, Target, Upto};

/// The events of one message of Bob's with this inside.
fn events(inner: &str) -> Vec<Event> {
    let mut rig = Rig::online();
    let before = rig.disk.events.len();
    rig.server.bob_sends("m1", inner, "");
    rig.flow();
    assert_eq!(rig.refused(), 0);
    rig.disk.events.split_off(before).into_iter().filter(|e| !matches!(e, Event::Span(_))).collect()
}

fn arrival(inner: &str) -> Arrival {
    let events = events(inner);
    let [Event::Message(arrival)] = events.as_slice() else { panic!("one message: {events:?}") };
    (**arrival).clone()
}

fn amended(inner: &str) -> (Target, Amendment) {
    let events = events(inner);
    let [Event::Change(Change { target, by, what, .. })] = events.as_slice() else { panic!("one change: {events:?}") };
    assert_eq!(by, BOB);
    (target.clone(), what.clone())
}

fn by_bob(id: &str) -> Target {
    Target::Sender { sender: BOB.into(), id: id.into() }
}

#[test]
fn a_plain_message_has_its_sender_its_archives_name_and_its_senders_id() {
    let message = arrival("<body>hi</body>");
    assert_eq!((message.sender.as_str(), message.text.as_str(), message.outgoing), (BOB, "hi", false));
    assert!(message.server.unwrap().id.starts_with("alice@x.test/a"));
    assert_eq!(message.sender_ref.as_deref(), Some("m1"));
    assert_eq!((message.own_id, message.kind), (None, MessageKind::Text));
}

#[test]
fn encrypted_messages_are_kept_and_shown_as_such_and_key_exchanges_are_not() {
    let omemo = "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>x</payload></encrypted>\
                 <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/><body>no OMEMO?</body>";
    let message = arrival(omemo);
    assert_eq!((message.kind, message.text.as_str()), (MessageKind::Encrypted, "no OMEMO?"));
    for inner in [
        "<encrypted xmlns='urn:xmpp:omemo:2'><header/><payload>x</payload></encrypted>",
        "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>",
        "<x xmlns='jabber:x:encrypted'>x</x>",
    ] {
        assert_eq!(arrival(inner).kind, MessageKind::Encrypted, "{inner}");
    }
    assert!(events("<encrypted xmlns='urn:xmpp:omemo:2'><header/></encrypted>").is_empty());
}

#[test]
fn a_call_is_kept_as_missed_until_another_device_takes_it() {
    let mut rig = Rig::online();
    rig.server.bob_sends(
        "m1",
        "<propose xmlns='urn:xmpp:jingle-message:0' id='c1'><description media='video'/></propose>",
        "",
    );
    rig.flow();
    let call = rig.disk.messages[0].clone();
    assert_eq!((call.kind, call.text.as_str()), (MessageKind::Call, "missed call (video)"));
    rig.feed(&carbon(
        "sent",
        ME,
        &format!("<message xmlns='jabber:client' from='{ME}/o' to='{BOB}/d'><proceed xmlns='urn:xmpp:jingle-message:0' id='c1'/></message>"),
    ));
    rig.cut();
    rig.commit();
    let answered =
        rig.disk.events.iter().any(|event| matches!(event, Event::Change(change) if change.target == by_bob("c1")));
    assert!(answered);
}

#[test]
fn corrections_retractions_and_reactions_name_what_they_change() {
    let edit = "<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='m0'/>";
    assert_eq!(amended(edit), (by_bob("m0"), Amendment::Edit { text: "new".into() }));
    let retract = "<retract xmlns='urn:xmpp:message-retract:1' id='m0'/><body>gone</body>";
    assert_eq!(amended(retract), (by_bob("m0"), Amendment::Retract));
    let old = "<apply-to xmlns='urn:xmpp:fasten:0' id='m0'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>";
    assert_eq!(amended(old), (by_bob("m0"), Amendment::Retract));
    let react =
        "<reactions xmlns='urn:xmpp:reactions:0' id='m0'><reaction>👍</reaction><reaction>🎉</reaction></reactions>";
    let keys = vec!["👍".to_owned(), "🎉".to_owned()];
    let anybody = Target::Sender { sender: String::new(), id: "m0".into() };
    assert_eq!(amended(react), (anybody, Amendment::Reactions { keys }));
}

#[test]
fn a_reply_says_what_it_answers_without_repeating_it() {
    let message = arrival(
        "<body>> old\nyes</body><reply xmlns='urn:xmpp:reply:0' to='alice@x.test/r' id='q1'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='6'/></fallback>",
    );
    assert_eq!(message.text, "yes");
    assert_eq!(message.reply_to, Some(Target::Sender { sender: ME.into(), id: "q1".into() }));
}

#[test]
fn a_file_is_an_attachment() {
    let message =
        arrival("<body>https://x/a/cat.png</body><x xmlns='jabber:x:oob'><url>https://x/a/cat.png?v=1</url></x>");
    assert_eq!(message.attachments[0].mime, "image/png");
    assert_eq!(message.attachments[0].name.as_deref(), Some("cat.png"));
}

#[test]
fn receipts_and_markers_of_others_move_our_messages_on() {
    let ours = Upto::Message(Target::Sender { sender: ME.into(), id: "o1".into() });
    let events_of = events("<received xmlns='urn:xmpp:receipts' id='o1'/>");
    assert!(matches!(&events_of[..], [Event::Delivered(DeliveryMark { by, upto, .. })] if by == BOB && *upto == ours));
    let events_of = events("<displayed xmlns='urn:xmpp:chat-markers:0' id='o1'/>");
    assert!(
        matches!(&events_of[..], [Event::Read(ReadMark { by: Reader::User(by), upto, .. })] if by == BOB && *upto == ours)
    );
}

#[test]
fn what_another_device_of_ours_reads_or_writes_counts_here_too() {
    let mut rig = Rig::online();
    let message = |inner: &str| {
        format!("<message xmlns='jabber:client' from='{ME}/o' to='{BOB}' type='chat' id='o1'>{inner}</message>")
    };
    rig.feed(&carbon(
        "sent",
        ME,
        &message("<body>from the phone</body><stanza-id xmlns='urn:xmpp:sid:0' by='alice@x.test' id='z9'/>"),
    ));
    rig.feed(&carbon("sent", ME, &message("<displayed xmlns='urn:xmpp:chat-markers:0' id='b7'/>")));
    rig.cut();
    rig.commit();
    let sent = &rig.disk.messages[0];
    assert!(sent.outgoing && sent.server.as_ref().unwrap().id == "alice@x.test/z9");
    let read = rig.disk.events.iter().any(|event| {
        matches!(event, Event::Read(ReadMark { by: Reader::Me, upto: Upto::Message(target), .. }) if *target == by_bob("b7"))
    });
    assert!(read);
}

#[test]
fn a_receipt_is_given_to_contacts_only_and_only_after_the_commit() {
    let mut rig = Rig::new();
    rig.server.roster = format!("<item jid='{BOB}' subscription='both' name='Bob B'/>");
    rig.connect();
    rig.run();
    rig.server.bob_sends("m1", "<body>hi</body><request xmlns='urn:xmpp:receipts'/>", "hi");
    rig.frame();
    rig.cut();
    assert_eq!(rig.sent("<received xmlns='urn:xmpp:receipts' id='m1'"), 0);
    rig.commit();
    assert_eq!(rig.sent("<received xmlns='urn:xmpp:receipts' id='m1'"), 1);
    assert!(rig.disk.events.iter().any(|event| matches!(event, Event::User(user) if user.name == "Bob B")));
    let mut rig = Rig::online();
    rig.server.bob_sends("m1", "<body>hi</body><request xmlns='urn:xmpp:receipts'/>", "hi");
    rig.flow();
    assert_eq!(rig.sent("<received"), 0, "a stranger learns nothing");
}

#[test]
fn typing_and_presence_are_told_and_never_written() {
    let mut rig = Rig::online();
    let before = rig.disk.events.len();
    rig.feed(&format!("<message xmlns='jabber:client' from='{BOB}/d' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"));
    rig.feed(&format!("<presence xmlns='jabber:client' from='{BOB}/d'><show>dnd</show></presence>"));
    rig.cut();
    rig.commit();
    assert_eq!(rig.disk.events.len(), before);
    let typing = Perishable::Typing { conversation: BOB.into(), by: BOB.into(), on: true, ttl_ms: 30_000 };
    assert!(rig.others.contains(&Output::Perishable(typing)));
    let presence = Perishable::Presence { user: BOB.into(), state: "dnd".into() };
    assert!(rig.others.contains(&Output::Perishable(presence)));
    rig.input(Input::Signal(Signal::Typing { conversation: super::super::inbound::direct(BOB), on: true }));
    assert_eq!(rig.sent("<composing"), 1);
}

#[test]
fn invitations_and_requests_are_shown_with_what_to_do() {
    let direct = arrival("<x xmlns='jabber:x:conference' jid='room@muc.x.test' reason='come'/>");
    assert_eq!((direct.kind, direct.sender.as_str()), (MessageKind::System, BOB));
    assert!(direct.text.contains("room@muc.x.test (come)"));
    let mut rig = Rig::online();
    rig.feed(
        "<message xmlns='jabber:client' from='room@muc.x.test'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <invite from='bob@x.test'/></x></message>",
    );
    let request = format!("<presence xmlns='jabber:client' type='subscribe' from='{BOB}'/>");
    rig.feed(&request);
    rig.feed(&request);
    rig.cut();
    rig.commit();
    let texts = rig.disk.texts();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("bob@x.test invites you") && texts[1].contains("contact accept"));
    assert_eq!(rig.disk.messages[0].sender, "room@muc.x.test", "the room speaks for itself");
}

#[test]
fn questions_are_answered() {
    let mut rig = Rig::online();
    for (inner, needle) in [
        ("<ping xmlns='urn:xmpp:ping'/>", "type='result'"),
        ("<query xmlns='http://jabber.org/protocol/disco#info'/>", "urn:xmpp:bookmarks:1+notify"),
        ("<query xmlns='jabber:iq:version'/>", "<name>wakeful</name>"),
        ("<unknown xmlns='x'/>", "service-unavailable"),
    ] {
        rig.feed(&format!("<iq xmlns='jabber:client' type='get' id='q1' from='{BOB}/d'>{inner}</iq>"));
        let answer = rig.server.got.iter().rev().find(|frame| frame.contains("id='q1'")).unwrap();
        assert!(answer.contains(needle), "{answer}");
    }
}

pub(super) fn carbon(kind: &str, from: &str, inner: &str) -> String {
    format!(
        "<message xmlns='jabber:client' from='{from}' to='{ME}/r'><{kind} xmlns='urn:xmpp:carbons:2'>\
         <forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded></{kind}></message>"
    )
}

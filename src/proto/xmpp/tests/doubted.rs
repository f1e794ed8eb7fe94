//! Rows of ours whose fate was told and forgotten again with a connection, and servers that forget them.

use super::*;

/// The connection ends with the row called sent. The server is killed and forgets it, and it is sent so many times in all.
fn forgotten_by_the_server(rig: &mut Rig, row: OutboxId, text: &str, sent: usize) {
    rig.cut();
    rig.lose();
    assert_eq!(rig.state(row), RowState::Sent);
    rig.server.killed(1);
    rig.connect();
    rig.run();
    assert_eq!((rig.state(row), rig.sent(&format!("<body>{text}"))), (RowState::Sent, sent));
    assert_eq!(rig.server.archive.iter().filter(|kept| kept.text == text).count(), 1);
}

#[test]
fn a_row_that_the_archive_showed_in_what_is_forgotten_is_in_doubt_when_the_server_is_killed() {
    let mut rig = Rig::online();
    rig.server.bob_says("before");
    rig.flow();
    let row = rig.say("shown");
    rig.frame();
    rig.pass(2);
    // The page that shows it does not reach the disk.
    rig.frame();
    rig.lose();
    rig.connect();
    rig.until(|rig| rig.xmpp.session.ready);
    forgotten_by_the_server(&mut rig, row, "shown", 2);
}

#[test]
fn a_row_of_before_a_restart_that_a_later_page_shows_does_not_make_the_next_catch_up_begin_there() {
    let mut rig = Rig::online();
    rig.server.bob_says("t1");
    rig.flow();
    rig.server.page_cap = 2;
    rig.lose();
    rig.server.killed(0);
    for text in ["t2", "t3", "t4"] {
        rig.server.bob_says(text);
    }
    rig.connect();
    let row = rig.say("once");
    rig.until(|rig| rig.sent("<body>once") != 0);
    rig.crash();
    // Its second page shows the row; nothing of it reaches the disk.
    rig.connect();
    let here = |event: &Event| matches!(event, Event::Message(arrival) if arrival.text == "once");
    rig.until(|rig| rig.filling.iter().any(here));
    rig.lose();
    rig.connect();
    rig.run();
    assert_eq!((rig.state(row), rig.sent("<body>once")), (RowState::Sent, 1));
    assert_eq!(rig.disk.texts(), ["t1", "t2", "t3", "t4", "once"]);
}

#[test]
fn a_row_sent_again_is_not_forgotten_when_the_page_that_looked_for_it_before_comes_once_more() {
    let mut rig = Rig::online();
    rig.server.bob_says("before");
    rig.flow();
    let row = rig.say("again");
    rig.run();
    rig.lose();
    rig.server.killed(1);
    rig.connect();
    let asked = rig.sent("<after>");
    rig.until(|rig| rig.sent("<after>") != asked);
    rig.cut();
    rig.commit();
    // The page does not show it, so it goes out again; nothing of that reaches the disk.
    rig.until(|rig| rig.sent("<body>again") >= 2);
    rig.lose();
    rig.connect();
    while rig.frame() {}
    forgotten_by_the_server(&mut rig, row, "again", 3);
}

#[test]
fn several_rows_in_doubt_are_looked_for_from_the_earliest_on() {
    let mut rig = Rig::online();
    rig.server.bob_says("t1");
    rig.flow();
    let first = rig.say("first");
    rig.server.bob_says("t2");
    rig.flow();
    // A note to oneself is shown at once, before the archive is asked for what was sent earlier.
    let what = CommandKind::Send { text: "note".into(), reply_to: None, attachments: Vec::new() };
    let note = rig.write(what, ME, ConversationKind::Direct);
    let (cid, id) = (rig.disk.outbox[&note].command.cid, rig.server.archive.last().unwrap().id.clone());
    rig.feed(&format!(
        "<message xmlns='jabber:client' from='{ME}/r' to='{ME}' type='chat' id='{cid}'><body>note</body>\
         <origin-id xmlns='urn:xmpp:sid:0' id='{cid}'/><stanza-id xmlns='urn:xmpp:sid:0' by='{ME}' id='{id}'/></message>"
    ));
    rig.flow();
    rig.lose();
    rig.server.killed(0);
    rig.connect();
    rig.run();
    assert_eq!((rig.state(first), rig.state(note)), (RowState::Sent, RowState::Sent));
    assert_eq!((rig.sent("<body>first"), rig.sent("<body>note")), (1, 1));
}

//! Two devices of ours, rooms, contacts: what people do.

use crate::both;
use crate::client::{Account, Client};
use crate::person::Person;
use crate::server::{Kind, Server, Setup};
use serde_json::json;
use wakeful::model::{CommandKind, CommandTarget, ConversationId, Message, MessageState};

const ROOM: &str = "den@conference.localhost";

fn target(message: &Message) -> CommandTarget {
    CommandTarget { id: message.id, server: None, sender_ref: None, sender: message.sender.clone() }
}

fn find(client: &Client, chat: ConversationId, text: &str) -> Message {
    client.until(text, |client| client.messages(chat).into_iter().find(|message| message.text == text))
}

both!(read_on_one_device_is_read_on_the_other_and_the_banner_goes, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let client = Client::online(Account::new(&server, "alice"));
    let mut other = Person::login_as(&server, "alice", "phone");
    let mut bob = Person::login(&server, "bob");
    let chat = client.direct("bob");
    let id = bob.send("alice@localhost", "read me");
    let message = find(&client, chat, "read me");
    client.until("a banner is due", |client| (client.banners().len() == 1).then_some(()));
    other.ask(json!({ "do": "mark", "marker": "displayed", "to": "bob@localhost", "id": id }));
    client.until("read here too", |client| (client.state(message.id) == MessageState::Read).then_some(()));
    client.until("the banner goes", |client| client.banners().is_empty().then_some(()));
    bob.send("alice@localhost", "and me");
    find(&client, chat, "and me");
    client.mark_read(chat);
    let seen = (0..50).any(|_| {
        let value = other.ask(json!({ "do": "archive" }));
        value["messages"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["xml"].as_str().is_some_and(|xml| xml.contains("displayed") && xml.contains("wakeful")))
    });
    assert!(seen, "our other devices learn that it was read");
});

both!(what_another_device_sends_stands_here_once_and_ours_is_carried_to_it, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let client = Client::online(Account::new(&server, "alice"));
    let mut other = Person::login_as(&server, "alice", "phone");
    let chat = client.direct("bob");
    other.send("bob@localhost", "from the phone");
    let sent = find(&client, chat, "from the phone");
    assert!(sent.outgoing);
    let row = client.send(chat, "from here");
    client.wait_done(row);
    let carried = other.next_message();
    assert_eq!(carried["body"], "from here");
    client.until("its name in the archive", |client| {
        client.messages(chat).iter().all(|message| message.server_id.is_some()).then_some(())
    });
    assert_eq!(client.messages(chat).len(), 2);
});

both!(a_room_is_joined_and_caught_up_changed_left_by_force_and_rejoined_after_an_outage, |kind| {
    let Some(mut server) = Server::start(kind, Setup::default()) else { return };
    let mut client = Client::online(Account::new(&server, "alice"));
    let mut bob = Person::login(&server, "bob");
    bob.ask(json!({ "do": "join", "room": ROOM, "nick": "bob" }));
    bob.ask(json!({ "do": "configure", "room": ROOM, "fields": { "muc#roomconfig_persistentroom": "1" } }));
    let join = client.command(None, CommandKind::Join { room: ROOM.into(), nick: Some("alice".into()) });
    client.wait_done(join);
    let room = client.room(ROOM);
    bob.ask(json!({ "do": "send", "to": ROOM, "type": "groupchat", "body": "first", "id": "first-id" }));
    let first = find(&client, room, "first");
    assert_eq!(first.sender, "bob");
    let mine = client.send(room, "mine");
    client.wait_done(mine);
    client.until("named by the room", |client| {
        client.messages(room).iter().find(|m| m.id == mine).filter(|m| m.server_id.is_some()).map(|_| ())
    });
    // Correction, reaction, retraction by the other.
    bob.ask(json!({ "do": "send", "to": ROOM, "type": "groupchat", "body": "better",
        "extra": ["<replace xmlns='urn:xmpp:message-correct:0' id='first-id'/>"] }));
    find(&client, room, "better");
    let stanza = first.server_id.as_deref().unwrap().rsplit('/').next().unwrap().to_owned();
    bob.ask(json!({ "do": "raw", "xml": format!(
        "<message to='{ROOM}' type='groupchat' id='r1'><reactions xmlns='urn:xmpp:reactions:0' id='{stanza}'>\
         <reaction>👍</reaction></reactions><store xmlns='urn:xmpp:hints'/></message>") }));
    client.until("the reaction", |client| {
        client.messages(room).iter().find(|m| m.id == first.id).filter(|m| m.reactions.len() == 1).map(|_| ())
    });
    let react = CommandKind::React { target: target(&first), key: "🎉".into(), on: true, all: Vec::new() };
    client.wait_done(client.command(Some(room), react));
    bob.ask(json!({ "do": "raw", "xml": format!(
        "<message to='{ROOM}' type='groupchat' id='r2'><retract xmlns='urn:xmpp:message-retract:1' id='{stanza}'/>\
         <body>took it back</body></message>") }));
    client.until("the retraction", |client| {
        client.messages(room).iter().find(|m| m.id == first.id).filter(|m| m.retracted).map(|_| ())
    });
    // An outage with 500 messages.
    client.stop();
    bob.ask(json!({ "do": "send_many", "to": ROOM, "type": "groupchat", "prefix": "r", "count": 500 }));
    client.until("the room's archive is complete", |_| {
        bob.archive(Some(ROOM)).iter().any(|m| m["body"] == "r499").then_some(())
    });
    server.stop();
    server.up();
    client.connect();
    client.wait_caught_up();
    let numbered = |client: &Client| {
        let texts = client.messages(room).into_iter().map(|m| m.text).filter(|t| t.starts_with('r') && t != "read");
        texts.collect::<Vec<_>>()
    };
    client.until("all of them", |client| (numbered(client).len() >= 500).then_some(()));
    assert_eq!(numbered(&client), (0..500).map(|n| format!("r{n}")).collect::<Vec<_>>());
    // Thrown out.
    let mut bob = Person::login(&server, "bob");
    bob.ask(json!({ "do": "join", "room": ROOM, "nick": "bob" }));
    bob.ask(json!({ "do": "kick", "room": ROOM, "nick": "alice" }));
    client.until("told", |client| client.messages(room).iter().any(|m| m.text.contains("removed")).then_some(()));
    let join = client.command(None, CommandKind::Join { room: ROOM.into(), nick: Some("alice".into()) });
    client.wait_done(join);
    assert_eq!(client.status().refused, 0);
});

both!(contacts_are_asked_accepted_and_named, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let client = Client::online(Account::new(&server, "alice"));
    let mut bob = Person::login(&server, "bob");
    bob.ask(json!({ "do": "presence", "to": "alice@localhost", "type": "subscribe" }));
    let chat = client.direct("bob");
    client.until("the request", |client| {
        client.messages(chat).into_iter().find(|message| message.text.contains("contact accept"))
    });
    let user = "bob@localhost".to_owned();
    client.wait_done(client.command(None, CommandKind::ContactAccept { user: user.clone() }));
    client.wait_done(client.command(None, CommandKind::ContactAdd { user, name: Some("Bobby".into()) }));
    client.until("the name", |client| (client.name_of(chat) == "Bobby").then_some(()));
    bob.ask(json!({ "do": "send", "to": "alice@localhost", "body": "got it?",
        "extra": ["<request xmlns='urn:xmpp:receipts'/>"] }));
    find(&client, chat, "got it?");
    let receipt = (0..50).any(|_| {
        bob.archive(None)
            .iter()
            .any(|m| m["xml"].as_str().is_some_and(|xml| xml.contains("urn:xmpp:receipts") && xml.contains("received")))
    });
    assert!(receipt);
});

both!(a_message_to_nobody_fails_with_its_reason, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let client = Client::online(Account::new(&server, "alice"));
    let chat = client.direct("nobody-of-that-name");
    let row = client.send(chat, "anybody?");
    client.until("it failed", |client| {
        let message = client.messages(chat).into_iter().find(|message| message.id == row)?;
        (message.state == MessageState::Failed).then_some(message.error)
    });
});

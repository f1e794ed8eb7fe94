//! Every kind of break under a steady stream both ways. The oracle is the server's archive: each of its messages stands
//! once in our store, each outbox row called sent stands once in it.

use crate::both;
use crate::client::{Account, Client};
use crate::person::Person;
use crate::proxy::Proxy;
use crate::server::{Kind, Server, Setup, pause};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use wakeful::model::{AccountState, Message, MessageState};

/// Messages a second in each direction.
const RATE: u64 = 50;

/// A stream both ways for some seconds; `what` happens in the middle of it.
fn storm(
    (server, proxy, client): (&mut Server, &Proxy, &mut Client),
    seconds: u64,
    what: impl FnOnce(&mut Server, &mut Client),
) -> usize {
    let chat = client.direct("bob");
    let mut bob = Some(Person::login(server, "bob"));
    let mut what = Some(what);
    let mut bobs = 0;
    for tick in 0..seconds * RATE {
        client.send(chat, &format!("alice {tick}"));
        if let Some(bob) = &mut bob
            && bob.try_send("alice@localhost", &format!("bob {tick}"))
        {
            bobs += 1;
        }
        if tick == seconds * RATE / 2 {
            if let Some(what) = what.take() {
                what(server, client);
            }
            if bob.as_mut().is_some_and(|bob| !bob.alive()) {
                bob = Some(Person::login(server, "bob"));
            }
        }
        pause(1_000 / RATE);
    }
    proxy.freeze(false);
    assert!(bobs > 0);
    let forgotten = judge(server, client);
    eprintln!(
        "{:?}: {forgotten} of {bobs} messages of the other's were heard here and forgotten by the server",
        server.kind
    );
    forgotten
}

/// The archive of alice as the server has it: text to how often.
fn archived(server: &Server) -> BTreeMap<String, usize> {
    let mut reader = Person::login_as(server, "alice", "reader");
    let mut texts = BTreeMap::new();
    for message in reader.archive(None) {
        if let Some(body) = message["body"].as_str().filter(|body| !body.is_empty()) {
            *texts.entry(body.to_owned()).or_default() += 1;
        }
    }
    texts
}

/// Holds the store against the archive; the number of incoming messages that the archive has forgotten.
fn judge(server: &Server, client: &Client) -> usize {
    let chat = client.direct("bob");
    client.wait_caught_up();
    // What is called sent is also named by the archive; a lost session takes the name back until it is seen again.
    let open = |m: &Message| {
        matches!(m.state, MessageState::Pending | MessageState::InFlight) || m.outgoing && m.server_id.is_none()
    };
    client.until_or("everything written is settled and seen in the archive", |client| {
        let left: Vec<Message> = client.messages(chat).into_iter().filter(open).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let there = archived(server);
    let here = client.until("the archive is here", |client| {
        let mut here: BTreeMap<String, (usize, bool)> = BTreeMap::new();
        for message in client.messages(chat) {
            let entry = here.entry(message.text).or_insert((0, message.outgoing));
            entry.0 += 1;
        }
        there.keys().all(|text| here.contains_key(text)).then_some(here)
    });
    let mut forgotten = 0;
    for (text, (count, outgoing)) in &here {
        assert_eq!(*count, 1, "{text} stands {count} times here");
        match there.get(text) {
            Some(1) => {}
            None if !outgoing => forgotten += 1,
            other => panic!("{text} was called sent and stands {other:?} times in the archive"),
        }
    }
    let failed = client.messages(chat).iter().filter(|message| message.state == MessageState::Failed).count();
    assert_eq!((failed, client.status().refused), (0, 0));
    forgotten
}

fn setup(kind: Kind) -> Option<(Server, Proxy, Client)> {
    let server = Server::start(kind, Setup::default())?;
    let proxy = Proxy::start(server.ws_address());
    let client = Client::online(Account::new(&server, "alice").through(&proxy));
    Some((server, proxy, client))
}

both!(a_tcp_reset, |kind| {
    let Some((mut server, proxy, mut client)) = setup(kind) else { return };
    assert_eq!(storm((&mut server, &proxy, &mut client), 4, |_, _| proxy.cut()), 0);
});

both!(a_blackhole, |kind| {
    let Some((mut server, proxy, mut client)) = setup(kind) else { return };
    let forgotten = storm((&mut server, &proxy, &mut client), 6, |_, _| {
        proxy.freeze(true);
        pause(4_000);
        proxy.cut();
        proxy.freeze(false);
    });
    assert_eq!(forgotten, 0);
});

both!(a_daemon_that_dies_at_once, |kind| {
    let Some((mut server, proxy, mut client)) = setup(kind) else { return };
    let forgotten = storm((&mut server, &proxy, &mut client), 4, |_, client| {
        client.crash();
        client.connect();
    });
    assert_eq!(forgotten, 0);
});

both!(a_server_that_is_stopped, |kind| {
    let Some((mut server, proxy, mut client)) = setup(kind) else { return };
    let forgotten = storm((&mut server, &proxy, &mut client), 4, |server, _| {
        server.stop();
        server.up();
    });
    assert_eq!(forgotten, 0);
});

both!(a_server_that_is_killed, |kind| {
    let Some((mut server, proxy, mut client)) = setup(kind) else { return };
    let forgotten = storm((&mut server, &proxy, &mut client), 4, |server, _| {
        server.kill();
        server.up();
    });
    // Prosody writes its archive buffered; what it forgot of the other's messages is counted apart.
    assert!(forgotten == 0 || kind == Kind::Prosody, "{forgotten} forgotten");
});

#[test]
fn what_a_killed_server_forgot_of_ours_is_sent_again_and_what_it_forgot_of_the_others_stays_here() {
    let setup = Setup { forgetful: true, ..Setup::default() };
    let Some(mut server) = Server::start(Kind::Ejabberd, setup) else { return };
    let proxy = Proxy::start(server.ws_address());
    let mut client = Client::online(Account::new(&server, "alice").through(&proxy));
    storm((&mut server, &proxy, &mut client), 6, |server, _| {
        server.kill();
        server.up();
    });
}

#[test]
fn seven_hundred_unacknowledged_stanzas_on_prosody_are_all_here_after_the_session_is_lost() {
    let Some((server, proxy, client)) = setup(Kind::Prosody) else { return };
    let mut bob = Person::login(&server, "bob");
    proxy.freeze(true);
    bob.send_many("alice@localhost", "u", 700);
    let mut reader = Person::login_as(&server, "alice", "reader");
    client.until("the server has them", |_| reader.archive(None).iter().any(|m| m["body"] == "u699").then_some(()));
    proxy.cut();
    proxy.freeze(false);
    let chat = client.direct("bob");
    client.until("all of them", |client| (client.heard(chat).len() >= 700).then_some(()));
    let wanted: Vec<String> = (0..700).map(|n| format!("u{n}")).collect();
    let mut heard = client.heard(chat);
    heard.sort_by_key(|text| text[1..].parse::<u32>().unwrap());
    assert_eq!(heard, wanted);
}

both!(what_is_written_while_offline_goes_out_once_even_if_the_daemon_dies_in_between, |kind| {
    let Some((server, proxy, mut client)) = setup(kind) else { return };
    let chat = client.direct("bob");
    proxy.freeze(true);
    let rows: Vec<_> = (0..20).map(|n| client.send(chat, &format!("w{n}"))).collect();
    pause(300);
    proxy.freeze(false);
    pause(20);
    client.crash();
    proxy.cut();
    client.connect();
    for row in rows {
        client.wait_done(row);
    }
    let there = archived(&server);
    let wanted: BTreeMap<String, usize> = (0..20).map(|n| (format!("w{n}"), 1)).collect();
    assert_eq!(there, wanted);
    let mut bob = Person::login(&server, "bob");
    let order: Vec<Value> = bob.archive(None).into_iter().map(|message| message["body"].clone()).collect();
    let wanted: Vec<Value> = (0..20).map(|n| format!("w{n}").into()).collect();
    assert_eq!(order, wanted);
});

/// A domain's host-meta on loopback that names these addresses in this order.
fn host_meta(urls: &[String]) -> String {
    let links: Vec<Value> =
        urls.iter().map(|url| json!({ "rel": "urn:xmpp:alt-connections:websocket", "href": url })).collect();
    let body = json!({ "links": links }).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 2048];
            let _ = stream.read(&mut asked);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    base
}

#[test]
fn a_node_of_two_is_killed_and_we_come_back_on_the_other() {
    let Some((first, mut second)) = Server::pair() else { return };
    // The domain names both nodes; while both live, ours is the second.
    let host_meta = Some(host_meta(&[second.ws_url(), first.ws_url()]));
    let client = Client::online(Account { host_meta, ..Account::new(&second, "alice") });
    let mut bob = Person::login(&first, "bob");
    let chat = client.direct("bob");
    bob.send("alice@localhost", "before");
    client.until("the first", |client| (client.heard(chat) == ["before"]).then_some(()));
    let row = client.send(chat, "from the second node");
    client.wait_done(row);
    second.kill();
    client.until("the loss is noticed", |client| (client.status().state != AccountState::Online).then_some(()));
    bob.send("alice@localhost", "meanwhile");
    client.wait_caught_up();
    bob.send("alice@localhost", "after");
    client.until("all three", |client| (client.heard(chat) == ["before", "meanwhile", "after"]).then_some(()));
    let row = client.send(chat, "from the first node");
    client.wait_done(row);
    let mut got = archived(&first);
    got.retain(|text, _| text.starts_with("from"));
    assert_eq!(
        got.into_iter().collect::<Vec<_>>(),
        [("from the first node".into(), 1), ("from the second node".into(), 1)]
    );
}

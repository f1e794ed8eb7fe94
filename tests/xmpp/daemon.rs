//! The built daemon as a process of its own against real servers: killed under load, killed between a write and its
//! acknowledgement, driven by its commands.
#![allow(clippy::disallowed_methods, reason = "tests of the real binary run on the machine's clock")]

use crate::both;
use crate::person::Person;
use crate::proxy::Proxy;
use crate::server::{Kind, Server, Setup};
use crate::support::{Daemon, Home, Writer, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A home with alice's account, by the command that people use.
fn home(url: &str) -> Home {
    let home = Home::new();
    let add = ["account", "add", "alice", "xmpp", "alice@localhost", "--url", url, "--secret-file", "-"];
    home.run_with_input(&add, "alice-secret\n").ok();
    home
}

fn through(proxy: &Proxy) -> String {
    format!("ws://{}/xmpp-websocket", proxy.address())
}

/// The archive of alice: its texts in their order.
fn archived(server: &Server) -> Vec<String> {
    let mut reader = Person::login_as(server, "alice", "reader");
    let texts = reader.archive(None).into_iter().map(|m| m["body"].as_str().unwrap_or_default().to_owned());
    texts.filter(|text| !text.is_empty()).collect()
}

fn counted<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    texts.for_each(|text| *counts.entry(text).or_default() += 1);
    counts
}

fn text(message: &Value) -> &str {
    message["text"].as_str().unwrap()
}

/// Waits until all that was written is called sent and seen in the archive, and all that bob sent is here.
fn settled(home: &Home, written: &[String], bobs: usize) -> Vec<Value> {
    eventually("everything is settled", || {
        let all = home.history("alice");
        let ours = all.iter().filter(|m| m["outgoing"] == true).count();
        let open = all.iter().any(|m| {
            m["outgoing"] == true && (m["server_id"].is_null() || m["state"] == "pending" || m["state"] == "in_flight")
        });
        (!open && ours >= written.len() && all.len() - ours >= bobs).then_some(all)
    })
}

both!(a_daemon_process_killed_under_load_loses_and_doubles_nothing, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let home = home(&server.ws_url());
    let mut daemon = Some(home.daemon());
    home.wait_state("alice", "online");
    let mut bob = Person::login(&server, "bob");
    let stop = Arc::new(AtomicBool::new(false));
    let (socket, peer) = (home.socket(), "bob@localhost");
    let writer = Writer { socket, account: "alice", peer, stop: Arc::clone(&stop) };
    let writer = writer.start(|n| format!("alice {n}"), || Duration::from_millis(20));
    let mut bobs = 0;
    for kill in 0..3 {
        for _ in 0..50 + 17 * kill {
            bob.send("alice@localhost", &format!("bob {bobs}"));
            bobs += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon.take().unwrap().kill9();
        daemon = Some(home.daemon());
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    let history = settled(&home, &written, bobs);
    let there = archived(&server);
    let here = counted(history.iter().map(text));
    assert_eq!(here, counted(there.iter().map(String::as_str)), "each message stands once here and once there");
    assert!(here.values().all(|count| *count == 1), "{here:?}");
    assert_eq!(here.len(), written.len() + bobs);
    let ours: Vec<&String> = there.iter().filter(|text| text.starts_with("alice")).collect();
    assert_eq!(ours, written.iter().collect::<Vec<_>>(), "in the order in which it was written");
    let heard: Vec<&str> = history.iter().map(text).filter(|text| text.starts_with("bob")).collect();
    let archive: Vec<&str> = there.iter().map(String::as_str).filter(|text| text.starts_with("bob")).collect();
    assert_eq!(heard, archive, "in the order of the archive");
    eprintln!("{kind:?}: 3 kills, {} sent, {bobs} heard, 0 lost, 0 doubled", written.len());
});

both!(what_is_sent_while_offline_goes_out_once_also_when_killed_between_the_write_and_its_acknowledgement, |kind| {
    let Some(mut server) = Server::start(kind, Setup::default()) else { return };
    let proxy = Proxy::start(server.ws_address());
    let home = home(&through(&proxy));
    let daemon = home.daemon();
    home.wait_state("alice", "online");
    server.stop();
    eventually("offline", || (home.status("alice")["state"] != "online").then_some(()));
    let send = |text: &str| home.run(&["send", "alice", "bob@localhost", text]).ok();
    let offline: Vec<String> = (0..5).map(|n| format!("offline {n}")).collect();
    offline.iter().for_each(|text| drop(send(text)));
    server.up();
    settled(&home, &offline, 0);
    // The server hears what is written; its acknowledgement never comes.
    proxy.deafen(true);
    let killed: Vec<String> = (0..5).map(|n| format!("killed {n}")).collect();
    killed.iter().for_each(|text| drop(send(text)));
    let wanted: Vec<String> = offline.iter().chain(&killed).cloned().collect();
    eventually("the server has them", || (archived(&server) == wanted).then_some(()));
    assert!(home.history("alice").iter().any(|m| m["state"] == "in_flight"), "none is called sent yet");
    daemon.kill9();
    proxy.cut();
    proxy.deafen(false);
    let _daemon: Daemon = home.daemon();
    let history = settled(&home, &wanted, 0);
    assert_eq!(history.iter().map(text).collect::<Vec<_>>(), wanted);
    assert_eq!(archived(&server), wanted);
    let mut bob = Person::login(&server, "bob");
    let got = bob.archive(None).into_iter().map(|m| m["body"].as_str().unwrap_or_default().to_owned());
    assert_eq!(got.collect::<Vec<_>>(), wanted);
});

both!(contacts_and_rooms_by_command, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let home = home(&server.ws_url());
    let _daemon: Daemon = home.daemon();
    home.wait_state("alice", "online");
    let mut bob = Person::login(&server, "bob");
    // Contacts.
    home.run(&["contact", "add", "alice", "bob@localhost", "--name", "Bobby"]).ok();
    bob.wait_presence("subscribe", None);
    bob.ask(json!({ "do": "presence", "to": "alice@localhost", "type": "subscribed" }));
    bob.ask(json!({ "do": "presence", "to": "alice@localhost", "type": "subscribe" }));
    eventually("the request is told", || {
        home.history("alice").into_iter().find(|m| text(m).contains("contact accept"))
    });
    home.run(&["contact", "accept", "alice", "bob@localhost"]).ok();
    bob.wait_presence("subscribed", None);
    let names = || home.run(&["contact", "list", "alice", "--json"]).json_lines();
    eventually("the name", || names().iter().any(|one| one["name"] == "Bobby").then_some(()));
    home.run(&["contact", "remove", "alice", "bob@localhost"]).ok();
    bob.wait_presence("unsubscribed", None);
    let refused = home.run(&["contact", "add", "alice", "@"]);
    assert!(refused.code != 0 && refused.stderr.contains("address"), "{refused:?}");
    // Rooms.
    let room = "den@conference.localhost";
    home.run(&["room", "join", "alice", room, "--nick", "ann"]).ok();
    let rooms = || home.run(&["room", "list", "alice", "--json"]).json_lines();
    assert!(rooms().iter().any(|one| one.to_string().contains(room)), "{:?}", rooms());
    bob.ask(json!({ "do": "join", "room": room, "nick": "bob" }));
    bob.ask(json!({ "do": "send", "to": room, "type": "groupchat", "body": "hello room" }));
    eventually("heard", || home.history("alice").into_iter().find(|m| text(m) == "hello room"));
    home.run(&["send", "alice", room, "hello bob"]).ok();
    while bob.next_message()["body"] != "hello bob" {}
    home.run(&["room", "leave", "alice", room]).ok();
    bob.wait_presence("unavailable", Some(&format!("{room}/ann")));
});

//! The built program, killed on either side of its call to the notification server, and without its network.

use crate::bus::Bus;
use crate::monitor::{Monitor, Notify};
use crate::programmable::Programmable;
use crate::support::{Home, Hub, eventually};

/// Whether the newest message of a notification is this one.
fn ends(notify: &Notify, text: &str) -> bool {
    notify.body.lines().last() == Some(text)
}

/// Whether the daemon has recorded that something is on screen.
fn shown(home: &Home) -> bool {
    home.run(&["notify", "decisions", "--json"]).json_lines().iter().any(|one| one["verdict"] == "shown")
}

/// Kills the daemon at a gate while it shows the second of three messages. Gives every call that ended with the second:
/// before the kill, and after it.
async fn killed_at(gate: &str) -> Option<(Vec<Notify>, Vec<Notify>)> {
    let bus = Bus::start()?;
    let _server = Programmable::on(&bus, &["body"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let hub = Hub::start();
    let (alice, bob) = (Home::with_account("alice", &hub), Home::with_account("bob", &hub));
    let file = bus.dir().join("gate");
    let _alice = alice.daemon();
    let daemon = bob.daemon_with(|command| {
        bus.is_session_of(command);
        command.env("WAKEFUL_GATE", format!("{gate}:{}", file.display()));
    });
    bob.wait_state("bob", "online");
    alice.run(&["send", "alice", "bob", "first", "--wait", "sent"]).ok();
    assert_eq!(monitor.notify(1).await.body, "first");
    // Past the gate with the first, before it is closed for the second.
    eventually("the first to be recorded", || shown(&bob).then_some(()));
    std::fs::write(&file, "").unwrap();
    alice.run(&["send", "alice", "bob", "second", "--wait", "sent"]).ok();
    let reached = bus.dir().join("gate.reached");
    eventually("the gate", || reached.exists().then_some(()));
    daemon.kill9();
    let before = monitor.notifies().len();
    let daemon = bob.daemon_with(|command| bus.is_session_of(command));
    // The third comes last: what there is to be said of the second has been said by then.
    let repeated = |notifies: &[Notify]| notifies.iter().skip(before).any(|notify| ends(notify, "second"));
    while !repeated(&monitor.notifies()) {
        monitor.changed("the second after the kill").await;
    }
    alice.run(&["send", "alice", "bob", "third", "--wait", "sent"]).ok();
    while !monitor.notifies().last().is_some_and(|notify| ends(notify, "third")) {
        monitor.changed("the third").await;
    }
    let all = monitor.notifies();
    assert_eq!(all.last().unwrap().body, "first\nsecond\nthird");
    assert!(all.last().is_some_and(Notify::is_loud));
    assert_eq!(bob.history("bob").len(), 3);
    daemon.stop();
    let second = |range: &[Notify]| range.iter().filter(|notify| ends(notify, "second")).cloned().collect();
    Some((second(&all[..before]), second(&all[before..])))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_call_it_is_shown_once_after_the_restart() {
    let Some((before, after)) = killed_at("before-notify").await else { return };
    assert_eq!((before.len(), after.len()), (0, 1), "{before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_call_it_is_repeated_once_without_a_sound() {
    let Some((before, after)) = killed_at("after-notify").await else { return };
    assert_eq!((before.len(), after.len()), (1, 1), "{before:?} {after:?}");
    assert!(before[0].is_loud() && !after[0].is_loud(), "{before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_typed_while_the_network_is_down_goes_out_when_it_is_back() {
    let Some(bus) = Bus::start() else { return };
    let server = Programmable::on(&bus, &["actions", "body", "inline-reply"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let mut hub = Hub::start();
    let (alice, bob) = (Home::with_account("alice", &hub), Home::with_account("bob", &hub));
    let _alice = alice.daemon();
    let daemon = bob.daemon_with(|command| bus.is_session_of(command));
    bob.wait_state("bob", "online");
    let mut watch = alice.watch();
    alice.run(&["send", "alice", "bob", "where are you?", "--wait", "sent"]).ok();
    assert_eq!(monitor.notify(1).await.actions[..2], ["inline-reply", "Reply"]);
    eventually("the answer", || (server.last_id() == 1).then_some(()));
    eventually("the record", || shown(&bob).then_some(()));
    hub.stop();
    server.emit("NotificationReplied", &(1_u32, "on my way"), true).await;
    let reply = eventually("the reply in the outbox", || {
        bob.history("bob").into_iter().find(|message| message["text"] == "on my way")
    });
    assert!(reply["outgoing"] == true && reply["state"] != "sent", "{reply}");
    // A restart of the daemon loses nothing of it either.
    daemon.kill9();
    hub.up();
    let daemon = bob.daemon();
    let arrived = watch.wait_text("on my way");
    assert_eq!(arrived["sender"], "bob");
    daemon.stop();
}

//! The built program: a hub, a daemon under a real notification server, and what that server receives.

use crate::bus::Bus;
use crate::monitor::Monitor;
use crate::programmable::Programmable;
use crate::screen::{Kind, Screen};
use crate::support::{Home, Hub};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_person_types_is_what_the_others_notification_server_receives() {
    let Some(bus) = Bus::start() else { return };
    let Some(_screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let mut monitor = Monitor::on(&bus).await;
    let hub = Hub::start();
    let (alice, bob) = (Home::with_account("alice", &hub), Home::with_account("bob", &hub));
    let _alice = alice.daemon();
    let daemon = bob.daemon_with(|command| bus.is_session_of(command));
    alice.wait_state("alice", "online");
    bob.wait_state("bob", "online");

    let long = "four thousand characters ".repeat(160);
    let texts = [
        ("plain", "See you at 8".to_owned(), "See you at 8".to_owned()),
        ("markup", "<b>1 < 2</b> & <img src=x>".into(), "&lt;b&gt;1 &lt; 2&lt;/b&gt; &amp; &lt;img src=x&gt;".into()),
        ("emoji", "👨‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 👋🏽".into(), "👨‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 👋🏽".into()),
        ("right to left", "שלום \u{202e}עולם".into(), "שלום עולם".into()),
        ("long", long, String::new()),
    ];
    let mut count = 0;
    for (what, text, expected) in &texts {
        alice.run(&["send", "alice", "bob", text, "--wait", "sent"]).ok();
        count += 1;
        let notify = monitor.notify(count).await;
        assert_eq!((notify.summary.as_str(), notify.hints["category"].as_str()), ("alice", "im.received"), "{what}");
        let line = notify.body.lines().last().unwrap();
        match expected.is_empty() {
            true => assert!(line.starts_with("four thousand") && line.ends_with('…') && line.chars().count() <= 400),
            false => assert_eq!(line, expected, "{what}"),
        }
    }
    let history = bob.history("bob");
    assert_eq!(history.len(), texts.len(), "all of it is here, however short its banner");
    assert!(history.iter().any(|message| message["text"].as_str().unwrap().chars().count() == 4_000));
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_notification_server_has_the_call_it_repeats_once_without_a_sound() {
    let Some(bus) = Bus::start() else { return };
    let server = Programmable::on(&bus, &["body"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let hub = Hub::start();
    let (alice, bob) = (Home::with_account("alice", &hub), Home::with_account("bob", &hub));
    let _alice = alice.daemon();
    let daemon = bob.daemon_with(|command| bus.is_session_of(command));
    bob.wait_state("bob", "online");
    alice.run(&["send", "alice", "bob", "first", "--wait", "sent"]).ok();
    assert_eq!(monitor.notify(1).await.body, "first");
    crate::support::eventually("the first answer", || (server.last_id() == 1).then_some(()));
    server.hang(true);
    alice.run(&["send", "alice", "bob", "second", "--wait", "sent"]).ok();
    assert!(monitor.notify(2).await.body.ends_with("second"));
    daemon.kill9();
    server.hang(false);
    let daemon = bob.daemon_with(|command| bus.is_session_of(command));
    let repeat = monitor.wait("the repeat", |seen| {
        let text = |one: &crate::monitor::Seen| match one {
            crate::monitor::Seen::Notify(notify) => Some(notify.clone()),
            _ => None,
        };
        seen.iter().filter_map(text).skip(2).find(|notify| notify.body.ends_with("second"))
    });
    assert!(repeat.await.hints.contains_key("suppress-sound"));
    alice.run(&["send", "alice", "bob", "third", "--wait", "sent"]).ok();
    let last = monitor.wait("the third", |seen| {
        seen.iter().find_map(|one| match one {
            crate::monitor::Seen::Notify(notify) if notify.body.ends_with("third") => Some(notify.clone()),
            _ => None,
        })
    });
    assert_eq!(last.await.body, "first\nsecond\nthird");
    assert_eq!(bob.history("bob").len(), 3);
    daemon.stop();
}

//! The D-Bus backend against a server that does what it is told.

use crate::bus::Bus;
use crate::monitor::{Monitor, Seen};
use crate::programmable::{Asked, Programmable};
use crate::support::PATIENCE;
use std::time::{Duration, Instant};
use wakeful::notify::{Capabilities, Closed, Desktop, DesktopError, DesktopEvent, Linux, Notice, Shown, Urgency};

const CAPABILITIES: [&str; 5] = ["actions", "body", "body-markup", "inline-reply", "persistence"];

fn notice(summary: &str) -> Notice {
    Notice {
        replaces: 0,
        summary: summary.into(),
        body: "<b>Bob</b>: 1 &lt; 2".into(),
        actions: vec![("default".into(), "Open".into()), ("mark-read".into(), "Mark read".into())],
        urgency: Urgency::Normal,
        sound: Some("message-new-instant".into()),
        category: "im.received".into(),
        picture: None,
    }
}

async fn event(linux: &mut Linux) -> DesktopEvent {
    tokio::time::timeout(PATIENCE, linux.event()).await.expect("an event comes")
}

/// The next event that is not the one about do-not-disturb.
async fn next(linux: &mut Linux) -> DesktopEvent {
    loop {
        match event(linux).await {
            DesktopEvent::Inhibited(_) => {}
            other => return other,
        }
    }
}

async fn until_up(linux: &mut Linux) -> String {
    loop {
        if let DesktopEvent::Up { server, .. } = event(linux).await {
            return server;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_goes_out_with_every_argument_and_is_replaced_and_closed() {
    let Some(bus) = Bus::start() else { return };
    let server = Programmable::on(&bus, &CAPABILITIES).await;
    let mut monitor = Monitor::on(&bus).await;
    let mut linux = Linux::start(Some(bus.address()));
    let capabilities = Capabilities {
        actions: true,
        body: true,
        body_markup: true,
        inline_reply: true,
        persistence: true,
        sound: false,
    };
    let up = DesktopEvent::Up { server: server.unique_name(), name: "programmable 1".into(), capabilities };
    assert_eq!(next(&mut linux).await, up);

    let shown = linux.notify(notice("Team")).await.unwrap();
    assert_eq!(shown, Shown { server: server.unique_name(), id: 1 });
    let seen = monitor.notify(1).await;
    assert_eq!((seen.app.as_str(), seen.replaces, seen.icon.as_str(), seen.timeout), ("wakeful", 0, "wakeful", -1));
    assert_eq!((seen.summary.as_str(), seen.body.as_str()), ("Team", "<b>Bob</b>: 1 &lt; 2"));
    assert_eq!(seen.actions, ["default", "Open", "mark-read", "Mark read"]);
    let hints: Vec<(&str, &str)> = seen.hints.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("category", "im.received"),
        ("desktop-entry", "wakeful"),
        ("sound-name", "message-new-instant"),
        ("urgency", "1"),
    ];
    assert_eq!(hints, expected);

    assert!(!seen.hints.contains_key("image-path"));
    let picture = Some("/srv/p 1/ü.png".into());
    let silent = Notice { picture, replaces: 1, sound: None, urgency: Urgency::Low, ..notice("Team") };
    assert_eq!(linux.notify(silent).await.unwrap().id, 1);
    let seen = monitor.notify(2).await;
    assert_eq!(seen.replaces, 1);
    assert_eq!(seen.hints["image-path"], "file:///srv/p%201/%C3%BC.png");
    assert_eq!(seen.hints.get("suppress-sound").map(String::as_str), Some("true"));
    assert_eq!(seen.hints.get("urgency").map(String::as_str), Some("0"));

    linux.close(1).await.unwrap();
    linux.close(99).await.expect("a server that does not know the id has closed it");
    assert_eq!(server.asked()[2..], [Asked::Close(1), Asked::Close(99)]);
    let senders: std::collections::BTreeSet<String> = monitor.notifies().into_iter().map(|n| n.sender).collect();
    assert_eq!(senders.len(), 1, "one connection for all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clicks_replies_tokens_and_dismissals_are_heard_unicast_and_broadcast_and_only_from_the_server() {
    let Some(bus) = Bus::start() else { return };
    let server = Programmable::on(&bus, &CAPABILITIES).await;
    let mut linux = Linux::start(Some(bus.address()));
    until_up(&mut linux).await;
    linux.notify(notice("a")).await.unwrap();

    let forger = bus.connect().await;
    let forged = forger.emit_signal(
        None::<&str>,
        "/org/freedesktop/Notifications",
        "org.freedesktop.Notifications",
        "NotificationReplied",
        &(1_u32, "forged"),
    );
    forged.await.unwrap();
    server.emit("ActionInvoked", &"nonsense", false).await;
    for unicast in [false, true] {
        server.emit("ActivationToken", &(1_u32, "token-1"), unicast).await;
        server.emit("ActionInvoked", &(1_u32, "default"), unicast).await;
        server.emit("NotificationReplied", &(1_u32, "on my way 🚲"), unicast).await;
        server.emit("NotificationClosed", &(1_u32, 2_u32), unicast).await;
        assert_eq!(next(&mut linux).await, DesktopEvent::Token { id: 1, token: "token-1".into() });
        assert_eq!(next(&mut linux).await, DesktopEvent::Invoked { id: 1, key: "default".into() });
        assert_eq!(next(&mut linux).await, DesktopEvent::Replied { id: 1, text: "on my way 🚲".into() });
        assert_eq!(next(&mut linux).await, DesktopEvent::Closed { id: 1, reason: Closed::Dismissed });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_costs_two_seconds_once_and_nothing_is_shown_twice() {
    let Some(bus) = Bus::start() else { return };
    let server = Programmable::on(&bus, &CAPABILITIES).await;
    let mut linux = Linux::start(Some(bus.address()));
    until_up(&mut linux).await;
    server.hang(true);

    let start = Instant::now();
    assert_eq!(linux.notify(notice("a")).await, Err(DesktopError::Silent));
    let took = start.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_secs(4)).contains(&took), "{took:?}");
    assert!(matches!(next(&mut linux).await, DesktopEvent::Down { .. }));
    let start = Instant::now();
    assert_eq!(linux.notify(notice("b")).await, Err(DesktopError::Silent));
    assert!(start.elapsed() < Duration::from_millis(500), "the breaker is open");

    server.hang(false);
    until_up(&mut linux).await;
    assert_eq!(linux.notify(notice("a again")).await.unwrap().id, 2);
    crate::support::eventually("the late notice is withdrawn", || {
        server.asked().contains(&Asked::Close(1)).then_some(())
    });
    assert!(!server.asked().contains(&Asked::Close(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_is_said_at_once_and_one_that_comes_is_met() {
    let Some(bus) = Bus::start() else { return };
    let mut linux = Linux::start(Some(bus.address()));
    assert!(matches!(next(&mut linux).await, DesktopEvent::Down { .. }));
    let start = Instant::now();
    assert!(matches!(linux.notify(notice("a")).await, Err(DesktopError::Absent(_))));
    assert!(start.elapsed() < Duration::from_millis(500));
    linux.wake().await;

    let mut server = Programmable::on(&bus, &["body"]).await;
    let first = until_up(&mut linux).await;
    assert_eq!(first, server.unique_name());
    server.down().await;
    assert!(matches!(next(&mut linux).await, DesktopEvent::Down { .. }));
    server.up(&bus).await;
    let second = until_up(&mut linux).await;
    assert_ne!(first, second, "a restarted server is another one");
    assert_eq!(linux.notify(notice("b")).await.unwrap().server, second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_bus_that_goes_away_is_found_again() {
    let Some(mut bus) = Bus::start() else { return };
    let mut server = Programmable::on(&bus, &["body"]).await;
    let mut linux = Linux::start(Some(bus.address()));
    until_up(&mut linux).await;
    bus.down();
    assert!(matches!(next(&mut linux).await, DesktopEvent::Down { .. }));
    assert!(matches!(linux.notify(notice("a")).await, Err(DesktopError::Absent(_))));
    bus.up();
    server.up(&bus).await;
    until_up(&mut linux).await;
    linux.notify(notice("a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desktops_do_not_disturb_is_read_and_followed() {
    let Some(bus) = Bus::start() else { return };
    let server = Programmable::on(&bus, &["body"]).await;
    server.inhibit(true).await;
    let mut linux = Linux::start(Some(bus.address()));
    until_up(&mut linux).await;
    assert_eq!(event(&mut linux).await, DesktopEvent::Inhibited(true));
    server.inhibit(false).await;
    assert_eq!(event(&mut linux).await, DesktopEvent::Inhibited(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_refuses_is_not_tried_for_ever() {
    let Some(bus) = Bus::start() else { return };
    let _server = Programmable::on(&bus, &["body"]).await;
    let mut linux = Linux::start(Some(bus.address()));
    until_up(&mut linux).await;
    assert!(matches!(linux.notify(notice("refuse")).await, Err(DesktopError::Refused(_))));
    let nul = Notice { summary: "a\0b".into(), ..notice("") };
    linux.notify(nul).await.expect("a NUL does not reach the bus");
    linux.notify(notice("fine")).await.expect("the connection lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_launcher_is_told_the_unread_count() {
    let Some(bus) = Bus::start() else { return };
    let _server = Programmable::on(&bus, &["body"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let mut linux = Linux::start(Some(bus.address()));
    until_up(&mut linux).await;
    linux.unread(7).await;
    let count = monitor.wait("the count", |seen| {
        seen.iter().find_map(|one| if let Seen::Count(count) = one { Some(*count) } else { None })
    });
    assert_eq!(count.await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_signals_before_a_call_neither_block_it_nor_get_lost() {
    let Some(bus) = Bus::start() else { return };
    let server = Programmable::on(&bus, &CAPABILITIES).await;
    let mut linux = Linux::start(Some(bus.address()));
    until_up(&mut linux).await;
    for id in 0..500_u32 {
        server.emit("ActionInvoked", &(id, "default"), false).await;
    }
    linux.notify(notice("a")).await.expect("an answer in spite of them");
    for id in 0..500_u32 {
        assert_eq!(next(&mut linux).await, DesktopEvent::Invoked { id, key: "default".into() });
    }
}

//! What wakeful says about itself: a store that was damaged, a disk that takes no writes. The built program beside a real
//! notification server.

use crate::bus::Bus;
use crate::monitor::Monitor;
use crate::screen::{Kind, Screen};
use crate::support::{Pair, Small, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_told_once_by_a_notification() {
    let Some(bus) = Bus::start() else { return };
    let Some(_screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let mut monitor = Monitor::on(&bus).await;
    let pair = Pair::new();
    assert!(pair.bob.daemon().stop().success());
    std::fs::write(pair.bob.path().join("state/wakeful.db"), vec![0x5a; 20_000]).unwrap();
    let daemon = pair.bob.daemon_with(|command| bus.is_session_of(command));
    let notify = monitor.notify(1).await;
    assert_eq!((notify.summary.as_str(), notify.hints["category"].as_str()), ("wakeful", "device.error"));
    assert_eq!(notify.hints["urgency"], "2", "it stays until somebody has seen it");
    assert!(notify.body.contains("was damaged") && notify.body.contains("moved aside"), "{}", notify.body);
    let _alice = pair.alice.daemon();
    pair.bob.wait_state("home", "online");
    pair.alice.run(&["send", "home", "bob", "one", "--wait", "delivered"]).ok();
    assert_eq!(monitor.notify(2).await.summary, "alice");
    assert!(daemon.stop().success());
    // The next start has nothing new to tell; a message shows that it would have been heard by now.
    let _bob = pair.bob.daemon_with(|command| bus.is_session_of(command));
    pair.bob.wait_state("home", "online");
    pair.alice.run(&["send", "home", "bob", "two", "--wait", "delivered"]).ok();
    let again = monitor.wait("the second message", |seen| {
        let notifies = seen.iter().filter_map(|one| match one {
            crate::monitor::Seen::Notify(notify) => Some(notify),
            _ => None,
        });
        let notifies: Vec<_> = notifies.collect();
        let last = notifies.last().is_some_and(|notify| notify.body.ends_with("two"));
        last.then(|| notifies.iter().filter(|notify| notify.summary == "wakeful").count())
    });
    assert_eq!(again.await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_before_there_was_a_notification_server_is_told_when_one_comes() {
    let Some(bus) = Bus::start() else { return };
    let Some(mut screen) = Screen::start(&bus, Kind::Dunst) else { return };
    screen.down();
    let mut monitor = Monitor::on(&bus).await;
    let home = crate::support::Home::new();
    assert!(home.daemon().stop().success());
    std::fs::write(home.path().join("state/wakeful.db"), vec![0x5a; 20_000]).unwrap();
    let mut daemon = home.daemon_with(|command| bus.is_session_of(command));
    daemon.process.wait_line("that there is no server", |line| line.contains("notifications wait").then_some(()));
    screen.up();
    let notify = monitor.notify(1).await;
    assert!(notify.summary == "wakeful" && notify.body.contains("was damaged"), "{notify:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_once_by_a_notification_and_what_comes_after_it_too() {
    let Some(bus) = Bus::start() else { return };
    let Some(_screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let Some(small) = Small::new("desktop", "24m") else { return };
    let mut monitor = Monitor::on(&bus).await;
    let pair = Pair::with_alice(crate::support::Home::within(&small.path()));
    let _alice = pair.alice.daemon_with(|command| bus.is_session_of(command));
    let _bob = pair.bob.daemon();
    pair.alice.wait_state("home", "online");
    let filler = small.fill();
    for n in 0..3 {
        pair.bob.run(&["send", "home", "alice", &format!("while full {n}"), "--wait", "sent"]).ok();
    }
    let notify = monitor.notify(1).await;
    assert_eq!((notify.summary.as_str(), notify.hints["category"].as_str()), ("wakeful", "device.error"));
    assert!(notify.body.contains("cannot be written") && notify.body.contains("Free some space"), "{}", notify.body);
    std::fs::remove_file(filler).unwrap();
    eventually("all has arrived", || (pair.alice.history("home").len() == 3).then_some(()));
    monitor
        .wait("the messages' banner", |seen| {
            let said = seen.iter().filter_map(|one| match one {
                crate::monitor::Seen::Notify(notify) => Some(notify.summary.as_str()),
                _ => None,
            });
            let said: Vec<_> = said.collect();
            assert_eq!(said.iter().filter(|summary| **summary == "wakeful").count(), 1, "{said:?}");
            said.contains(&"bob").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_the_notification_server_that_runs_and_what_to_do_without_one() {
    let Some(bus) = Bus::start() else { return };
    let Some(mut screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let pair = Pair::new();
    let _daemon = pair.bob.daemon_with(|command| bus.is_session_of(command));
    pair.bob.wait_state("home", "online");
    let found = || {
        let mut command = pair.bob.command(&["doctor", "--json"]);
        bus.is_session_of(&mut command);
        let output = command.output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == "notifications").unwrap().clone()
    };
    let well = found();
    assert!(well["state"] == "good" && well["text"].as_str().unwrap().contains("dunst"), "{well}");
    screen.down();
    let ill = found();
    assert!(ill["state"] == "bad" && ill["remedy"].as_str().unwrap().contains("notification server"), "{ill}");
}

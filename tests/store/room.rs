//! A disk that is full, a file system that has become read-only, no file descriptors: what servers send waits, reading
//! goes on, `status` says why, the user is told once, and everything goes on without a restart.

use crate::power::{Volume, run};
use crate::support::{Daemon, Home, Line, Pair, Small, eventually, skip, texts};
use serde_json::{Value, json};
use std::process::Command;

fn trouble(home: &Home) -> Value {
    home.run(&["status", "--json"]).json()["disk"].clone()
}

fn ingest(pair: &Pair, name: &str, count: usize) {
    for n in 0..count {
        pair.bob.run(&["send", "home", "alice", &format!("{name} {n}"), "--wait", "sent"]).ok();
    }
}

fn told(daemon: &Daemon) -> usize {
    daemon.process.log().matches("free some space, wakeful goes on by itself").count()
}

#[test]
fn on_a_full_disk_what_servers_send_waits_reading_goes_on_and_all_arrives_once_there_is_room() {
    let Some(small) = Small::new("store", "24m") else { return };
    let pair = Pair::with_alice(Home::within(&small.path()));
    let (mut alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    ingest(&pair, "before", 1);
    eventually("the first message", || (texts(&pair.alice.history("home")) == ["before 0"]).then_some(()));
    assert_eq!(trouble(&pair.alice), Value::Null);
    let ballast = pair.alice.path().join("state/ballast");
    assert!(ballast.is_file(), "there is a ballast");

    let filler = small.fill();
    ingest(&pair, "while full", 3);
    let said = eventually("status says it", || Some(trouble(&pair.alice)).filter(|said| !said.is_null()));
    assert!(said.as_str().unwrap().contains("full") || said.as_str().unwrap().contains("space"), "{said}");
    assert!(!ballast.exists(), "the ballast was given up");
    let lines = pair.alice.run(&["status"]).ok();
    assert!(lines.contains("cannot be written") && lines.contains("free some space"), "{lines}");
    // What the user does fits into the room that the ballast left; what servers send does not come in.
    pair.alice.run(&["send", "home", "bob", "written on a full disk"]).ok();
    pair.alice.run(&["mark", "home", "bob"]).ok();
    assert_eq!(texts(&pair.alice.history("home")), ["before 0", "written on a full disk"]);

    std::fs::remove_file(filler).unwrap();
    eventually("all has arrived", || (pair.alice.history("home").len() == 5).then_some(()));
    eventually("status is silent", || trouble(&pair.alice).is_null().then_some(()));
    eventually("the answer has arrived", || {
        texts(&pair.bob.history("home")).contains(&"written on a full disk").then_some(())
    });
    assert!(ballast.is_file(), "the ballast stands again");
    assert!(alice.process.ended().is_none(), "without a restart");
    assert_eq!(told(&alice), 1, "told once: {}", alice.process.log());
}

#[test]
fn a_daemon_whose_disk_is_full_when_it_starts_gives_up_the_ballast_and_runs() {
    let Some(small) = Small::new("store", "24m") else { return };
    let pair = Pair::with_alice(Home::within(&small.path()));
    let _bob = pair.bob.daemon();
    pair.alice.daemon().kill9();
    let filler = small.fill();
    ingest(&pair, "while full", 2);
    let _alice = pair.alice.daemon();
    eventually("status says it", || (!trouble(&pair.alice).is_null()).then_some(()));
    std::fs::remove_file(filler).unwrap();
    eventually("all has arrived", || (pair.alice.history("home").len() == 2).then_some(()));
}

#[test]
fn on_a_file_system_that_becomes_read_only_reading_goes_on_and_nothing_is_lost() {
    let Ok(volume) = Volume::new().map_err(|why| skip("store", &format!("no read-only disk: {why}"))) else { return };
    let pair = Pair::with_alice(Home::within(&volume.path()));
    let (mut alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    ingest(&pair, "before", 1);
    eventually("the first message", || (texts(&pair.alice.history("home")) == ["before 0"]).then_some(()));
    // As the kernel does after an error of the device: files that are open for writing stay open.
    run("mount", &["-o", "remount,abort", &volume.path().display().to_string()]).unwrap();
    ingest(&pair, "while read-only", 3);
    eventually("status says it", || (!trouble(&pair.alice).is_null()).then_some(()));
    assert_eq!(texts(&pair.alice.history("home")), ["before 0"]);
    assert!(alice.process.ended().is_none());
    assert_eq!(told(&alice), 1);
    alice.kill9();
    volume.back();
    let _alice = pair.alice.daemon();
    eventually("all has arrived", || (pair.alice.history("home").len() == 4).then_some(()));
}

#[test]
fn a_device_that_is_gone_is_not_called_damage_and_nothing_is_moved_aside() {
    let Ok(volume) = Volume::new().map_err(|why| skip("store", &format!("no device to lose: {why}"))) else { return };
    let pair = Pair::with_alice(Home::within(&volume.path()));
    let (alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    ingest(&pair, "before", 1);
    eventually("the first message", || (texts(&pair.alice.history("home")) == ["before 0"]).then_some(()));
    let mut line = Line::connect(&pair.alice.socket()).unwrap();
    volume.settle();
    volume.cut();
    let send = json!({"account": "home", "conversation": "bob", "text": "into the void"});
    eventually("status says it", || {
        let refused = line.ask("send", &send).unwrap();
        let words = refused["error"]["message"].to_string();
        assert!(refused["error"]["data"]["code"] == "disk" && !words.contains("damaged"), "{refused}");
        let status = line.ask("status", &json!({})).unwrap()["result"].clone();
        assert_ne!(status["store"]["state"], "damaged", "{status}");
        (!status["disk"].is_null()).then_some(())
    });
    assert!(!alice.process.log().contains("is damaged"), "{}", alice.process.log());
    alice.kill9();
    volume.back();
    let _alice = pair.alice.daemon();
    assert_eq!(texts(&pair.alice.history("home")), ["before 0"]);
    assert!(!pair.alice.files().iter().any(|file| file.display().to_string().contains("damaged")));
}

#[test]
fn without_file_descriptors_those_who_are_connected_are_served_and_others_once_there_are_some() {
    let pair = Pair::new();
    let _bob = pair.bob.daemon();
    let mut alice = pair.alice.daemon_with(|command| {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        *command = limited;
    });
    pair.alice.wait_state("home", "online");
    let mut connected = Line::connect(&pair.alice.socket()).unwrap();
    let crowd: Vec<_> = (0..60).map_while(|_| Line::connect(&pair.alice.socket()).ok()).collect();
    ingest(&pair, "meanwhile", 3);
    eventually("what comes is taken in and read", || {
        let answer = connected.ask("page", &json!({"find": {"account": "home"}, "batch": 10})).unwrap();
        assert!(answer["error"]["data"]["code"] != "disk", "{answer}");
        (answer.to_string().matches("meanwhile").count() >= 3).then_some(())
    });
    drop(crowd);
    eventually("others are served again", || (pair.alice.run(&["status"]).code == 0).then_some(()));
    assert!(alice.process.ended().is_none());
    assert_eq!(pair.alice.history("home").len(), 3);
}

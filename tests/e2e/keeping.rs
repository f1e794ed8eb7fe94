//! What is kept, shown and repaired, with the real program: export and import, doctor, the outbox, changes to messages,
//! a damaged store.

use crate::support::{Home, Pair, eventually, texts};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

/// Alice has written some to bob, who has them; both daemons have ended when it returns.
fn talked(pair: &Pair, count: usize) {
    let _alice = pair.alice.daemon();
    let _bob = pair.bob.daemon();
    pair.bob.wait_state("home", "online");
    for n in 0..count {
        pair.alice.run(&["send", "home", "bob", &format!("number {n}"), "--wait", "delivered"]).ok();
    }
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == name)
        .unwrap_or_else(|| panic!("{name}: {report}"))
}

#[test]
fn an_export_is_whole_resumable_and_comes_back_beside_a_running_daemon() {
    let pair = Pair::new();
    talked(&pair, 12);
    let bob = pair.bob.daemon();
    let file = pair.bob.path().join("all.jsonl");
    let path = file.to_str().unwrap();
    let end = pair.bob.run(&["export", path, "--json"]).json();
    assert_eq!(end["messages"], 12, "{end}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(pair.bob.run(&["export", path]).code, 2, "nothing is overwritten");
    pair.bob.run(&["import", path, "--verify"]).ok();

    // Cut anywhere it goes on, and is the same to the byte but for what tells the two apart.
    let whole = std::fs::read(&file).unwrap();
    for cut in [whole.len() / 3, whole.len() / 2, whole.len() - 40] {
        std::fs::write(&file, &whole[..cut]).unwrap();
        assert_ne!(pair.bob.run(&["import", path, "--verify"]).code, 0, "cut at {cut}");
        let again = pair.bob.run(&["export", path, "--resume", "--json"]).json();
        assert_eq!((&again["sha256"], &again["messages"]), (&end["sha256"], &end["messages"]), "cut at {cut}");
        assert_eq!(std::fs::read(&file).unwrap(), whole, "cut at {cut}");
    }

    // A changed letter is noticed before anything is taken in.
    let broken = pair.bob.path().join("broken.jsonl");
    let text = String::from_utf8(whole).unwrap().replacen("number 3", "number 8", 1);
    std::fs::write(&broken, text).unwrap();
    let carol = Home::new();
    let refused = carol.run(&["import", broken.to_str().unwrap()]);
    assert!(refused.code == 1 && refused.stderr.contains("SHA-256"), "{refused:?}");

    // Into an empty home without a daemon, then again beside one.
    let done = carol.run(&["import", path, "--json"]).json();
    assert_eq!((&done["added"], &done["known"], &done["whole"]), (&12.into(), &0.into(), &true.into()), "{done}");
    let _carol = carol.daemon();
    assert_eq!(texts(&carol.history("home")), texts(&pair.bob.history("home")));
    let again = carol.run(&["import", path, "--json"]).json();
    assert_eq!(again["added"], 0, "{again}");
    carol.run(&["account", "remove", "home", "--purge"]).ok();
    assert_eq!(carol.run(&["import", path, "--json"]).json()["added"], 12, "what was purged comes back");
    let dave = Home::new();
    let _dave = dave.daemon();
    assert_eq!(dave.run(&["import", path, "--json"]).json()["added"], 12, "through the daemon");
    assert_eq!(texts(&dave.history("home")), texts(&pair.bob.history("home")));
    drop(bob);
}

#[test]
fn an_export_of_something_that_is_not_here_leaves_no_file_behind() {
    let pair = Pair::new();
    talked(&pair, 1);
    let file = pair.bob.path().join("all.jsonl");
    let path = file.to_str().unwrap();
    for wrong in [&["--account", "hmoe"][..], &["--account", "home", "--conversation", "alcie"]] {
        let refused = pair.bob.run(&[&["export", path], wrong].concat());
        assert!(refused.code == 1 && !refused.stderr.is_empty(), "{refused:?}");
        assert!(!file.exists(), "{wrong:?} left a file behind");
    }
    pair.bob.run(&["export", path, "--account", "home", "--conversation", "alice"]).ok();
    pair.bob.run(&["import", path, "--verify"]).ok();
}

#[test]
fn a_message_that_failed_is_sent_again_once_under_the_id_that_it_has() {
    let pair = Pair::new();
    let _alice = pair.alice.daemon();
    let id = pair.alice.run(&["send", "home", "carol", "are you there?"]).ok();
    let id = id.trim();
    let failed = || {
        let list = pair.alice.run(&["outbox", "list", "--json"]).json_lines();
        list.into_iter().find(|row| row["id"] == id && row["state"] == "failed")
    };
    eventually("the hub knows no carol", failed);
    let token = pair.hub.user("carol");
    let carol = Home::new();
    carol.add_account("home", &pair.hub.url(), &token).ok();
    let _carol = carol.daemon();
    assert_eq!(pair.alice.run(&["outbox", "retry", id, "--json"]).json()["retried"], true);
    eventually("it arrives", || (texts(&carol.history("home")) == ["are you there?"]).then_some(()));
    eventually("it is called sent", || {
        let mine = pair.alice.history("home").remove(0);
        (mine["id"] == id && (mine["state"] == "sent" || mine["state"] == "delivered")).then_some(())
    });
    let again = pair.alice.run(&["outbox", "retry", id]);
    assert!(again.code == 0 && again.stderr.contains("nothing to do"), "{again:?}");
    pair.alice.run(&["send", "home", "carol", "good", "--wait", "delivered"]).ok();
    assert_eq!(texts(&carol.history("home")), ["are you there?", "good"]);
    assert_eq!(pair.alice.run(&["outbox", "retry", "0197a0c2-0000-7000-8000-000000000000"]).code, 1);
}

#[test]
fn a_message_is_edited_reacted_to_and_taken_back_from_the_command_line() {
    let pair = Pair::new();
    let (_alice, _bob) = (pair.alice.daemon(), pair.bob.daemon());
    pair.bob.wait_state("home", "online");
    let id = pair.alice.run(&["send", "home", "bob", "frist", "--wait", "delivered"]).ok();
    let id = id.trim();
    pair.alice.run(&["edit", id, "first"]).ok();
    let seen = |wanted: &dyn Fn(&Value) -> bool| {
        eventually("the change", || pair.bob.history("home").into_iter().find(|message| wanted(message)))
    };
    let theirs = seen(&|message| message["text"] == "first");
    pair.bob.run(&["react", theirs["id"].as_str().unwrap(), "👍"]).ok();
    eventually("the reaction", || {
        let mine = pair.alice.history("home").remove(0);
        (mine["reactions"][0]["key"] == "👍").then_some(())
    });
    pair.bob.run(&["react", theirs["id"].as_str().unwrap(), "👍", "--remove"]).ok();
    pair.alice.run(&["delete", id]).ok();
    let gone = seen(&|message| message["retracted"] == true);
    assert_eq!(gone["text"], "");
    assert_ne!(pair.bob.run(&["edit", theirs["id"].as_str().unwrap(), "mine"]).code, 0, "not one's own");
}

#[test]
fn the_outbox_tells_what_waits_and_gives_back_what_has_not_gone() {
    let mut pair = Pair::new();
    pair.hub.stop();
    let _alice = pair.alice.daemon();
    let first = pair.alice.run(&["send", "home", "bob", "one"]).ok();
    let second = pair.alice.run(&["send", "home", "bob", "two"]).ok();
    let list = pair.alice.run(&["outbox", "list", "--json"]).json_lines();
    let seen: Vec<_> = list.iter().map(|row| (row["text"].as_str().unwrap(), row["state"].as_str().unwrap())).collect();
    assert_eq!(seen, [("two", "pending"), ("one", "pending")]);
    pair.alice.run(&["outbox", "cancel", first.trim()]).ok();
    pair.hub.up();
    let _bob = pair.bob.daemon();
    eventually("two", || texts(&pair.bob.history("home")).contains(&"two").then_some(()));
    assert_eq!(texts(&pair.bob.history("home")), ["two"]);
    let late = pair.alice.run(&["outbox", "cancel", second.trim()]);
    assert_eq!(late.code, 1, "{late:?}");
}

#[test]
fn an_account_is_removed_with_its_messages_beside_a_running_daemon() {
    let pair = Pair::new();
    talked(&pair, 2);
    let _bob = pair.bob.daemon();
    assert_eq!(pair.bob.history("home").len(), 2);
    let mut line = crate::support::Line::connect(&pair.bob.socket()).unwrap();
    let refused = line.ask("account.purge", &serde_json::json!({"account": "home"})).unwrap();
    assert_eq!(refused["error"]["data"]["code"], "refused", "its messages would only come again: {refused}");
    pair.bob.run(&["account", "remove", "home", "--purge"]).ok();
    assert_ne!(pair.bob.run(&["history", "--account", "home"]).code, 0, "the account is gone");
    assert_eq!(pair.bob.run(&["history", "--json"]).ok(), "");
}

#[test]
fn the_doctor_finds_nothing_where_all_is_well_and_names_what_is_not() {
    let pair = Pair::new();
    pair.bob.configure("\n[notifications]\nenabled = false\n");
    talked(&pair, 3);
    let bob = pair.bob.daemon();
    pair.bob.wait_state("home", "online");
    let well = pair.bob.run(&["doctor", "--thorough", "--json"]);
    let report: Value = serde_json::from_str(&well.stdout).unwrap();
    assert_eq!((well.code, &report["ok"]), (0, &true.into()), "{report}");
    for name in
        ["configuration", "permissions", "room", "database", "holes", "counts", "clock", "daemon", "secret", "server"]
    {
        assert_eq!(check(&report, name)["state"], "good", "{report}");
    }
    assert!(bob.stop().success());

    let database = pair.bob.path().join("state/wakeful.db");
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ill = pair.bob.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&ill.stdout).unwrap();
    assert_eq!((ill.code, &report["ok"]), (1, &false.into()), "{report}");
    let found = check(&report, "permissions");
    assert!(found["state"] == "bad" && found["remedy"].as_str().unwrap().starts_with("chmod go-rwx"), "{found}");
    assert_eq!(check(&report, "daemon")["state"], "bad");
    assert_eq!(check(&report, "server")["state"], "good", "without a daemon it logs in itself: {report}");
}

#[test]
fn a_damaged_store_is_moved_aside_rebuilt_from_the_hub_and_said() {
    let pair = Pair::new();
    talked(&pair, 5);
    // In order, so that everything stands in the file and nothing in its log.
    assert!(pair.bob.daemon().stop().success());
    let database = pair.bob.path().join("state/wakeful.db");
    std::fs::write(&database, vec![0x5a; 20_000]).unwrap();
    let _bob = pair.bob.daemon();
    eventually("the messages from the hub", || (texts(&pair.bob.history("home")).len() == 5).then_some(()));
    let status = pair.bob.run(&["status", "--json"]).json();
    let file = status["store"]["quarantined"]["file"].as_str().expect("it is said").to_owned();
    assert_eq!(std::fs::read(&file).unwrap(), vec![0x5a; 20_000]);
    assert!(pair.bob.run(&["status"]).ok().contains("a damaged one was moved aside"));
    let report = pair.bob.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(check(&report, "quarantine")["state"], "note", "{report}");
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let pair = Pair::new();
    talked(&pair, 1);
    let database = pair.bob.path().join("state/wakeful.db");
    for name in ["wakeful.db", "wakeful.db-wal", "wakeful.db-shm"] {
        std::fs::remove_file(database.with_file_name(name)).ok();
    }
    let future = rusqlite::Connection::open(&database).unwrap();
    future.execute_batch("CREATE TABLE future(x INTEGER) STRICT; PRAGMA user_version = 99;").unwrap();
    drop(future);
    let bytes = std::fs::read(&database).unwrap();
    let refused = pair.bob.run(&["run"]);
    assert!(refused.code == 1 && refused.stderr.contains("written by a newer wakeful"), "{refused:?}");
    assert_eq!(std::fs::read(&database).unwrap(), bytes);
}

#[test]
fn damage_that_is_found_while_the_daemon_runs_has_it_start_again_by_itself() {
    let home = Home::new();
    let mut lines = vec![
        r#"{"wakeful":{"format":1,"id":"big","version":"0","at":"2026-01-01T00:00:00.000Z","seq":0}}"#.to_owned(),
        r#"{"account":{"name":"home","protocol":"hub"}}"#.to_owned(),
    ];
    for n in 0..4_000_u64 {
        let (id, position) = (format!("0197a0c2-0000-7000-8000-{n:012x}"), (1_767_225_600_000 + n) << 20);
        lines.push(
            serde_json::json!({"message": {
                "id": id, "account": "home", "sender": "bob", "text": format!("{n} {}", "word ".repeat(200)), "kind": "text",
                "conversation": {"id": "0197a0c2-0000-7000-8000-ffffffffffff", "name": "c1", "peer": null},
                "sent_at": "2026-01-01T00:00:00.000Z", "outgoing": false, "state": "read", "server_id": format!("e1/c1/{n}"),
                "position": position.to_string(), "seq": 0, "conversation_server": "c1", "order": n, "rev": n,
            }})
            .to_string(),
        );
    }
    let done = home.run_with_input(&["import", "-", "--partial", "--json"], &(lines.join("\n") + "\n")).json();
    assert_eq!(done["added"], 4_000, "{done}");
    home.daemon().kill9();
    let database = home.path().join("state/wakeful.db");
    let mut bytes = std::fs::read(&database).unwrap();
    assert!(bytes.len() > 4 << 20, "large enough to be read through beside the work");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    std::fs::write(&database, bytes).unwrap();
    let mut daemon = home.daemon();
    let file = eventually("it starts again and says so", || {
        let status = home.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status.stdout).ok()?;
        Some(status["store"]["quarantined"]["file"].as_str()?.to_owned())
    });
    assert!(std::path::Path::new(&file).exists());
    assert!(daemon.process.ended().is_none(), "the same process");
    assert!(daemon.stop().success());
}

//! `history` and `search` as people and scripts use them: by time, around a message, into a pager, on into live.

use crate::support::{Daemon, Home, Line, Pair, Process, eventually, texts};
use serde_json::{Value, json};
use std::process::Stdio;

/// Bob's daemon with what alice has written: `one` to `twelve`.
struct Scene {
    pair: Pair,
    _daemons: [Daemon; 2],
    said: Vec<Value>,
}

const WORDS: [&str; 12] =
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven café", "twelve 東京タワー"];

impl Scene {
    fn new() -> Self {
        let pair = Pair::new();
        let daemons = [pair.alice.daemon(), pair.bob.daemon()];
        pair.bob.wait_state("home", "online");
        for word in WORDS {
            say(&pair.alice, word);
        }
        let said = eventually("everything", || Some(pair.bob.history("home")).filter(|all| all.len() == WORDS.len()));
        Self { pair, _daemons: daemons, said }
    }

    fn history(&self, args: &[&str]) -> Vec<Value> {
        self.pair.bob.run(&[&["history", "--json"], args].concat()).json_lines()
    }

    fn id(&self, index: usize) -> &str {
        self.said[index]["id"].as_str().unwrap()
    }
}

fn say(home: &Home, text: &str) {
    let mut line = Line::connect(&home.socket()).unwrap();
    let sent = line.ask("send", &json!({"account": "home", "conversation": "bob", "text": text})).unwrap();
    assert!(sent["result"].is_object(), "{sent}");
}

#[test]
fn history_begins_and_ends_where_it_is_told_to() {
    let scene = Scene::new();
    assert_eq!(texts(&scene.history(&["--around", scene.id(5), "--limit", "4"])), ["four", "five", "six", "seven"]);
    assert_eq!(texts(&scene.history(&["-c", "alice", "--around", scene.id(5), "-n", "2"])), ["five", "six"]);
    assert_eq!(texts(&scene.history(&["--limit", "2"])), &WORDS[10..]);
    assert_eq!(texts(&scene.history(&["--after", scene.id(8), "--limit", "2"])), ["ten", "eleven café"]);
    assert_eq!(texts(&scene.history(&["--before", scene.id(2)])), ["one", "two"]);
    assert_eq!(texts(&scene.history(&["--reverse", "--limit", "1"])), [WORDS[11]]);
    assert_eq!(texts(&scene.history(&["--since", "yesterday 18:00"])), WORDS);
    assert_eq!(texts(&scene.history(&["--since", "2 hours ago", "--limit", "3"])), ["one", "two", "three"]);
    assert_eq!(texts(&scene.history(&["--until", "yesterday 18:00"])), [""; 0]);
    let exact = scene.said[6]["sent_at"].as_str().unwrap();
    assert_eq!(scene.history(&["--since", exact])[0]["sent_at"], exact);
    assert!(scene.history(&["--until", exact]).iter().all(|one| one["sent_at"].as_str().unwrap() < exact));
    let wrong = scene.pair.bob.run(&["history", "--since", "soonish"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("yesterday 18:00"), "{wrong:?}");
}

#[test]
fn history_follows_into_what_comes_and_a_pager_may_leave_whenever_it_likes() {
    let scene = Scene::new();
    let bob = &scene.pair.bob;
    let mut follow = Process::start("history", &mut bob.command(&["history", "--json", "-n", "2", "--follow"]));
    let text = |line: &str| serde_json::from_str::<Value>(line).ok()?["text"].as_str().map(str::to_owned);
    assert_eq!([follow.wait_line("a line", text), follow.wait_line("a line", text)], [WORDS[10], WORDS[11]]);
    for n in 0..3 {
        say(&scene.pair.alice, &format!("news {n}"));
    }
    for n in 0..3 {
        assert_eq!(follow.wait_line("what is new", text), format!("news {n}"), "each once and in order");
    }
    for command in [["history", "--follow"], ["history", "--json"], ["search", "news"]] {
        let mut child = bob.command(&command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{command:?}: {output:?}");
    }
}

#[test]
fn a_search_marks_what_it_found_and_refuses_what_it_could_only_scan_for() {
    let scene = Scene::new();
    let search = |args: &[&str]| scene.pair.bob.run(&[&["search"], args].concat());
    let found = search(&["CAFE", "--color", "always"]).ok();
    assert!(found.contains("eleven \x1b[1mcafé\x1b[0m"), "{found:?}");
    assert!(!search(&["cafe"]).ok().contains('\x1b'), "no colour into a pipe unless asked");
    let found = search(&["京", "--json"]).json();
    let parts = &found["snippet"];
    assert_eq!(parts[1], json!({"text": "京", "hit": true}), "{parts}");
    assert_eq!(texts(&search(&["tw*", "--json"]).json_lines()), [WORDS[11], "two"], "newest first");
    let refused = search(&["t*"]);
    assert!(refused.code == 2 && refused.stderr.contains("would match almost everything"), "{refused:?}");
}

#[test]
fn older_messages_that_no_server_has_are_told_and_what_is_here_is_printed() {
    let pair = Pair::new();
    let _daemon = pair.bob.daemon();
    pair.bob.wait_state("home", "online");
    let at = |n: u64| format!("2026-01-01T00:00:0{n}.000Z");
    let mut lines = vec![
        json!({"wakeful": {"format": 1, "id": "old", "version": "0", "at": at(0), "seq": 0}}),
        json!({"account": {"name": "home", "protocol": "hub"}}),
    ];
    for n in 7..=8_u64 {
        lines.push(json!({"message": {
            "id": format!("0197a0c2-0000-7000-8000-{n:012x}"), "account": "home", "sender": "carol", "text": n.to_string(),
            "conversation": {"id": "0197a0c2-0000-7000-8000-ffffffffffff", "name": "old", "peer": null}, "kind": "text",
            "sent_at": at(n), "outgoing": false, "state": "read", "server_id": format!("e0/old/{n}"),
            "position": ((1_767_225_600_000 + n * 1_000) << 20).to_string(), "seq": 0, "conversation_server": "old",
            "order": n, "rev": n,
        }}));
    }
    lines.push(json!({"span": {"account": "home", "archive": "e0/old", "conversation_server": "old", "after": "6",
        "lo": "7", "lo_at": at(7), "hi": "8", "hi_at": at(8)}}));
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    pair.bob.run_with_input(&["import", "-", "--partial"], &lines).ok();
    let read = pair.bob.run(&["history", "-a", "home", "-c", "old", "--fetch", "--json"]);
    assert_eq!((read.code, read.stderr.contains("cannot be had")), (0, true), "{read:?}");
    let rows = read.json_lines();
    assert_eq!((rows.len(), rows[0]["hole"].is_object(), texts(&rows[1..])), (3, true, vec!["7", "8"]));
}

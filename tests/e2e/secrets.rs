//! A secret stands in its own file and nowhere else: not in logs, arguments, environment, database or IPC.

use crate::support::Pair;
use crate::support::{Home, Line};
use serde_json::json;

/// Does the canary, or its base64 or hexadecimal form, stand in these bytes?
fn holds(bytes: &[u8], canary: &str) -> bool {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    [canary.as_bytes(), hex.as_bytes()].iter().any(|form| bytes.windows(form.len()).any(|window| window == *form))
}

#[test]
fn a_token_stands_nowhere_but_in_its_file() {
    let pair = Pair::new();
    let canary = pair.hub.user("carol");
    let home = Home::new();
    let added = home.add_account("home", &pair.hub.url(), &canary);
    assert!(!holds(format!("{added:?}").as_bytes(), &canary), "what `account add` says");
    let daemon = home.daemon_with(|command| {
        command.env("RUST_LOG", "trace").env("WAKEFUL_LOG", "trace");
    });
    home.wait_state("home", "online");
    home.run(&["send", "home", "bob", "hello", "--wait", "sent"]).ok();

    let pid = daemon.process.pid();
    for file in ["cmdline", "environ"] {
        assert!(!holds(&std::fs::read(format!("/proc/{pid}/{file}")).unwrap(), &canary), "/proc/{pid}/{file}");
    }
    let mut line = Line::connect(&home.socket()).unwrap();
    for method in ["hello", "status", "accounts", "conversations"] {
        let params = if method == "hello" { json!({"client": "test"}) } else { json!({}) };
        let answer = line.ask(method, &params).unwrap().to_string();
        assert!(!holds(answer.as_bytes(), &canary), "{method}: {answer}");
    }
    let mut where_it_is = Vec::new();
    for file in home.files() {
        if holds(&std::fs::read(&file).unwrap(), &canary) {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
            where_it_is.push(file);
        }
    }
    assert_eq!(where_it_is.len(), 1, "exactly one file holds it: {where_it_is:?}");
    let in_hub = std::fs::read_dir(pair.hub.data())
        .unwrap()
        .flatten()
        .any(|f| holds(&std::fs::read(f.path()).unwrap(), &canary));
    assert!(!in_hub, "the hub keeps hashes only");
    assert!(!holds(daemon.process.log().as_bytes(), &canary), "the log at its most talkative");
    assert!(daemon.process.log().lines().count() > 3, "it did log");
}

#[test]
fn the_search_for_the_canary_finds_one_that_is_there() {
    assert!(
        holds(b"say tok_abcdef12 aloud", "tok_abcdef12") && holds(b"hex: 746f6b", "tok") && !holds(b"nothing", "tok")
    );
}

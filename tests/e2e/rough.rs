//! Apps that send garbage, giant lines, or nothing at all: refused one by one, while the daemon serves the others.

use crate::support::{Home, Line};
use serde_json::{Value, json};

fn error_of(answer: &Value) -> &str {
    answer["error"]["data"]["code"].as_str().unwrap_or_else(|| panic!("an error with a code: {answer}"))
}

#[test]
fn garbage_is_answered_with_an_error_and_the_daemon_stays_up() {
    let home = Home::new();
    let mut daemon = home.daemon();
    let mut line = Line::connect(&home.socket()).unwrap();
    for (garbage, code) in [
        ("not json at all\n", "parse"),
        ("[1, 2\n", "parse"),
        ("{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"hello\"}\n", "invalid_request"),
        ("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"no.such\"}\n", "unknown_method"),
        ("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"send\", \"params\": {\"text\": 5}}\n", "bad_params"),
    ] {
        line.raw(garbage.as_bytes()).unwrap();
        let answer = line.next().unwrap().unwrap_or_else(|| panic!("closed after {garbage:?}"));
        assert_eq!(error_of(&answer), code, "{garbage:?}");
    }
    line.raw(b"\xff\xfe\x00 not even text\n").unwrap();
    let _ = line.next();
    assert!(daemon.process.ended().is_none());
    assert!(Line::connect(&home.socket()).unwrap().ask("status", &json!({})).unwrap()["result"].is_object());
}

#[test]
fn a_line_over_the_limit_is_refused_without_being_kept() {
    let home = Home::new();
    let daemon = home.daemon();
    let before = resident_kib(daemon.process.pid());
    let mut line = Line::connect(&home.socket()).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    let wrote = (0..64).take_while(|_| line.raw(&chunk).is_ok()).count();
    let answer = line.next().ok().flatten();
    assert!(
        wrote < 64 || answer.as_ref().is_some_and(|answer| error_of(answer) == "too_large"),
        "{wrote} MiB, {answer:?}"
    );
    let grown = resident_kib(daemon.process.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024, "64 MiB on one line cost {grown} KiB");
    home.run(&["status", "--json"]).ok();
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out() {
    let home = Home::new();
    let _daemon = home.daemon();
    let silent: Vec<Line> = (0..40).map_while(|_| Line::connect(&home.socket()).ok()).collect();
    home.run(&["status", "--json"]).ok();
    drop(silent);
}

#[test]
fn the_socket_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let _daemon = home.daemon();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.socket()), 0o600);
    assert_eq!(mode(home.socket().parent().unwrap()), 0o700);
    let database = home.files().into_iter().find(|file| file.ends_with("wakeful.db")).expect("a database");
    assert_eq!(mode(&database) & 0o077, 0, "nobody else reads the database");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

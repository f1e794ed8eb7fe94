//! What must be refused, with words that say what to do and an exit status that scripts can trust.

use crate::support::{Answer, Home, Hub, eventually};
use std::net::TcpListener;

/// It failed with this status and said something useful, once, without a backtrace or a Debug dump.
fn refused(answer: &Answer, code: i32, words: &[&str]) {
    assert_eq!(answer.code, code, "{answer:?}");
    let said = answer.stderr.to_lowercase();
    assert!(words.iter().any(|word| said.contains(word)), "none of {words:?} in {answer:?}");
    assert!(!said.contains("panicked") && !said.contains("stack backtrace"), "{answer:?}");
    assert_eq!(answer.stdout, "", "{answer:?}");
}

#[test]
fn without_a_daemon_the_status_is_3_and_the_words_say_how_to_start_one() {
    let home = Home::new();
    for command in
        [&["status"][..], &["watch", "--json"], &["history", "--account", "home"], &["send", "home", "bob", "x"]]
    {
        refused(&home.run(command), 3, &["run", "start"]);
    }
}

#[test]
fn a_wrong_command_line_has_status_2() {
    let home = Home::new();
    for command in [&["no-such-command"][..], &["send", "home"], &["history", "--no-such-flag"]] {
        refused(&home.run(command), 2, &["usage"]);
    }
}

#[test]
fn a_wrong_token_is_told_when_the_account_is_added() {
    let hub = Hub::start();
    let home = Home::new();
    hub.user("alice");
    refused(&home.add_account("home", &hub.url(), "not-the-token"), 1, &["token"]);
    assert_eq!(home.run(&["account", "list", "--json"]).ok().trim(), "[]", "nothing was added");
}

#[test]
fn a_token_that_is_no_longer_good_halts_the_account_and_status_says_why() {
    let hub = Hub::start();
    let home = Home::new();
    home.add_account_unverified("home", &hub.url(), "not-the-token").ok();
    let daemon = home.daemon();
    let status = home.wait_state("home", "halted");
    assert!(status.to_string().to_lowercase().contains("token"), "{status}");
    assert!(daemon.stop().success());
}

#[test]
fn an_unknown_account_is_named_in_the_refusal() {
    let home = Home::new();
    let _daemon = home.daemon();
    refused(&home.run(&["send", "nobody", "bob", "x"]), 1, &["nobody"]);
    refused(&home.run(&["history", "--account", "nobody"]), 1, &["nobody"]);
}

#[test]
fn a_hub_that_is_down_at_the_start_is_waited_for() {
    let mut hub = Hub::down();
    let home = Home::new();
    home.add_account_unverified("home", &hub.url(), &hub.user("alice")).ok();
    let _daemon = home.daemon();
    let status = eventually("a first failed attempt", || {
        Some(home.status("home")).filter(|status| !status["last_error"].is_null())
    });
    assert_ne!(status["state"], "online", "{status}");
    assert_ne!(status["state"], "halted", "{status}");
    hub.up();
    home.wait_state("home", "online");
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let daemon = home.daemon();
    refused(&home.run(&["run"]), 1, &["already", "another", "lock"]);
    home.run(&["status", "--json"]).ok();
    assert!(daemon.stop().success());
}

#[test]
fn plain_websockets_beyond_this_machine_are_refused_without_a_single_packet() {
    let home = Home::new();
    let answer = home.add_account("home", "ws://192.0.2.1:9", "secret-token");
    refused(&answer, 1, &["ws://", "wss://", "insecure", "encrypt", "tls"]);
}

#[test]
fn a_hub_beyond_loopback_without_tls_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let home = Home::new();
    let answer = home.run(&["hub", "run", "--listen", "0.0.0.0:0", "--data", data.path().to_str().unwrap()]);
    refused(&answer, 2, &["tls"]);
}

#[test]
fn an_unknown_key_of_the_configuration_is_refused_with_its_place() {
    let hub = Hub::start();
    let home = Home::with_account("home", &hub);
    let file = home.path().join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().count() + 1;
    std::fs::write(&file, format!("{text}\nno_such_key = 1\n")).unwrap();
    let answer = home.run(&["run"]);
    assert_ne!(answer.code, 0);
    assert!(answer.stderr.contains("no_such_key"), "{answer:?}");
    assert!(answer.stderr.contains(&line.to_string()) || answer.stderr.contains(&(line + 1).to_string()), "{answer:?}");
}

#[test]
fn something_else_that_listens_there_is_not_taken_for_a_hub() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            use std::io::{Read, Write};
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let page = "<html>Welcome to the hotel. Please log in.</html>";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
                page.len()
            );
        }
    });
    let home = Home::new();
    home.add_account_unverified("home", &url, "any-token").ok();
    let _daemon = home.daemon();
    let status = eventually("a first failed attempt", || {
        Some(home.status("home")).filter(|status| !status["last_error"].is_null())
    });
    assert_ne!(status["state"], "halted", "a portal never signs anybody out: {status}");
}

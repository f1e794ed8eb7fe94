//! A real `systemd --user` installs, starts, watches, restarts and stops the built binary.

use crate::support::{eventually, skip, wakeful};
use crate::{file, within};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

#[test]
fn systemd_starts_watches_and_stops_the_daemon() {
    let mut wrapper = Command::new(file("tests/service/with-user-systemd"));
    let status = within(&mut wrapper, "unit::inside_a_user_manager");
    if status.code() == Some(77) {
        return skip("service", "no user manager can be run here");
    }
    assert!(status.success(), "see above");
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn ours(arguments: &[&str]) -> Output {
    run(wakeful().to_str().unwrap(), arguments)
}

fn property(name: &str) -> String {
    let out = run("systemctl", &["--user", "show", "wakeful.service", "--value", "--property", name]);
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The daemon lives again under another pid, and is ready.
fn restarted(before: &str) {
    eventually("the daemon is started again", || {
        (property("MainPID") != before && property("ActiveState") == "active").then_some(())
    });
}

fn kill(signal: &str) -> String {
    let pid = property("MainPID");
    assert!(run("kill", &[signal, &pid]).status.success());
    pid
}

#[test]
#[ignore = "runs within a user manager"]
fn inside_a_user_manager() {
    let installed = ours(&["service", "install"]);
    assert!(installed.status.success(), "{}", said(&installed));
    assert_eq!([property("ActiveState"), property("UnitFileState")], ["active", "enabled"]);
    assert!(property("StatusText").starts_with("no accounts"), "{}", property("StatusText"));
    assert!(ours(&["status"]).status.success(), "active means that the socket listens");
    let found = crate::keyring::doctor("service");
    assert_eq!((&found["state"], &found["text"]), (&"good".into(), &"installed, enabled and running".into()));
    let state = ours(&["service", "status", "--json"]);
    assert!(String::from_utf8_lossy(&state.stdout).contains("\"active\":true"), "{state:?}");
    let second = ours(&["start"]);
    assert!(said(&second).contains("runs already"), "{}", said(&second));

    assert!(run("systemctl", &["--user", "reload", "wakeful"]).status.success(), "ExecReload works");
    restarted(&kill("-KILL"));
    assert_eq!(property("NRestarts"), "1");
    watchdog();

    let asked = Instant::now();
    assert!(run("systemctl", &["--user", "stop", "wakeful"]).status.success());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!([property("ActiveState"), property("Result")], ["inactive", "success"]);
    let found = crate::keyring::doctor("service");
    assert!(found["state"] == "bad" && found["remedy"].as_str().unwrap().contains("systemctl"), "{found}");
    socket();
    let removed = ours(&["service", "uninstall"]);
    assert!(removed.status.success(), "{}", said(&removed));
    assert_eq!(property("LoadState"), "not-found");
}

/// With a short limit: a daemon that lives is left alone, one that hangs is killed and started again.
fn watchdog() {
    let dir = std::env::home_dir().unwrap().join(".config/systemd/user/wakeful.service.d");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("short.conf"), "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n").unwrap();
    assert!(run("systemctl", &["--user", "daemon-reload"]).status.success());
    assert!(run("systemctl", &["--user", "restart", "wakeful"]).status.success());
    let pid = property("MainPID");
    // Twice the limit: nothing but its own word keeps the daemon alive.
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        assert_eq!(property("MainPID"), pid, "the watchdog was not fed");
        std::thread::yield_now();
    }
    let hung = kill("-STOP");
    restarted(&hung);
    assert!(ours(&["status"]).status.success());
}

/// Socket activation: the first client starts the daemon, which serves it on the manager's socket.
fn socket() {
    let unit = std::env::home_dir().unwrap().join(".config/systemd/user/wakeful.socket");
    std::fs::copy(file("systemd/wakeful.socket"), &unit).unwrap();
    assert!(run("systemctl", &["--user", "daemon-reload"]).status.success());
    assert!(run("systemctl", &["--user", "start", "wakeful.socket"]).status.success());
    assert_eq!(property("ActiveState"), "inactive");
    let status = ours(&["status"]);
    assert!(status.status.success(), "{}", said(&status));
    assert_eq!(property("ActiveState"), "active");
    assert!(run("systemctl", &["--user", "stop", "wakeful.socket", "wakeful.service"]).status.success());
    std::fs::remove_file(unit).unwrap();
}

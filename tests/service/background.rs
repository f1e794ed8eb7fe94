//! `wakeful start` and `stop` without a service manager: their exit status tells the truth.

use crate::support::Home;

struct Started<'a>(&'a Home);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        self.0.run(&["stop"]);
    }
}

#[test]
fn a_start_that_succeeds_leaves_one_daemon_that_stop_ends() {
    let home = Home::new();
    assert_eq!(home.run(&["stop"]).code, 3, "there is nothing to stop");
    home.run(&["start"]).ok();
    let _stop = Started(&home);
    assert_eq!(home.run(&["status"]).code, 0, "ready means that the socket listens");
    let again = home.run(&["start"]);
    assert_eq!(again.code, 0);
    assert!(again.stderr.contains("runs already (process "), "{}", again.stderr);
    let second = home.run(&["run"]);
    assert_eq!(second.code, 1, "only one daemon may own the state: {}", second.stderr);
    assert!(second.stderr.contains("another wakeful daemon (process "), "{}", second.stderr);
    home.run(&["stop"]).ok();
    assert_eq!(home.run(&["status"]).code, 3);
    let mode = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&home.path().join("state/wakeful.log")), 0o600);
    assert_eq!(mode(&home.path().join("run")), 0o700);
}

#[test]
fn a_start_that_fails_before_anything_opens_shows_the_place_of_the_mistake() {
    let home = Home::new();
    std::fs::write(home.path().join("config.toml"), "[daemon]\nlogs = \"x\"\n").unwrap();
    let answer = home.run(&["start"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("config.toml:2:1: unknown field `logs`"), "{}", answer.stderr);
}

#[test]
fn a_start_that_fails_late_is_not_called_ready() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join("run/socket")).unwrap();
    let answer = home.run(&["start"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("ended before it was ready"), "{}", answer.stderr);
    assert!(answer.stderr.contains("socket"), "the log's end tells why: {}", answer.stderr);
}

#[test]
fn a_start_within_a_service_manager_is_refused() {
    let home = Home::new();
    for variable in ["NOTIFY_SOCKET", "XPC_SERVICE_NAME"] {
        let mut command = home.command(&["start"]);
        let output = command.env(variable, "org.example.job").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{variable}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("wakeful run"), "it says what to do instead: {said}");
    }
    assert_eq!(home.run(&["status"]).code, 3, "nothing was started");
}

#[test]
fn a_daemon_stops_in_time_while_a_server_says_nothing() {
    let home = Home::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", silent.local_addr().unwrap());
    home.add_account_unverified("a", &url, "token").ok();
    let daemon = home.daemon();
    let _dialing = silent.accept().unwrap();
    let asked = std::time::Instant::now();
    assert!(daemon.stop().success());
    assert!(asked.elapsed() < std::time::Duration::from_secs(4), "{:?}", asked.elapsed());
}

#[test]
fn a_configuration_that_is_not_right_is_not_taken_and_the_daemon_goes_on() {
    let home = Home::new();
    let daemon = home.daemon();
    let config = home.path().join("config.toml");
    std::fs::write(&config, "[account.a]\nprotocol = \"hub\"\n").unwrap();
    let refused = home.run(&["reload"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("config.toml:1:1: account a: a hub account needs url"), "{}", refused.stderr);
    std::fs::write(&config, "[account.a]\nprotocol = \"hub\"\nurl = \"ws://127.0.0.1:9/\"\n").unwrap();
    assert_eq!(home.run(&["reload", "--json"]).json()["added"][0], "a");
    let status = home.wait_state("a", "halted");
    assert!(status.to_string().contains("no secret is stored for account a"), "{status}");
    std::fs::write(&config, "").unwrap();
    assert_eq!(home.run(&["reload", "--json"]).json()["removed"][0], "a");
    drop(daemon);
}

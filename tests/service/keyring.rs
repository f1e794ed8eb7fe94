//! A real keyring (gnome-keyring) on a bus of its own.

use crate::support::{Process, eventually, skip, wakeful};
use crate::within;
use rustix::process::Signal;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wakeful::model::Secret;
use wakeful::platform::secrets::{Kept, SecretError, Secrets};

#[test]
fn a_secret_goes_to_the_keyring_where_there_is_one() {
    if Command::new("gnome-keyring-daemon").arg("--version").output().is_err() {
        return skip("service", "gnome-keyring is not installed");
    }
    let home = tempfile::tempdir().unwrap();
    let mut wrapper = Command::new("dbus-run-session");
    wrapper.arg("--").env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
    wrapper.env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
    assert!(within(&mut wrapper, "keyring::inside_a_session").success(), "see above");
}

#[tokio::test]
#[ignore = "runs within a session of its own"]
async fn inside_a_session() {
    let mut daemon = Command::new("gnome-keyring-daemon")
        .args(["--foreground", "--components=secrets", "--unlock"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    daemon.stdin.take().unwrap().write_all(b"test").unwrap();
    let ask = |name: &str, method: &str, argument: &str| {
        let to = if name.contains("DBus") { "/org/freedesktop/DBus" } else { "/org/freedesktop/secrets" };
        let mut call = Command::new("busctl");
        call.args(["--user", "call", name, to, method, argument]);
        call.args(["s", if name.contains("DBus") { "org.freedesktop.secrets" } else { "default" }]);
        String::from_utf8_lossy(&call.output().unwrap().stdout).into_owned()
    };
    let bus = "org.freedesktop.DBus";
    eventually("the keyring is there", || ask(bus, bus, "NameHasOwner").contains("true").then_some(()));
    let service = ["org.freedesktop.secrets", "org.freedesktop.Secret.Service"];
    eventually("it is open", || ask(service[0], service[1], "ReadAlias").contains("collection").then_some(()));

    let files = tempfile::tempdir().unwrap();
    let secrets = Secrets::session(files.path().join("secrets"));
    assert!(matches!(secrets.get("a").await, Err(SecretError::Missing(_))));
    for text in ["s3cret", "another"] {
        assert_eq!(secrets.set("a", &Secret::new(text.into())).await.unwrap(), Kept::Keyring);
        assert_eq!(secrets.get("a").await.unwrap().expose(), text);
    }
    assert!(!files.path().join("secrets/a").exists(), "a secret in the keyring stands in no file");
    assert!(matches!(secrets.get("b").await, Err(SecretError::Missing(_))));
    secrets.remove("a").await.unwrap();
    assert!(matches!(secrets.get("a").await, Err(SecretError::Missing(_))));

    // `doctor` asks the same keyring, and says so when it is gone.
    let config = std::env::home_dir().unwrap().join(".config/wakeful");
    std::fs::create_dir_all(&config).unwrap();
    let text = "[account.home]\nprotocol = \"hub\"\nurl = \"ws://127.0.0.1:1\"\n";
    std::fs::write(config.join("config.toml"), text).unwrap();
    secrets.set("home", &Secret::new("s3cret".into())).await.unwrap();
    let found = doctor("secret");
    assert_eq!((&found["state"], &found["text"]), (&"good".into(), &"home: can be read".into()), "{found}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    eventually("the keyring has gone", || ask(bus, bus, "NameHasOwner").contains("false").then_some(()));
    let found = doctor("secret");
    assert!(found["state"] == "bad" && !found["remedy"].as_str().unwrap().is_empty(), "{found}");
}

/// One finding of `wakeful doctor`, in this environment.
pub fn doctor(check: &str) -> serde_json::Value {
    let output = Command::new(wakeful()).args(["doctor", "--json"]).env_remove("WAKEFUL_HOME").output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["checks"].as_array().unwrap().iter().find(|found| found["check"] == check);
    found.unwrap_or_else(|| panic!("{check}: {report}")).clone()
}

/// Everything of the session hangs: whoever connects to its bus waits for a word that never comes.
#[test]
fn a_reload_that_waits_for_a_keyring_does_not_hold_up_the_end() {
    let home = tempfile::tempdir().unwrap();
    let bus = home.path().join("bus");
    let listener = UnixListener::bind(&bus).unwrap();
    let config = home.path().join("config/wakeful");
    std::fs::create_dir_all(&config).unwrap();
    let account = |n| format!("[account.a{n}]\nprotocol = \"hub\"\nurl = \"ws://127.0.0.1:1\"\n");
    std::fs::write(config.join("config.toml"), (0..4).map(account).collect::<String>()).unwrap();
    let mut command = Command::new(wakeful());
    command.arg("run").env_remove("WAKEFUL_HOME").env_remove("NOTIFY_SOCKET").env("HOME", home.path());
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()));
    for (name, dir) in [("CONFIG", "config"), ("STATE", "state"), ("CACHE", "cache"), ("DATA", "data")] {
        command.env(format!("XDG_{name}_HOME"), home.path().join(dir));
    }
    command.env("XDG_RUNTIME_DIR", home.path());
    let mut daemon = Process::start("daemon", &mut command);
    daemon.wait_line("that it is ready", |line| line.contains("ready").then_some(()));
    // Four accounts ask for their secrets, and the notification task looks for its server.
    let mut waiting: Vec<_> = (0..5).map(|_| listener.accept().unwrap()).collect();
    daemon.signal(Signal::HUP);
    // The reload asks again whether a secret has changed.
    waiting.push(listener.accept().unwrap());
    let asked = Instant::now();
    assert!(daemon.stop().success());
    assert!(asked.elapsed() < Duration::from_millis(3_500), "{:?}\n{}", asked.elapsed(), daemon.log());
}

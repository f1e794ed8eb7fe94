//! A real keyring (gnome-keyring) on a bus of its own.

use crate::support::{eventually, skip};
use crate::within;
use std::io::Write as _;
use std::process::{Command, Stdio};
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

    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

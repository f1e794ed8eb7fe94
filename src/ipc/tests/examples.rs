//! The clients in other languages, against the real socket.

use super::*;
use std::process::Stdio;

async fn selftest(interpreter: &str, script: &str) {
    let found = tokio::process::Command::new(interpreter).arg("--version").stdout(Stdio::null()).status().await;
    if found.is_err() {
        return;
    }
    let mut house = House::new().await;
    house.conversation("team").await;
    house.arrive("team", 0..20).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(script);
    let mut command = tokio::process::Command::new(interpreter);
    command.arg(script).arg(house.socket()).args(["ann", "team", "20"]).env("PYTHONDONTWRITEBYTECODE", "1");
    let run = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), run).await.expect("it ends").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.starts_with(b"ok"), "{errors}");
}

#[tokio::test]
async fn the_python_client_reads_sends_and_listens() {
    selftest("python3", "python/selftest.py").await;
}

#[tokio::test]
async fn the_javascript_client_reads_sends_and_listens() {
    selftest("node", "js/selftest.mjs").await;
}

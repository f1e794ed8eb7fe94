//! What the hub does in a second and what an idle connection costs, beside the bare disk in the same run.
//! `cargo bench --bench hub`. Linux only for the memory.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(dead_code, reason = "the tests' client can do more than is measured here")]

#[path = "../tests/hub/client.rs"]
mod client;

use client::{Client, cid};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const SINGLE: usize = 200;
const MANY: usize = 5_000;
const FLIGHT: usize = 64;
const IDLE: u32 = 500;

struct Process(Child, SocketAddr);

impl Process {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wakeful"));
        command.args(["hub", "run", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on ws://").expect("it listens").parse().unwrap();
        Self(child, addr)
    }

    /// Anonymous memory, KiB.
    fn anonymous(&self) -> u32 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0.id())).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Anonymous:"));
        line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn user(data: &Path, name: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakeful"));
    let output = command.args(["hub", "user", "add", name, "--data"]).arg(data).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64()
}

/// Rows like a message's, as many a commit as the hub has requests in flight.
fn bare_disk(dir: &Path) -> f64 {
    let conn = rusqlite::Connection::open(dir.join("bare.db")).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode=wal; PRAGMA synchronous=FULL; CREATE TABLE m(id INTEGER PRIMARY KEY, t TEXT);",
    )
    .unwrap();
    let began = Instant::now();
    for _ in 0..MANY / FLIGHT {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..FLIGHT {
            conn.prepare_cached("INSERT INTO m(t) VALUES (?1)").unwrap().execute(["x".repeat(200)]).unwrap();
        }
        conn.execute_batch("COMMIT").unwrap();
    }
    rate(MANY, began.elapsed())
}

async fn send_many(client: &mut Client) -> Duration {
    let began = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    while answered < MANY {
        while sent < MANY && sent < answered + FLIGHT {
            sent += 1;
            let body = json!({"type": "text", "text": "x".repeat(100)});
            let send = json!({"t": "send", "id": sent, "to": "bob", "cid": cid(), "body": body});
            client.write(&send).await;
        }
        let frame = client.frame().await;
        answered += usize::from(frame["t"] == "ok");
        if frame["t"] == "ev" {
            client.cur = frame["cur"].as_u64().unwrap();
            client.ack().await;
        }
    }
    began.elapsed()
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let (alice, bob, idle) = (user(dir.path(), "alice"), user(dir.path(), "bob"), user(dir.path(), "idle"));
    let hub = Process::start(dir.path());
    let mut alice = Client::ready(hub.1, &alice).await;
    let began = Instant::now();
    for _ in 0..SINGLE {
        alice.say("bob", "x").await;
    }
    println!("one at a time: {:.0} sends/s", rate(SINGLE, began.elapsed()));
    let mut bob = Client::ready(hub.1, &bob).await;
    let began = Instant::now();
    let receive = async {
        bob.events.clear();
        bob.texts(MANY).await;
        began.elapsed()
    };
    let (sending, receiving) = tokio::join!(send_many(&mut alice), receive);
    let (sends, bare) = (rate(MANY, sending), bare_disk(dir.path()));
    println!("{FLIGHT} in flight: {sends:.0} sends/s, {:.0} deliveries/s", rate(MANY, receiving));
    println!("bare disk, {FLIGHT} rows a commit: {bare:.0} rows/s; the hub reaches {:.2} of it", sends / bare);
    drop((alice, bob));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = hub.anonymous();
    let mut connections = Vec::new();
    for _ in 0..IDLE {
        connections.push(Client::ready(hub.1, &idle).await);
    }
    let each = f64::from(hub.anonymous().saturating_sub(before)) / f64::from(IDLE);
    println!("an idle connection: {each:.1} KiB ({before} KiB before {IDLE} of them)");
}

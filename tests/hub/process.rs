//! The built binary: killed without warning under load, and reached over TLS.

use crate::client::{Client, cid};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio_tungstenite::tungstenite::Message;

/// A hub in a process of its own; killed when dropped.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wakeful"));
        command.args(["hub", "run", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on ws://").expect(&line).parse().unwrap();
        Self { child, addr }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn user(data: &Path, name: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakeful"));
    let output = command.args(["hub", "user", "add", name, "--data"]).arg(data).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Sends from `from` on, sixteen at a time, until the connection breaks: how many were answered with ok, in order.
async fn send_until_cut(client: &mut Client, cids: &mut Vec<String>, from: usize, most: usize) -> usize {
    let mut acked = from;
    let mut sent = from;
    while acked < most {
        while sent < most && sent < acked + 16 {
            if sent == cids.len() {
                cids.push(cid());
            }
            let body = json!({"type": "text", "text": format!("{sent}")});
            let send = json!({"t": "send", "id": sent + 1, "to": "bob", "cid": cids[sent], "body": body});
            client.write(&send).await;
            sent += 1;
        }
        match client.message().await {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(text.as_str()).unwrap();
                if frame["t"] == "ok" {
                    acked += 1;
                    assert_eq!(frame["re"], acked, "answers keep the order of the sends");
                }
            }
            _ => return acked,
        }
    }
    acked
}

#[tokio::test]
async fn a_hub_killed_again_and_again_under_load_keeps_every_acknowledged_message_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (alice, bob) = (user(dir.path(), "alice"), user(dir.path(), "bob"));
    let mut cids = Vec::new();
    let mut acked = 0;
    let mut most_doubled = 0;
    for round in 0..12_u64 {
        let mut hub = Process::start(dir.path());
        let mut client = Client::ready(hub.addr, &alice).await;
        let cut = async {
            tokio::time::sleep(std::time::Duration::from_millis(40 + 37 * round % 300)).await;
            hub.kill();
        };
        let (reached, ()) = tokio::join!(send_until_cut(&mut client, &mut cids, acked, usize::MAX), cut);
        most_doubled += cids.len() - reached;
        acked = reached;
    }
    let hub = Process::start(dir.path());
    let mut client = Client::ready(hub.addr, &alice).await;
    let all = cids.len();
    assert_eq!(send_until_cut(&mut client, &mut cids, acked, all).await, all);
    assert!(acked > 50 && most_doubled > 0, "the kills came under load: {acked} acknowledged, {most_doubled} in doubt");
    let mut reader = Client::dial(hub.addr, Some(&bob)).await.unwrap();
    reader.snapshot().await;
    let conv = reader.ok(json!({"t": "convs"})).await["convs"][0]["conv"].clone();
    let mut texts: Vec<usize> = Vec::new();
    let mut page = reader.ok(json!({"t": "hist", "conv": conv, "order": "asc", "limit": 200})).await;
    loop {
        let text = |msg: &Value| msg["body"]["text"].as_str().unwrap().parse::<usize>().unwrap();
        texts.extend(page["msgs"].as_array().unwrap().iter().map(text));
        let Some(cursor) = page.get("cursor").cloned() else { break };
        page = reader.ok(json!({"t": "hist", "cursor": cursor})).await;
    }
    assert_eq!(texts, (0..all).collect::<Vec<_>>());
}

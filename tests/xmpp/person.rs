//! The other person: slixmpp on plain TCP in a process of its own, driven by JSON lines.

use crate::server::{Kind, Server};
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody logged in with slixmpp.
pub(crate) struct Person {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    messages: VecDeque<Value>,
    presences: VecDeque<Value>,
    /// The connection is gone; slixmpp's own reconnect is not waited for.
    lost: bool,
}

impl Person {
    /// Logs in with the resource `other`.
    pub(crate) fn login(server: &Server, name: &str) -> Self {
        Self::login_as(server, name, "other")
    }

    /// Logs in with this resource.
    pub(crate) fn login_as(server: &Server, name: &str, resource: &str) -> Self {
        let address = server.tcp_address();
        let flavour = match server.kind {
            Kind::Prosody => "prosody",
            Kind::Ejabberd => "ejabberd",
        };
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xmpp/person.py"))
            .args([&format!("{name}@localhost/{resource}"), &address.ip().to_string(), &address.port().to_string()])
            .arg(flavour)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut to = child.stdin.take().expect("piped");
        writeln!(to, "{}", json!({ "password": format!("{name}-secret") })).expect("the person listens");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut person = Self { child, to, from, messages: VecDeque::new(), presences: VecDeque::new(), lost: false };
        person.answer("online");
        person
    }

    /// Sends a chat message; returns its id.
    pub(crate) fn send(&mut self, to: &str, text: &str) -> String {
        self.ask(json!({ "do": "send", "to": to, "body": text }))["id"].as_str().expect("an id").to_owned()
    }

    /// Sends a chat message if the connection still stands; `false`: it does not.
    pub(crate) fn try_send(&mut self, to: &str, text: &str) -> bool {
        let command = json!({ "do": "send", "to": to, "body": text });
        if !self.alive() || writeln!(self.to, "{command}").is_err() {
            return false;
        }
        while let Some(value) = self.take(PATIENCE) {
            if value["kind"] == "done" {
                return value["error"].is_null();
            }
            self.sort(value);
        }
        false
    }

    pub(crate) fn pid(&self) -> u32 {
        // `setpriv` became the interpreter.
        self.child.id()
    }

    /// Its connection to the server stands.
    pub(crate) fn alive(&mut self) -> bool {
        while let Ok(value) = self.from.try_recv() {
            self.sort(value);
        }
        !self.lost
    }

    /// Sends `count` messages `prefix0`, `prefix1`, … as fast as the server takes them, and waits until it has them.
    pub(crate) fn send_many(&mut self, to: &str, prefix: &str, count: usize) {
        self.ask(json!({ "do": "send_many", "to": to, "prefix": prefix, "count": count }));
    }

    /// Does anything else that `person.py` knows; returns its answer.
    pub(crate) fn ask(&mut self, command: Value) -> Value {
        writeln!(self.to, "{command}").expect("the person listens");
        self.answer("done")
    }

    /// The next message with a body, in the order of arrival.
    pub(crate) fn next_message(&mut self) -> Value {
        self.next_message_within(PATIENCE).expect("a message in time")
    }

    /// The next message with a body, if one comes in time.
    pub(crate) fn next_message_within(&mut self, patience: Duration) -> Option<Value> {
        while self.messages.is_empty() {
            let value = self.take(patience)?;
            self.sort(value);
        }
        self.messages.pop_front()
    }

    /// Waits for a presence of this type, from this address where one is given.
    pub(crate) fn wait_presence(&mut self, kind: &str, from: Option<&str>) {
        let mut seen = Vec::new();
        loop {
            while let Some(presence) = self.presences.pop_front() {
                if presence["type"] == kind && from.is_none_or(|from| presence["from"] == from) {
                    return;
                }
                seen.push(format!("{} from {}", presence["type"], presence["from"]));
            }
            let Some(value) = self.take(PATIENCE) else { panic!("no presence {kind} of {from:?}, only {seen:?}") };
            self.sort(value);
        }
    }

    /// All of this person's archive, or a room's, oldest first: `{id, from, to, body, origin}`. What came twice under one
    /// id of the archive is one message, and said.
    pub(crate) fn archive(&mut self, room: Option<&str>) -> Vec<Value> {
        let mut answer = self.ask(json!({ "do": "archive", "room": room }));
        let strays = answer["strays"].as_u64().expect("a number");
        let mut ids = BTreeSet::new();
        let mut messages = std::mem::take(answer["messages"].as_array_mut().expect("a list"));
        let all = messages.len();
        messages.retain(|message| ids.insert(message["id"].to_string()));
        if all > messages.len() || strays > 0 {
            eprintln!("the archive: {} came in two pages, {strays} that nobody had asked for", all - messages.len());
        }
        messages
    }

    fn answer(&mut self, kind: &str) -> Value {
        loop {
            let value = self.take(Duration::from_secs(300)).expect("an answer in time");
            if value["kind"] == kind {
                assert!(value["error"].is_null(), "slixmpp: {value}");
                return value;
            }
            self.sort(value);
        }
    }

    fn take(&self, patience: Duration) -> Option<Value> {
        match self.from.recv_timeout(patience) {
            Ok(value) => Some(value),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the other person's process ended"),
        }
    }

    fn sort(&mut self, value: Value) {
        match value["kind"].as_str() {
            Some("message") => self.messages.push_back(value),
            Some("presence") => self.presences.push_back(value),
            Some("disconnected") => self.lost = true,
            _ => {}
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The interpreter that has slixmpp: the one `tests/run` prepared, else the system's.
fn python() -> PathBuf {
    let prepared = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python3");
    if prepared.exists() { prepared } else { "python3".into() }
}

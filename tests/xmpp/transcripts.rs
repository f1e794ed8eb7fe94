//! Recorded exchanges with the real servers, replayed against the machine: told the same, it says the same, byte for byte.
//!
//! A recording is `tests/xmpp/transcripts/SERVER.jsonl`, one step a line. It is made anew, against servers started here,
//! with `WAKEFUL_RECORD=1 cargo test --test xmpp transcripts`.

use crate::both;
use crate::person::Person;
use crate::server::{Kind, Server, Setup, clock};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wakeful::link::dial::{self, Dialer as _, NetworkDialer, Socket, Wire};
use wakeful::machine::Machine as _;
use wakeful::model::{
    BatchId, CheckpointRow, Command, CommandKind, ConversationKey, ConversationKind, Event, MessageId, OutboxId,
    Outcome, Secret, Timestamp,
};
use wakeful::proto::xmpp::{Settings, Xmpp};
use wakeful::proto::{Frame, FrameBody, Input, Output, Protocol as _};

const ROOM: &str = "den@conference.localhost";

/// One step of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The connection stands.
    Opened,
    /// The connection is gone.
    Closed,
    /// The program was killed and started again from its disk.
    Restarted,
    /// So many milliseconds passed in silence.
    Waited(u64),
    /// The user's wish, with the row's number.
    Say(i64, String),
    Join(i64, String),
    /// A frame of the server's.
    Heard(String),
    /// A frame of ours.
    Said(String),
}

/// The machine with a disk in memory; everything that arrives is committed at once.
struct Player {
    xmpp: Xmpp,
    now: Instant,
    ticks: u64,
    disk: BTreeMap<String, Vec<u8>>,
    events: Vec<Event>,
    said: VecDeque<String>,
}

fn machine(disk: &BTreeMap<String, Vec<u8>>, seed: u64) -> Xmpp {
    let mut settings = Settings::new("alice@localhost", "wakeful", Secret::new("alice-secret".into()));
    settings.url = Some("ws://127.0.0.1/xmpp-websocket".into());
    let rows = disk.iter().map(|(key, value)| CheckpointRow { key: key.clone(), value: Some(value.clone()) });
    Xmpp::new(settings, &rows.collect::<Vec<_>>(), seed)
}

impl Player {
    fn new() -> Self {
        let disk = BTreeMap::new();
        Self { xmpp: machine(&disk, 1), now: clock(), ticks: 0, disk, events: Vec::new(), said: VecDeque::new() }
    }

    fn step(&mut self, step: &Step) {
        self.ticks += 1;
        let at = Timestamp(1_800_000_000_000 + i64::try_from(self.ticks).unwrap());
        match step {
            Step::Opened => self.input(Input::Opened { at }),
            Step::Closed => self.input(Input::Closed(None)),
            Step::Waited(ms) => {
                self.now += Duration::from_millis(*ms);
                self.xmpp.handle_timeout(self.now);
                self.drain();
            }
            Step::Restarted => self.xmpp = machine(&self.disk, self.ticks),
            Step::Heard(text) => self.input(Input::Frame(Frame::received(text, at))),
            Step::Say(row, text) => {
                let what = CommandKind::Send { text: text.clone(), reply_to: None, attachments: Vec::new() };
                let room = text.starts_with("room");
                let peer = if room { ROOM } else { "bob@localhost" };
                let kind = if room { ConversationKind::Group } else { ConversationKind::Direct };
                let key = ConversationKey { server: Some(peer.into()), peer: Some(peer.into()) };
                self.command(*row, what, Some(key), kind, at);
            }
            Step::Join(row, room) => {
                let what = CommandKind::Join { room: room.clone(), nick: Some("alice".into()) };
                self.command(*row, what, None, ConversationKind::Group, at);
            }
            Step::Said(_) => unreachable!("what we say is an output"),
        }
        let batch = BatchId(self.ticks);
        self.input(Input::Cut(batch));
        self.input(Input::Committed(batch));
    }

    fn command(
        &mut self,
        row: i64,
        what: CommandKind,
        to: Option<ConversationKey>,
        kind: ConversationKind,
        at: Timestamp,
    ) {
        let cid = MessageId::new(1_800_000_000_000, &[u8::try_from(row).unwrap(); 10]);
        let (outbox, maybe_sent, written_at) = (OutboxId(row), false, at);
        let command = Command { outbox, cid, conversation: to, conversation_kind: kind, what, maybe_sent, written_at };
        self.input(Input::Command(Box::new(command)));
    }

    fn input(&mut self, input: Input) {
        self.xmpp.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.xmpp.poll_output() {
            match output {
                Output::Transmit(Frame { body: FrameBody::Text(text), .. }) => self.said.push_back(text.to_string()),
                Output::Event(event) => self.events.push(event),
                Output::Checkpoint(_, checkpoint) => {
                    for CheckpointRow { key, value } in checkpoint.rows {
                        match value {
                            Some(value) => self.disk.insert(key, value),
                            None => self.disk.remove(&key),
                        };
                    }
                }
                _ => {}
            }
        }
    }

    /// Texts that came in, as the store would keep them: what the server named once stands once.
    fn heard(&self) -> Vec<String> {
        let mut names = Vec::new();
        let arrivals =
            self.events.iter().filter_map(|event| if let Event::Message(m) = event { Some(m) } else { None });
        let first = arrivals.filter(|m| !m.outgoing && m.server.is_some()).filter(|m| {
            let new = !names.contains(&m.server);
            names.push(m.server.clone());
            new
        });
        first.map(|m| m.text.clone()).collect()
    }

    fn sent(&self) -> Vec<i64> {
        let mut rows: Vec<i64> = self
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Settled(settled) if matches!(settled.outcome, Outcome::Sent { .. }) => Some(settled.outbox.0),
                _ => None,
            })
            .collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    fn caught_up(&self) -> usize {
        self.events.iter().filter(|event| **event == Event::CaughtUp).count()
    }
}

fn file(kind: Kind) -> PathBuf {
    let name = format!("{kind:?}.jsonl").to_lowercase();
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xmpp/transcripts").join(name)
}

/// A recording.
pub(crate) fn steps(kind: Kind) -> Vec<Step> {
    let text = std::fs::read_to_string(file(kind)).expect("a recording");
    text.lines().map(|line| serde_json::from_str(line).expect("a step")).collect()
}

/// What every recording shows, whoever the server was.
fn check(player: &Player) {
    // What was kept while offline comes before what the archive fills in.
    let mut heard = player.heard();
    heard.sort();
    assert_eq!(heard, ["five", "one", "room four", "six", "three", "two"]);
    assert_eq!(player.sent(), [1, 2, 3, 4]);
    assert!(player.caught_up() >= 4, "said {} times", player.caught_up());
    assert_eq!(player.xmpp.refused(), 0);
}

both!(told_the_same_it_says_the_same, |kind| {
    if std::env::var_os("WAKEFUL_RECORD").is_some() {
        record(kind);
    }
    let steps = steps(kind);
    assert!(steps.len() > 100, "a recording of {} steps", steps.len());
    let mut player = Player::new();
    for (line, step) in steps.iter().enumerate() {
        match step {
            Step::Said(frame) => assert_eq!(player.said.pop_front().as_ref(), Some(frame), "line {}", line + 1),
            step => {
                assert!(player.said.is_empty(), "line {}: it also said {:?}", line + 1, player.said);
                player.step(step);
            }
        }
    }
    assert!(player.said.is_empty());
    check(&player);
});

/// A live session that writes itself down.
struct Recorder {
    player: Player,
    steps: Vec<Step>,
    runtime: tokio::runtime::Runtime,
    socket: Option<Socket>,
}

impl Recorder {
    fn step(&mut self, step: Step) {
        self.player.step(&step);
        self.steps.push(step);
        while let Some(frame) = self.player.said.pop_front() {
            self.steps.push(Step::Said(frame.clone()));
            if let Some(socket) = &mut self.socket {
                self.runtime.block_on(socket.send(Wire::Frame(Frame::text(frame)))).ok();
            }
        }
    }

    fn open(&mut self, server: &Server) {
        let settings = dial::Settings { proxy: dial::Proxy::Direct, ..dial::Settings::default() };
        let place = wakeful::proto::Place::Url(server.ws_url());
        let endpoint = wakeful::proto::Endpoint { place, ..self.player.xmpp.endpoint() };
        self.socket = Some(self.runtime.block_on(NetworkDialer::new(settings).dial(endpoint)).unwrap());
        self.step(Step::Opened);
    }

    fn close(&mut self) {
        self.socket = None;
        self.step(Step::Closed);
    }

    /// Listens until `done`, and a moment longer.
    fn until(&mut self, what: &str, done: impl Fn(&Player) -> bool) {
        let end = clock() + Duration::from_secs(20);
        loop {
            let patience = Duration::from_millis(if done(&self.player) { 300 } else { 2_000 });
            let socket = self.socket.as_mut().unwrap();
            match self.runtime.block_on(async { tokio::time::timeout(patience, socket.next()).await }) {
                Ok(Some(Ok(Wire::Frame(Frame { body: FrameBody::Text(text), .. })))) => {
                    self.step(Step::Heard(text.to_string()));
                }
                Ok(Some(Ok(_))) => {}
                Ok(other) => panic!("{what}: the connection ended: {other:?}"),
                Err(_) if done(&self.player) => return,
                Err(_) => {
                    assert!(clock() < end, "{what}: waited in vain; {:?}", self.player.heard());
                    self.step(Step::Waited(2_000));
                }
            }
        }
    }
}

fn record(kind: Kind) {
    let mut server = Server::start(kind, Setup::default()).expect("a recording needs the server");
    let mut bob = Person::login(&server, "bob");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut r = Recorder { player: Player::new(), steps: Vec::new(), runtime, socket: None };
    r.open(&server);
    r.until("login", |p| p.caught_up() == 1);
    bob.send("alice@localhost", "one");
    r.until("one", |p| p.heard().len() == 1);
    r.step(Step::Say(1, "hello".into()));
    r.until("hello is sent", |p| p.sent() == [1]);
    // Resumed.
    r.close();
    bob.send("alice@localhost", "two");
    r.open(&server);
    r.until("resumed", |p| p.caught_up() == 2 && p.heard().len() == 2);
    // Killed and resumed from the disk.
    r.close();
    r.step(Step::Restarted);
    bob.send("alice@localhost", "three");
    r.open(&server);
    r.until("resumed from the disk", |p| p.caught_up() == 3 && p.heard().len() == 3);
    // A room.
    bob.ask(json!({ "do": "join", "room": ROOM, "nick": "bob" }));
    bob.ask(json!({ "do": "configure", "room": ROOM, "fields": { "muc#roomconfig_persistentroom": "1" } }));
    r.step(Step::Join(2, ROOM.into()));
    r.until("in the room", |p| p.sent() == [1, 2]);
    bob.ask(json!({ "do": "send", "to": ROOM, "type": "groupchat", "body": "room four" }));
    r.step(Step::Say(3, "room hello".into()));
    r.until("four", |p| p.heard().len() == 4 && p.sent() == [1, 2, 3]);
    // The server was restarted: a new session, and the archive.
    r.close();
    bob.send("alice@localhost", "five");
    r.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
    server.stop();
    server.up();
    let mut bob = Person::login(&server, "bob");
    bob.send("alice@localhost", "six");
    r.open(&server);
    r.until("caught up", |p| p.caught_up() == 4 && p.heard().len() == 6);
    r.step(Step::Say(4, "goodbye".into()));
    r.until("goodbye is sent", |p| p.sent() == [1, 2, 3, 4]);
    check(&r.player);
    let lines: Vec<String> = r.steps.iter().map(|step| serde_json::to_string(step).unwrap()).collect();
    std::fs::create_dir_all(file(kind).parent().unwrap()).unwrap();
    std::fs::write(file(kind), lines.join("\n") + "\n").unwrap();
}

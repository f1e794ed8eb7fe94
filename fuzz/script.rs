//! What a hostile server may do, as lines of text, played against the XMPP machine: the fuzz target and `tests/xmpp` share
//! it. A line is a frame, or one of these; after each a batch is cut and committed, unless that is held back.
//!
//! `!open`, `!lose`: the connection stands, breaks. `!restart SEED`: the daemon died. `!wait MS`. `!say N TEXT`: the user's
//! wish, as row N. `!join N ROOM`. `!hold`: commits wait; `!land`: they come. In a frame `@0` to `@9` stand for the ids
//! of our last questions, `@q` for that of our last query to an archive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wakeful::machine::Machine as _;
use wakeful::model::{
    BatchId, CheckpointRow, Command, CommandKind, ConversationKey, ConversationKind, Event, MessageId, OutboxId,
    Secret, Timestamp,
};
use wakeful::proto::xmpp::{Settings, Xmpp};
use wakeful::proto::{Frame, FrameBody, Input, Output, Protocol as _};

/// Outputs that one line may lead to at most.
const MOST: usize = 20_000;

/// The machine, its disk, and what it may say by now.
pub(crate) struct Stage {
    xmpp: Xmpp,
    now: Instant,
    ticks: u64,
    disk: BTreeMap<String, Vec<u8>>,
    batch: Vec<(BatchId, Vec<CheckpointRow>)>,
    hold: bool,
    /// The password was accepted on this connection.
    proven: bool,
    open: bool,
    asked: Vec<String>,
    queried: String,
    /// Stanzas that came, and how many of them had when the last batch that is on disk was cut.
    stanzas: u32,
    on_disk: u32,
    cut_at: Vec<u32>,
    /// Messages it took for genuine.
    pub(crate) messages: usize,
}

fn machine(disk: &BTreeMap<String, Vec<u8>>, seed: u64) -> Xmpp {
    let mut settings = Settings::new("alice@localhost", "wakeful", Secret::new("pw".into()));
    settings.url = Some("ws://127.0.0.1/xmpp-websocket".into());
    settings.plain_without_tls = true;
    let rows = disk.iter().map(|(key, value)| CheckpointRow { key: key.clone(), value: Some(value.clone()) });
    Xmpp::new(settings, &rows.collect::<Vec<_>>(), seed)
}

/// Plays a script; panics where the machine breaks a promise.
pub(crate) fn play(script: &str, now: Instant) -> Stage {
    let disk = BTreeMap::new();
    let mut stage = Stage {
        xmpp: machine(&disk, 1),
        now,
        ticks: 0,
        disk,
        batch: Vec::new(),
        hold: false,
        proven: false,
        open: false,
        asked: Vec::new(),
        queried: String::new(),
        stanzas: 0,
        on_disk: 0,
        cut_at: Vec::new(),
        messages: 0,
    };
    for line in script.lines() {
        stage.line(line);
    }
    stage
}

impl Stage {
    /// Frames it refused.
    pub(crate) fn refused(&self) -> u64 {
        self.xmpp.refused()
    }

    fn line(&mut self, line: &str) {
        self.ticks += 1;
        let at = Timestamp(1_800_000_000_000 + i64::try_from(self.ticks).unwrap_or_default());
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "!open" => {
                (self.open, self.proven) = (true, false);
                self.input(Input::Opened { at });
            }
            "!lose" => {
                // As the driver does it, a batch that is cut lands first.
                self.land();
                (self.open, self.proven) = (false, false);
                self.input(Input::Closed(None));
            }
            "!restart" => {
                (self.open, self.proven) = (false, false);
                self.batch.clear();
                self.cut_at.clear();
                self.xmpp = machine(&self.disk, rest.parse().unwrap_or(2));
            }
            "!wait" => {
                self.now += Duration::from_millis(rest.parse::<u64>().unwrap_or(1_000).min(3_600_000));
                self.xmpp.handle_timeout(self.now);
                self.drain();
            }
            "!hold" => self.hold = true,
            "!land" => {
                self.hold = false;
                self.land();
            }
            "!say" | "!join" => self.wish(word, rest, at),
            _ if self.open => self.frame(line, at),
            _ => {}
        }
        self.cut();
    }

    fn wish(&mut self, word: &str, rest: &str, at: Timestamp) {
        let (row, text) = rest.split_once(' ').unwrap_or((rest, "x"));
        let row = row.parse::<i64>().unwrap_or(1).clamp(1, 200);
        let room = text.starts_with("room");
        let peer = if room { "den@conference.localhost" } else { "bob@localhost" };
        let (what, to) = if word == "!join" {
            (CommandKind::Join { room: text.into(), nick: None }, None)
        } else {
            let key = ConversationKey { server: Some(peer.into()), peer: Some(peer.into()) };
            (CommandKind::Send { text: text.into(), reply_to: None, attachments: Vec::new() }, Some(key))
        };
        let conversation_kind = if room { ConversationKind::Group } else { ConversationKind::Direct };
        let cid = MessageId::new(1_800_000_000_000, &[u8::try_from(row).unwrap_or_default(); 10]);
        let (outbox, maybe_sent, written_at, conversation) = (OutboxId(row), false, at, to);
        self.input(Input::Command(Box::new(Command {
            outbox,
            cid,
            conversation,
            conversation_kind,
            what,
            maybe_sent,
            written_at,
        })));
    }

    fn frame(&mut self, line: &str, at: Timestamp) {
        let mut text = line.replace("@q", &self.queried);
        for (back, id) in self.asked.iter().rev().take(10).enumerate() {
            text = text.replace(&format!("@{back}"), id);
        }
        self.proven |= text.contains("success");
        self.stanzas +=
            u32::from(["<message", "<iq", "<presence"].iter().any(|name| text.trim_start().starts_with(name)));
        self.input(Input::Frame(Frame::received(text, at)));
    }

    fn cut(&mut self) {
        if self.batch.is_empty() {
            self.cut_at.push(self.stanzas);
            self.input(Input::Cut(BatchId(self.ticks)));
        }
        if !self.hold {
            self.land();
        }
    }

    fn land(&mut self) {
        for (id, rows) in std::mem::take(&mut self.batch) {
            for CheckpointRow { key, value } in rows {
                match value {
                    Some(value) => self.disk.insert(key, value),
                    None => self.disk.remove(&key),
                };
            }
            self.on_disk = self.cut_at.drain(..).next_back().unwrap_or(self.on_disk);
            self.input(Input::Committed(id));
        }
    }

    fn input(&mut self, input: Input) {
        self.xmpp.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.xmpp.poll_output() {
            outputs += 1;
            assert!(outputs < MOST, "one line leads to ever more");
            match output {
                Output::Transmit(Frame { body: FrameBody::Text(text), .. }) => self.said(&text),
                Output::Transmit(_) => panic!("a frame that is not text"),
                Output::Ready => assert!(self.proven, "logged in without a login"),
                Output::Checkpoint(id, checkpoint) => self.batch.push((id, checkpoint.rows)),
                Output::Event(Event::Message(arrival)) => {
                    self.messages += 1;
                    assert!(self.proven, "a message before the login");
                    assert!(!arrival.sender.is_empty(), "a message of nobody's");
                }
                _ => {}
            }
        }
    }

    fn said(&mut self, text: &str) {
        assert!(text.starts_with('<') && text.ends_with('>'), "a frame begins with its element: {text}");
        let attribute = |name: &str| {
            let rest = text.split_once(&format!(" {name}='"))?.1;
            Some(rest.split('\'').next().unwrap_or_default().to_owned())
        };
        if text.starts_with("<iq") {
            self.asked.extend(attribute("id"));
            self.asked.drain(..self.asked.len().saturating_sub(10));
            self.queried = attribute("queryid").unwrap_or_else(|| std::mem::take(&mut self.queried));
        }
        // A counter of the server's may wrap; what came may not be overstated, and not acknowledged before it is on disk.
        if text.starts_with("<a ") {
            let h: u32 = attribute("h").and_then(|h| h.parse().ok()).expect("a number");
            assert!(h <= self.on_disk, "acknowledged {h} of {} on disk", self.on_disk);
        }
    }
}

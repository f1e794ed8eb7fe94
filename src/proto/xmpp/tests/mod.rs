//! The machine against a small server in memory, a model of the store and a clock of the test's own.

mod archives;
mod doubted;
mod forgeries;
mod logins;
mod messages;
mod roomy;
mod rows;
mod server;
mod sessions;
mod storms;

use super::{Settings, Xmpp};
use crate::machine::Machine;
use crate::model::{
    Arrival, BatchId, Checkpoint, CheckpointRow, Command, CommandKind, ConversationKind, Event, MessageId, Origin,
    OutboxId, Outcome, Reason, Secret, Timestamp,
};
use crate::proto::{Frame, FrameBody, Input, Output, Protocol, Verdict};
use server::{BOB, ME, Server};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What the store would have on disk.
#[derive(Default)]
struct Disk {
    rows: BTreeMap<String, Vec<u8>>,
    pub(super) messages: Vec<Arrival>,
    pub(super) events: Vec<Event>,
    /// The same, batch by batch.
    pub(super) batches: Vec<Vec<Event>>,
    pub(super) outbox: BTreeMap<OutboxId, Row>,
}

struct Row {
    pub(super) command: Command,
    pub(super) state: RowState,
    handed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RowState {
    Open,
    Sent,
    Failed(String),
}

impl Disk {
    fn apply(&mut self, events: Vec<Event>, checkpoint: Checkpoint) {
        self.batches.push(events.clone());
        for event in events {
            match &event {
                Event::Message(arrival) => self.message(arrival),
                Event::Settled(settled) => {
                    let Some(row) = self.outbox.get_mut(&settled.outbox) else { continue };
                    match &settled.outcome {
                        Outcome::Sent { .. } => row.state = RowState::Sent,
                        Outcome::Failed(failure) => row.state = RowState::Failed(failure.code.clone()),
                        Outcome::Later(_) => row.handed = false,
                    }
                }
                Event::Unconfirmed(outbox) => {
                    if let Some(row) = self.outbox.get_mut(outbox) {
                        row.state = RowState::Open;
                    }
                }
                _ => {}
            }
            self.events.push(event);
        }
        for CheckpointRow { key, value } in checkpoint.rows {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }

    /// The one rule of the store that matters here: what the server named once stands once.
    fn message(&mut self, arrival: &Arrival) {
        if let Some(own) = arrival.own_id {
            for row in self.outbox.values_mut().filter(|row| row.command.cid == own) {
                row.state = RowState::Sent;
            }
        }
        let known = |kept: &&Arrival| kept.server.is_some() && kept.server == arrival.server;
        if !self.messages.iter().any(|kept| known(&kept)) {
            self.messages.push(arrival.clone());
        }
    }

    pub(super) fn checkpoint(&self) -> Vec<CheckpointRow> {
        self.rows.iter().map(|(key, value)| CheckpointRow { key: key.clone(), value: Some(value.clone()) }).collect()
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.text.as_str()).collect()
    }
}

/// The machine, its server and its disk.
struct Rig {
    pub(super) xmpp: Xmpp,
    server: Server,
    pub(super) disk: Disk,
    pub(super) now: Instant,
    pub(super) wall: i64,
    filling: Vec<Event>,
    pending: Option<(BatchId, Vec<Event>, Checkpoint)>,
    next_batch: u64,
    pub(super) connected: bool,
    pub(super) ready: bool,
    pub(super) others: Vec<Output>,
    pub(super) verdict: Option<(Verdict, Reason)>,
    seed: u64,
}

pub(super) fn settings() -> Settings {
    let mut settings = Settings::new(ME, "r", Secret::new("pw".into()));
    settings.url = Some("ws://127.0.0.1:1/ws".into());
    settings.plain_without_tls = true;
    settings
}

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
pub(super) fn some_instant() -> Instant {
    Instant::now()
}

impl Rig {
    pub(super) fn new() -> Self {
        Self {
            xmpp: Xmpp::new(settings(), &[], 7),
            server: Server::new(),
            disk: Disk::default(),
            now: some_instant(),
            wall: 1_700_000_000_000,
            filling: Vec::new(),
            pending: None,
            next_batch: 1,
            connected: false,
            ready: false,
            others: Vec::new(),
            verdict: None,
            seed: 7,
        }
    }

    /// Connected and everything settled.
    pub(super) fn online() -> Self {
        let mut rig = Self::new();
        rig.connect();
        rig.run();
        assert!(rig.ready, "logged in");
        rig
    }

    pub(super) fn input(&mut self, input: Input) {
        self.xmpp.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.xmpp.poll_output() {
            match output {
                Output::Transmit(Frame { body: FrameBody::Text(text), .. }) => {
                    if self.connected {
                        self.server.take(&text);
                    }
                }
                Output::Transmit(_) => panic!("XMPP frames are text"),
                Output::Event(event) => self.filling.push(event),
                Output::Checkpoint(id, checkpoint) => {
                    self.pending = Some((id, std::mem::take(&mut self.filling), checkpoint));
                }
                Output::Ready => self.ready = true,
                Output::Disconnect(verdict, reason) => self.verdict = Some((verdict, reason)),
                other => self.others.push(other),
            }
        }
    }

    pub(super) fn connect(&mut self) {
        self.connected = true;
        self.ready = false;
        self.verdict = None;
        self.server.opened();
        self.input(Input::Opened { at: Timestamp(self.wall) });
    }

    /// The connection breaks. As the driver does it, a batch already cut lands first.
    pub(super) fn lose(&mut self) {
        if self.connected {
            self.connected = false;
            self.ready = false;
            self.server.gone();
            self.commit();
            self.filling.clear();
            self.input(Input::Closed(None));
        }
    }

    /// The daemon dies at once and starts again from its disk.
    pub(super) fn crash(&mut self) {
        self.connected = false;
        self.server.gone();
        self.filling.clear();
        self.pending = None;
        self.ready = false;
        self.seed += 1;
        self.xmpp = Xmpp::new(settings(), &self.disk.checkpoint(), self.seed);
    }

    /// One frame from the server; false where there is none.
    pub(super) fn frame(&mut self) -> bool {
        if self.server.wants_drop {
            self.server.wants_drop = false;
            self.lose();
            return false;
        }
        let Some(frame) = self.server.out.pop_front() else { return false };
        self.wall += 1;
        self.deliver(&frame);
        true
    }

    /// Frames from the server until this holds; there must be enough of them.
    pub(super) fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            assert!(self.frame());
        }
    }

    /// A frame that the server sends besides its own.
    pub(super) fn feed(&mut self, frame: &str) {
        self.server.sends(frame);
        self.deliver(frame);
    }

    fn deliver(&mut self, frame: &str) {
        self.input(Input::Frame(Frame::received(frame, Timestamp(self.wall))));
        if self.ready {
            self.offer();
        }
        if self.verdict.is_some() {
            self.lose();
        }
    }

    /// What the driver does after `Ready` and at every change of the outbox.
    pub(super) fn offer(&mut self) {
        let open: Vec<Command> = self
            .disk
            .outbox
            .values_mut()
            .filter(|row| row.state == RowState::Open)
            .map(|row| {
                let maybe_sent = std::mem::replace(&mut row.handed, true);
                Command { maybe_sent: maybe_sent || row.command.maybe_sent, ..row.command.clone() }
            })
            .collect();
        for command in open {
            self.input(Input::Command(Box::new(command)));
        }
    }

    pub(super) fn cut(&mut self) {
        if self.pending.is_none() {
            let id = BatchId(self.next_batch);
            self.next_batch += 1;
            self.input(Input::Cut(id));
        }
    }

    pub(super) fn commit(&mut self) {
        if let Some((id, events, checkpoint)) = self.pending.take() {
            self.disk.apply(events, checkpoint);
            self.input(Input::Committed(id));
            // The outbox rings when one of its rows has changed.
            if self.ready {
                self.offer();
            }
        }
    }

    /// Everything that is on its way arrives and is committed; then the timers run out, twice.
    pub(super) fn run(&mut self) {
        for _ in 0..3 {
            self.flow();
            self.pass(3);
        }
        self.flow();
    }

    pub(super) fn flow(&mut self) {
        for _ in 0..100_000 {
            let more = self.frame();
            self.cut();
            self.commit();
            if !more && self.server.out.is_empty() {
                return;
            }
        }
        panic!("client and server never come to rest");
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.wall += i64::try_from(seconds * 1_000).unwrap();
        self.xmpp.handle_timeout(self.now);
        self.drain();
    }

    /// The user sends something; returns its row.
    pub(super) fn write(&mut self, what: CommandKind, to: &str, kind: ConversationKind) -> OutboxId {
        let outbox = OutboxId(i64::try_from(self.disk.outbox.len()).unwrap() + 1);
        let cid = MessageId::new(u64::try_from(self.wall).unwrap(), &[u8::try_from(outbox.0 % 251).unwrap(); 10]);
        let key = super::inbound::direct(to);
        let conversation = (!to.is_empty()).then_some(key);
        let written_at = Timestamp(self.wall);
        let command =
            Command { outbox, cid, conversation, conversation_kind: kind, what, maybe_sent: false, written_at };
        self.disk.outbox.insert(outbox, Row { command, state: RowState::Open, handed: false });
        if self.ready {
            self.offer();
        }
        outbox
    }

    pub(super) fn say(&mut self, text: &str) -> OutboxId {
        let what = CommandKind::Send { text: text.into(), reply_to: None, attachments: Vec::new() };
        self.write(what, BOB, ConversationKind::Direct)
    }

    pub(super) fn state(&self, row: OutboxId) -> RowState {
        self.disk.outbox[&row].state.clone()
    }

    /// Frames the client sent that hold this text.
    pub(super) fn sent(&self, needle: &str) -> usize {
        self.server.got.iter().filter(|frame| frame.contains(needle)).count()
    }

    pub(super) fn origins(&self) -> Vec<Origin> {
        self.disk.messages.iter().map(|message| message.origin).collect()
    }

    pub(super) fn refused(&self) -> u64 {
        self.xmpp.refused()
    }
}

//! XMPP over WebSocket (RFC 6120, 6121, 7395) for one account, as a pure machine.
//!
//! Resuming a session (XEP-0198) is an optimisation; the archive (XEP-0313) is the guarantee. Nothing is acknowledged
//! before it was committed. It never does I/O, reads no clock and rolls no die.
//!
//! One `impl Xmpp` block a concern, each in its file; what they share are the fields below.

mod archive;
mod body;
mod bookmarks;
mod change;
mod disco;
mod doubts;
mod durable;
mod echoes;
mod errors;
mod failing;
mod groups;
mod history;
mod inbound;
mod iq;
mod jid;
mod live;
mod login;
mod ns;
mod occupants;
mod outbox;
mod rooms;
mod roster;
mod scram;
mod session;
mod settings;
mod sm;
mod stanzas;
mod tag;
mod unfinished;
mod xml;

#[cfg(test)]
mod tests;

pub use settings::Settings;

use super::{Endpoint, Frame, FrameBody, Input, Output, Place, Protocol, Refusal, Verdict};
use crate::machine::Machine;
use crate::model::{
    BatchId, Checkpoint, CheckpointRow, Command, Event, MessageId, OutboxId, Reason, Signal, Timestamp,
};
use durable::{Durable, Unseen};
use rooms::Room;
use roster::Roster;
use scram::Names;
use session::{Session, Stage};
use sm::Flight;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use unfinished::Unfinished;

/// Rows whose bounce is still recognised.
const RECENT: usize = 512;

/// A row that was put on the wire, so that an error for it finds it.
#[derive(Clone, Debug)]
struct Recent {
    cid: MessageId,
    outbox: OutboxId,
    to: String,
}

/// One XMPP account, for as long as it exists.
pub struct Xmpp {
    settings: Settings,
    /// Our bare JID.
    me: String,
    names: Names,
    /// Where the server sent us; used until a login there fails.
    elsewhere: Option<String>,
    /// Largest stanza to send, bytes; learnt from the server where it says so.
    max_stanza: usize,
    now: Option<Instant>,
    wall: Timestamp,
    out: VecDeque<Output>,
    refused: u64,
    /// As of the last stanza handled.
    durable: Durable,
    /// As of the last batch on disk.
    committed: Durable,
    /// Cut, not yet committed; each with the receipts it owes.
    cuts: VecDeque<(BatchId, Durable, Vec<Receipt>)>,
    /// Receipts owed once the batch now being filled is on disk (XEP-0184).
    receipts: Vec<Receipt>,
    session: Session,
    /// Pages that were unfinished when the last batch was cut, by archive.
    unfinished: BTreeMap<String, Unfinished>,
    flight: Flight,
    /// Connections that broke right after `<resume/>`.
    resume_drops: u8,
    roster: Roster,
    rooms: BTreeMap<String, Room>,
    /// Rows that wait for their turn, in their order.
    held: VecDeque<Command>,
    recent: VecDeque<Recent>,
    /// Own ids seen in archives since login.
    own_seen: BTreeSet<MessageId>,
    /// When to look for sent messages in the archive.
    confirm_at: Option<Instant>,
    /// When the last connection that had logged in was lost, as far as known.
    lost_at: Option<Timestamp>,
    /// Rows called sent that the lost session put in doubt, with their address; what is newer there waits.
    doubted: BTreeMap<OutboxId, String>,
    /// No longer than this.
    doubted_until: Option<Instant>,
    /// That they are in doubt is not on disk yet: it is in no batch, or in this one.
    doubts_uncut: bool,
    doubts_batch: Option<BatchId>,
    /// A GUI looks (XEP-0352).
    active: bool,
}

/// A receipt that is owed for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Receipt {
    to: String,
    id: String,
}

impl Xmpp {
    /// An account with the progress that was last committed. `seed` feeds nonces and ids.
    #[must_use]
    pub fn new(settings: Settings, checkpoint: &[CheckpointRow], seed: u64) -> Self {
        let durable = Durable::load(checkpoint);
        let me = jid::bare(&settings.jid).unwrap_or_else(|| settings.jid.clone());
        Self {
            me,
            settings,
            names: Names::new(seed),
            elsewhere: None,
            max_stanza: stanzas::MAX_STANZA,
            now: None,
            wall: Timestamp::default(),
            out: VecDeque::new(),
            refused: 0,
            committed: durable.clone(),
            durable,
            cuts: VecDeque::new(),
            receipts: Vec::new(),
            session: Session::default(),
            unfinished: BTreeMap::new(),
            flight: Flight::default(),
            resume_drops: 0,
            roster: Roster::default(),
            rooms: BTreeMap::new(),
            held: VecDeque::new(),
            recent: VecDeque::new(),
            own_seen: BTreeSet::new(),
            confirm_at: None,
            lost_at: None,
            doubted: BTreeMap::new(),
            doubted_until: None,
            doubts_uncut: false,
            doubts_batch: None,
            active: false,
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Ends the connection, once.
    fn disconnect(&mut self, verdict: Verdict, reason: Reason) {
        if !matches!(self.session.stage, Stage::Closed) {
            self.session.stage = Stage::Closed;
            self.out.push_back(Output::Disconnect(verdict, reason));
        }
    }

    fn broken(&mut self, detail: &str) {
        self.disconnect(Verdict::Retry, Reason::Protocol { detail: detail.to_owned() });
    }

    fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    fn in_time(&self, seconds: u64) -> Option<Instant> {
        self.now.map(|now| now + Duration::from_secs(seconds))
    }

    fn on_refused(&mut self, refusal: &Refusal) {
        let status = refusal.status;
        let pause = refusal.retry_after.map_or(Verdict::Retry, Verdict::RetryAfter);
        let reason = match status {
            429 | 503 => Reason::Busy { detail: format!("HTTP {status}") },
            _ if refusal.html => Reason::Portal { status },
            _ => Reason::Upgrade { status },
        };
        self.elsewhere = None;
        self.out.push_back(Output::Disconnect(pause, reason));
    }

    /// The batch ends here: its checkpoint is the progress as of now.
    fn on_cut(&mut self, batch: BatchId) {
        self.age_fresh();
        self.say_parts();
        self.note_unfinished();
        if std::mem::take(&mut self.doubts_uncut) {
            self.doubts_batch = Some(batch);
        }
        let base = self.cuts.back().map_or(&self.committed, |(_, durable, _)| durable);
        let rows = self.durable.changed_since(base);
        let receipts = std::mem::take(&mut self.receipts);
        self.cuts.push_back((batch, self.durable.clone(), receipts));
        self.out.push_back(Output::Checkpoint(batch, Checkpoint { rows }));
        if crate::mutant("xmpp-ack-before-commit") {
            self.on_committed(batch);
        }
    }

    fn on_committed(&mut self, batch: BatchId) {
        let mut receipts = Vec::new();
        while let Some((id, durable, owed)) = self.cuts.pop_front() {
            self.committed = durable;
            receipts.extend(owed);
            self.doubts_landed(id);
            if id == batch {
                break;
            }
        }
        if matches!(self.session.stage, Stage::Closed) {
            return self.fall_back();
        }
        self.acknowledge(false);
        for receipt in receipts {
            self.send_receipt(&receipt);
        }
        self.pump();
    }

    /// The connection is gone: what was not committed is forgotten; the server or its archive has it.
    fn on_closed(&mut self) {
        if matches!(self.session.stage, Stage::Resuming) {
            self.resume_drops = self.resume_drops.saturating_add(1);
        }
        if !self.session.logged_in {
            self.elsewhere = None;
        }
        if self.session.ready {
            self.lost_at = Some(self.wall);
        }
        (self.doubted_until, self.doubts_uncut, self.doubts_batch) = (None, false, None);
        self.session = Session::default();
        self.receipts.clear();
        self.fall_back();
        self.held.clear();
        self.out.clear();
        for room in self.rooms.values_mut() {
            room.connection_lost();
        }
    }

    /// Back to what is on disk. Only what was sent stays known.
    fn fall_back(&mut self) {
        let sent = std::mem::take(&mut self.durable.unseen);
        let shown = std::mem::take(&mut self.durable.fresh);
        self.durable = self.committed.clone();
        let mut on_disk = std::mem::take(&mut self.durable.unseen);
        for sent in &sent {
            on_disk.retain(|kept| kept.cid != sent.cid);
        }
        // That its archive showed it is forgotten too.
        let on_disk_as_shown = &self.durable.fresh;
        let mut shown: Vec<_> = shown.into_iter().filter(|(id, _)| !on_disk_as_shown.contains_key(id)).collect();
        shown.retain(|(_, fresh)| !on_disk.iter().chain(&sent).any(|kept| kept.cid == fresh.row.cid));
        if crate::mutant("xmpp-forget-what-was-shown") {
            shown.clear();
        }
        let shown = shown.into_iter().map(|(_, fresh)| Unseen { acked: true, ..fresh.row.clone() });
        // What the disk alone knows was seen in what is now forgotten.
        self.durable.unseen = on_disk.into_iter().chain(shown).chain(sent).collect();
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Attention(attention) => {
                self.active = attention.attached > 0;
                self.tell_activity();
            }
            Signal::Fetch(hole) => self.fetch(&hole),
            Signal::Typing { conversation, on } => self.send_typing(&conversation, on),
            Signal::Network { .. }
            | Signal::Sleeping
            | Signal::Woke { .. }
            | Signal::Power(_)
            | Signal::Locked(_)
            | Signal::Reconnect => {}
        }
    }

    fn on_frame(&mut self, frame: &Frame) {
        self.wall = frame.received_at;
        match &frame.body {
            FrameBody::Text(text) if text.len() <= settings::MAX_FRAME => self.on_text(text),
            FrameBody::Text(_) | FrameBody::Binary(_) => self.refuse(),
        }
    }
}

impl Machine for Xmpp {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        self.now = Some(now);
        match input {
            Input::Opened { at } => {
                self.wall = at;
                self.on_opened();
            }
            Input::Refused(refusal) => self.on_refused(&refusal),
            Input::Frame(frame) => self.on_frame(&frame),
            Input::Command(command) => self.on_command(*command),
            Input::Probe(n) => self.on_probe(n),
            Input::Cut(batch) => self.on_cut(batch),
            Input::Committed(batch) => self.on_committed(batch),
            Input::CommitFailed(_) => {}
            Input::Signal(signal) => self.on_signal(signal),
            Input::Closed(_) => self.on_closed(),
        }
        self.ask_for_ack();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = Some(now);
        self.on_time(now);
        self.ask_for_ack();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let asked = self.session.asks.values().filter_map(|ask| ask.until).min();
        let rooms = self.rooms.values().flat_map(|room| [room.again_at, room.echoes.ask_at()]).flatten().min();
        let awaited = self.session.awaited.as_ref().map(|(_, until)| *until);
        let archives = self.session.syncs.values().filter_map(|sync| sync.again_at).min();
        [asked, rooms, archives, self.confirm_at, self.doubted_until, awaited].into_iter().flatten().min()
    }
}

impl Protocol for Xmpp {
    fn endpoint(&self) -> Endpoint {
        let place = match self.elsewhere.as_ref().or(self.settings.url.as_ref()) {
            Some(url) => Place::Url(url.clone()),
            None => Place::HostMeta(self.settings.domain().to_owned()),
        };
        Endpoint { place, subprotocol: "xmpp", headers: Vec::new(), max_frame: settings::MAX_FRAME }
    }

    fn refused(&self) -> u64 {
        self.refused
    }
}

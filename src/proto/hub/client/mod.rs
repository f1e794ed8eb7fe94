//! The client's side of `wakeful.v1.json`, pure. It acknowledges only what is on disk, applies events only where they
//! fit its cursor, and never signs anybody out.

mod again;
mod commands;
mod desk;
mod facts;
mod history;
mod progress;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod verdict;

pub use settings::Settings;

use super::wire::client::{self, ClientFrame};
use super::wire::server::{Err, Ok, Pong, ServerFrame};
use super::wire::{ErrorCode, Mode, SUBPROTOCOL, decode_server, encode, event};
use crate::machine::Machine;
use crate::model::{Attention, BatchId, Command, Event, OutboxId, Power, Reason, Secret, Signal};
use crate::proto::{CloseCode, Endpoint, Frame, FrameBody, Input, Output, Place, Protocol, Verdict};
use again::Again;
use desk::{Desk, Request};
use progress::Ledger;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Where the connection is.
#[derive(Debug)]
enum Phase {
    /// There is none.
    Closed,
    /// Hello is out.
    Greeting,
    /// The snapshot is coming. `seen`: its conversations so far; `fresh`: nothing was known before.
    Snapshot { seen: BTreeSet<String>, fresh: bool },
    /// Events flow.
    Live,
}

/// Events were announced that did not come.
#[derive(Debug)]
struct Repair {
    until: Instant,
    asked: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    ledger: Ledger,
    me: facts::Me,
    phase: Phase,
    desk: Desk,
    /// Pages of the catch-up that the hub could not give, until they are asked for again.
    again: Again,
    /// The stream's end when it was last told.
    head: u64,
    caught_up: bool,
    /// Where the last acknowledgement stands.
    acked: u64,
    /// Nothing was acknowledged on this connection; a hello alone gives nobody a receipt.
    owes: bool,
    probe: Option<u64>,
    heard_ev: bool,
    repair: Option<Repair>,
    interval: Option<Duration>,
    server_timeout: Option<Duration>,
    hist_limit: u64,
    later: BTreeMap<OutboxId, u32>,
    /// Read marks that reach over what is still being fetched.
    waiting: Vec<Command>,
    attention: Attention,
    power: Power,
    mode: Mode,
    redirect: Option<String>,
    /// A verdict on this connection was given.
    judged: bool,
    refused: u64,
    outputs: VecDeque<Output>,
}

impl Hub {
    /// The machine for one account.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            ledger: Ledger::load(&settings.checkpoint),
            settings,
            me: facts::Me::default(),
            phase: Phase::Closed,
            desk: Desk::new(),
            again: Again::default(),
            head: 0,
            caught_up: false,
            acked: 0,
            owes: false,
            probe: None,
            heard_ev: false,
            repair: None,
            interval: None,
            server_timeout: None,
            hist_limit: 200,
            later: BTreeMap::new(),
            waiting: Vec::new(),
            attention: Attention::default(),
            power: Power::default(),
            mode: Mode::Bg,
            redirect: None,
            judged: false,
            refused: 0,
            outputs: VecDeque::new(),
        }
    }

    fn transmit<T: Clone + Into<ClientFrame>>(&mut self, frame: &T) {
        let frame: ClientFrame = frame.clone().into();
        self.outputs.push_back(Output::Transmit(Frame::text(encode(&frame))));
    }

    fn fact(&mut self, event: Event) {
        self.ledger.fact();
        self.outputs.push_back(Output::Event(event));
    }

    fn facts(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.fact(event);
        }
    }

    fn pump(&mut self) {
        while let Some(text) = self.desk.pop() {
            self.outputs.push_back(Output::Transmit(Frame::text(text)));
        }
    }

    fn disconnect(&mut self, verdict: Verdict, reason: Reason) {
        if !self.judged {
            self.judged = true;
            self.outputs.push_back(Output::Disconnect(verdict, reason));
        }
    }

    fn ready(&mut self) {
        self.outputs.push_back(Output::Ready);
    }

    /// The stream flows from here on.
    fn live(&mut self) {
        self.acked = self.ledger.durable().unwrap_or_default();
        self.begin_fills();
        self.check_caught_up();
    }

    /// What is on disk and may be acknowledged. While messages below the cursor are still being fetched it is nothing:
    /// their senders would read that they have arrived.
    fn acknowledgeable(&self) -> Option<u64> {
        let fetching = self.is_filling(|_| true) || !self.ledger.is_idle();
        let held = fetching && self.ledger.lacks() && !crate::mutant("hub-ack-over-gap");
        self.ledger.durable().filter(|_| !held)
    }

    /// Everything missed is here: the stream has reached where it stood at welcome, and no gap is being filled.
    fn check_caught_up(&mut self) {
        let reached = self.ledger.cursor().is_some_and(|cursor| cursor.cur >= self.head);
        let asked = self.desk.any(|open| matches!(open, Request::Fill { .. } | Request::Repair { .. }));
        let coming = asked || self.again.any(|_, _| true);
        if reached && !coming && !self.caught_up && matches!(self.phase, Phase::Live) {
            self.caught_up = true;
            self.fact(Event::CaughtUp);
        }
    }

    /// Tells the hub how far everything is on disk.
    fn acknowledge(&mut self) {
        let Some(cur) = self.acknowledgeable().filter(|cur| *cur > self.acked || self.owes) else { return };
        if matches!(self.phase, Phase::Live) {
            (self.acked, self.owes) = (cur, false);
            self.transmit(&client::Ack { cur, resync: None });
        }
    }

    fn on_opened(&mut self) {
        self.phase = Phase::Greeting;
        self.redirect = None;
        self.judged = false;
        self.mode = self.wanted_mode();
        let cursor = self.ledger.cursor().cloned();
        let hello = client::Hello {
            app: self.settings.app.clone(),
            epoch: cursor.as_ref().map(|cursor| cursor.epoch.clone()),
            cur: cursor.map(|cursor| cursor.cur),
            window: Some(self.settings.window),
            state: Some(self.mode),
            snap: Some(client::SnapWish { convs: Some(self.settings.snap_convs), msgs: Some(self.settings.snap_msgs) }),
            ..client::Hello::default()
        };
        self.transmit(&hello);
    }

    fn on_closed(&mut self, code: Option<&CloseCode>) {
        if let Some((verdict, reason)) = code.and_then(verdict::close) {
            self.disconnect(verdict, reason);
        }
        self.phase = Phase::Closed;
        self.ledger.fall_back();
        self.desk.reset();
        self.again = Again::default();
        self.waiting.clear();
        self.probe = None;
        self.repair = None;
        self.caught_up = false;
        (self.acked, self.owes) = (0, false);
    }

    fn on_frame(&mut self, now: Instant, frame: Frame) {
        let FrameBody::Text(text) = frame.body else {
            self.refused += 1;
            return;
        };
        if self.judged || matches!(self.phase, Phase::Closed) {
            return;
        }
        match decode_server(&text) {
            Result::Ok(frame) => self.on_server(now, frame),
            Result::Err(_) => self.on_malformed(now, &text),
        }
    }

    /// A frame that does not read. Of an `ev` every event that does read still counts: asking again would bring the same.
    fn on_malformed(&mut self, now: Instant, text: &str) {
        self.refused += 1;
        #[derive(serde::Deserialize)]
        struct Loose {
            t: String,
            prev: u64,
            cur: u64,
            evs: Vec<serde_json::Value>,
        }
        let Result::Ok(loose) = serde_json::from_str::<Loose>(text) else { return };
        if loose.t == "ev" {
            let evs = loose.evs.into_iter().filter_map(|ev| serde_json::from_value::<event::Event>(ev).ok()).collect();
            self.on_ev(now, super::wire::server::Ev { prev: loose.prev, cur: loose.cur, evs });
        }
    }

    fn on_server(&mut self, now: Instant, frame: ServerFrame) {
        match frame {
            ServerFrame::Welcome(welcome) => self.on_welcome(*welcome),
            ServerFrame::Snap(snap) => self.on_snap(*snap),
            ServerFrame::Ev(ev) => self.on_ev(now, *ev),
            ServerFrame::Eph(eph) => eph.evs.into_iter().for_each(|what| self.on_ephemeral(what)),
            ServerFrame::Pong(pong) => self.on_pong(now, &pong),
            ServerFrame::Ping(ping) => self.transmit(&client::Pong { n: ping.n }),
            ServerFrame::Ok(ok) => self.on_ok(*ok),
            ServerFrame::Err(err) => self.on_err(now, *err),
            ServerFrame::Bye(bye) => {
                let after = bye.after.map(Duration::from_millis);
                let (verdict, reason) = verdict::bye(bye.code, bye.reason.as_deref().unwrap_or_default(), after);
                self.redirect = bye.to.filter(|to| to.starts_with("wss://"));
                self.disconnect(verdict, reason);
            }
            ServerFrame::Unknown(_) => self.refused += 1,
        }
    }

    fn on_pong(&mut self, now: Instant, pong: &Pong) {
        if self.probe.take_if(|probe| *probe == pong.n).is_some() {
            self.outputs.push_back(Output::Proof(pong.n));
        }
        // Events announced, nothing on the way, and credit enough: the hint that should have sent them was lost.
        let cur = self.ledger.cursor().map_or(0, |cursor| cursor.cur);
        let credit = cur.saturating_sub(self.acked) < self.settings.window;
        if matches!(self.phase, Phase::Live) && pong.head > cur && !self.heard_ev && credit {
            self.repair_stream(now);
        }
    }

    fn on_probe(&mut self, number: u64) {
        self.probe = Some(number);
        self.heard_ev = false;
        let cur = self.acknowledgeable().filter(|_| matches!(self.phase, Phase::Live));
        self.acked = self.acked.max(cur.unwrap_or_default());
        self.transmit(&client::Ping { n: number, cur });
    }

    fn on_ok(&mut self, ok: Ok) {
        let Some(request) = self.desk.answered(ok.re) else {
            self.refused += 1;
            return;
        };
        match request {
            Request::Command { outbox, conversation, sends } => self.on_command_ok(outbox, conversation, sends, ok),
            Request::Fetch(hole) => self.on_fetched(hole, ok),
            Request::Fill { conv } => self.on_filled(conv, ok),
            Request::Repair { conv } => self.on_repaired(conv, ok),
            Request::Members { conv, so_far } => self.on_members(conv, so_far, ok),
        }
        self.pump();
    }

    fn on_err(&mut self, now: Instant, err: Err) {
        match err.re.map(|re| self.desk.answered(re)) {
            Some(Some(Request::Command { outbox, conversation, sends })) => {
                self.on_command_err(outbox, conversation, sends, err);
            }
            Some(Some(request)) => {
                self.on_history_err(now, request, &err);
                self.resume_waiting();
            }
            Some(None) => self.refused += 1,
            None if err.code == ErrorCode::Unauthenticated => {
                let detail = err.msg.unwrap_or_else(|| "no valid token".into());
                self.disconnect(Verdict::Halt, Reason::Unauthorized { detail });
            }
            None => self.refused += 1,
        }
        self.pump();
    }

    fn on_committed(&mut self, id: BatchId) {
        if self.ledger.commit(id) {
            self.acknowledge();
            self.ask_again();
            self.resume_waiting();
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        let open = matches!(self.phase, Phase::Snapshot { .. } | Phase::Live);
        match signal {
            Signal::Fetch(hole) => self.on_fetch(hole),
            Signal::Typing { conversation, on } if open => {
                if let Some(conv) = conversation.server {
                    self.transmit(&client::Typing { conv, on });
                }
            }
            Signal::Sleeping if !matches!(self.phase, Phase::Closed) => {
                self.transmit(&client::Bye { code: 1000, reason: Some("sleep".into()) });
            }
            Signal::Attention(attention) => self.attention = attention,
            Signal::Power(power) => self.power = power,
            Signal::Network { .. }
            | Signal::Sleeping
            | Signal::Woke { .. }
            | Signal::Locked(_)
            | Signal::Typing { .. }
            | Signal::Reconnect => {}
        }
        let mode = self.wanted_mode();
        if mode != self.mode && open {
            self.mode = mode;
            self.transmit(&client::State { mode });
        }
    }

    fn wanted_mode(&self) -> Mode {
        match self.attention.attached {
            _ if !self.attention.looking.is_empty() => Mode::Fg,
            0 if self.power.battery => Mode::Doze,
            _ => Mode::Bg,
        }
    }
}

impl Machine for Hub {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Opened { .. } => self.on_opened(),
            Input::Refused(refusal) => {
                let (verdict, reason) = verdict::refusal(refusal);
                self.redirect = None;
                self.outputs.push_back(Output::Disconnect(verdict, reason));
            }
            Input::Frame(frame) => self.on_frame(now, frame),
            Input::Command(command) => self.on_command(*command),
            Input::Probe(number) => self.on_probe(number),
            Input::Cut(id) => {
                let checkpoint = self.ledger.cut(id);
                self.outputs.push_back(Output::Checkpoint(id, checkpoint));
            }
            Input::Committed(id) => self.on_committed(id),
            Input::CommitFailed(_) => {}
            Input::Signal(signal) => self.on_signal(signal),
            Input::Closed(code) => self.on_closed(code.as_ref()),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.repair.as_ref().is_some_and(|repair| repair.until <= now) {
            self.repair = None;
            let detail = "events that were announced did not come".to_owned();
            self.disconnect(Verdict::Retry, Reason::Protocol { detail });
        }
        self.ask_pages_again(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.repair.as_ref().map(|repair| repair.until).into_iter().chain(self.again.next()).min()
    }
}

impl Protocol for Hub {
    fn endpoint(&self) -> Endpoint {
        let authorization = Secret::new(format!("Bearer {}", self.settings.token.expose()));
        Endpoint {
            place: Place::Url(self.redirect.clone().unwrap_or_else(|| self.settings.url.clone())),
            subprotocol: SUBPROTOCOL,
            headers: vec![("Authorization", authorization)],
            max_frame: self.settings.max_frame,
        }
    }

    fn advised_interval(&self) -> Option<Duration> {
        self.interval
    }

    fn server_timeout(&self) -> Option<Duration> {
        self.server_timeout
    }

    fn refused(&self) -> u64 {
        self.refused
    }
}

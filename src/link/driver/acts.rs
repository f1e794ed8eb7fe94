//! What the driver does for each thing that happened and for each thing a machine wants done.

use super::super::dial::{DialError, Socket, Wire};
use super::super::supervisor::{Attempt, Input as Told, Output as Wanted};
use super::outbox::Done;
use super::pipe::{Full, Heard, Pipe};
use super::{Addressed, Driver, Seq, StoreError};
use crate::machine::Machine as _;
use crate::model::{Event, Reason, Signal};
use crate::proto::{CloseCode, Input, Output, Refusal, Verdict};
use std::time::Duration;

impl Driver {
    pub(super) fn tell(&mut self, told: Told) {
        self.supervisor.handle_input(self.clock.now(), told);
    }

    fn feed(&mut self, input: Input) {
        self.protocol.handle_input(self.clock.now(), input);
    }

    /// Does what the machines want until they want nothing more, cuts a batch, and shows the state.
    pub(super) fn settle(&mut self) {
        self.drain();
        let now = self.clock.now();
        while let Some(id) = self.intake.cut(now, &self.settings) {
            self.feed(Input::Cut(id));
            if crate::mutant("ack-before-commit") {
                self.feed(Input::Committed(id));
            }
            self.drain();
            self.intake.begin_without(self.clock.wall());
        }
        self.note_stall();
        self.outbox.pump(now, self.clock.wall(), &self.settings);
        self.counters.bytes += self.pipe.as_mut().map_or(0, Pipe::take_bytes);
        self.counters.refused = self.protocol.refused();
        self.board.publish(self.supervisor.view(), self.counters, now, self.clock.wall());
    }

    fn drain(&mut self) {
        loop {
            if let Some(output) = self.protocol.poll_output() {
                self.on_protocol(output);
            } else if let Some(attempt) = self.judging.take() {
                // The protocol had no verdict of its own.
                self.tell(Told::DialFailed(attempt, Verdict::Retry, Reason::Upgrade { status: 0 }));
            } else if let Some(wanted) = self.supervisor.poll_output() {
                self.on_wanted(wanted);
            } else {
                return;
            }
        }
    }

    fn note_stall(&mut self) {
        match self.intake.stall(self.clock.now(), &self.settings) {
            Some(reason) if !self.stalled => {
                self.stalled = true;
                self.tell(Told::Stalled(reason));
            }
            None if self.stalled => {
                self.stalled = false;
                self.tell(Told::Unstalled);
            }
            Some(_) | None => return,
        }
        self.drain();
    }

    fn on_protocol(&mut self, output: Output) {
        match output {
            Output::Transmit(frame) => self.send(Wire::Frame(frame)),
            Output::Event(event) => {
                if let Event::Settled(settled) = &event {
                    self.outbox.settled(settled.outbox);
                }
                self.intake.event(event);
            }
            Output::Perishable(perishable) => {
                // Nobody listening is fine: it is true only for a moment.
                let _ = self.perishables.send((self.account, perishable));
            }
            Output::Checkpoint(id, checkpoint) => self.intake.checkpoint(id, checkpoint, self.clock.wall()),
            Output::Ready => {
                let (interval, timeout) = (self.protocol.advised_interval(), self.protocol.server_timeout());
                self.tell(Told::Ready);
                self.tell(Told::Advice { interval, timeout });
                self.outbox.opened();
            }
            Output::Proof(number) => self.tell(Told::Proof(number)),
            Output::Disconnect(verdict, reason) => match self.judging.take() {
                Some(attempt) => self.tell(Told::DialFailed(attempt, verdict, reason)),
                None => self.tell(Told::Disconnect(verdict, reason)),
            },
        }
    }

    fn on_wanted(&mut self, wanted: Wanted) {
        match wanted {
            Wanted::Dial(attempt) => {
                self.dialed = None;
                self.dialing = Some((attempt, self.dialer.dial(self.protocol.endpoint())));
            }
            Wanted::Abandon(attempt) => {
                self.dialing.take_if(|(dialing, _)| *dialing == attempt);
                self.dialed.take_if(|(dialed, _)| *dialed == attempt);
            }
            Wanted::Hangup(reason) => {
                tracing::info!(account = %self.account, reason = %reason.text(), "hung up");
                self.close(None);
            }
            Wanted::Open(attempt) => self.open(attempt),
            Wanted::Probe(number) if self.protocol.has_probe() => self.feed(Input::Probe(number)),
            Wanted::Probe(number) => self.send(Wire::Ping(number.to_be_bytes().to_vec())),
        }
    }

    fn open(&mut self, attempt: Attempt) {
        let Some((_, socket)) = self.dialed.take_if(|(dialed, _)| *dialed == attempt) else { return };
        self.counters.connects += 1;
        if self.owed_close.is_some() {
            self.opening = Some(socket);
        } else {
            self.open_socket(socket);
        }
    }

    fn open_socket(&mut self, socket: Socket) {
        self.pipe = Some(Pipe::new(socket, self.settings.send_queue));
        self.feed(Input::Opened { at: self.clock.wall() });
    }

    fn send(&mut self, wire: Wire) {
        let Some(pipe) = &mut self.pipe else { return };
        if let Err(Full) = pipe.send(wire) {
            self.gone(None, "the connection takes no data".into());
        }
    }

    /// The connection broke.
    fn gone(&mut self, code: Option<CloseCode>, detail: String) {
        let reason = Reason::Lost { detail };
        self.close(code);
        self.drain_verdict();
        self.tell(Told::Closed(reason));
    }

    /// A close code may carry the protocol's own verdict: it counts before the mere fact of the loss.
    fn drain_verdict(&mut self) {
        if self.owed_close.is_none() {
            while let Some(output) = self.protocol.poll_output() {
                self.on_protocol(output);
            }
        }
    }

    /// Drops the socket and tells the protocol, once its last batch has landed.
    fn close(&mut self, code: Option<CloseCode>) {
        if self.opening.take().is_some() {
            return;
        }
        let Some(mut pipe) = self.pipe.take() else { return };
        self.counters.bytes += pipe.take_bytes();
        self.counters.caught_up = false;
        pipe.hang_up();
        if self.intake.is_pending() {
            self.owed_close = Some(code);
        } else {
            self.close_protocol(code);
        }
    }

    fn close_protocol(&mut self, code: Option<CloseCode>) {
        self.owed_close = None;
        self.intake.forget();
        self.feed(Input::Closed(code));
        self.outbox.closed();
        if let Some(socket) = self.opening.take() {
            self.drain_verdict();
            self.open_socket(socket);
        }
    }

    pub(super) fn on_dialed(&mut self, result: Result<Socket, DialError>) {
        let Some((attempt, _)) = self.dialing.take() else { return };
        match result {
            Ok(socket) => {
                self.dialed = Some((attempt, socket));
                self.tell(Told::Dialed(attempt));
            }
            Err(DialError::Refused(refusal)) => self.on_refused(attempt, refusal),
            Err(DialError::Unreachable(reason)) => self.tell(Told::DialFailed(attempt, Verdict::Retry, reason)),
            Err(DialError::Forbidden(reason)) => self.tell(Told::DialFailed(attempt, Verdict::Halt, reason)),
        }
    }

    fn on_refused(&mut self, attempt: Attempt, refusal: Refusal) {
        self.drain();
        self.judging = Some(attempt);
        self.feed(Input::Refused(refusal));
        self.drain();
    }

    /// Takes what has come, up to the batch's bounds.
    pub(super) fn on_heard(&mut self, heard: Heard) {
        let mut next = Some(heard);
        while let Some(heard) = next.take() {
            match heard {
                Heard::Gone(code, words) => self.gone(code, words),
                Heard::Wire(wire) => self.on_wire(wire),
            }
            self.drain();
            if self.intake.has_room(&self.settings) {
                next = self.pipe.as_mut().and_then(Pipe::try_next);
            }
        }
    }

    fn on_wire(&mut self, wire: Wire) {
        self.tell(Told::Received);
        match wire {
            Wire::Frame(mut frame) => {
                frame.received_at = self.clock.wall();
                self.intake.frame(frame.len());
                self.feed(Input::Frame(frame));
            }
            Wire::Pong(bytes) => {
                if let Ok(number) = bytes.try_into().map(u64::from_be_bytes)
                    && !self.protocol.has_probe()
                {
                    self.tell(Told::Proof(number));
                }
            }
            Wire::Ping(_) | Wire::Close(_) => {}
        }
    }

    pub(super) fn on_written(&mut self, result: Result<Seq, StoreError>) {
        match result {
            Ok(_) => {
                let Some(landed) = self.intake.landed() else { return };
                self.counters.caught_up |= landed.caught_up && self.owed_close.is_none();
                self.outbox.landed(&landed.settled);
                crate::failpoint("batch-landed");
                self.feed(Input::Committed(landed.id));
            }
            Err(error) => {
                tracing::warn!(account = %self.account, %error, "a batch could not be written; it is tried again");
                let pause = Duration::ZERO;
                if let Some(id) = self.intake.failed(self.clock.now(), error, pause, &self.settings) {
                    self.feed(Input::CommitFailed(id));
                }
            }
        }
        self.drain();
        if !self.intake.is_pending()
            && let Some(code) = self.owed_close.take()
        {
            self.close_protocol(code);
        }
    }

    pub(super) fn on_outbox(&mut self, done: Done) {
        for command in self.outbox.done(self.clock.now(), done) {
            crate::failpoint("handed-out");
            self.feed(Input::Command(Box::new(command)));
        }
    }

    pub(super) fn on_signal(&mut self, addressed: Addressed) {
        if addressed.account.is_some_and(|account| account != self.account) {
            return;
        }
        // First the protocol, so that it can say goodbye on a connection that the supervisor then ends.
        self.feed(Input::Signal(addressed.signal.clone()));
        self.drain();
        self.tell(Told::Signal(addressed.signal));
    }

    /// Too many came at once: whatever they said, the connection is worth a probe.
    pub(super) fn on_missed_signals(&mut self) {
        self.tell(Told::Signal(Signal::Network { routed: true, local_gone: false }));
    }

    pub(super) fn on_timer(&mut self) {
        let now = self.clock.now();
        self.supervisor.handle_timeout(now);
        self.protocol.handle_timeout(now);
        self.intake.retry(now);
    }

    /// Says goodbye and lets the last batch land, but not for long.
    pub(super) async fn farewell(mut self) {
        self.dialing = None;
        if self.pipe.is_some() {
            self.feed(Input::Signal(Signal::Sleeping));
            while let Some(output) = self.protocol.poll_output() {
                if let Output::Transmit(frame) = output {
                    self.send(Wire::Frame(frame));
                }
            }
        }
        if let Some(pipe) = self.pipe.take() {
            pipe.hang_up();
        }
        if self.intake.is_pending() {
            let _ = tokio::time::timeout(self.settings.farewell, self.intake.written()).await;
        }
        self.board.end(self.clock.wall());
    }
}

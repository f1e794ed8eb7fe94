//! One client's connection as a pure machine: hello, resume, credit, requests, goodbye.
//!
//! It never touches a socket, a database or a clock. What it wants of the store it asks for; the answer is an input.
//! A slow client costs one number: events stay in the database until there is credit for them.

mod codes;
mod flow;
mod resume;
mod settings;
#[cfg(test)]
mod tests;

pub use codes::{CloseCode, code};
use flow::Flow;
pub use settings::Settings;

use super::ask::{Answer, Ask, Identity};
use crate::machine::Machine;
use crate::model::{Secret, Timestamp};
use crate::proto::hub::wire::client::{self, ClientFrame, Hello};
use crate::proto::hub::wire::event::Ephemeral;
use crate::proto::hub::wire::server;
use crate::proto::hub::wire::{ErrorCode, Malformed, Mode, decode_client, encode, encode_ev};
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The WebSocket is open. `who` is set where the upgrade carried a valid token.
    Opened {
        /// Who the token belongs to.
        who: Option<Identity>,
        /// A name for this connection, for logs.
        conn: String,
    },
    /// A text frame came.
    Frame {
        /// Its text.
        text: String,
        /// Wall-clock time.
        at: Timestamp,
    },
    /// A binary frame came, which this protocol does not have.
    Binary,
    /// A frame came that is larger than the limit.
    Oversized,
    /// The store answers.
    Answer {
        /// What.
        answer: Answer,
        /// Wall-clock time.
        at: Timestamp,
    },
    /// The user's stream has grown to this number. May be lost or repeated.
    Head(u64),
    /// Something true only for a moment.
    Eph(Ephemeral),
    /// The device's token does not count any more.
    Revoked,
    /// The hub is shutting down.
    Shutdown,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Put this text on the wire.
    Transmit(String),
    /// Ask the store.
    Ask(Ask),
    /// From now on this connection belongs to this identity: its user's hints are wanted.
    Joined(Identity),
    /// Close the connection. Nothing comes after this.
    Close(CloseCode),
}

#[derive(Debug)]
enum Phase {
    /// Nothing was said yet.
    Fresh,
    /// The token of hello is being looked up.
    Authenticating(Box<Hello>),
    /// The store is looking where to go on.
    Resuming(Box<Hello>),
    /// The snapshot is on its way; `cur` is where it leads.
    Snapping { part: u64, cur: u64, convs: u64, msgs: u64 },
    /// Events flow.
    Live,
    /// It is over.
    Closed,
}

/// Frames that a client may send before its welcome; they are looked at after it.
const EARLY_MOST: usize = 16;
/// Typing frames let through in any ten seconds.
const TYPING_MOST: u32 = 20;

/// The machine.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    phase: Phase,
    who: Option<Identity>,
    conn: String,
    epoch: String,
    flow: Flow,
    inflight: u64,
    mode: Mode,
    watch: Option<BTreeSet<String>>,
    typing: (Instant, u32),
    last_in: Instant,
    early: VecDeque<(String, Timestamp)>,
    out: VecDeque<Output>,
}

impl Session {
    /// A session that waits for [`Input::Opened`].
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let flow = Flow::new(settings.window);
        Self {
            settings,
            phase: Phase::Fresh,
            who: None,
            conn: String::new(),
            epoch: String::new(),
            flow,
            inflight: 0,
            mode: Mode::Fg,
            watch: None,
            typing: (now, 0),
            last_in: now,
            early: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// Who is connected, once that is known.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.who.as_ref()
    }

    fn transmit<T: serde::Serialize>(&mut self, frame: &T) {
        self.out.push_back(Output::Transmit(encode(frame)));
    }

    fn ask(&mut self, ask: Ask) {
        self.out.push_back(Output::Ask(ask));
    }

    fn close(&mut self, code: CloseCode) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.transmit(&server::Bye {
            code: u64::from(code.code),
            reason: Some(code.reason.to_owned()),
            after: code.after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            to: None,
        });
        self.out.push_back(Output::Close(code));
        self.phase = Phase::Closed;
    }

    fn refuse(&mut self, code: ErrorCode, re: Option<u64>, text: impl Into<String>) {
        let text: String = text.into();
        let msg = text.chars().take(1024).collect();
        self.transmit(&server::Err { code, re, msg: Some(msg), ..server::Err::default() });
    }

    fn on_text(&mut self, now: Instant, text: String, at: Timestamp) {
        self.last_in = now;
        match self.phase {
            Phase::Closed => {}
            Phase::Authenticating(_) | Phase::Resuming(_) if self.early.len() < EARLY_MOST => {
                self.early.push_back((text, at));
            }
            Phase::Authenticating(_) | Phase::Resuming(_) => {
                self.refuse(ErrorCode::Limit, None, "wait for welcome");
                self.close(code::VIOLATION);
            }
            Phase::Fresh | Phase::Snapping { .. } | Phase::Live => match decode_client(&text) {
                Ok(frame) => self.on_frame(now, frame),
                Err(malformed) => self.on_malformed(malformed),
            },
        }
    }

    fn on_malformed(&mut self, malformed: Malformed) {
        let text = malformed.to_string();
        match malformed {
            Malformed::NotAFrame(_) => {
                self.refuse(ErrorCode::BadFrame, None, text);
                self.close(code::VIOLATION);
            }
            Malformed::Unknown { id: Some(id), .. } => self.refuse(ErrorCode::Unsupported, Some(id), text),
            Malformed::Unknown { id: None, .. } if !matches!(self.phase, Phase::Fresh) => {}
            Malformed::Invalid { id: Some(id), field, .. } if !matches!(self.phase, Phase::Fresh) => {
                let too_large = field.is_some_and(|field| matches!(field, "text" | "ct"));
                let code = if too_large { ErrorCode::TooLarge } else { ErrorCode::BadRequest };
                let err = server::Err { code, re: Some(id), msg: Some(text), ..server::Err::default() };
                self.transmit(&server::Err { field: field.map(str::to_owned), ..err });
            }
            Malformed::Unknown { .. } | Malformed::Invalid { .. } => {
                self.refuse(ErrorCode::BadRequest, None, text);
                self.close(code::VIOLATION);
            }
        }
    }

    fn on_frame(&mut self, now: Instant, frame: ClientFrame) {
        if matches!(self.phase, Phase::Fresh) {
            return match frame {
                ClientFrame::Hello(hello) => self.on_hello(hello),
                ClientFrame::Bye(_) => self.close(code::NORMAL),
                _ => {
                    self.refuse(ErrorCode::BadRequest, frame.request(), "hello comes first");
                    self.close(code::VIOLATION);
                }
            };
        }
        match frame {
            ClientFrame::Hello(_) => {
                self.refuse(ErrorCode::BadRequest, None, "hello comes once");
                self.close(code::VIOLATION);
            }
            ClientFrame::Bye(_) => self.close(code::NORMAL),
            ClientFrame::Ack(ack) => self.on_ack(ack.cur, ack.resync == Some(true)),
            ClientFrame::Ping(ping) => {
                if let Some(cur) = ping.cur {
                    self.on_ack(cur, false);
                }
                if !matches!(self.phase, Phase::Closed) {
                    self.ask(Ask::Head { ping: ping.n });
                }
            }
            ClientFrame::Pong(_) | ClientFrame::Presence(_) => {}
            ClientFrame::State(state) => self.mode = state.mode,
            ClientFrame::Watch(watch) => self.watch = watch.convs.map(|convs| convs.into_iter().collect()),
            ClientFrame::Typing(typing) => self.on_typing(now, *typing),
            ClientFrame::Pref(_) | ClientFrame::Blob(_) => {
                self.refuse(ErrorCode::Unsupported, frame.request(), "this hub does not do that");
            }
            frame => self.on_request(frame),
        }
    }

    fn on_request(&mut self, frame: ClientFrame) {
        if self.inflight >= self.settings.limits.inflight {
            let max = self.settings.limits.inflight.to_string();
            let err = server::Err { code: ErrorCode::Limit, re: frame.request(), ..server::Err::default() };
            self.transmit(&server::Err { msg: Some("too many requests at once".into()), max: Some(max), ..err });
            return;
        }
        self.inflight += 1;
        self.ask(Ask::Request(Box::new(frame)));
    }

    fn on_typing(&mut self, now: Instant, typing: client::Typing) {
        if now.saturating_duration_since(self.typing.0) > Duration::from_secs(10) {
            self.typing = (now, 0);
        }
        self.typing.1 += 1;
        if self.typing.1 <= TYPING_MOST {
            self.ask(Ask::Typing { conv: typing.conv, on: typing.on });
        }
    }

    fn on_hello(&mut self, mut hello: Box<Hello>) {
        if let Some(mode) = hello.state {
            self.mode = mode;
        }
        match (self.who.clone(), hello.token.take()) {
            (Some(who), _) => self.resume(who, hello),
            (None, Some(token)) => {
                self.phase = Phase::Authenticating(hello);
                self.ask(Ask::Authenticate(Secret::new(token.0)));
            }
            (None, None) => self.unauthenticated(),
        }
    }

    fn unauthenticated(&mut self) {
        self.refuse(
            ErrorCode::Unauthenticated,
            None,
            "no valid token: add the device again with `wakeful hub user add`",
        );
        self.close(code::TOKEN);
    }

    /// A cursor that was never sent is left alone (a client that is still writing its snapshot may name its old one),
    /// unless it asks to start again from there: then a new hello must find out how to go on.
    fn on_ack(&mut self, cur: u64, resync: bool) {
        if !matches!(self.phase, Phase::Live) {
            return;
        }
        match self.flow.ack(cur, resync) {
            true if self.flow.take_owed(cur) => self.ask(Ask::Ack { cur }),
            true => {}
            false if resync => self.close(code::BEHIND),
            false => {}
        }
        self.fetch();
    }

    fn fetch(&mut self) {
        if matches!(self.phase, Phase::Live)
            && let Some((after, limit)) = self.flow.want()
        {
            self.ask(Ask::Fetch { after, limit });
        }
    }

    fn on_batch(&mut self, after: u64, cur: u64, events: &[String], foreign: bool) {
        if self.flow.fetched(after, cur, foreign) && matches!(self.phase, Phase::Live) {
            let prev = if crate::mutant("hub-prev-wrong") { after.saturating_sub(1) } else { after };
            self.out.push_back(Output::Transmit(encode_ev(prev, cur, events)));
        }
        self.fetch();
    }

    fn on_answer(&mut self, now: Instant, answer: Answer, at: Timestamp) {
        match answer {
            Answer::Identity(found) => {
                let Phase::Authenticating(hello) = std::mem::replace(&mut self.phase, Phase::Fresh) else { return };
                match found {
                    Some(who) => self.resume(who, hello),
                    None => self.unauthenticated(),
                }
            }
            Answer::Resume { epoch, head, floor } => {
                self.on_resume(at, epoch, head, floor);
                while let Some((text, at)) = self.early.pop_front() {
                    self.on_text(now, text, at);
                }
            }
            Answer::Batch { after, cur, events, foreign } => self.on_batch(after, cur, &events, foreign),
            Answer::TooOld => self.close(code::BEHIND),
            Answer::Head { ping, head } => {
                self.transmit(&server::Pong { n: ping, head, now: unix_ms(at) });
                self.flow.learn(head);
                self.fetch();
            }
            Answer::Revoked => self.close(code::TOKEN),
            Answer::Snap { convs, users, next } => self.on_snap(convs, users, next),
            Answer::Ok(ok) => {
                self.inflight = self.inflight.saturating_sub(1);
                self.transmit(&ok);
            }
            Answer::Err(err) => {
                self.inflight = self.inflight.saturating_sub(1);
                self.transmit(&err);
            }
            Answer::Nothing => {}
            Answer::Failed => self.close(code::INTERNAL),
        }
    }

    fn on_eph(&mut self, what: Ephemeral) {
        let wanted = match &what {
            Ephemeral::Typing { conv, .. } => self.watch.as_ref().is_none_or(|watched| watched.contains(conv)),
            Ephemeral::Pres { .. } | Ephemeral::Unknown => false,
        };
        if wanted && self.mode == Mode::Fg && matches!(self.phase, Phase::Live) {
            self.transmit(&server::Eph { evs: vec![what] });
        }
    }

    fn deadline(&self) -> Duration {
        match self.phase {
            Phase::Fresh => self.settings.hello_within,
            _ => self.settings.silence_most,
        }
    }
}

fn unix_ms(at: Timestamp) -> u64 {
    u64::try_from(at.ms()).unwrap_or_default()
}

impl Machine for Session {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        match input {
            Input::Opened { who, conn } => {
                self.last_in = now;
                self.who = who;
                self.conn = conn;
            }
            Input::Frame { text, at } => self.on_text(now, text, at),
            Input::Binary => {
                self.refuse(ErrorCode::BadFrame, None, "text frames only");
                self.close(code::VIOLATION);
            }
            Input::Oversized => {
                let max = self.settings.limits.frame_in.to_string();
                let err = server::Err { code: ErrorCode::TooLarge, max: Some(max), ..server::Err::default() };
                self.transmit(&server::Err { msg: Some("the frame is larger than limits.frame_in".into()), ..err });
                self.close(code::TOO_LARGE);
            }
            Input::Answer { answer, at } => self.on_answer(now, answer, at),
            Input::Head(head) => {
                self.flow.learn(head);
                self.fetch();
            }
            Input::Eph(what) => self.on_eph(what),
            Input::Revoked => self.close(code::TOKEN),
            Input::Shutdown => self.close(code::GOING_AWAY),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.close(if matches!(self.phase, Phase::Fresh) { code::NO_HELLO } else { code::SILENT });
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.phase, Phase::Closed) { None } else { Some(self.last_in + self.deadline()) }
    }
}

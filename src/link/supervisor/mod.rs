//! Decides when to dial, probe, hang up, wait and give up, for one account. Pure: it never opens a socket.
//!
//! Health is the age of the last proven round trip, never "a socket exists". Every state has a way out that does
//! not depend on a hint: a timer, except for `Halted` (the user) and the wait for a disk (the driver's own retry).

mod backoff;
mod events;
mod health;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod transcripts;

use super::Settings;
use crate::machine::Machine;
use crate::model::{AccountState, Power, Reason, Signal};
use crate::proto::Verdict;
use backoff::{Backoff, Budget};
use health::Health;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One dial and the connection that comes of it. Never reused within a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u64);

/// What can happen to a supervisor.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The link begins.
    Start,
    /// This dial led to an open WebSocket.
    Dialed(Attempt),
    /// This dial failed.
    DialFailed(Attempt, Verdict, Reason),
    /// Logged in.
    Ready,
    /// Bytes came.
    Received,
    /// The answer to this probe came.
    Proof(u64),
    /// The protocol wants the connection ended.
    Disconnect(Verdict, Reason),
    /// The connection is gone.
    Closed(Reason),
    /// A fact about the machine or the user's wish.
    Signal(Signal),
    /// The disk does not keep up: nothing is read, so no answer can be expected.
    Stalled(Reason),
    /// The disk took what was waiting.
    Unstalled,
    /// The server's advice: how often to probe, and after how long it forgets us.
    Advice {
        /// Probe interval.
        interval: Option<Duration>,
        /// The server forgets a silent client after this.
        timeout: Option<Duration>,
    },
}

/// What a supervisor wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Begin this dial.
    Dial(Attempt),
    /// Give this dial up, or drop the socket that came of it.
    Abandon(Attempt),
    /// End the open connection and tell the protocol.
    Hangup(Reason),
    /// Hand the socket of this dial to the protocol. Whatever was open before has been hung up.
    Open(Attempt),
    /// Ask the peer for a round trip.
    Probe(u64),
}

/// What a link can say about itself. Instants are the driver's.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Where the connection is.
    pub state: AccountState,
    /// Dials since it was last online.
    pub attempts: u32,
    /// When the next dial begins.
    pub next_try: Option<Instant>,
    /// Why it is not online, or why it last was not.
    pub last_error: Option<Reason>,
    /// When the last round trip was proven.
    pub proven_at: Option<Instant>,
    /// How long that took.
    pub rtt: Option<Duration>,
}

/// The open connection.
#[derive(Debug)]
struct Live {
    opened_at: Instant,
    /// `Some` once logged in.
    health: Option<Health>,
    /// When a new dial joins the race.
    race_at: Option<Instant>,
}

#[derive(Debug)]
struct Dialing {
    attempt: Attempt,
    since: Instant,
}

/// What happens when there is neither a connection nor a dial.
#[derive(Debug, PartialEq)]
enum Rest {
    /// Not started yet.
    New,
    /// Dial at this time.
    Until(Instant),
    /// Until the disk takes what is waiting.
    Disk,
    /// Until the user does something.
    Halted,
}

/// The machine.
#[derive(Debug)]
pub struct Supervisor {
    settings: Settings,
    live: Option<Live>,
    dial: Option<Dialing>,
    rest: Rest,
    stalled: Option<(Instant, Reason)>,
    backoff: Backoff,
    budget: Budget,
    not_before: Option<Instant>,
    grace_until: Option<Instant>,
    last_dial: Option<Instant>,
    next_attempt: u64,
    next_probe: u64,
    attempts: u32,
    routed: bool,
    power: Power,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    last_error: Option<Reason>,
    last_proof: Option<(Instant, Option<Duration>)>,
    outputs: VecDeque<Output>,
}

impl Supervisor {
    /// A supervisor that waits for [`Input::Start`]. `seed` feeds its jitter.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            budget: Budget::new(&settings),
            settings,
            live: None,
            dial: None,
            rest: Rest::New,
            stalled: None,
            backoff: Backoff::new(seed),
            not_before: None,
            grace_until: None,
            last_dial: None,
            next_attempt: 1,
            next_probe: 1,
            attempts: 0,
            routed: true,
            power: Power::default(),
            interval: None,
            timeout: None,
            last_error: None,
            last_proof: None,
            outputs: VecDeque::new(),
        }
    }

    /// What to show.
    #[must_use]
    pub fn view(&self) -> View {
        let next_try = match self.rest {
            Rest::Until(at) if self.live.is_none() && self.dial.is_none() => Some(at),
            _ => None,
        };
        View {
            state: self.state(),
            attempts: self.attempts,
            next_try,
            last_error: self.last_error.clone(),
            proven_at: self.last_proof.map(|(at, _)| at),
            rtt: self.last_proof.and_then(|(_, rtt)| rtt),
        }
    }

    fn state(&self) -> AccountState {
        match (&self.live, &self.dial, &self.rest) {
            (Some(Live { health: Some(_), .. }), _, _) => AccountState::Online,
            (Some(_), _, _) if crate::mutant("online-unproven") => AccountState::Online,
            (Some(_), _, _) => AccountState::Opening,
            (None, Some(_), _) => AccountState::Dialing,
            (None, None, Rest::Halted) => AccountState::Halted,
            (None, None, Rest::New) => AccountState::Offline,
            (None, None, Rest::Until(_) | Rest::Disk) if self.routed => AccountState::Waiting,
            (None, None, Rest::Until(_) | Rest::Disk) => AccountState::Offline,
        }
    }

    /// The probe interval in force.
    #[must_use]
    pub fn probe_interval(&self) -> Duration {
        let saving = self.power.battery || self.power.metered;
        let own = if saving { self.settings.probe_interval_saving } else { self.settings.probe_interval };
        self.interval.filter(|_| self.settings.take_advice).unwrap_or(own)
    }

    fn begin_dial(&mut self, now: Instant) {
        let attempt = Attempt(self.next_attempt);
        self.next_attempt += 1;
        self.attempts = self.attempts.saturating_add(1);
        self.last_dial = Some(now);
        self.not_before = None;
        self.dial = Some(Dialing { attempt, since: now });
        self.outputs.push_back(Output::Dial(attempt));
    }

    fn abandon_dial(&mut self) {
        if let Some(dial) = self.dial.take() {
            self.outputs.push_back(Output::Abandon(dial.attempt));
        }
    }

    fn hang_up(&mut self, reason: Reason) {
        if self.live.take().is_some() {
            self.outputs.push_back(Output::Hangup(reason.clone()));
        }
        self.last_error = Some(reason);
    }

    fn probe(&mut self, now: Instant) {
        let number = self.next_probe;
        let Some(health) = self.live.as_mut().and_then(|live| live.health.as_mut()) else { return };
        if !health.is_probing() {
            health.sent(now, number);
            self.next_probe += 1;
            self.outputs.push_back(Output::Probe(number));
        }
    }

    /// Chooses what to do now that there is no connection. A dial that is under way goes on, unless the verdict forbids it.
    fn rest(&mut self, now: Instant, verdict: Verdict, reason: &Reason) {
        if verdict != Verdict::Retry {
            self.abandon_dial();
        }
        self.rest = match verdict {
            Verdict::Halt => Rest::Halted,
            _ if self.stalled.is_some() => Rest::Disk,
            Verdict::Retry => Rest::Until(now + self.delay(now, reason)),
            Verdict::RetryAfter(after) => {
                let after = after.min(Duration::from_secs(86_400));
                self.not_before = Some(now + after);
                let window = self.window(now).max(self.settings.backoff_cap_early);
                let spread = self.backoff.jitter(window);
                Rest::Until(now + if crate::mutant("retry-after-ignored") { spread } else { after + spread })
            }
        };
    }

    /// The window from which the delay of a failure at `now` is drawn.
    #[must_use]
    pub fn window(&self, now: Instant) -> Duration {
        self.backoff.window(now, self.power.battery, &self.settings)
    }

    fn delay(&mut self, now: Instant, reason: &Reason) -> Duration {
        let mut window = self.window(now);
        if matches!(reason, Reason::ServerShutdown) {
            window = window.max(self.settings.backoff_cap_early);
        } else if self.grace_until.is_some_and(|until| now < until)
            && window > self.settings.race_after
            && self.budget.take(now, &self.settings)
        {
            window = self.settings.race_after;
        }
        self.backoff.jitter(window)
    }

    /// Dials as soon as the budget of quick dials allows; otherwise the backoff stands.
    fn dial_soon(&mut self, now: Instant) {
        if self.live.is_some() && self.dial.is_some() || self.stalled.is_some() {
            return;
        }
        if !self.budget.take(now, &self.settings) {
            return;
        }
        let spaced = self.last_dial.map_or(now, |last| (last + self.settings.race_after).max(now));
        let spaced = if crate::mutant("dial-unbounded") { now } else { spaced };
        if spaced > now {
            match &mut self.live {
                Some(live) => live.race_at = Some(live.race_at.map_or(spaced, |at| at.min(spaced))),
                None => {
                    self.abandon_dial();
                    self.rest = Rest::Until(spaced);
                }
            }
            return;
        }
        self.abandon_dial();
        self.begin_dial(now);
    }

    fn lost(&mut self, now: Instant, verdict: Verdict, reason: Reason) {
        self.backoff.failed(now);
        self.rest(now, verdict, &reason);
        self.last_error = Some(reason);
    }
}

impl Machine for Supervisor {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => self.on_start(now),
            Input::Dialed(attempt) => self.on_dialed(now, attempt),
            Input::DialFailed(attempt, verdict, reason) => self.on_dial_failed(now, attempt, verdict, reason),
            Input::Ready => self.on_ready(now),
            Input::Received => self.on_received(now),
            Input::Proof(number) => self.on_proof(now, number),
            Input::Disconnect(verdict, reason) => {
                if self.live.is_some() {
                    self.hang_up(reason.clone());
                    self.lost(now, verdict, reason);
                } else if verdict != Verdict::Retry && self.rest != Rest::New {
                    // The verdict of a connection whose loss is known already.
                    self.rest(now, verdict, &reason);
                    self.last_error = Some(reason);
                }
            }
            Input::Closed(reason) => {
                if self.live.take().is_some() {
                    self.lost(now, Verdict::Retry, reason);
                }
            }
            Input::Signal(signal) => self.on_signal(now, &signal),
            Input::Stalled(reason) => self.on_stalled(now, reason),
            Input::Unstalled => self.on_unstalled(now),
            Input::Advice { interval, timeout } => {
                self.interval = interval;
                self.timeout = timeout;
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.check_stall(now);
        self.check_dial(now);
        self.check_live(now);
        if let (None, None, Rest::Until(at)) = (&self.live, &self.dial, &self.rest)
            && *at <= now
        {
            self.begin_dial(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let dial = self.dial.as_ref().map(|dial| dial.since + self.settings.dial_timeout);
        let stall = self.stalled.as_ref().filter(|_| self.live.is_some());
        let stall = stall.map(|(since, _)| *since + self.settings.stall_limit);
        let rest = match (&self.live, &self.dial, &self.rest) {
            (None, None, Rest::Until(at)) => Some(*at),
            _ => None,
        };
        [dial, stall, rest, self.live_timeout()].into_iter().flatten().min()
    }
}

//! What each input and each timer does to the supervisor.

use super::{Attempt, Dialing, Health, Input, Live, Output, Rest, Supervisor};
use crate::model::{Reason, Signal};
use crate::proto::Verdict;
use std::time::{Duration, Instant};

impl Supervisor {
    pub(super) fn on_start(&mut self, now: Instant) {
        if self.rest == Rest::New {
            self.rest = Rest::Until(now);
            self.begin_dial(now);
        }
    }

    pub(super) fn on_dialed(&mut self, now: Instant, attempt: Attempt) {
        if self.dial.as_ref().is_none_or(|dial| dial.attempt != attempt) {
            self.outputs.push_back(Output::Abandon(attempt));
            return;
        }
        self.dial = None;
        if self.live.take().is_some() {
            self.outputs.push_back(Output::Hangup(Reason::Dead));
        }
        self.live = Some(Live { opened_at: now, health: None, race_at: None });
        self.outputs.push_back(Output::Open(attempt));
    }

    pub(super) fn on_dial_failed(&mut self, now: Instant, attempt: Attempt, verdict: Verdict, reason: Reason) {
        if self.dial.as_ref().is_none_or(|dial| dial.attempt != attempt) {
            return;
        }
        self.dial = None;
        if self.live.is_some() {
            return;
        }
        self.lost(now, verdict, reason);
    }

    pub(super) fn on_ready(&mut self, now: Instant) {
        let Some(live) = &mut self.live else { return };
        if live.health.is_none() {
            live.health = Some(Health::new(now));
            self.last_proof = Some((now, None));
            self.attempts = 0;
        }
    }

    pub(super) fn on_received(&mut self, now: Instant) {
        if let Some(health) = self.live.as_mut().and_then(|live| live.health.as_mut()) {
            health.heard(now);
        }
    }

    pub(super) fn on_proof(&mut self, now: Instant, number: u64) {
        let Some(live) = &mut self.live else { return };
        let Some(health) = &mut live.health else { return };
        if !health.proven(now, number) {
            return;
        }
        live.race_at = None;
        self.last_proof = Some((health.proven_at(), health.rtt()));
        if health.proven_for() >= self.settings.healthy_after {
            self.backoff.reset();
        }
        self.abandon_dial();
    }

    pub(super) fn on_signal(&mut self, now: Instant, signal: &Signal) {
        match signal {
            Signal::Network { routed, local_gone } => self.on_network(now, *routed, *local_gone),
            Signal::Sleeping => self.on_sleeping(now),
            Signal::Woke { slept } => self.on_woke(now, *slept),
            Signal::Power(power) => self.power = *power,
            Signal::Reconnect => self.on_reconnect(now),
            Signal::Locked(_) | Signal::Attention(_) | Signal::Fetch(_) | Signal::Typing { .. } => {}
        }
    }

    fn on_network(&mut self, now: Instant, routed: bool, local_gone: bool) {
        self.routed = routed;
        if !routed {
            self.probe(now);
            if self.live.is_none() && self.dial.is_none() && matches!(self.rest, Rest::Until(_)) {
                self.last_error = Some(Reason::NoNetwork);
            }
            return;
        }
        self.settle(now, local_gone);
    }

    fn on_woke(&mut self, now: Instant, slept: Duration) {
        if let Some(at) = &mut self.not_before {
            *at = at.checked_sub(slept).unwrap_or(now);
        }
        if crate::mutant("backoff-reset-on-wake") {
            self.backoff.reset();
        }
        let forgotten = slept > self.timeout.unwrap_or(self.settings.server_timeout);
        self.settle(now, forgotten);
    }

    /// The world changed and there is a route: probe what is open, race it with a new dial, or dial early.
    fn settle(&mut self, now: Instant, at_once: bool) {
        self.grace_until = Some(now + self.settings.grace);
        if self.rest == Rest::Halted || self.rest == Rest::New || self.stalled.is_some() {
            return;
        }
        let Some(live) = &mut self.live else {
            let held = self.not_before.is_some_and(|at| now < at);
            let young = self.dial.as_ref().is_some_and(|dial| now < dial.since + self.settings.race_after);
            if !held && (self.dial.is_none() || at_once || !young) {
                self.dial_soon(now);
            }
            return;
        };
        if live.health.is_none() {
            // Not logged in yet: nothing can be probed, so the login gets a short deadline instead.
            let opened_at = now.checked_sub(self.settings.login_timeout).unwrap_or(now) + self.settings.probe_timeout;
            live.opened_at = live.opened_at.min(opened_at);
            return;
        }
        self.probe(now);
        if at_once {
            self.dial_soon(now);
        } else if self.dial.is_none() {
            let at = now + self.settings.race_after;
            if let Some(live) = &mut self.live {
                live.race_at = Some(live.race_at.map_or(at, |earlier| earlier.min(at)));
            }
        }
    }

    fn on_sleeping(&mut self, now: Instant) {
        if matches!(self.rest, Rest::Halted | Rest::New) {
            return;
        }
        self.abandon_dial();
        if self.live.is_some() {
            self.hang_up(Reason::Sleeping);
        }
        if self.rest != Rest::Disk {
            let nap = now + self.settings.nap;
            self.rest = Rest::Until(self.not_before.map_or(nap, |at| at.max(nap)));
        }
    }

    fn on_reconnect(&mut self, now: Instant) {
        if self.rest == Rest::New || self.stalled.is_some() {
            return;
        }
        if self.dial.as_ref().is_some_and(|dial| now < dial.since + self.settings.race_after) {
            return;
        }
        let allowed = self.budget.take(now, &self.settings);
        let halted = self.rest == Rest::Halted;
        if !allowed && !halted {
            return;
        }
        self.abandon_dial();
        if self.live.is_some() {
            self.hang_up(Reason::Asked);
        }
        let spaced = self.last_dial.map_or(now, |last| (last + self.settings.race_after).max(now));
        self.rest = Rest::Until(spaced);
        if spaced == now {
            self.begin_dial(now);
        }
    }

    pub(super) fn on_stalled(&mut self, now: Instant, reason: Reason) {
        if self.stalled.is_none() {
            self.stalled = Some((now, reason));
            self.abandon_dial();
            if self.live.is_none() && matches!(self.rest, Rest::Until(_)) {
                self.rest = Rest::Disk;
            }
        }
        if let Some(live) = &mut self.live {
            live.race_at = None;
        }
    }

    pub(super) fn on_unstalled(&mut self, now: Instant) {
        if self.stalled.take().is_none() {
            return;
        }
        if self.rest == Rest::Disk {
            self.rest = Rest::Until(now + self.backoff.jitter(self.settings.backoff_first));
        }
        if let Some(health) = self.live.as_mut().and_then(|live| live.health.as_mut())
            && !crate::mutant("stall-not-excused")
        {
            health.excuse(now);
        }
    }

    pub(super) fn check_stall(&mut self, now: Instant) {
        let Some((since, reason)) = &self.stalled else { return };
        if self.live.is_some() && now >= *since + self.settings.stall_limit {
            let reason = reason.clone();
            self.abandon_dial();
            self.hang_up(reason);
            self.rest = Rest::Disk;
        }
    }

    pub(super) fn check_dial(&mut self, now: Instant) {
        let Some(Dialing { attempt, since }) = self.dial else { return };
        if now >= since + self.settings.dial_timeout {
            self.outputs.push_back(Output::Abandon(attempt));
            let reason = Reason::Timeout { step: "connect".into() };
            self.handle(now, Input::DialFailed(attempt, Verdict::Retry, reason));
        }
    }

    fn handle(&mut self, now: Instant, input: Input) {
        crate::machine::Machine::handle_input(self, now, input);
    }

    pub(super) fn check_live(&mut self, now: Instant) {
        let unproven = !self.backoff.is_fresh();
        let interval = self.probe_interval();
        let Some(live) = &self.live else { return };
        let Some(health) = &live.health else {
            let late = now >= live.opened_at + self.settings.login_timeout && !crate::mutant("login-endless");
            if late && self.stalled.is_none() {
                let reason = Reason::Timeout { step: "login".into() };
                self.handle(now, Input::Disconnect(Verdict::Retry, reason));
            }
            return;
        };
        if self.stalled.is_some() {
            return;
        }
        if health.dead_at(&self.settings).is_some_and(|at| now >= at) {
            self.handle(now, Input::Disconnect(Verdict::Retry, self.why_dead()));
            return;
        }
        if health.probe_at(interval, unproven, &self.settings).is_some_and(|at| now >= at) {
            self.probe(now);
        }
        let racing = self.live.as_mut().is_some_and(|live| live.race_at.take_if(|at| now >= *at).is_some());
        if racing && self.dial.is_none() && self.budget.take(now, &self.settings) {
            self.begin_dial(now);
        }
    }

    fn why_dead(&self) -> Reason {
        if self.routed { Reason::Dead } else { Reason::NoNetwork }
    }

    pub(super) fn live_timeout(&self) -> Option<Instant> {
        if self.stalled.is_some() {
            return None;
        }
        let live = self.live.as_ref()?;
        let Some(health) = &live.health else { return Some(live.opened_at + self.settings.login_timeout) };
        let probe = health.probe_at(self.probe_interval(), !self.backoff.is_fresh(), &self.settings);
        [health.dead_at(&self.settings), probe, live.race_at].into_iter().flatten().min()
    }
}

//! Recorded inputs and what must come of them.

use super::{Attempt, Input, Output, Settings, Supervisor};
use crate::machine::Machine;
use crate::model::{AccountState, Power, Reason, Signal};
use crate::proto::Verdict;
use std::time::{Duration, Instant};

/// A supervisor with its own time.
struct Play {
    machine: Supervisor,
    start: Instant,
    now: Instant,
}

impl Play {
    fn new() -> Self {
        let start = crate::world::Clock::system().now();
        Self { machine: Supervisor::new(Settings::default(), 3), start, now: start }
    }

    /// Started, dialed, logged in.
    fn online() -> Self {
        let mut play = Self::new();
        assert_eq!(play.tell(Input::Start), [Output::Dial(Attempt(1))]);
        assert_eq!(play.tell(Input::Dialed(Attempt(1))), [Output::Open(Attempt(1))]);
        assert_eq!(play.machine.view().state, AccountState::Opening, "an open connection proves nothing");
        assert_eq!(play.tell(Input::Ready), []);
        assert_eq!(play.machine.view().state, AccountState::Online);
        play
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle_input(self.now, input);
        self.drain()
    }

    /// Lets time pass, firing timers, up to `ms` from now; every output with its time since the start.
    fn pass(&mut self, ms: u64) -> Vec<(u64, Output)> {
        let end = self.now + Duration::from_millis(ms);
        let mut out = Vec::new();
        for round in 0.. {
            assert!(round < 10_000, "timers must not spin");
            let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            self.machine.handle_timeout(self.now);
            let ms = self.ms();
            out.extend(self.drain().into_iter().map(|output| (ms, output)));
        }
        self.now = end;
        out
    }

    /// Lets time pass until the next dial begins: when, and which.
    fn next_dial(&mut self) -> (u64, u64) {
        loop {
            let now = self.now;
            self.now = self.machine.poll_timeout().expect("a way out").max(now);
            self.machine.handle_timeout(self.now);
            for output in self.drain() {
                if let Output::Dial(attempt) = output {
                    return (self.ms(), attempt.0);
                }
            }
        }
    }

    fn ms(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    /// Answers probes every interval until health counts as proven.
    fn proven() -> Self {
        let mut play = Self::online();
        for number in 1..=2 {
            play.pass(45_000);
            play.tell(Input::Proof(number));
        }
        play
    }

    fn fail(&mut self, attempt: u64) {
        let reason = Reason::Connect { detail: "refused".into() };
        self.tell(Input::DialFailed(Attempt(attempt), Verdict::Retry, reason));
    }
}

fn network(routed: bool, local_gone: bool) -> Input {
    Input::Signal(Signal::Network { routed, local_gone })
}

#[test]
fn an_unanswered_probe_means_death_after_ten_seconds_and_a_new_dial_follows() {
    let mut play = Play::online();
    assert_eq!(play.pass(45_000), [(45_000, Output::Probe(1))]);
    let out = play.pass(11_000);
    assert_eq!(out[0], (55_000, Output::Hangup(Reason::Dead)));
    assert_eq!(out[1].1, Output::Dial(Attempt(2)));
    assert!(out[1].0 <= 55_500, "the first window is half a second: {out:?}");
}

#[test]
fn received_bytes_never_clear_an_outstanding_probe() {
    let mut play = Play::online();
    play.pass(45_000);
    for _ in 0..9 {
        play.pass(1_000);
        assert_eq!(play.tell(Input::Received), []);
    }
    let out = play.pass(1_000);
    assert_eq!(out[0].1, Output::Hangup(Reason::Dead), "a one-way blackhole must not look healthy");
}

#[test]
fn received_bytes_delay_the_next_probe_but_not_for_ever() {
    let mut play = Play::proven();
    let begin = play.ms();
    let mut first = None;
    for _ in 0..200 {
        let out = play.pass(1_000);
        if let Some((at, Output::Probe(_))) = out.first() {
            first = Some(*at - begin);
            break;
        }
        play.tell(Input::Received);
    }
    assert_eq!(first, Some(90_000));
}

#[test]
fn an_answer_to_an_older_probe_proves_nothing() {
    let mut play = Play::online();
    play.pass(45_000);
    assert_eq!(play.tell(Input::Proof(0)), []);
    let out = play.pass(10_000);
    assert_eq!(out[0].1, Output::Hangup(Reason::Dead));
}

#[test]
fn a_network_change_probes_at_once_and_dials_a_second_later_and_the_loser_is_closed_before_the_winner_opens() {
    let mut play = Play::proven();
    assert_eq!(play.tell(network(true, false)), [Output::Probe(3)]);
    assert_eq!(play.pass(1_000), [(91_000, Output::Dial(Attempt(2)))]);
    let out = play.tell(Input::Dialed(Attempt(2)));
    assert_eq!(out, [Output::Hangup(Reason::Dead), Output::Open(Attempt(2))]);
}

#[test]
fn a_proof_in_time_keeps_the_old_connection_and_gives_the_new_dial_up() {
    let mut play = Play::proven();
    play.tell(network(true, false));
    play.pass(1_500);
    assert_eq!(play.tell(Input::Proof(3)), [Output::Abandon(Attempt(2))]);
    assert_eq!(play.tell(Input::Dialed(Attempt(2))), [Output::Abandon(Attempt(2))]);
    assert_eq!(play.machine.view().state, AccountState::Online);
}

#[test]
fn a_vanished_address_or_a_long_sleep_dials_at_once() {
    let mut play = Play::proven();
    assert_eq!(play.tell(network(true, true)), [Output::Probe(3), Output::Dial(Attempt(2))]);
    let mut play = Play::proven();
    let woke = Input::Signal(Signal::Woke { slept: Duration::from_secs(3600) });
    assert_eq!(play.tell(woke), [Output::Probe(3), Output::Dial(Attempt(2))]);
    let mut play = Play::proven();
    let woke = Input::Signal(Signal::Woke { slept: Duration::from_secs(5) });
    assert_eq!(play.tell(woke), [Output::Probe(3)]);
}

#[test]
fn a_wake_up_dials_soon_but_leaves_the_backoff_where_it_was() {
    let mut play = Play::new();
    play.tell(Input::Start);
    let mut attempt = 1;
    while play.ms() < 600_000 {
        play.fail(attempt);
        attempt = play.next_dial().1;
    }
    play.fail(attempt);
    play.pass(1_000);
    assert!(play.machine.view().next_try.is_some());
    let out = play.tell(Input::Signal(Signal::Woke { slept: Duration::from_secs(10) }));
    assert_eq!(out, [Output::Dial(Attempt(attempt + 1))], "there is a route, so settling is over");
    play.pass(20_000);
    attempt += 1;
    let mut longest = 0;
    for _ in 0..20 {
        play.fail(attempt);
        let failed_at = play.ms();
        let (at, next) = play.next_dial();
        longest = longest.max(at - failed_at);
        attempt = next;
    }
    assert!(longest > 10_000, "after a long outage the windows must still be long: {longest} ms");
}

#[test]
fn only_a_minute_of_proven_health_resets_the_backoff() {
    let mut play = Play::new();
    play.tell(Input::Start);
    for attempt in 1..=6 {
        play.fail(attempt);
        play.pass(20_000);
    }
    play.tell(Input::Dialed(Attempt(7)));
    play.tell(Input::Ready);
    assert!(!play.machine.backoff.is_fresh());
    play.pass(45_000);
    play.tell(Input::Proof(1));
    assert!(!play.machine.backoff.is_fresh(), "45 s are not 60 s");
    play.pass(45_000);
    play.tell(Input::Proof(2));
    assert!(play.machine.backoff.is_fresh());
}

#[test]
fn retry_after_is_honoured_whatever_the_network_says_and_a_halt_waits_for_the_user() {
    let mut play = Play::online();
    let busy = Reason::Busy { detail: "maintenance".into() };
    play.tell(Input::Disconnect(Verdict::RetryAfter(Duration::from_secs(300)), busy));
    assert_eq!(play.tell(network(true, true)), []);
    assert_eq!(play.pass(299_000), []);
    assert!(matches!(play.pass(15_000)[..], [(_, Output::Dial(_))]));

    let mut play = Play::online();
    let reason = Reason::Unauthorized { detail: "revoked".into() };
    play.tell(Input::Disconnect(Verdict::Halt, reason.clone()));
    assert_eq!(play.tell(network(true, true)), []);
    assert_eq!(play.tell(Input::Signal(Signal::Woke { slept: Duration::from_secs(9000) })), []);
    assert_eq!(play.pass(86_400_000), []);
    let view = play.machine.view();
    assert_eq!((view.state, view.last_error), (AccountState::Halted, Some(reason)));
    assert_eq!(play.tell(Input::Signal(Signal::Reconnect)), [Output::Dial(Attempt(2))]);
}

#[test]
fn a_slow_disk_is_never_taken_for_a_dead_peer_and_leaves_after_half_a_minute() {
    let mut play = Play::online();
    play.pass(45_000);
    let disk = Reason::Disk { detail: "full".into() };
    play.tell(Input::Stalled(disk.clone()));
    assert_eq!(play.pass(29_000), []);
    assert_eq!(play.pass(1_000), [(75_000, Output::Hangup(disk.clone()))]);
    let view = play.machine.view();
    assert_eq!((view.state, view.last_error), (AccountState::Waiting, Some(disk)));
    assert_eq!(play.tell(network(true, true)), [], "no dial while the disk takes nothing");
    play.tell(Input::Unstalled);
    assert!(matches!(play.pass(500)[..], [(_, Output::Dial(Attempt(2)))]));
}

#[test]
fn a_stall_that_ends_in_time_gives_the_answer_its_ten_seconds_anew() {
    let disk = || Reason::Disk { detail: "slow".into() };
    let mut play = Play::online();
    play.pass(45_000);
    play.tell(Input::Stalled(disk()));
    play.pass(20_000);
    assert_eq!(play.tell(Input::Unstalled), []);
    assert_eq!(play.pass(9_000), []);
    assert_eq!(play.tell(Input::Proof(1)), []);
    assert_eq!(play.machine.view().rtt, Some(Duration::from_secs(29)));
    play.pass(45_000);
    play.tell(Input::Stalled(disk()));
    play.tell(Input::Unstalled);
    assert!(matches!(play.pass(10_000)[0].1, Output::Hangup(Reason::Dead)));
}

#[test]
fn sleep_hangs_up_cleanly_and_ends_by_waking_or_after_half_a_minute() {
    let mut play = Play::proven();
    assert_eq!(play.tell(Input::Signal(Signal::Sleeping)), [Output::Hangup(Reason::Sleeping)]);
    let woke = Input::Signal(Signal::Woke { slept: Duration::from_secs(3600) });
    assert_eq!(play.tell(woke), [Output::Dial(Attempt(2))]);
    let mut play = Play::proven();
    play.tell(Input::Signal(Signal::Sleeping));
    assert!(matches!(play.pass(30_000)[..], [(_, Output::Dial(Attempt(2)))]), "the sleep was called off untold");
}

#[test]
fn battery_lengthens_the_interval_and_the_servers_advice_wins() {
    let mut play = Play::online();
    play.tell(Input::Signal(Signal::Power(Power { battery: true, metered: false })));
    assert_eq!(play.machine.probe_interval().as_secs(), 300);
    play.tell(Input::Advice { interval: Some(Duration::from_secs(20)), timeout: None });
    assert_eq!(play.pass(20_000), [(20_000, Output::Probe(1))]);
}

#[test]
fn a_login_that_never_ends_is_given_up() {
    let mut play = Play::new();
    play.tell(Input::Start);
    play.tell(Input::Dialed(Attempt(1)));
    let out = play.pass(30_000);
    assert_eq!(out, [(30_000, Output::Hangup(Reason::Timeout { step: "login".into() }))]);
    assert!(play.machine.view().next_try.is_some());
}

#[test]
fn after_an_announced_restart_the_first_delay_is_spread_over_ten_seconds() {
    let mut delays: Vec<u64> = (0..200)
        .map(|seed| {
            let mut play = Play::online();
            play.machine.backoff = super::Backoff::new(seed);
            play.tell(Input::Disconnect(Verdict::Retry, Reason::ServerShutdown));
            play.pass(10_000)[0].0
        })
        .collect();
    delays.sort_unstable();
    assert!(delays[20] > 400 && delays[100] > 3_500 && delays[100] < 6_500 && delays[180] > 8_000, "{delays:?}");
}

#[test]
fn a_verdict_that_comes_after_the_loss_still_counts() {
    let mut play = Play::online();
    play.tell(Input::Closed(Reason::Lost { detail: "close code 4201".into() }));
    let reason = Reason::Policy { detail: "suspended".into() };
    play.tell(Input::Disconnect(Verdict::Halt, reason));
    assert_eq!(play.pass(86_400_000), []);
    assert_eq!(play.machine.view().state, AccountState::Halted);
}

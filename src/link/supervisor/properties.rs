//! Invariants over any sequence of inputs: dials are bounded, every state has a way out, one connection at a time.

use super::{Attempt, Input, Output, Settings, Supervisor};
use crate::machine::Machine;
use crate::model::{AccountState, Power, Reason, Signal};
use crate::proto::Verdict;
use proptest::prelude::*;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
enum Step {
    Tell(Input),
    /// Answer to the dial under way.
    DialOk,
    DialBad(Verdict),
    /// Answer the outstanding probe.
    Answer,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let reason = Reason::Lost { detail: "x".into() };
    let disk = Reason::Disk { detail: "full".into() };
    prop_oneof![
        4 => Just(Step::DialOk),
        3 => Just(Step::DialBad(Verdict::Retry)),
        1 => Just(Step::DialBad(Verdict::RetryAfter(Duration::from_secs(40)))),
        3 => Just(Step::Answer),
        3 => Just(Step::Tell(Input::Ready)),
        2 => Just(Step::Tell(Input::Received)),
        1 => Just(Step::Tell(Input::Disconnect(Verdict::Retry, reason.clone()))),
        1 => Just(Step::Tell(Input::Closed(reason))),
        1 => Just(Step::Tell(Input::Stalled(disk))),
        2 => Just(Step::Tell(Input::Unstalled)),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(routed, local_gone)| Step::Tell(Input::Signal(Signal::Network { routed, local_gone }))),
        1 => (0_u64..10_000).prop_map(|s| Step::Tell(Input::Signal(Signal::Woke { slept: Duration::from_secs(s) }))),
        1 => Just(Step::Tell(Input::Signal(Signal::Sleeping))),
        1 => Just(Step::Tell(Input::Signal(Signal::Reconnect))),
        1 => any::<bool>().prop_map(|battery| Step::Tell(Input::Signal(Signal::Power(Power { battery, metered: false })))),
        6 => (1_u64..5_000).prop_map(Step::Pass),
        2 => (5_000_u64..120_000).prop_map(Step::Pass),
    ]
}

/// Runs a supervisor and checks what must always hold.
struct Run {
    machine: Supervisor,
    now: Instant,
    dialing: Option<Attempt>,
    open: bool,
    /// The login on this connection was answered: that is a round trip.
    ready: bool,
    probe: Option<u64>,
    dials: Vec<Instant>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let now = crate::world::Clock::system().now();
        let machine = Supervisor::new(Settings::default(), seed);
        let mut run = Self { machine, now, dialing: None, open: false, ready: false, probe: None, dials: Vec::new() };
        run.tell(Input::Start);
        run
    }

    fn tell(&mut self, input: Input) {
        if matches!(input, Input::Closed(_)) {
            self.open = false;
        }
        self.ready |= self.open && matches!(input, Input::Ready);
        self.machine.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Dial(attempt) => {
                    assert!(self.dialing.is_none(), "one dial at a time");
                    self.dialing = Some(attempt);
                    self.dials.push(self.now);
                }
                Output::Abandon(attempt) => {
                    if self.dialing == Some(attempt) {
                        self.dialing = None;
                    }
                }
                Output::Hangup(_) => {
                    assert!(self.open, "only what is open is hung up");
                    self.open = false;
                    self.probe = None;
                }
                Output::Open(_) => {
                    assert!(!self.open, "the old connection is closed before the new one opens");
                    (self.open, self.ready) = (true, false);
                    self.probe = None;
                }
                Output::Probe(number) => {
                    assert!(self.open, "only what is open is probed");
                    self.probe = Some(number);
                }
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        for round in 0.. {
            assert!(round < 10_000, "timers must not spin");
            let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Tell(input) => self.tell(input),
            Step::DialOk => {
                if let Some(attempt) = self.dialing.take() {
                    self.tell(Input::Dialed(attempt));
                }
            }
            Step::DialBad(verdict) => {
                if let Some(attempt) = self.dialing.take() {
                    self.tell(Input::DialFailed(attempt, verdict, Reason::Dead));
                }
            }
            Step::Answer => {
                if let Some(number) = self.probe.take() {
                    self.tell(Input::Proof(number));
                }
            }
            Step::Pass(ms) => self.pass(ms),
        }
        self.check();
    }

    fn check(&self) {
        let view = self.machine.view();
        let waits_for_disk = view.state != AccountState::Halted && self.machine.stalled.is_some();
        if view.state != AccountState::Halted && !waits_for_disk {
            assert!(self.machine.poll_timeout().is_some(), "no way out of {view:?}");
        }
        assert!(view.state != AccountState::Online || self.open && self.ready, "online before a proven round trip");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn whatever_happens_there_is_one_connection_a_way_out_and_a_bound_on_dials(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut run = Run::new(seed);
        for step in steps {
            run.apply(step);
        }
        for (n, first) in run.dials.iter().enumerate() {
            let within = run.dials[n..].iter().take_while(|at| **at < *first + Duration::from_secs(10)).count();
            prop_assert!(within <= 40, "{within} dials in ten seconds");
        }
    }

    #[test]
    fn signals_alone_cannot_make_a_dial_storm(seed in any::<u64>(), signals in proptest::collection::vec(0_u8..4, 600)) {
        let mut run = Run::new(seed);
        for signal in signals {
            run.apply(Step::DialBad(Verdict::Retry));
            run.apply(Step::Tell(Input::Signal(match signal {
                0 => Signal::Reconnect,
                1 => Signal::Woke { slept: Duration::from_secs(600) },
                2 => Signal::Network { routed: true, local_gone: true },
                _ => Signal::Network { routed: true, local_gone: false },
            })));
            run.apply(Step::Pass(100));
        }
        prop_assert!(run.dials.len() <= 30, "{} dials in a minute", run.dials.len());
    }

    #[test]
    fn when_everything_answers_again_it_is_online_within_its_bound(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut run = Run::new(seed);
        for step in steps {
            run.apply(step);
        }
        run.apply(Step::Tell(Input::Unstalled));
        let end = run.now + Duration::from_secs(45 + 120 + 40 + 70);
        while run.now < end {
            run.apply(Step::DialOk);
            run.apply(Step::Tell(Input::Ready));
            run.apply(Step::Answer);
            run.apply(Step::Pass(500));
        }
        prop_assert_eq!(run.machine.view().state, AccountState::Online);
    }
}

//! Many supervisors and one server, in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};
use wakeful::link::Settings;
use wakeful::link::supervisor::{Attempt, Input, Output, Supervisor};
use wakeful::machine::Machine;
use wakeful::model::Reason;
use wakeful::proto::Verdict;

/// How the connections ended.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// They broke.
    Broken,
    /// The server said goodbye.
    Announced,
}

/// How clients wait.
#[derive(Clone, Copy, Debug)]
pub enum Policy {
    /// As shipped.
    Ours,
    /// The whole window, always.
    NoJitter,
    /// Full jitter, but windows grow to 60 s from the first minute on.
    FixedCap,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    pub clients: usize,
    pub outage: Duration,
    pub ending: Ending,
    pub policy: Policy,
    /// Connects that the server takes a second; a connect that would wait longer than 10 s for its turn is wasted.
    pub capacity: Option<u64>,
}

/// How it went, from the moment at which the server is back.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub peak: u64,
    pub of_uniform: f64,
    pub wasted: u64,
    pub all_back: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Timer,
    /// A dial's answer: refused, or open.
    Answer(Attempt, bool),
}

/// From the dial to the answer.
const TRIP: Duration = Duration::from_millis(50);

struct Crowd {
    story: Story,
    start: Instant,
    back_at: Instant,
    all: Vec<Supervisor>,
    due: BinaryHeap<Reverse<(Instant, usize, What)>>,
    /// Connects in each second since the server is back.
    seconds: Vec<u64>,
    /// When the server will have dealt with all that came so far.
    busy_until: Instant,
    wasted: u64,
    back: usize,
    last_back: Instant,
    window: Duration,
}

impl Story {
    pub fn play(self) -> Outcome {
        let start = wakeful::world::Clock::system().now();
        let back_at = start + self.outage;
        let mut crowd = Crowd {
            story: self,
            start,
            back_at,
            all: (0..self.clients as u64).map(|seed| Supervisor::new(self.settings(), seed)).collect(),
            due: BinaryHeap::new(),
            seconds: Vec::new(),
            busy_until: back_at,
            wasted: 0,
            back: 0,
            last_back: back_at,
            window: Duration::ZERO,
        };
        for client in 0..self.clients {
            crowd.part(client);
        }
        crowd.run();
        let peak = crowd.seconds.iter().copied().max().unwrap_or_default();
        let uniform = self.clients as f64 / crowd.window.as_secs_f64().max(1.0);
        Outcome { peak, of_uniform: peak as f64 / uniform, wasted: crowd.wasted, all_back: crowd.last_back - back_at }
    }

    fn settings(&self) -> Settings {
        let settings = Settings { login_timeout: Duration::from_secs(600), ..Settings::default() };
        match self.policy {
            Policy::Ours | Policy::NoJitter => settings,
            Policy::FixedCap => Settings { backoff_cap_early: Duration::from_secs(60), ..settings },
        }
    }
}

impl Crowd {
    /// Online for a while, and then the end of the connection.
    fn part(&mut self, client: usize) {
        let now = self.start;
        let Some(machine) = self.all.get_mut(client) else { return };
        machine.handle_input(now, Input::Start);
        machine.handle_input(now, Input::Dialed(Attempt(1)));
        machine.handle_input(now, Input::Ready);
        while machine.poll_output().is_some() {}
        machine.handle_input(
            now,
            match self.story.ending {
                Ending::Broken => Input::Closed(Reason::Lost { detail: "reset".into() }),
                Ending::Announced => Input::Disconnect(Verdict::Retry, Reason::ServerShutdown),
            },
        );
        while machine.poll_output().is_some() {}
        self.schedule(client, now);
    }

    fn schedule(&mut self, client: usize, now: Instant) {
        let machine = &self.all[client];
        let Some(at) = machine.poll_timeout() else { return };
        let at = match self.story.policy {
            Policy::NoJitter if at > now => now + machine.window(now),
            _ => at,
        };
        self.due.push(Reverse((at.max(now), client, What::Timer)));
    }

    fn run(&mut self) {
        let mut measured = false;
        while self.back < self.story.clients {
            let Some(Reverse((now, client, what))) = self.due.pop() else { panic!("somebody waits for ever") };
            if !measured && now >= self.back_at {
                measured = true;
                self.window = self.mean_window();
            }
            match what {
                What::Timer => self.all[client].handle_timeout(now),
                What::Answer(attempt, true) => {
                    self.all[client].handle_input(now, Input::Dialed(attempt));
                    self.back += 1;
                    self.last_back = self.last_back.max(now);
                    continue;
                }
                What::Answer(attempt, false) => {
                    let reason = Reason::Connect { detail: "refused".into() };
                    self.all[client].handle_input(now, Input::DialFailed(attempt, Verdict::Retry, reason));
                }
            }
            let mut dialed = false;
            while let Some(output) = self.all[client].poll_output() {
                if let Output::Dial(attempt) = output {
                    dialed = true;
                    self.dial(client, attempt, now);
                }
            }
            if !dialed {
                self.schedule(client, now);
            }
        }
    }

    fn dial(&mut self, client: usize, attempt: Attempt, now: Instant) {
        if now < self.back_at {
            self.due.push(Reverse((now + TRIP, client, What::Answer(attempt, false))));
            return;
        }
        let second = usize::try_from((now - self.back_at).as_secs()).unwrap_or_default();
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] += 1;
        let turn = match self.story.capacity {
            None => now,
            Some(capacity) => {
                self.busy_until = self.busy_until.max(now) + Duration::from_secs(1) / u32::try_from(capacity).unwrap();
                self.busy_until
            }
        };
        let in_time = turn < now + Duration::from_secs(10);
        self.wasted += u64::from(!in_time);
        let answered = if in_time { turn } else { now + Duration::from_secs(10) };
        self.due.push(Reverse((answered + TRIP, client, What::Answer(attempt, in_time))));
    }

    /// The mean window from which the delays in force were drawn.
    fn mean_window(&self) -> Duration {
        if matches!(self.story.ending, Ending::Announced) {
            return Duration::from_secs(10);
        }
        let sum: f64 = self.all.iter().map(|machine| machine.window(self.back_at).as_secs_f64()).sum();
        Duration::from_secs_f64(sum / self.all.len() as f64)
    }
}

//! What happens, drawn from a seed, and what must be true in the end.

use super::client::Client;
use super::hub::Hub;
use super::net::{Net, Weather};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wakeful::hub::ask::{Answer, Ask, Identity};
use wakeful::model::{Signal, Timestamp};
use wakeful::proto::hub::wire::Body;
use wakeful::proto::hub::wire::client::{Hist, Send};
use wakeful::proto::hub::wire::object::Order;
use wakeful::world::Clock;

/// One thing that happens, after so many milliseconds. `who`: 0 alice, 1 bob.
#[derive(Clone, Debug)]
pub struct Step {
    after: u64,
    who: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Write(u8),
    /// Carol, who has no link of her own, writes to both.
    Flood(u8),
    Read,
    Reset,
    Deaf {
        up: bool,
        down: bool,
    },
    Weather(Weather),
    Restart,
    Kill {
        down_for: u64,
    },
    Sleep {
        slept: u64,
    },
    Network {
        routed: bool,
        local_gone: bool,
    },
    Reconnect,
    Jump(i64),
    Prune,
}

pub fn steps(seed: u64) -> Vec<Step> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let weathers = [Weather::Open, Weather::Open, Weather::Refused, Weather::Silent, Weather::Busy, Weather::Portal];
    (0..rng.usize(5..40))
        .map(|_| {
            let what = match rng.u32(0..24) {
                0..=6 => What::Write(rng.u8(1..4)),
                7 => What::Flood(rng.u8(1..60)),
                8 => What::Read,
                9 | 10 => What::Reset,
                11 | 12 => What::Deaf { up: rng.bool(), down: rng.bool() },
                13..=15 => What::Weather(weathers[rng.usize(0..weathers.len())]),
                16 => What::Restart,
                17 | 18 => What::Kill { down_for: rng.u64(0..30_000) },
                19 => What::Sleep { slept: rng.u64(1..7200) },
                20 => What::Network { routed: rng.u32(0..4) > 0, local_gone: rng.bool() },
                21 => What::Reconnect,
                22 => What::Jump(rng.i64(-86_400_000..86_400_000)),
                _ => What::Prune,
            };
            let after = if rng.bool() { rng.u64(0..300) } else { rng.u64(0..40_000) };
            Step { after, who: rng.usize(0..2), what }
        })
        .collect()
}

/// From a network that answers again to agreement: the longest window, a probe that is found dead, a wait that the
/// server asked for, and the slowest retry of a request.
const AGREE_WITHIN: Duration = Duration::from_secs(300);

struct World {
    hub: Hub,
    clock: Clock,
    clients: Vec<Client>,
    carol: Identity,
    people: Vec<Identity>,
    written: u64,
    carols: Vec<String>,
}

pub async fn play(seed: u64, steps: &[Step]) -> (Result<u64, String>, Vec<String>) {
    let trace = Arc::new(Mutex::new(Vec::new()));
    let mut world = World::new(seed, &trace).await;
    let start = tokio::time::Instant::now();
    for step in steps {
        tokio::time::sleep(Duration::from_millis(step.after)).await;
        trace.lock().unwrap().push(format!("{:>9} {step:?}", start.elapsed().as_millis()));
        world.act(step).await;
    }
    let result = world.agree().await;
    let mut trace = trace.lock().unwrap().clone();
    for client in &world.clients {
        trace.push(format!("{}: {} dials, {}", client.name, client.net.dials(), client.status()));
    }
    (result, trace)
}

impl World {
    async fn new(seed: u64, trace: &Arc<Mutex<Vec<String>>>) -> Self {
        let clock = Clock::simulated(Timestamp(1_800_000_000_000));
        let hub = Hub::new(seed, clock.clone());
        let (mut clients, mut people) = (Vec::new(), Vec::new());
        for (nth, name) in ["alice", "bob"].into_iter().enumerate() {
            let who = hub.user(name).await;
            let net = Net::new(name, Duration::from_millis(20), hub.accept(who.clone()), trace.clone());
            clients.push(Client::new(name, seed ^ (nth as u64 + 1) << 32, clock.clone(), net).await);
            people.push(who);
        }
        let carol = hub.user("carol").await;
        Self { hub, clock, clients, carol, people, written: 0, carols: Vec::new() }
    }

    fn text(&mut self) -> String {
        self.written += 1;
        format!("message {}", self.written)
    }

    async fn act(&mut self, step: &Step) {
        let other = ["bob", "alice"][step.who];
        match step.what {
            What::Write(count) => {
                for _ in 0..count {
                    let text = self.text();
                    self.clients[step.who].write_to(other, text).await;
                }
            }
            What::Flood(count) => {
                for _ in 0..count {
                    self.carol_writes().await;
                }
            }
            What::Read => self.clients[step.who].mark_read().await,
            What::Reset => self.clients[step.who].net.line(|line| line.reset = true),
            What::Deaf { up, down } => self.clients[step.who].net.line(|line| {
                line.deaf_up |= up;
                line.deaf_down |= down;
            }),
            What::Weather(weather) => self.clients[step.who].net.weather(weather),
            What::Restart => self.hub.restarts.send_modify(|count| *count += 1),
            What::Kill { down_for } => {
                self.clients[step.who].kill().await;
                tokio::time::sleep(Duration::from_millis(down_for)).await;
                self.clients[step.who].start().await;
            }
            What::Sleep { slept } => {
                self.clients[step.who].signal(Signal::Sleeping);
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.clock.jump(i64::try_from(slept * 1000).unwrap());
                self.clients[step.who].signal(Signal::Woke { slept: Duration::from_secs(slept) });
            }
            What::Network { routed, local_gone } => {
                self.clients[step.who].signal(Signal::Network { routed, local_gone });
            }
            What::Reconnect => self.clients[step.who].signal(Signal::Reconnect),
            What::Jump(ms) => self.clock.jump(ms),
            What::Prune => while self.hub.store.prune(self.clock.wall()).await.unwrap() {},
        }
    }

    async fn carol_writes(&mut self) {
        let text = self.text();
        for to in ["alice", "bob"] {
            let cid = wakeful::model::MessageId::new(self.written, &[to.len() as u8; 10]).to_string();
            let (to, body) = (Some(to.to_owned()), Body::text(text.clone()));
            let frame = Send { id: 1, cid, body, to, ..Send::default() };
            let done = self.hub.ask(&self.carol, Ask::Request(Box::new(frame.into()))).await;
            assert!(matches!(done.answer, Answer::Ok(_)), "{done:?}");
        }
        self.carols.push(text);
    }

    /// The network heals; after a while all must be one. Milliseconds that it took.
    async fn agree(&mut self) -> Result<u64, String> {
        for client in &self.clients {
            client.net.weather(Weather::Open);
            client.signal(Signal::Network { routed: true, local_gone: false });
        }
        let begin = tokio::time::Instant::now();
        loop {
            let wrong = match self.disagreement().await {
                None => return Ok(u64::try_from(begin.elapsed().as_millis()).unwrap()),
                Some(wrong) => wrong,
            };
            if begin.elapsed() > AGREE_WITHIN {
                return Err(wrong);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What is not yet as it must be.
    async fn disagreement(&self) -> Option<String> {
        for client in &self.clients {
            if !client.is_online() {
                return Some(format!("{} is not online: {}", client.name, client.status()));
            }
            if !client.all_sent().await {
                return Some(format!("{} has not sent everything", client.name));
            }
        }
        let record = self.record(0, "bob").await;
        for (client, other) in [(&self.clients[0], "bob"), (&self.clients[1], "alice")] {
            let mine: Vec<&String> = client.drafts.iter().map(|(_, text)| text).collect();
            let recorded: Vec<&String> = record.iter().filter(|text| mine.contains(text)).collect();
            if recorded != mine {
                return Some(format!("{} wrote {mine:?}, the hub has {recorded:?}", client.name));
            }
            let seen: Vec<String> = match client.history(other).await.into_iter().collect::<Option<_>>() {
                Some(seen) => seen,
                None => return Some(format!("{} has a hole", client.name)),
            };
            if seen != record {
                return Some(format!("{} sees {seen:?}, the hub has {record:?}", client.name));
            }
        }
        for (nth, client) in self.clients.iter().enumerate() {
            let seen = client.history("carol").await;
            let seen: Vec<&str> = seen.iter().map(|text| text.as_deref().unwrap_or("(hole)")).collect();
            // What came before the first connection may be a hole; what came since is whole and in order.
            let newest = seen.iter().rev().take_while(|text| **text != "(hole)").count();
            let tail = &seen[seen.len() - newest..];
            let record = self.record(nth, "carol").await;
            if !record.ends_with(&tail.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
                || (tail.is_empty() && !record.is_empty())
            {
                return Some(format!("{} sees of carol's {seen:?}, the hub has {record:?}", client.name));
            }
        }
        None
    }

    /// The hub's own record of the conversation with `other`.
    async fn record(&self, who: usize, other: &str) -> Vec<String> {
        use wakeful::proto::hub::wire::client::{Conv, ConvVerb};
        let ask = async |frame: wakeful::proto::hub::wire::ClientFrame| {
            self.hub.ask(&self.people[who], Ask::Request(Box::new(frame))).await.answer
        };
        let direct = Conv { id: 1, op: ConvVerb::Direct, user: Some(other.into()), ..Conv::default() };
        let Answer::Ok(ok) = ask(direct.into()).await else { return Vec::new() };
        let conv = ok.c.map(|conv| conv.conv).or(ok.conv).unwrap();
        let (mut record, mut after) = (Vec::new(), 0);
        loop {
            let page = Hist {
                id: 1,
                conv: Some(conv.clone()),
                after: Some(after),
                limit: Some(200),
                order: Some(Order::Asc),
                ..Hist::default()
            };
            let answer = ask(page.into()).await;
            let Answer::Ok(ok) = answer else { panic!("the hub does not tell its record: {answer:?}") };
            let msgs = ok.msgs.unwrap_or_default();
            let Some(last) = msgs.last() else { return record };
            after = last.seq;
            record.extend(msgs.into_iter().map(|msg| msg.body.and_then(|body| body.text).unwrap_or_default()));
        }
    }
}

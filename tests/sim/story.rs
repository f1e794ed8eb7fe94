//! What happens, drawn from a seed, and how it is played.

use super::client::{Client, Talk, other};
use super::hub::Hub;
use super::net::{Net, Weather};
use super::oracle::{check_end, check_now};
use super::stage::{Climate, Stage};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wakeful::hub::ask::Identity;
use wakeful::model::{AccountState, MessageId, Signal, Timestamp};
use wakeful::proto::hub::wire::Body;
use wakeful::proto::hub::wire::client::{Conv, ConvVerb, Del, Edit, Send};
use wakeful::proto::hub::wire::object::Scope;
use wakeful::world::Clock;

/// A world and what happens in it.
#[derive(Clone, Debug)]
pub struct Story {
    pub seed: u64,
    pub climate: Climate,
    pub steps: Vec<Step>,
}

/// One thing that happens, after so many milliseconds. `who`: 0 alice, 1 bob.
#[derive(Clone, Debug)]
pub struct Step {
    pub after: u64,
    who: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Write(Talk, u8),
    /// Carol, who has no link of her own, writes to this person or to the group.
    CarolWrites(Talk, u8),
    /// She changes or takes back something that she wrote: the so-manieth from the end.
    CarolEdits(u8),
    CarolDeletes(u8),
    Read,
    Reset,
    Deaf {
        up: bool,
        down: bool,
    },
    Close(u16),
    Weather(Weather),
    Restart,
    /// The hub is killed and away for everybody.
    HubDown {
        ms: u64,
    },
    Kill {
        down_for: u64,
    },
    DiskFull {
        ms: u64,
    },
    Sleep {
        s: u64,
        told: bool,
    },
    Network {
        routed: bool,
        local_gone: bool,
    },
    Reconnect,
    Jump(i64),
    Prune,
    /// So much comes while nobody is there that the hub forgets its beginning; when it is being fetched more comes, and
    /// the connection breaks.
    Gap {
        missed: u8,
        ms: u64,
    },
    Look,
}

const CODES: [u16; 7] = [1000, 1001, 1011, 4003, 4004, 4100, 4200];
const WEATHERS: [Weather; 5] = [Weather::Open, Weather::Refused, Weather::Silent, Weather::Busy, Weather::Portal];

impl Story {
    pub fn drawn(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let climate = Climate::drawn(&mut rng);
        // Which faults this story knows: some, in varying company.
        let faults: Vec<u32> = (0..14).filter(|_| rng.u32(0..3) == 0).collect();
        let most = [6, 12, 24][rng.usize(0..3)];
        let count = rng.usize(2..most);
        let steps = (0..count).map(|_| step(&mut rng, &faults)).collect();
        Self { seed, climate, steps }
    }
}

fn step(rng: &mut fastrand::Rng, faults: &[u32]) -> Step {
    let talk = [Talk::Other, Talk::Carol, Talk::Group][rng.usize(0..3)];
    let most = [3, 3, 20][rng.usize(0..3)];
    let some = rng.u8(1..most);
    let fault = (!faults.is_empty() && rng.bool()).then(|| faults[rng.usize(0..faults.len())]);
    let what = match fault {
        None => match rng.u32(0..10) {
            0..=3 => What::Write(talk, some.min(4)),
            4..=6 => What::CarolWrites(talk, some),
            7 => What::CarolEdits(some),
            8 => What::CarolDeletes(some),
            _ => What::Read,
        },
        Some(0) => What::Reset,
        Some(1) => What::Deaf { up: rng.bool(), down: rng.bool() },
        Some(2) => What::Close(CODES[rng.usize(0..CODES.len())]),
        Some(3) => What::Weather(WEATHERS[rng.usize(0..WEATHERS.len())]),
        Some(4) => What::Restart,
        Some(5) => What::HubDown { ms: rng.u64(0..90_000) },
        Some(6) => What::Kill { down_for: rng.u64(0..30_000) },
        Some(7) => What::DiskFull { ms: rng.u64(0..60_000) },
        Some(8) => What::Sleep { s: rng.u64(1..7200), told: rng.bool() },
        Some(9) => What::Network { routed: rng.u32(0..4) > 0, local_gone: rng.bool() },
        Some(10) => What::Jump(rng.i64(-86_400_000..86_400_000)),
        Some(11) => What::Prune,
        Some(12) => What::Gap { missed: rng.u8(5..25), ms: rng.u64(0..6_000) },
        Some(_) => [What::Reconnect, What::Look][rng.usize(0..2)],
    };
    let after = match rng.u32(0..4) {
        0 | 1 => rng.u64(0..100),
        2 => rng.u64(0..2_000),
        _ => rng.u64(0..60_000),
    };
    Step { after, who: rng.usize(0..2), what }
}

/// From a world that has healed to agreement: the longest window, a probe that is found dead, a wait that the server
/// asked for, and the slowest retry of a request.
const AGREE_WITHIN: Duration = Duration::from_secs(300);

/// How it went: milliseconds from healing to agreement.
pub struct Outcome {
    pub result: Result<u64, String>,
    pub events: u64,
    pub trace: Vec<String>,
}

struct World {
    stage: Stage,
    hub: Hub,
    clock: Clock,
    clients: Vec<Client>,
    carol: Identity,
    group: String,
    written: u64,
    /// Conversation and number of what carol wrote.
    carols: Vec<(String, u64)>,
}

pub async fn play(story: &Story, traced: bool) -> Outcome {
    let stage = Stage::new(story.seed, story.climate.clone(), traced);
    let mut world = World::new(story.seed, &stage).await;
    let result = world.go(&story.steps).await;
    for client in &world.clients {
        stage.event(|| format!("{}: {:?}", client.name, client.status()));
    }
    Outcome { result, events: stage.events(), trace: stage.trace() }
}

impl World {
    async fn new(seed: u64, stage: &Stage) -> Self {
        let clock = Clock::simulated(Timestamp(1_800_000_000_000));
        let hub = Hub::new(seed, clock.clone(), stage.clone());
        let carol = hub.user("carol").await;
        let mut clients = Vec::new();
        for (nth, name) in ["alice", "bob"].into_iter().enumerate() {
            let who = hub.user(name).await;
            let net = Net::new(name, hub.accept(who.clone()), stage.clone());
            let seed = seed ^ (nth as u64 + 1) << 32;
            clients.push(Client::new(name, seed, clock.clone(), net, who, stage.clone()).await);
        }
        let members = Some(vec!["alice".into(), "bob".into()]);
        let cid = Some(MessageId::new(1, &[7; 10]).to_string());
        let title = Some("all".into());
        let create = Conv { id: 1, op: ConvVerb::Create, cid, title, members, ..Conv::default() };
        let ok = hub.request(&carol, create).await;
        let group = ok.c.map(|conv| conv.conv).or(ok.conv).unwrap();
        let (stage, written, carols) = (stage.clone(), 0, Vec::new());
        Self { stage, hub, clock, clients, carol, group, written, carols }
    }

    async fn go(&mut self, steps: &[Step]) -> Result<u64, String> {
        for step in steps {
            sleep(Duration::from_millis(step.after)).await;
            self.stage.event(|| format!("--- {step:?}"));
            self.act(step).await?;
        }
        self.agree().await
    }

    fn text(&mut self) -> String {
        self.written += 1;
        format!("message {}", self.written)
    }

    async fn act(&mut self, step: &Step) -> Result<(), String> {
        match step.what {
            What::Write(talk, count) => {
                for _ in 0..count {
                    let (text, group) = (self.text(), self.group.clone());
                    self.clients[step.who].write_to(talk, &group, text).await;
                }
            }
            What::CarolWrites(talk, count) => {
                for _ in 0..count {
                    self.carol_writes(talk, step.who).await;
                }
            }
            What::CarolEdits(back) => self.carol_changes(back, true).await,
            What::CarolDeletes(back) => self.carol_changes(back, false).await,
            What::Read => self.clients[step.who].mark_read().await,
            What::Jump(ms) => self.clock.jump(ms),
            What::Prune => self.prune().await,
            What::Gap { missed, ms } => self.gap(step.who, missed, ms).await,
            What::Restart => drop(self.hub.restarts.send(())),
            What::HubDown { ms } => self.hub_down(ms).await,
            What::Kill { down_for } => self.kill(step.who, down_for).await?,
            What::Sleep { s, told } => self.sleeps(step.who, s, told).await,
            What::Look => check_now(&self.hub, &mut self.clients[step.who]).await?,
            _ => self.breaks(&self.clients[step.who], step.what),
        }
        Ok(())
    }

    /// What happens to one client from outside.
    fn breaks(&self, client: &Client, what: What) {
        match what {
            What::Reset => client.net.line(|line| line.reset = true),
            What::Close(code) => client.net.line(|line| line.close = Some(code)),
            What::Deaf { up, down } => client.net.line(|line| {
                line.deaf_up |= up;
                line.deaf_down |= down;
            }),
            What::Weather(weather) => drop(client.net.weather(weather)),
            What::DiskFull { ms } => client.disk_is_full(Instant::now() + Duration::from_millis(ms)),
            What::Network { routed, local_gone } => client.signal(Signal::Network { routed, local_gone }),
            What::Reconnect => client.signal(Signal::Reconnect),
            other => panic!("{other:?} is not of this kind"),
        }
    }

    async fn prune(&self) {
        while self.hub.store.prune(self.clock.wall()).await.unwrap() {}
    }

    async fn gap(&mut self, who: usize, missed: u8, ms: u64) {
        let before = self.clients[who].net.weather(Weather::Refused);
        self.clients[who].net.line(|line| line.reset = true);
        for _ in 0..missed {
            self.carol_writes(Talk::Group, who).await;
        }
        self.prune().await;
        self.clients[who].net.weather(before);
        self.clients[who].signal(Signal::Network { routed: true, local_gone: true });
        sleep(Duration::from_millis(ms)).await;
        self.carol_writes(Talk::Group, who).await;
        sleep(Duration::from_millis(ms % 1_000)).await;
        self.clients[who].net.line(|line| line.reset = true);
    }

    async fn hub_down(&self, ms: u64) {
        let before: Vec<Weather> = self.clients.iter().map(|client| client.net.weather(Weather::Refused)).collect();
        self.clients.iter().for_each(|client| client.net.line(|line| line.reset = true));
        sleep(Duration::from_millis(ms)).await;
        for (client, weather) in self.clients.iter().zip(before) {
            client.net.weather(weather);
        }
    }

    /// Killed at once; what it left on its disk is looked at before it starts again.
    async fn kill(&mut self, who: usize, down_for: u64) -> Result<(), String> {
        let client = &mut self.clients[who];
        client.kill().await;
        if let Some(storm) = client.storm() {
            return Err(storm);
        }
        check_now(&self.hub, client).await?;
        sleep(Duration::from_millis(down_for)).await;
        client.start().await;
        Ok(())
    }

    /// Monotonic time stands still while the wall clock goes on; a hub forgets a client that is silent for ten minutes.
    async fn sleeps(&mut self, who: usize, s: u64, told: bool) {
        if told {
            self.clients[who].signal(Signal::Sleeping);
            sleep(Duration::from_millis(100)).await;
        }
        if s > 600 {
            self.clients[who].net.line(|line| (line.deaf_up, line.deaf_down) = (true, true));
        }
        self.clock.jump(i64::try_from(s * 1000).unwrap());
        self.clients[who].signal(Signal::Woke { slept: Duration::from_secs(s) });
    }

    async fn carol_writes(&mut self, talk: Talk, who: usize) {
        let (text, group) = (self.text(), self.group.clone());
        let cid = MessageId::new(self.written, &[1; 10]).to_string();
        let (to, conv) = match talk {
            Talk::Group => (None, Some(group.clone())),
            Talk::Carol => (Some(self.clients[who].name.to_owned()), None),
            Talk::Other => (Some(other(self.clients[who].name).to_owned()), None),
        };
        let frame = Send { id: 1, cid, body: Body::text(text), to, conv, ..Send::default() };
        let ok = self.hub.request(&self.carol, frame).await;
        self.carols.push((ok.conv.unwrap_or(group), ok.seq.unwrap()));
    }

    async fn carol_changes(&mut self, back: u8, edit: bool) {
        let Some(nth) = self.carols.len().checked_sub(usize::from(back)) else { return };
        let (conv, seq) = self.carols[nth].clone();
        let text = self.text();
        if edit {
            let frame = Edit { id: 1, conv, seq, body: Body::text(text), ..Edit::default() };
            self.hub.request(&self.carol, frame).await;
        } else {
            self.carols.remove(nth);
            self.hub.request(&self.carol, Del { id: 1, conv, seqs: vec![seq], scope: Scope::All }).await;
        }
    }

    /// The world heals; after a while all must be one. Milliseconds that it took.
    async fn agree(&mut self) -> Result<u64, String> {
        self.stage.event(|| "--- healed".into());
        self.stage.heal();
        for client in &self.clients {
            client.net.weather(Weather::Open);
            client.disk_is_full(Instant::now());
            client.signal(Signal::Network { routed: true, local_gone: false });
        }
        let begin = Instant::now();
        loop {
            // A close code may have told somebody to stop: only the user goes on from there.
            for client in self.clients.iter().filter(|client| client.status().state == AccountState::Halted) {
                client.signal(Signal::Reconnect);
            }
            match check_end(&self.hub, &mut self.clients).await {
                Ok(()) => break,
                Err(wrong) if begin.elapsed() > AGREE_WITHIN => return Err(wrong),
                Err(_) => sleep(Duration::from_millis(1_000)).await,
            }
        }
        let took = u64::try_from(begin.elapsed().as_millis()).unwrap();
        self.clients.iter().find_map(Client::storm).map_or(Ok(took), Err)
    }
}

//! The driver with a protocol that follows a script, over a socket in memory, in paused time.

use super::super::dial::{Broken, DialError, Dialer, Socket, Wire};
use super::{Link, LinkParts, Settings};
use crate::machine::Machine;
use crate::model::{
    AccountId, AccountState, BatchId, Checkpoint, CheckpointRow, CommandKind, Event, Statuses, Timestamp, UserUpdate,
};
use crate::proto::{Endpoint, Frame, FrameBody, Input, Output, Place, Protocol};
use crate::store::{Draft, Store};
use crate::world::{Clock, Entropy};
use futures_util::future::BoxFuture;
use futures_util::{Sink, Stream};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

type Log = Arc<Mutex<Vec<String>>>;

/// Logs what it is told; every text frame becomes a fact; ready at once.
struct Script {
    log: Log,
    out: VecDeque<Output>,
    frames: u64,
}

impl Script {
    fn say(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }
}

impl Machine for Script {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, _: Instant, input: Input) {
        match input {
            Input::Opened { .. } => self.out.push_back(Output::Ready),
            Input::Frame(Frame { body: FrameBody::Text(text), .. }) => {
                self.frames += 1;
                self.out.push_back(Output::Event(Event::User(UserUpdate { user: text.clone(), name: text })));
            }
            Input::Cut(BatchId(id)) => {
                self.say(format!("cut {id}"));
                let value = Some(self.frames.to_string().into_bytes());
                let rows = vec![CheckpointRow { key: "frames".into(), value }];
                self.out.push_back(Output::Checkpoint(BatchId(id), Checkpoint { rows }));
            }
            Input::Committed(BatchId(id)) => self.say(format!("committed {id}")),
            Input::Closed(_) => self.say("closed".into()),
            Input::Command(command) => self.say(format!("command {} {}", command.outbox, command.maybe_sent)),
            _ => {}
        }
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl Protocol for Script {
    fn endpoint(&self) -> Endpoint {
        Endpoint { place: Place::Url(String::new()), subprotocol: "x", headers: Vec::new(), max_frame: 1 }
    }
    fn has_probe(&self) -> bool {
        false
    }
}

/// What the far side of the socket hears; `Err(())` stands for a flush.
type Heard = mpsc::UnboundedReceiver<Result<Wire, ()>>;

struct End {
    incoming: mpsc::UnboundedReceiver<Wire>,
    heard: mpsc::UnboundedSender<Result<Wire, ()>>,
}

impl Stream for End {
    type Item = Result<Wire, Broken>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx).map(|wire| wire.map(Ok))
    }
}

impl Sink<Wire> for End {
    type Error = Broken;
    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }
    fn start_send(self: Pin<&mut Self>, wire: Wire) -> Result<(), Broken> {
        self.heard.send(Ok(wire)).map_err(|_| Broken("gone".into()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let _test_is_over = self.heard.send(Err(()));
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }
}

/// Gives the sockets that a test puts in.
struct Sockets(Mutex<VecDeque<End>>);

impl Dialer for Sockets {
    fn dial(&self, _: Endpoint) -> BoxFuture<'static, Result<Socket, DialError>> {
        let end = self.0.lock().unwrap().pop_front();
        Box::pin(async move {
            match end {
                Some(end) => Ok(Box::new(end) as Socket),
                None => std::future::pending().await,
            }
        })
    }
}

struct Stage {
    store: Store,
    account: AccountId,
    log: Log,
    far: Vec<(mpsc::UnboundedSender<Wire>, Heard)>,
    statuses: watch::Sender<Statuses>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    clock: Clock,
}

/// A disk that may be full.
#[derive(Default)]
struct MaybeFull(std::sync::atomic::AtomicBool);

impl crate::db::Disk for MaybeFull {
    fn next(&self) -> crate::db::Fate {
        let fails = self.0.load(std::sync::atomic::Ordering::Relaxed);
        crate::db::Fate { lands_after: Duration::from_millis(1), fails, ..crate::db::Fate::default() }
    }
}

impl MaybeFull {
    fn is(&self, full: bool) {
        self.0.store(full, std::sync::atomic::Ordering::Relaxed);
    }
}

/// A link that can dial so many times.
async fn stage(sockets: usize) -> Stage {
    stage_on(sockets, Arc::default()).await
}

async fn stage_on(sockets: usize, disk: Arc<MaybeFull>) -> Stage {
    let clock = Clock::simulated(Timestamp(1_800_000_000_000));
    let entropy = Entropy::seeded(1);
    let store = Store::simulated(crate::store::Settings::default(), clock.clone(), entropy.clone(), disk).unwrap();
    let account = store.account("work", "hub", Some("me")).await.unwrap();
    let (log, statuses, stop) = (Log::default(), watch::Sender::new(Statuses::new()), CancellationToken::new());
    let (mut ends, mut far) = (VecDeque::new(), Vec::new());
    for _ in 0..sockets {
        let (say, incoming) = mpsc::unbounded_channel();
        let (heard, hear) = mpsc::unbounded_channel();
        ends.push_back(End { incoming, heard });
        far.push((say, hear));
    }
    let task = Link::spawn(LinkParts {
        account,
        name: "work".into(),
        protocol: Box::new(Script { log: log.clone(), out: VecDeque::new(), frames: 0 }),
        protocol_name: "hub".into(),
        dialer: Arc::new(Sockets(Mutex::new(ends))),
        store: store.clone(),
        settings: Settings::default(),
        clock: clock.clone(),
        entropy,
        signals: broadcast::Sender::new(4).subscribe(),
        perishables: broadcast::Sender::new(4),
        statuses: statuses.clone(),
        shutdown: stop.clone(),
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    Stage { store, account, log, far, statuses, stop, task, clock }
}

impl Stage {
    fn state(&self) -> AccountState {
        self.statuses.borrow()[&self.account].state
    }

    async fn checkpoint(&self) -> String {
        let rows = self.store.checkpoint(self.account).await.unwrap();
        rows.into_iter().find_map(|row| row.value).map(|value| String::from_utf8(value).unwrap()).unwrap_or_default()
    }

    async fn enqueue(&self, text: &str) {
        let conversation = Some(self.store.direct(self.account, "bob").await.unwrap());
        let what = CommandKind::Send { text: text.into(), reply_to: None, attachments: Vec::new() };
        let draft = Draft { account: self.account, conversation, what, id: None, at: self.clock.wall() };
        self.store.enqueue(draft).await.unwrap();
    }
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_cut_committed_and_only_then_told_and_what_came_together_is_one_batch() {
    let stage = stage(1).await;
    assert_eq!(stage.state(), AccountState::Online);
    for text in ["a", "b", "c"] {
        stage.far[0].0.send(Wire::Frame(Frame::text(text))).unwrap();
    }
    pass(10).await;
    assert_eq!(*stage.log.lock().unwrap(), ["cut 1", "committed 1"]);
    assert_eq!(stage.checkpoint().await, "3");
    stage.far[0].0.send(Wire::Frame(Frame::text("d"))).unwrap();
    pass(10).await;
    assert_eq!(stage.log.lock().unwrap()[2..], ["cut 2", "committed 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_becomes_few_batches_but_none_is_larger_than_its_bound() {
    let stage = stage(1).await;
    for nth in 0..600 {
        stage.far[0].0.send(Wire::Frame(Frame::text(format!("{nth}")))).unwrap();
    }
    pass(100).await;
    // tokio makes a task pause after 128 messages, so there may be more than three.
    let lines = stage.log.lock().unwrap().len();
    assert!((6..=12).contains(&lines), "{lines}");
    assert_eq!(stage.checkpoint().await, "600");
}

#[tokio::test(start_paused = true)]
async fn the_automatic_pong_leaves_at_once() {
    let mut stage = stage(1).await;
    while stage.far[0].1.try_recv().is_ok() {}
    stage.far[0].0.send(Wire::Ping(b"x".to_vec())).unwrap();
    pass(10).await;
    assert_eq!(stage.far[0].1.try_recv(), Ok(Err(())), "a flush follows the ping");
}

#[tokio::test(start_paused = true)]
async fn rows_that_were_out_when_the_connection_broke_come_again_and_say_so() {
    let mut stage = stage(2).await;
    stage.enqueue("hi").await;
    pass(10).await;
    assert_eq!(*stage.log.lock().unwrap(), ["command 1 false"]);
    drop(stage.far.remove(0));
    pass(1_000).await;
    assert_eq!(*stage.log.lock().unwrap(), ["command 1 false", "closed", "command 1 true"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_the_disk_refuses_is_held_unacknowledged_and_lands_whole_when_there_is_room() {
    let disk = Arc::new(MaybeFull::default());
    let stage = stage_on(1, disk.clone()).await;
    disk.is(true);
    for text in ["a", "b"] {
        stage.far[0].0.send(Wire::Frame(Frame::text(text))).unwrap();
    }
    pass(10_000).await;
    assert_eq!(*stage.log.lock().unwrap(), ["cut 1"], "tried again and again, acknowledged never");
    assert_eq!(stage.checkpoint().await, "");
    assert_eq!(stage.state(), AccountState::Online, "a full disk is no dead peer");
    stage.far[0].0.send(Wire::Frame(Frame::text("c"))).unwrap();
    disk.is(false);
    pass(11_000).await;
    assert_eq!(*stage.log.lock().unwrap(), ["cut 1", "committed 1", "cut 2", "committed 2"]);
    assert_eq!(stage.checkpoint().await, "3");
    let users = stage.store.changes(crate::model::Seq(0), 100).await.unwrap().len();
    assert!(users <= 3, "nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stays_full_ends_the_connection_in_order_names_itself_and_everything_goes_on_afterwards() {
    let disk = Arc::new(MaybeFull::default());
    let mut stage = stage_on(2, disk.clone()).await;
    disk.is(true);
    stage.far[0].0.send(Wire::Frame(Frame::text("a"))).unwrap();
    pass(41_000).await;
    let status = stage.statuses.borrow()[&stage.account].clone();
    assert_eq!(status.state, AccountState::Waiting);
    assert!(
        matches!(&status.last_error, Some(crate::model::Reason::Disk { detail }) if detail.contains("full")),
        "{status:?}"
    );
    let goodbye = std::iter::from_fn(|| stage.far[0].1.try_recv().ok()).any(|wire| matches!(wire, Ok(Wire::Close(_))));
    assert!(goodbye);
    assert_eq!(*stage.log.lock().unwrap(), ["cut 1"], "not closed either: the batch has not landed yet");
    pass(600_000).await;
    assert_eq!(stage.statuses.borrow()[&stage.account].connects, 1, "nothing is fetched that cannot be kept");
    disk.is(false);
    pass(12_000).await;
    assert_eq!(*stage.log.lock().unwrap(), ["cut 1", "committed 1", "closed"]);
    assert_eq!((stage.state(), stage.checkpoint().await.as_str()), (AccountState::Online, "1"));
    stage.enqueue("hi").await;
    pass(1_100).await;
    assert_eq!(stage.log.lock().unwrap().last().unwrap(), "command 1 false");
}

#[tokio::test(start_paused = true)]
async fn the_status_counts_bytes_wakeups_and_reconnects_of_late_and_idle_costs_two_wakeups_a_probe() {
    let mut stage = stage(3).await;
    let answer = |stage: &mut Stage, nth: usize| {
        while let Ok(heard) = stage.far[nth].1.try_recv() {
            if let Ok(Wire::Ping(bytes)) = heard {
                stage.far[nth].0.send(Wire::Pong(bytes)).unwrap();
            }
        }
    };
    for _ in 0..7_200 {
        pass(1_000).await;
        answer(&mut stage, 0);
    }
    let wall = stage.clock.wall();
    let status = stage.statuses.borrow()[&stage.account].clone();
    let (wakeups, bytes) = (status.wakeups_hour.sum(wall), status.bytes_hour.sum(wall));
    assert!((140..=170).contains(&wakeups), "{wakeups} wake-ups in an idle hour");
    assert!((1_100..=1_400).contains(&bytes), "{bytes} bytes: a ping and a pong of 8 bytes each, every 45 s");
    assert_eq!(status.reconnects_day.sum(wall), 0, "the first connection is none");
    drop(stage.far.remove(0));
    pass(2_000).await;
    let status = stage.statuses.borrow()[&stage.account].clone();
    assert_eq!((status.connects, status.reconnects_day.sum(stage.clock.wall())), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_ping_ends_the_connection_and_the_status_says_why() {
    let mut stage = stage(1).await;
    pass(45_000).await;
    let pinged = std::iter::from_fn(|| stage.far[0].1.try_recv().ok()).any(|wire| matches!(wire, Ok(Wire::Ping(_))));
    assert!(pinged);
    pass(10_100).await;
    let status = stage.statuses.borrow()[&stage.account].clone();
    assert_ne!(status.state, AccountState::Online);
    assert_eq!(status.last_error, Some(crate::model::Reason::Dead));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_prompt_also_while_a_dial_hangs() {
    let stage = stage(0).await;
    assert_eq!(stage.state(), AccountState::Dialing);
    stage.stop.cancel();
    tokio::time::timeout(Duration::from_millis(50), stage.task).await.unwrap().unwrap();
    assert_eq!(stage.statuses.borrow()[&stage.account].state, AccountState::Offline);
}

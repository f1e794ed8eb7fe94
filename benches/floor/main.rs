//! What the way into the store costs, beside a bare prototype of the same way in the same run: socket, parse, batch commit,
//! broadcast. `cargo bench --bench floor`; MESSAGES=N, STORED=N change how many.
//!
//! The prototype has the same schema, full-text index, `synchronous=FULL` and checkpoints beside it; it checks nothing, knows
//! no duplicates, counts nothing unread, keeps no ranges and no feed.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]

mod bare;
mod server;

use bare::prototype;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use server::{accept, greet, listen};
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Ws;
use wakeful::config::Config;
use wakeful::daemon::{Daemon, Options, Running, network};
use wakeful::ipc::{Client, wire};
use wakeful::model::{Arrival, ConversationKey, Event, FeedKind, MessageKind, Origin, Seq, ServerRef, Timestamp};
use wakeful::notify::Nowhere;
use wakeful::paths::Paths;
use wakeful::platform::secrets::Secrets;
use wakeful::store::{Batch, Settings, Store};
use wakeful::world::{Clock, Entropy};

const TEXT: usize = 300;
/// Events in one frame, the most that the protocol allows.
const FRAME: usize = 100;
const T0: u64 = 1_767_225_600_000;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Words as people write them, 300 bytes a message, different in each.
fn text(n: usize) -> String {
    const WORDS: [&str; 16] = [
        "meeting", "tomorrow", "invoice", "the", "and", "garden", "release", "water", "please", "look", "again",
        "number", "today", "evening", "train", "answer",
    ];
    let mut dice = fastrand::Rng::with_seed(n as u64);
    let mut text = format!("{n}");
    while text.len() < TEXT {
        text.push(' ');
        text.push_str(WORDS[dice.usize(..WORDS.len())]);
    }
    text.truncate(TEXT);
    text
}

fn msg(n: usize) -> Value {
    let seq = n + 1;
    json!({"k": "msg", "conv": "c1", "seq": seq, "rev": seq, "from": "bob", "ts": T0 + seq as u64,
           "cid": uuid::Uuid::from_u128((7 << 76) | (2 << 62) | n as u128), "body": {"type": "text", "text": text(n)}})
}

fn frame(from: usize, to: usize) -> String {
    json!({"t": "ev", "prev": from, "cur": to, "evs": (from..to).map(msg).collect::<Vec<_>>()}).to_string()
}

fn home(dir: &Path, port: u16) -> Paths {
    let paths = Paths::under(dir);
    paths.make().unwrap();
    let config = format!(
        "[account.me]\nprotocol = \"hub\"\nurl = \"ws://127.0.0.1:{port}/\"\n[notifications]\nenabled = false\n"
    );
    std::fs::write(paths.config_file(), config).unwrap();
    std::fs::create_dir_all(paths.secrets_dir()).unwrap();
    let secret = paths.secrets_dir().join("me");
    std::fs::write(&secret, "token").unwrap();
    let private = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    private(&paths.secrets_dir(), 0o700);
    private(&secret, 0o600);
    paths
}

async fn daemon(paths: &Paths) -> Running {
    let options = Options {
        paths: paths.clone(),
        config: Config::load(&paths.config_file()).unwrap(),
        dialer: network(),
        desktop: Box::new(Nowhere),
        launcher: Vec::new(),
        secrets: Secrets::files(paths.secrets_dir()),
        clock: Clock::system(),
        entropy: Entropy::system(),
        listener: None,
        machine: false,
        shutdown: tokio_util::sync::CancellationToken::new(),
    };
    Daemon::start(options).await.unwrap()
}

/// Messages a second through a real daemon: WebSocket, protocol, store, and one subscriber over IPC.
async fn product(dir: &Path, count: usize) -> (f64, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let paths = home(dir, listener.local_addr().unwrap().port());
    let running = daemon(&paths).await;
    let mut server = accept(&listener).await;
    let window = greet(&mut server).await;
    let (mut to, from) = server.split();
    let (pongs, mut pong) = mpsc::channel(8);
    let mut acked = listen(from, pongs);
    let client = Client::connect(&paths.socket()).await.unwrap();
    let mut heard =
        client.subscribe(wire::Subscribe { kinds: vec![FeedKind::Message], ..Default::default() }).await.unwrap();
    let reader = tokio::spawn(async move {
        for _ in 0..count {
            heard.next().await.unwrap().unwrap();
        }
    });
    let frames: Vec<String> = (0..count).step_by(FRAME).map(|from| frame(from, (from + FRAME).min(count))).collect();
    let begun = Instant::now();
    for (n, frame) in frames.into_iter().enumerate() {
        while (n * FRAME).saturating_sub(*acked.borrow_and_update()) + FRAME > window {
            acked.changed().await.unwrap();
        }
        while let Ok(answer) = pong.try_recv() {
            to.send(Ws::text(answer)).await.unwrap();
        }
        to.send(Ws::text(frame)).await.unwrap();
    }
    while *acked.borrow_and_update() < count {
        acked.changed().await.unwrap();
    }
    let stored = begun.elapsed();
    reader.await.unwrap();
    println!(
        "  the subscriber had the last one {:.0} ms after it was acknowledged",
        (begun.elapsed() - stored).as_secs_f64() * 1e3
    );
    running.stop().await;
    (rate(count, stored), std::fs::metadata(paths.state_dir().join("wakeful.db")).unwrap().len())
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64()
}

/// Frame to commit at 1,000 messages a second, one message a frame.
async fn latency(dir: &Path, count: usize) -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let paths = home(dir, listener.local_addr().unwrap().port());
    let running = daemon(&paths).await;
    let mut server = accept(&listener).await;
    greet(&mut server).await;
    let (mut to, from) = server.split();
    let (pongs, _keep) = mpsc::channel(64);
    let _acked = listen(from, pongs);
    let store = running.store().clone();
    let mut bell = store.feed();
    let mut after = *bell.borrow_and_update();
    let (sent, mut sends) = mpsc::unbounded_channel::<Instant>();
    let sender = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        for n in 0..count {
            tick.tick().await;
            let frame = frame(n, n + 1);
            sent.send(Instant::now()).unwrap();
            to.send(Ws::text(frame)).await.unwrap();
        }
        to
    });
    let mut took = Vec::with_capacity(count);
    while took.len() < count {
        bell.changed().await.unwrap();
        bell.borrow_and_update();
        let now = Instant::now();
        let items = store.changes(after, 10_000).await.unwrap();
        after = items.last().map_or(after, |item| item.seq);
        for _ in items.iter().filter(|item| item.kind == FeedKind::Message) {
            took.push(now - sends.recv().await.unwrap());
        }
    }
    drop(sender.await.unwrap());
    running.stop().await;
    took
}

fn fsyncs(dir: &Path, count: usize) -> Vec<Duration> {
    let mut file = std::fs::File::create(dir.join("fsync")).unwrap();
    let once = |_| {
        file.write_all(&[7; 4096]).unwrap();
        let begun = Instant::now();
        file.sync_data().unwrap();
        begun.elapsed()
    };
    (0..count).map(once).collect()
}

fn percentiles(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    let at = |share: usize| all[(all.len() * share / 100).min(all.len() - 1)].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}

/// A store with so many messages, and how long the real program takes until it says that it is ready.
async fn start_up(dir: &Path, count: usize) -> Vec<Duration> {
    let paths = home(dir, 9);
    let fast = Settings { full_sync: false, cache_kib: 64 << 10, ..Settings::default() };
    let store = Store::open(paths.state_dir(), fast, Clock::system(), Entropy::system()).unwrap();
    let account = store.account("me", "hub", Some("me")).await.unwrap();
    for from in (0..count).step_by(5_000) {
        let event = |n: usize| Event::Message(Box::new(arrival(n)));
        let events = (from..(from + 5_000).min(count)).map(event).collect();
        store.apply(account, Batch { events, at: Timestamp(0), ..Batch::default() }).await.unwrap();
    }
    assert!(store.changes(Seq(0), 1).await.is_err() || count < 100_000);
    store.close().await;
    let ready = dir.join("ready");
    let start = |_| {
        let _gone = std::fs::remove_file(&ready);
        let socket = UnixDatagram::bind(&ready).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wakeful"));
        command.args(["run"]).env("WAKEFUL_HOME", dir).env("NOTIFY_SOCKET", &ready).stderr(std::process::Stdio::null());
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        let mut buffer = [0; 4_096];
        loop {
            let length = socket.recv(&mut buffer).expect("it becomes ready");
            if String::from_utf8_lossy(&buffer[..length]).contains("READY=1") {
                break;
            }
        }
        let took = begun.elapsed();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap();
        took
    };
    (0..7).map(start).collect()
}

fn arrival(n: usize) -> Arrival {
    let order = n as u64 + 1;
    Arrival {
        conversation: ConversationKey::server(format!("c{}", n % 50)),
        sender: "bob".into(),
        outgoing: false,
        server: Some(ServerRef { id: format!("e1/c{}/{order}", n % 50), order: Some(order) }),
        own_id: None,
        sender_ref: None,
        sent_at: Timestamp(i64::try_from(T0 + order * 1_000).unwrap()),
        kind: MessageKind::Text,
        text: text(n),
        reply_to: None,
        mentions_me: false,
        attachments: Vec::new(),
        rev: order,
        edited_at: None,
        retracted: false,
        reactions: Vec::new(),
        silent: true,
        origin: Origin::History,
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let count = number("MESSAGES", 20_000);
    let dir = tempfile::tempdir_in(std::env::var_os("FLOOR_DIR").unwrap_or_else(|| "target".into())).unwrap();
    let sub = |name: &str| {
        let sub = dir.path().join(name);
        std::fs::create_dir_all(&sub).unwrap();
        sub
    };
    println!("disk: fdatasync of 4 KiB {}", percentiles(fsyncs(&sub("fsync"), 500)));
    let mut ratios = Vec::new();
    for round in 0..3 {
        let bare = prototype(&sub(&format!("bare{round}")), count).await;
        let (ours, bytes) = product(&sub(&format!("ours{round}")), count).await;
        ratios.push(ours / bare);
        println!(
            "{count} messages of {TEXT} bytes: prototype {bare:.0}/s, wakeful {ours:.0}/s, ratio {:.2}; {} bytes on disk a message",
            ours / bare,
            bytes / count as u64
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio, median of three: {:.2}", ratios[1]);
    println!("frame to commit at 1,000 a second: {}", percentiles(latency(&sub("latency"), 5_000).await));
    println!("disk again: fdatasync of 4 KiB {}", percentiles(fsyncs(&sub("fsync"), 500)));
    let stored = number("STORED", 1_000_000);
    println!("start to ready with {stored} messages: {}", percentiles(start_up(&sub("start"), stored).await));
}

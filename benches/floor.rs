//! What the way into the store costs, beside a bare prototype of the same way in the same run: socket, parse, batch commit,
//! broadcast. `cargo bench --bench floor`; MESSAGES=N, STORED=N change how many.
//!
//! The prototype has the same schema, full-text index, `synchronous=FULL` and checkpoints beside it; it checks nothing, knows
//! no duplicates, counts nothing unread, keeps no ranges and no feed.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]

use futures_util::{SinkExt as _, StreamExt as _};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
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

type Server = WebSocketStream<TcpStream>;

#[expect(clippy::result_large_err, reason = "the library's own shape")]
async fn accept(listener: &TcpListener) -> Server {
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    let answer = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "wakeful.v1.json".parse().unwrap());
        Ok(response)
    };
    tokio_tungstenite::accept_hdr_async(stream, answer).await.unwrap()
}

/// Greets as a hub does whose user has no history yet; how much may be sent unacknowledged.
async fn greet(server: &mut Server) -> usize {
    let hello = server.next().await.unwrap().unwrap().into_text().unwrap();
    let hello: Value = serde_json::from_str(&hello).unwrap();
    let window = hello["window"].as_u64().unwrap_or(256);
    let welcome = json!({
        "t": "welcome", "user": "me", "device": "d", "conn": "c", "epoch": "e1", "resume": "snap", "reason": "first", "head": 0,
        "now": T0, "window": window, "caps": [], "ka": {"interval": 45_000, "timeout": 10_000, "max": 600_000},
        "limits": {"frame_in": 1 << 20, "frame_out": 1 << 20, "text": 1 << 16, "inflight": 16, "hist": 200, "members": 100,
                   "atts": 10, "blob": 0},
        "retain": {"days": 30, "events": 1_000_000},
    });
    let snap = json!({"t": "snap", "part": 1, "more": false, "convs": [], "users": [], "epoch": "e1", "cur": 0});
    for frame in [welcome, snap] {
        server.send(Ws::text(frame.to_string())).await.unwrap();
    }
    usize::try_from(window).unwrap()
}

/// What the client says, until it goes: the newest acknowledged number.
fn listen(
    mut from: futures_util::stream::SplitStream<Server>,
    pongs: mpsc::Sender<String>,
) -> tokio::sync::watch::Receiver<usize> {
    let (acked, ack) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = from.next().await {
            let Ok(text) = frame.into_text() else { continue };
            let Ok(said) = serde_json::from_str::<Value>(&text) else { continue };
            if said["t"] == "ping" {
                let pong = json!({"t": "pong", "n": said["n"], "head": 0, "now": T0}).to_string();
                pongs.send(pong).await.ok();
            }
            if let Some(cur) = said["cur"].as_u64() {
                acked.send_replace(usize::try_from(cur).unwrap());
            }
        }
    });
    ack
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

/// A file with the product's schema, opened as the product opens it, and what its messages refer to.
async fn bare_store(dir: &Path) -> Connection {
    Store::open(dir, Settings::default(), Clock::system(), Entropy::system()).unwrap().close().await;
    let conn = Connection::open(dir.join("wakeful.db")).unwrap();
    for (name, value) in
        [("journal_mode", "wal"), ("synchronous", "full"), ("wal_autocheckpoint", "0"), ("cache_size", "-256")]
    {
        conn.pragma_update(None, name, value).unwrap();
    }
    conn.execute_batch(
        "INSERT INTO account(id, name, protocol) VALUES (1, 'me', 'hub'); INSERT INTO user(key, account, user) VALUES (1, 1, 'bob');
         INSERT INTO archive(key, account, name) VALUES (1, 1, 'e1/c1');
         INSERT INTO conversation(key, id, account, kind, server) VALUES (1, zeroblob(16), 1, 1, 'c1');",
    )
    .unwrap();
    conn
}

/// The same frames over the same kind of socket into the same schema, by the shortest program that does it.
async fn prototype(dir: &Path, count: usize) -> f64 {
    let (path, conn) = (dir.join("wakeful.db"), bare_store(dir).await);
    let (told, mut out) = UnixStream::pair().unwrap();
    let subscriber = std::thread::spawn(move || BufReader::new(told).lines().take(count).count());
    let (grown, news) = std::sync::mpsc::sync_channel::<()>(1);
    let mover = std::thread::spawn(move || {
        let conn = Connection::open(&path).unwrap();
        while news.recv().is_ok() {
            conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let frames: Vec<String> = (0..count).step_by(FRAME).map(|from| frame(from, (from + FRAME).min(count))).collect();
    let sender = tokio::spawn(async move {
        let mut server = accept(&listener).await;
        for frame in frames {
            server.send(Ws::text(frame)).await.unwrap();
        }
        server.next().await
    });
    let request =
        tokio_tungstenite::tungstenite::ClientRequestBuilder::new(format!("ws://{address}/").parse().unwrap())
            .with_sub_protocol("wakeful.v1.json");
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let (frames_in, mut frames_out) = mpsc::channel::<String>(8);
    let begun = Instant::now();
    let writer = std::thread::spawn(move || {
        let mut done = 0;
        while let Some(first) = frames_out.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < 8
                && let Ok(next) = frames_out.try_recv()
            {
                batch.push(next);
            }
            done += commit(&conn, &batch, &mut out);
            grown.try_send(()).ok();
            if done == count {
                break;
            }
        }
        begun.elapsed()
    });
    let mut seen = 0;
    while seen < count {
        let frame = client.next().await.unwrap().unwrap().into_text().unwrap();
        seen += FRAME;
        frames_in.send(frame.to_string()).await.unwrap();
    }
    let took = writer.join().unwrap();
    assert_eq!(subscriber.join().unwrap(), count);
    mover.join().unwrap();
    sender.abort();
    rate(count, took)
}

/// One transaction for some frames, then a line for each message to the subscriber.
fn commit(conn: &Connection, frames: &[String], out: &mut UnixStream) -> usize {
    #[derive(serde::Deserialize)]
    struct Ev {
        evs: Vec<Msg>,
    }
    #[derive(serde::Deserialize)]
    struct Msg {
        seq: i64,
        ts: i64,
        cid: String,
        body: Body,
    }
    #[derive(serde::Deserialize)]
    struct Body {
        text: String,
    }
    let mut lines = Vec::new();
    let mut count = 0;
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let mut insert = conn
            .prepare_cached(
                "INSERT INTO message(position, id, account, conversation, sender, outgoing, state, kind, sent_at, seq, rev, text,
                    archive, server_ref, server_order) VALUES (?1, ?2, 1, 1, 1, 0, 0, 0, ?3, ?4, ?4, ?5, 1, ?6, ?4)",
            )
            .unwrap();
        for frame in frames {
            let ev: Ev = serde_json::from_str(frame).unwrap();
            for msg in ev.evs {
                let id = uuid::Uuid::from_u128(msg.seq as u128);
                let position = msg.ts << 20;
                insert
                    .execute((position, *id.as_bytes(), msg.ts, msg.seq, &msg.body.text, msg.seq.to_string()))
                    .unwrap();
                writeln!(lines, "{{\"id\":\"{id}\",\"cid\":\"{}\",\"text\":{:?}}}", msg.cid, msg.body.text).unwrap();
                count += 1;
            }
        }
    }
    conn.execute_batch("COMMIT").unwrap();
    out.write_all(&lines).unwrap();
    count
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

//! Pages and searches over a lifetime of messages, through the store and over the socket, beside the bare query and the
//! bare socket in the same run. `cargo bench --profile dist --bench cursors [-- MESSAGES...]` (10,000, 1,000,000 and
//! 5,000,000 by default; the data sets stay in `target/cursors-data`). Every figure is one line of JSON on standard
//! output and in `target/cursors.jsonl`; `benches/plots` draws them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "it measures the machine's time")]

mod dataset;
mod memory;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use wakeful::ipc::{Hall, bind, serve};
use wakeful::model::{Attention, ConversationId, Order, Position, Query, Scope, Statuses};
use wakeful::store::{Settings, Store};
use wakeful::world::{Clock, Entropy};

const ROUNDS: usize = 1_500;
const PAGE: usize = 50;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.replace('_', "").parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 1_000_000, 5_000_000] } else { sizes };
    let mut out = std::fs::File::create("target/cursors.jsonl").unwrap();
    for messages in sizes {
        let dir = PathBuf::from("target/cursors-data").join(messages.to_string());
        dataset::make(&dir, messages);
        let mut tell = |line: Value| {
            let mut line = line;
            line["messages"] = json!(messages);
            println!("{line}");
            writeln!(out, "{line}").unwrap();
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        measure(&runtime, &dir, &mut tell);
        memory::measure(&dir, &mut tell);
    }
}

/// Times of one kind, one a round.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn take<T>(&mut self, job: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let value = job();
        self.0.push(began.elapsed());
        value
    }

    /// Microseconds.
    fn at(&mut self, share: f64) -> f64 {
        self.0.sort();
        let index = ((self.0.len() as f64 * share) as usize).min(self.0.len() - 1);
        self.0[index].as_secs_f64() * 1e6
    }

    fn tell(&mut self, tell: &mut impl FnMut(Value), what: &str, place: &str) {
        let (p50, p99) = (self.at(0.5), self.at(0.99));
        tell(json!({"what": what, "where": place, "p50_us": p50, "p99_us": p99, "rounds": self.0.len()}));
    }
}

/// The whole of it on one data set.
fn measure(runtime: &tokio::runtime::Runtime, dir: &Path, tell: &mut impl FnMut(Value)) {
    let _inside = runtime.enter();
    let store = Store::open(dir, Settings::default(), Clock::system(), Entropy::system()).unwrap();
    let bare = dataset::connect(dir, OpenFlags::SQLITE_OPEN_READ_ONLY);
    bare.execute_batch("PRAGMA cache_size=-256; PRAGMA temp_store=memory; PRAGMA mmap_size=0").unwrap();
    let socket = PathBuf::from(format!("/tmp/wakeful-bench-{}", std::process::id()));
    let shutdown = CancellationToken::new();
    let server = runtime.spawn(serve(bind(&socket).unwrap(), hall(&store), shutdown.clone()));
    let mut line = Line::connect(&socket);

    let places = places(&bare);
    for (place, positions) in &places {
        pages(runtime, &store, &bare, &mut line, place, positions, tell);
    }
    searches(runtime, &store, tell);
    drop(line);
    shutdown.cancel();
    runtime.block_on(server).unwrap();
    runtime.block_on(store.close());
    let _gone = std::fs::remove_file(&socket);
}

fn hall(store: &Store) -> Hall {
    Hall {
        store: store.clone(),
        attention: watch::channel(Attention::default()).0,
        statuses: watch::channel(Statuses::default()).1,
        signals: broadcast::channel(16).0,
        perishables: broadcast::channel(16).0,
        control: mpsc::channel(16).0,
        clock: Clock::system(),
        entropy: Entropy::system(),
        settings: wakeful::ipc::Settings::default(),
    }
}

/// One row of the largest conversation: its place, its id, and how many are newer.
type Anchor = (i64, [u8; 16], usize);

/// Where pages begin: newest, anywhere, oldest.
fn places(bare: &Connection) -> BTreeMap<&'static str, Vec<Anchor>> {
    let sql = "SELECT position, id FROM message WHERE conversation = 1 ORDER BY position DESC";
    let mut select = bare.prepare(sql).unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let all: Vec<(i64, [u8; 16])> = rows.collect::<Result<_, _>>().unwrap();
    let mut dice = fastrand::Rng::with_seed(1);
    let anchor = |index: usize| (all[index].0, all[index].1, index);
    let end = all.len() - 1;
    let spread = 1_000.min(end / 4);
    let newest = (0..ROUNDS).map(|_| anchor(dice.usize(0..spread))).collect();
    let random = (0..ROUNDS).map(|_| anchor(dice.usize(0..end - PAGE))).collect();
    let oldest = (0..ROUNDS).map(|_| anchor(end - PAGE - dice.usize(0..spread))).collect();
    BTreeMap::from([("newest", newest), ("random", random), ("oldest", oldest)])
}

/// Everything that a page needs, as one query: what the store does without the store around it.
const BARE: &str =
    "SELECT m.position, m.id, a.name, c.id, c.title, c.peer, u.user, u.name, m.outgoing, m.state, m.kind,
        m.sent_at, m.seq, m.text, r.name, m.server_ref, m.reply_to, m.reply_ref, m.edited_at, m.retracted, m.mentions,
        m.reacted, m.attachments, m.error, m.account
    FROM message m CROSS JOIN account a ON a.id = m.account CROSS JOIN conversation c ON c.key = m.conversation
    CROSS JOIN user u ON u.key = m.sender LEFT JOIN archive r ON r.key = m.archive
    WHERE m.conversation = 1 AND m.position < ?1 ORDER BY m.position DESC LIMIT 50";

/// A value as a reader would own it.
fn owned(row: &rusqlite::Row<'_>) -> rusqlite::Result<Vec<rusqlite::types::Value>> {
    (0..25).map(|column| row.get(column)).collect()
}

fn run(bare: &Connection, sql: &str, value: i64) -> usize {
    let mut select = bare.prepare_cached(sql).unwrap();
    let rows = select.query_map([value], owned).unwrap();
    rows.map(Result::unwrap).fold(0, |read, _row| read + 1)
}

fn pages(
    runtime: &tokio::runtime::Runtime,
    store: &Store,
    bare: &Connection,
    line: &mut Line,
    place: &str,
    anchors: &[Anchor],
    tell: &mut impl FnMut(Value),
) {
    let conversation: ConversationId = dataset::conversation(0).parse().unwrap();
    let query = Query::new(Scope::Conversation(conversation));
    let (mut plain, mut through, mut next, mut jump) =
        (Times::default(), Times::default(), Times::default(), Times::default());
    let (mut echo, mut offset) = (Times::default(), Times::default());
    let mut mirror = Mirror::start();
    for (round, (position, id, newer)) in anchors.iter().enumerate() {
        // Turn and turn about, so that each meets the same machine; each has its own cache and begins cold in it.
        assert_eq!(plain.take(|| run(bare, BARE, *position)), PAGE);
        let page = store.page(query.clone(), Some(Position(*position)), PAGE);
        assert_eq!(through.take(|| runtime.block_on(page)).unwrap().rows.len(), PAGE);
        let before = uuid::Uuid::from_bytes(*id).to_string();
        let find = json!({"conversation": dataset::conversation(0), "before": before});
        let answer = jump.take(|| line.ask("page", &json!({"find": find, "batch": PAGE})));
        echo.take(|| mirror.ask(answer.len()));
        let opened = line.ask("cursor.open", &json!({"find": find, "batch": 0}));
        let cursor: Value = serde_json::from_str(&opened).unwrap();
        let cursor = &cursor["result"]["cursor"];
        let answer = next.take(|| line.ask("cursor.next", &json!({"cursor": cursor, "batch": PAGE})));
        assert_eq!(answer.matches("\"sent_at\"").count(), PAGE, "{answer}");
        line.ask("cursor.close", &json!({"cursor": cursor}));
        if round % 30 == 0 {
            let sql = format!("{} OFFSET ?1", BARE.replace("AND m.position < ?1", ""));
            offset.take(|| run(bare, &sql, i64::try_from(*newer).unwrap()));
        }
    }
    let (bare_p50, bare_p99) = (plain.at(0.5), plain.at(0.99));
    let (store_p50, store_p99) = (through.at(0.5), through.at(0.99));
    let floor = (echo.at(0.5) + store_p50, echo.at(0.99) + store_p99);
    tell(json!({"what": "ratio", "where": place, "store_to_bare_p50": store_p50 / bare_p50,
        "store_to_bare_p99": store_p99 / bare_p99, "ipc_to_socket_and_page_p50": next.at(0.5) / floor.0,
        "ipc_to_socket_and_page_p99": next.at(0.99) / floor.1}));
    plain.tell(tell, "bare query", place);
    through.tell(tell, "store", place);
    echo.tell(tell, "bare socket", place);
    next.tell(tell, "cursor.next", place);
    jump.tell(tell, "page", place);
    offset.tell(tell, "OFFSET", place);
}

fn searches(runtime: &tokio::runtime::Runtime, store: &Store, tell: &mut impl FnMut(Value)) {
    let typed = |word: &str| word.to_owned();
    let mut asked: Vec<(String, String)> = dataset::SOUGHT.map(|(name, word)| (typed(name), typed(word))).into();
    asked.push((typed("prefix"), typed("grundw*")));
    asked.push((typed("two characters of Japanese"), typed("東京")));
    asked.push((typed("one character of Thai"), typed("ด")));
    for (name, word) in asked {
        for (order, rounds) in [(Order::Desc, 300), (Order::Rank, 20)] {
            let query = Query { text: Some(word.clone()), order, ..Query::new(Scope::All) };
            let mut times = Times::default();
            for _ in 0..rounds {
                times.take(|| runtime.block_on(store.page(query.clone(), None, PAGE))).unwrap();
            }
            let place = if order == Order::Rank { "by rank" } else { "newest first" };
            times.tell(tell, &format!("search {name}"), place);
        }
    }
}

/// A client that only writes and reads lines.
struct Line {
    stream: UnixStream,
    input: BufReader<UnixStream>,
}

impl Line {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        Self { input: BufReader::with_capacity(1 << 16, stream.try_clone().unwrap()), stream }
    }

    fn ask(&mut self, method: &str, params: &Value) -> String {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.input.read_line(&mut answer).unwrap();
        answer
    }
}

/// The bare socket: answers each line with as many bytes as it asks for.
struct Mirror(Line);

impl Mirror {
    fn start() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut input = BufReader::new(theirs.try_clone().unwrap());
            let (mut output, mut asked) = (theirs, String::new());
            while input.read_line(&mut asked).is_ok_and(|read| read > 0) {
                let answer = format!("{}\n", "x".repeat(asked.trim().parse::<usize>().unwrap() - 1));
                output.write_all(answer.as_bytes()).unwrap();
                asked.clear();
            }
        });
        Self(Line { input: BufReader::with_capacity(1 << 16, ours.try_clone().unwrap()), stream: ours })
    }

    fn ask(&mut self, bytes: usize) {
        self.0.stream.write_all(format!("{bytes}\n").as_bytes()).unwrap();
        let mut answer = String::with_capacity(bytes);
        self.0.input.read_line(&mut answer).unwrap();
        assert_eq!(answer.len(), bytes);
    }
}

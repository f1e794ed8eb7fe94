//! The server over a real Unix socket with a real store on disk.

mod conformance;
mod examples;
mod holes;
mod model;
mod questions;
mod requests;
mod sessions;
mod subscriptions;

use super::wire::{Find, Row};
use super::{Client, Control, Hall, Settings, bind, serve};
use crate::model::{
    AccountId, AccountState, AccountStatus, Addressed, Arrival, Attention, Checkpoint, ConversationId, ConversationKey,
    ConversationKind, ConversationUpdate, Event, MessageKind, Origin, Perishable, Seq, ServerRef, Statuses, Timestamp,
};
use crate::store::{Batch, Named, Store};
use crate::world::{Clock, Entropy};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const T0: i64 = 1_700_000_000_000;

/// A running server and the other ends of its channels.
pub(super) struct House {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) account: AccountId,
    pub(super) settings: Settings,
    pub(super) attention: watch::Receiver<Attention>,
    pub(super) statuses: watch::Sender<Statuses>,
    pub(super) signals: broadcast::Receiver<Addressed>,
    pub(super) perishables: broadcast::Sender<(AccountId, Perishable)>,
    pub(super) control: mpsc::Receiver<Control>,
    /// The reference model's count of messages made so far, which makes server ids unique.
    pub(super) made: u64,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

fn open(dir: &Path) -> Store {
    let settings = crate::store::Settings { full_sync: false, ..crate::store::Settings::default() };
    Store::open(dir, settings, Clock::system(), Entropy::system()).unwrap()
}

impl House {
    pub(super) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let account = store.account("ann", "hub", Some("ann")).await.unwrap();
        Self::build(dir, store, account, settings, 0)
    }

    fn build(dir: tempfile::TempDir, store: Store, account: AccountId, settings: Settings, made: u64) -> Self {
        let (attention_tx, attention) = watch::channel(Attention::default());
        let online = AccountStatus {
            name: "ann".into(),
            protocol: "hub".into(),
            state: AccountState::Online,
            last_round_trip_at: Some(Clock::system().wall()),
            ..AccountStatus::default()
        };
        let (statuses, statuses_rx) = watch::channel(Statuses::from([(account, online)]));
        let (signals_tx, signals) = broadcast::channel(1_024);
        let (perishables, _) = broadcast::channel(16);
        let (control_tx, control) = mpsc::channel(16);
        let hall = Hall {
            store: store.clone(),
            attention: attention_tx,
            statuses: statuses_rx,
            signals: signals_tx,
            perishables: perishables.clone(),
            control: control_tx,
            clock: Clock::system(),
            entropy: Entropy::system(),
            settings: settings.clone(),
        };
        let shutdown = CancellationToken::new();
        let listener = bind(&dir.path().join("socket")).unwrap();
        let server = tokio::spawn(serve(listener, hall, shutdown.clone()));
        Self {
            dir,
            store,
            account,
            settings,
            attention,
            statuses,
            signals,
            perishables,
            control,
            made,
            shutdown,
            server,
        }
    }

    /// The daemon ends; its database stays.
    pub(super) async fn stop(self) -> Stopped {
        self.shutdown.cancel();
        self.server.await.unwrap();
        self.store.close().await;
        Stopped { dir: self.dir, settings: self.settings, made: self.made }
    }

    /// The daemon ends and starts again on the same database and socket.
    pub(super) async fn restart(self) -> Self {
        self.stop().await.start().await
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(super) async fn client(&self) -> Client {
        Client::connect(&self.socket()).await.unwrap()
    }

    pub(super) async fn raw(&self) -> Raw {
        Raw::new(UnixStream::connect(self.socket()).await.unwrap())
    }

    pub(super) async fn apply(&self, events: Vec<Event>) -> Seq {
        let batch = Batch { events, checkpoint: Checkpoint::default(), at: Timestamp(T0) };
        self.store.apply(self.account, batch).await.unwrap()
    }

    /// A conversation with `bob` or whoever.
    pub(super) async fn conversation(&self, server: &str) -> ConversationId {
        let update = ConversationUpdate {
            key: ConversationKey::server(server),
            kind: ConversationKind::Group,
            title: Some(server.into()),
            members: None,
            unread_below: None,
        };
        self.apply(vec![Event::Conversation(update)]).await;
        match self.store.resolve(self.account, server).await.unwrap() {
            Named::Known(id) => id,
            Named::User(_) => panic!("no conversation {server}"),
        }
    }

    /// The feed keeps nothing of what has happened so far.
    pub(super) async fn forget_changes(&self) {
        self.database().execute("DELETE FROM change", []).unwrap();
    }

    /// A connection to the database beside the store's own, with the same checksums.
    pub(super) fn database(&self) -> rusqlite::Connection {
        let path = self.dir.path().join("wakeful.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        let conn = rusqlite::Connection::open_with_flags_and_vfs(path, flags, c"wakeful-sums").unwrap();
        conn.busy_timeout(std::time::Duration::from_millis(500)).unwrap();
        conn
    }

    /// Messages come in, their texts the numbers from `from` on, one second apart.
    pub(super) async fn arrive(&mut self, server: &str, numbers: std::ops::Range<u64>) {
        let events: Vec<Event> = numbers.map(|n| Event::Message(Box::new(arrival(server, n, Origin::Live)))).collect();
        for chunk in events.chunks(256) {
            self.made += chunk.len() as u64;
            self.apply(chunk.to_vec()).await;
        }
    }
}

/// A database without a daemon.
pub(super) struct Stopped {
    dir: tempfile::TempDir,
    settings: Settings,
    made: u64,
}

impl Stopped {
    pub(super) async fn start(self) -> House {
        let store = open(self.dir.path());
        let account = store.account("ann", "hub", Some("ann")).await.unwrap();
        House::build(self.dir, store, account, self.settings, self.made)
    }
}

/// The `n`th message of a conversation: its text is its number, its time that many seconds after the beginning.
pub(super) fn arrival(server: &str, n: u64, origin: Origin) -> Arrival {
    Arrival {
        conversation: ConversationKey::server(server),
        sender: "bob".into(),
        outgoing: false,
        server: Some(ServerRef { id: format!("e/{server}/{n}"), order: None }),
        own_id: None,
        sender_ref: None,
        sent_at: Timestamp(T0 + i64::try_from(n).unwrap() * 1_000),
        kind: MessageKind::Text,
        text: n.to_string(),
        reply_to: None,
        mentions_me: false,
        attachments: Vec::new(),
        rev: 0,
        edited_at: None,
        retracted: false,
        reactions: Vec::new(),
        silent: false,
        origin,
    }
}

pub(super) fn in_conversation(id: ConversationId) -> Find {
    Find { conversation: Some(id.to_string()), ..Find::default() }
}

pub(super) fn texts(rows: &[Row]) -> Vec<String> {
    let text = |row: &Row| match row {
        Row::Message(message) => message.text.clone(),
        Row::Hole(_) => "hole".into(),
    };
    rows.iter().map(text).collect()
}

pub(super) fn numbers(range: impl Iterator<Item = u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// A client that writes whatever it likes.
pub(super) struct Raw {
    pub(super) reader: BufReader<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
}

impl Raw {
    fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    pub(super) async fn ask(&mut self, method: &str, params: Value) {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.write(format!("{request}\n").as_bytes()).await;
    }

    /// The next line; null at the end.
    pub(super) async fn read(&mut self) -> Value {
        let mut line = String::new();
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), self.reader.read_line(&mut line));
        if read.await.expect("an answer in time").unwrap() == 0 {
            Value::Null
        } else {
            serde_json::from_str(&line).unwrap()
        }
    }

    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params).await;
        self.read().await
    }
}

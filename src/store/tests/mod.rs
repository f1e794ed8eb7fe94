//! Every rule of the store as a sentence, on a real file.

mod banners;
mod conversations;
mod copies;
mod damage;
mod history;
mod keeping;
mod links;
mod model;
mod outbox;
mod purge;
mod reading;
mod renewal;
mod retry;

use super::{Batch, Draft, Enqueued, Settings, Store};
use crate::model::{
    AccountId, Arrival, Checkpoint, CheckpointRow, Command, CommandKind, ConversationId, ConversationKey, Event,
    FeedItem, Message, Order, Origin, Outcome, PageRow, Query, ReadMark, Reader, Scope, Seq, ServerRef, Settled,
    Timestamp, Upto,
};
use crate::world::{Clock, Entropy};

/// A wall-clock time to begin with.
pub(super) const T0: i64 = 1_700_000_000_000;

/// A store on a real file, with one hub account `ann`.
pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) account: AccountId,
    pub(super) entropy: Entropy,
}

/// Opens a store; one source of randomness serves every process on it, as it does in the world.
pub(super) fn open(dir: &std::path::Path, entropy: &Entropy) -> Store {
    let settings = Settings { full_sync: false, ..Settings::default() };
    Store::open(dir, settings, Clock::simulated(Timestamp(T0)), entropy.clone()).unwrap()
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let entropy = Entropy::seeded(7);
        let store = open(dir.path(), &entropy);
        let account = store.account("ann", "hub", Some("ann")).await.unwrap();
        Self { dir, store, account, entropy }
    }

    /// The process ends and starts again.
    pub(super) async fn restart(&mut self) {
        self.store.close().await;
        self.store = open(self.dir.path(), &self.entropy);
    }

    pub(super) async fn apply(&self, events: Vec<Event>) -> Seq {
        let batch = Batch { events, checkpoint: Checkpoint::default(), at: Timestamp(T0) };
        self.store.apply(self.account, batch).await.unwrap()
    }

    pub(super) async fn conversation(&self, server: &str) -> ConversationId {
        match self.store.resolve(self.account, server).await.unwrap() {
            super::Named::Known(id) => id,
            super::Named::User(_) => panic!("no conversation {server}"),
        }
    }

    /// All messages of everything, oldest first.
    pub(super) async fn all(&self) -> Vec<Message> {
        let query = Query { order: Order::Asc, ..Query::new(Scope::All) };
        messages(self.store.page(query, None, 1_000).await.unwrap().rows)
    }

    pub(super) async fn texts(&self) -> Vec<String> {
        self.all().await.into_iter().map(|message| message.text).collect()
    }

    pub(super) async fn changes(&self, after: Seq) -> Vec<FeedItem> {
        self.store.changes(after, 10_000).await.unwrap()
    }

    pub(super) async fn send(&self, conversation: ConversationId, text: &str) -> Enqueued {
        self.store.enqueue(self.draft(Some(conversation), say(text))).await.unwrap()
    }

    pub(super) fn draft(&self, conversation: Option<ConversationId>, what: CommandKind) -> Draft {
        Draft { account: self.account, conversation, what, id: None, at: Timestamp(T0 + 500) }
    }

    pub(super) async fn take(&self, limit: usize) -> Vec<Command> {
        self.store.take_outbox(self.account, limit, Timestamp(T0 + 1_000)).await.unwrap()
    }

    pub(super) async fn unread(&self, server: &str) -> u64 {
        self.store.conversation(self.conversation(server).await).await.unwrap().unread
    }
}

pub(super) fn messages(rows: Vec<PageRow>) -> Vec<Message> {
    let only = |row| match row {
        PageRow::Message(message) => Some(*message),
        PageRow::Hole(_) => None,
    };
    rows.into_iter().filter_map(only).collect()
}

pub(super) fn say(text: &str) -> CommandKind {
    CommandKind::Send { text: text.into(), reply_to: None, attachments: Vec::new() }
}

pub(super) fn server_ref(conversation: &str, order: u64) -> ServerRef {
    ServerRef { id: format!("e1/{conversation}/{order}"), order: Some(order) }
}

/// A live message of bob's with the hub's number `order`, one second apart.
pub(super) fn arrival(conversation: &str, order: u64, text: &str) -> Arrival {
    Arrival::live(conversation, order, text, Timestamp(T0 + 1_000 * i64::try_from(order).unwrap()))
}

pub(super) fn event(arrival: Arrival) -> Event {
    Event::Message(Box::new(arrival))
}

pub(super) fn came(conversation: &str, order: u64, text: &str) -> Event {
    event(arrival(conversation, order, text))
}

pub(super) fn read_by_me(conversation: &str, order: u64) -> Event {
    read_by(conversation, Reader::Me, order)
}

pub(super) fn read_by(conversation: &str, by: Reader, order: u64) -> Event {
    let conversation = ConversationKey::server(conversation);
    Event::Read(ReadMark { conversation, by, upto: Upto::Order(order), at: Timestamp(T0) })
}

pub(super) fn sent(command: &Command, conversation: &str, order: u64) -> Event {
    Event::Settled(Settled {
        outbox: command.outbox,
        outcome: Outcome::Sent {
            conversation: Some(ConversationKey::server(conversation)),
            server: Some(server_ref(conversation, order)),
            at: Timestamp(T0 + 1_000 * i64::try_from(order).unwrap()),
        },
    })
}

pub(super) fn progress(value: &[u8]) -> Checkpoint {
    Checkpoint { rows: vec![CheckpointRow { key: "cursor".into(), value: Some(value.to_vec()) }] }
}

//! One client: the real link over the real store in memory, which survives when the link is killed.

use super::net::Net;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wakeful::link::{Link, LinkParts, Settings};
use wakeful::model::{
    AccountId, AccountState, Addressed, CommandKind, MessageId, Order, PageRow, Query, Scope, Secret, Signal, Statuses,
};
use wakeful::proto::hub::client::{Hub, Settings as HubSettings};
use wakeful::store::{Draft, OutboxState, Settings as StoreSettings, Store};
use wakeful::world::{Clock, Entropy};

pub struct Client {
    pub name: String,
    pub store: Store,
    pub net: Net,
    account: AccountId,
    clock: Clock,
    entropy: Entropy,
    signals: broadcast::Sender<Addressed>,
    pub statuses: watch::Sender<Statuses>,
    task: Option<JoinHandle<()>>,
    /// What this client was told to send, in order.
    pub drafts: Vec<(MessageId, String)>,
}

impl Client {
    pub async fn new(name: &str, seed: u64, clock: Clock, net: Net) -> Self {
        let entropy = Entropy::seeded(seed);
        let store = Store::in_memory(StoreSettings::default(), clock.clone(), entropy.clone()).unwrap();
        let account = store.account(name, "hub", None).await.unwrap();
        let signals = broadcast::Sender::new(64);
        let statuses = watch::Sender::new(Statuses::new());
        let (name, task, drafts) = (name.to_owned(), None, Vec::new());
        let mut client = Self { name, store, net, account, clock, entropy, signals, statuses, task, drafts };
        client.start().await;
        client
    }

    pub async fn start(&mut self) {
        let rows = self.store.checkpoint(self.account).await.unwrap();
        let settings = HubSettings {
            snap_msgs: 5,
            fill_page: 7,
            ..HubSettings::new(String::new(), Secret::new(String::new()), rows)
        };
        self.task = Some(Link::spawn(LinkParts {
            account: self.account,
            name: self.name.clone(),
            protocol: Box::new(Hub::new(settings)),
            protocol_name: "hub".into(),
            dialer: Arc::new(self.net.clone()),
            store: self.store.clone(),
            settings: Settings::default(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            signals: self.signals.subscribe(),
            perishables: broadcast::Sender::new(8),
            statuses: self.statuses.clone(),
            shutdown: CancellationToken::new(),
        }));
    }

    /// As SIGKILL does it.
    pub async fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _killed = task.await;
        }
    }

    pub fn signal(&self, signal: Signal) {
        let _nobody = self.signals.send(Addressed { account: None, signal });
    }

    pub async fn write_to(&mut self, user: &str, text: String) {
        let conversation = Some(self.store.direct(self.account, user).await.unwrap());
        let what = CommandKind::Send { text: text.clone(), reply_to: None, attachments: Vec::new() };
        let draft = Draft { account: self.account, conversation, what, id: None, at: self.clock.wall() };
        let enqueued = self.store.enqueue(draft).await.unwrap();
        self.drafts.push((enqueued.message, text));
    }

    pub async fn mark_read(&self) {
        for conversation in self.store.conversations(None, 10).await.unwrap() {
            self.store.mark_read(conversation.id, None, self.clock.wall()).await.unwrap();
        }
    }

    pub fn is_online(&self) -> bool {
        let statuses = self.statuses.borrow();
        statuses.get(&self.account).is_some_and(|status| status.state == AccountState::Online && status.caught_up)
    }

    pub fn status(&self) -> String {
        format!("{:?}", self.statuses.borrow().get(&self.account))
    }

    /// Every draft is settled as sent.
    pub async fn all_sent(&self) -> bool {
        for (id, _) in &self.drafts {
            if self.store.outbox_row(*id).await.unwrap().state != OutboxState::Done {
                return false;
            }
        }
        true
    }

    /// The conversation with `user` as a reader sees it; a hole is `None`.
    pub async fn history(&self, user: &str) -> Vec<Option<String>> {
        let conversation = self.store.direct(self.account, user).await.unwrap();
        let query = Query { order: Order::Asc, ..Query::new(Scope::Conversation(conversation)) };
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let page = self.store.page(query.clone(), from, 200).await.unwrap();
            rows.extend(page.rows.into_iter().map(|row| match row {
                PageRow::Message(message) => Some(message.text),
                PageRow::Hole(_) => None,
            }));
            match page.next {
                Some(next) => from = Some(next),
                None => return rows,
            }
        }
    }
}

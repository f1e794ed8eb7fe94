//! One client: the real link over the real store on a simulated disk, which survives when the link is killed.

use super::net::Net;
use super::stage::{SimDisk, Stage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wakeful::hub::ask::Identity;
use wakeful::link::{Link, LinkParts, Settings};
use wakeful::model::{
    AccountId, AccountState, AccountStatus, Addressed, CommandKind, Conversation, MessageId, Order, PageRow, Query,
    Scope, Secret, Signal, Statuses,
};
use wakeful::proto::hub::client::{Hub, Settings as HubSettings};
use wakeful::store::{Draft, OutboxState, Settings as StoreSettings, Store};
use wakeful::world::{Clock, Entropy};

/// Who a client writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Talk {
    /// The other client.
    Other,
    /// Carol.
    Carol,
    /// The group of all three.
    Group,
}

pub struct Client {
    pub name: &'static str,
    pub who: Identity,
    pub store: Store,
    pub net: Net,
    disk: Arc<SimDisk>,
    account: AccountId,
    clock: Clock,
    entropy: Entropy,
    signals: broadcast::Sender<Addressed>,
    statuses: watch::Sender<Statuses>,
    task: Option<JoinHandle<()>>,
    /// What this client was told to send and has durably taken, in order.
    pub drafts: Vec<(Talk, MessageId, String)>,
    /// The lowest `seq` that was ever here, by the conversation's server id.
    pub lowest: BTreeMap<String, u64>,
}

impl Client {
    pub async fn new(name: &'static str, seed: u64, clock: Clock, net: Net, who: Identity, stage: Stage) -> Self {
        let entropy = Entropy::seeded(seed);
        let disk = Arc::new(SimDisk { name: name.into(), stage, full_until: Mutex::new(Instant::now()) });
        let settings = StoreSettings::default();
        let store = Store::simulated(settings, clock.clone(), entropy.clone(), disk.clone()).unwrap();
        let account = loop {
            // The very first commit may fail, too.
            if let Ok(account) = store.account(name, "hub", Some(name)).await {
                break account;
            }
        };
        let (signals, statuses) = (broadcast::Sender::new(64), watch::Sender::new(Statuses::new()));
        let (task, drafts, lowest) = (None, Vec::new(), BTreeMap::new());
        let mut client =
            Self { name, who, store, net, disk, account, clock, entropy, signals, statuses, task, drafts, lowest };
        client.start().await;
        client
    }

    pub async fn start(&mut self) {
        let rows = self.store.checkpoint(self.account).await.unwrap();
        let climate = self.disk.stage.climate();
        let settings = HubSettings {
            snap_msgs: climate.snap_msgs,
            fill_page: climate.fill_page,
            window: 16,
            ..HubSettings::new(String::new(), Secret::new(String::new()), rows)
        };
        self.task = Some(Link::spawn(LinkParts {
            account: self.account,
            name: self.name.into(),
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

    /// As SIGKILL does it: what has not landed on the disk is lost.
    pub async fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _killed = task.await;
        }
        self.store.crash();
    }

    pub fn disk_is_full(&self, until: Instant) {
        *self.disk.full_until.lock().unwrap() = until;
    }

    pub fn signal(&self, signal: Signal) {
        let _nobody = self.signals.send(Addressed { account: None, signal });
    }

    /// A draft that the disk does not take was never promised to anybody.
    pub async fn write_to(&mut self, talk: Talk, group: &str, text: String) {
        let conversation = match talk {
            Talk::Other => self.store.direct(self.account, other(self.name)).await.ok(),
            Talk::Carol => self.store.direct(self.account, "carol").await.ok(),
            Talk::Group => self.conversation(group).await.map(|found| found.id),
        };
        if conversation.is_none() {
            return;
        }
        let what = CommandKind::Send { text: text.clone(), reply_to: None, attachments: Vec::new() };
        let draft = Draft { account: self.account, conversation, what, id: None, at: self.clock.wall() };
        if let Ok(enqueued) = self.store.enqueue(draft).await {
            self.drafts.push((talk, enqueued.message, text));
        }
    }

    pub async fn mark_read(&self) {
        for conversation in self.conversations().await {
            let _full = self.store.mark_read(conversation.id, None, self.clock.wall()).await;
        }
    }

    pub async fn conversations(&self) -> Vec<Conversation> {
        self.store.conversations(None, 20).await.unwrap()
    }

    pub async fn conversation(&self, server: &str) -> Option<Conversation> {
        self.conversations().await.into_iter().find(|found| found.server.as_deref() == Some(server))
    }

    pub fn status(&self) -> AccountStatus {
        self.statuses.borrow().get(&self.account).cloned().unwrap_or_default()
    }

    pub fn is_online(&self) -> bool {
        let status = self.status();
        status.state == AccountState::Online && status.caught_up
    }

    /// Every draft is settled as sent.
    pub async fn all_sent(&self) -> bool {
        for (_, id, _) in &self.drafts {
            if self.store.outbox_row(*id).await.unwrap().state != OutboxState::Done {
                return false;
            }
        }
        true
    }

    /// A conversation as a reader sees it, oldest first.
    pub async fn history(&self, conversation: &Conversation) -> Vec<PageRow> {
        let query = Query { order: Order::Asc, ..Query::new(Scope::Conversation(conversation.id)) };
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let page = self.store.page(query.clone(), from, 200).await.unwrap();
            rows.extend(page.rows);
            match page.next {
                Some(next) => from = Some(next),
                None => return rows,
            }
        }
    }

    /// The dials of the process that runs now never made a storm.
    pub fn storm(&self) -> Option<String> {
        let most = self.net.take_dial_rate(Duration::from_secs(10));
        (most > DIALS).then(|| format!("{} dialed {most} times in ten seconds", self.name))
    }
}

/// Six quick dials, what the first seconds of the backoff allow, and what a user asks for.
const DIALS: usize = 16;

pub fn other(name: &str) -> &'static str {
    if name == "alice" { "bob" } else { "alice" }
}

//! Our side in this process: the real store on disk, the real link, the real protocol and the real dialer, with
//! intervals short enough for a test.

use crate::proxy::Proxy;
use crate::server::Server;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wakeful::link::dial::{self, NetworkDialer};
use wakeful::link::{Link, LinkParts, Settings as LinkSettings};
use wakeful::model::{
    AccountId, AccountState, AccountStatus, Addressed, CommandKind, ConversationId, Message, MessageId, MessageState,
    Order, PageRow, Query, Scope, Secret, Statuses,
};
use wakeful::proto::xmpp::{self, Xmpp};
use wakeful::store::{self, Banner, BannerState, Draft, OutboxState, Store};
use wakeful::world::{Clock, Entropy};

/// How long anything may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The same where what it takes is the figure.
const FIGURES: Duration = Duration::from_secs(300);

/// How an account is set up.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) url: String,
    pub(crate) ca: Option<PathBuf>,
    /// Ask this host-meta in place of the URL.
    pub(crate) host_meta: Option<String>,
}

impl Account {
    /// With its right password on plain ws.
    pub(crate) fn new(server: &Server, name: &str) -> Self {
        Self { name: name.into(), password: format!("{name}-secret"), url: server.ws_url(), ca: None, host_meta: None }
    }

    /// The same by way of a proxy that can be cut.
    pub(crate) fn through(mut self, proxy: &Proxy) -> Self {
        self.url = format!("ws://{}/xmpp-websocket", proxy.address());
        self
    }
}

/// One account's client.
pub(crate) struct Client {
    account: Account,
    runtime: Runtime,
    id: AccountId,
    dir: TempDir,
    store: Store,
    statuses: watch::Sender<Statuses>,
    signals: broadcast::Sender<Addressed>,
    link: Option<(JoinHandle<()>, CancellationToken)>,
}

fn intervals() -> LinkSettings {
    let ms = Duration::from_millis;
    LinkSettings {
        probe_interval: ms(1_000),
        probe_timeout: ms(1_500),
        backoff_first: ms(20),
        backoff_cap_early: ms(200),
        ..LinkSettings::default()
    }
}

fn open(dir: &TempDir) -> Store {
    Store::open(dir.path(), store::Settings::default(), Clock::system(), Entropy::system()).expect("the store opens")
}

#[allow(clippy::disallowed_methods, reason = "the test waits on the machine's clock")]
fn clock() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "the test waits for other processes")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

impl Client {
    /// An account that is not connected yet.
    pub(crate) fn new(account: Account) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let dir = tempfile::Builder::new().prefix("client").tempdir().unwrap();
        let store = open(&dir);
        let jid = format!("{}@localhost", account.name);
        let id = runtime.block_on(store.account(&account.name, "xmpp", Some(&jid))).unwrap();
        let (statuses, _) = watch::channel(Statuses::new());
        let (signals, _) = broadcast::channel(64);
        Self { account, runtime, id, dir, store, statuses, signals, link: None }
    }

    /// Connected and caught up.
    pub(crate) fn online(account: Account) -> Self {
        let mut client = Self::new(account);
        client.connect();
        client.wait_caught_up();
        client
    }

    pub(crate) fn connect(&mut self) {
        let rows = self.runtime.block_on(self.store.checkpoint(self.id)).unwrap();
        let jid = format!("{}@localhost", self.account.name);
        let mut settings = xmpp::Settings::new(&jid, "wakeful", Secret::new(self.account.password.clone()));
        settings.url = self.account.host_meta.is_none().then(|| self.account.url.clone());
        let entropy = Entropy::system();
        let shutdown = CancellationToken::new();
        let dialer = dial::Settings {
            ca: self.account.ca.clone(),
            host_meta_base: self.account.host_meta.clone(),
            proxy: dial::Proxy::Direct,
            ..dial::Settings::default()
        };
        let parts = LinkParts {
            account: self.id,
            name: self.account.name.clone(),
            protocol: Box::new(Xmpp::new(settings, &rows, entropy.seed())),
            protocol_name: "xmpp".into(),
            dialer: Arc::new(NetworkDialer::new(dialer)),
            store: self.store.clone(),
            settings: intervals(),
            clock: Clock::system(),
            entropy,
            signals: self.signals.subscribe(),
            perishables: broadcast::channel(64).0,
            statuses: self.statuses.clone(),
            shutdown: shutdown.clone(),
        };
        let _inside = self.runtime.enter();
        self.link = Some((Link::spawn(parts), shutdown));
    }

    /// Ends as a daemon that is asked to.
    pub(crate) fn stop(&mut self) {
        if let Some((link, shutdown)) = self.link.take() {
            shutdown.cancel();
            self.runtime.block_on(link).ok();
        }
    }

    /// Ends at once, with nothing said and nothing finished, and opens its store again.
    pub(crate) fn crash(&mut self) {
        if let Some((link, _)) = self.link.take() {
            link.abort();
            self.runtime.block_on(link).ok();
        }
        self.runtime.block_on(self.store.close());
        self.store = open(&self.dir);
    }

    pub(crate) fn status(&self) -> AccountStatus {
        self.statuses.borrow().get(&self.id).cloned().unwrap_or_default()
    }

    /// Waits until `ask` gives something.
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        self.until_or(what, |client| ask(client).ok_or(()))
    }

    /// The same; what it still lacks is said where the wait is in vain.
    pub(crate) fn until_or<T, E: Debug>(&self, what: &str, mut ask: impl FnMut(&Self) -> Result<T, E>) -> T {
        let end = clock() + PATIENCE;
        loop {
            match ask(self) {
                Ok(found) => return found,
                Err(lacks) => assert!(clock() < end, "waited in vain: {what}; {:?}; {lacks:?}", self.status()),
            }
            pause(20);
        }
    }

    /// The same at once and without asking again and again: for figures.
    pub(crate) fn wait_status(&self, wanted: impl Fn(&AccountStatus) -> bool) {
        let mut statuses = self.statuses.subscribe();
        let there = statuses.wait_for(|all| all.get(&self.id).is_some_and(&wanted));
        let in_time = self.runtime.block_on(async { tokio::time::timeout(FIGURES, there).await.is_ok() });
        assert!(in_time, "waited in vain; {:?}", self.status());
    }

    pub(crate) fn wait_caught_up(&self) {
        self.until("caught up", |client| {
            let status = client.status();
            assert_ne!(status.state, AccountState::Halted, "{status:?}");
            (status.state == AccountState::Online && status.caught_up).then_some(())
        });
    }

    /// Waits until it has given up, and says why.
    pub(crate) fn wait_halted(&self) -> wakeful::model::Reason {
        self.until("halted", |client| {
            let status = client.status();
            if status.state == AccountState::Halted { status.last_error } else { None }
        })
    }

    pub(crate) fn direct(&self, name: &str) -> ConversationId {
        self.runtime.block_on(self.store.direct(self.id, &format!("{name}@localhost"))).unwrap()
    }

    /// The room's conversation, once it is known.
    pub(crate) fn room(&self, room: &str) -> ConversationId {
        self.until("the room is known", |client| {
            let all = client.runtime.block_on(client.store.conversations(Some(client.id), 100)).unwrap();
            all.into_iter().find(|conversation| conversation.server.as_deref() == Some(room)).map(|found| found.id)
        })
    }

    pub(crate) fn command(&self, conversation: Option<ConversationId>, what: CommandKind) -> MessageId {
        let at = Clock::system().wall();
        let draft = Draft { account: self.id, conversation, what, id: None, at };
        self.runtime.block_on(self.store.enqueue(draft)).unwrap().message
    }

    pub(crate) fn send(&self, conversation: ConversationId, text: &str) -> MessageId {
        let what = CommandKind::Send { text: text.into(), reply_to: None, attachments: Vec::new() };
        self.command(Some(conversation), what)
    }

    pub(crate) fn mark_read(&self, conversation: ConversationId) {
        self.runtime.block_on(self.store.mark_read(conversation, None, Clock::system().wall())).unwrap();
    }

    pub(crate) fn row(&self, message: MessageId) -> OutboxState {
        self.runtime.block_on(self.store.outbox_row(message)).unwrap().state
    }

    pub(crate) fn wait_done(&self, message: MessageId) {
        self.until("the row is done", |client| match client.row(message) {
            OutboxState::Done => Some(()),
            OutboxState::Failed { code, text } => panic!("the row failed: {code}: {text}"),
            OutboxState::Pending | OutboxState::InFlight => None,
        });
    }

    /// All messages of a conversation, oldest first.
    pub(crate) fn messages(&self, conversation: ConversationId) -> Vec<Message> {
        let query = Query { order: Order::Asc, ..Query::new(Scope::Conversation(conversation)) };
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let page = self.runtime.block_on(self.store.page(query.clone(), from, 1_000)).unwrap();
            all.extend(page.rows.into_iter().filter_map(|row| match row {
                PageRow::Message(message) => Some(*message),
                PageRow::Hole(_) => None,
            }));
            from = page.next;
            if from.is_none() {
                return all;
            }
        }
    }

    /// The texts of what came in, oldest first.
    pub(crate) fn heard(&self, conversation: ConversationId) -> Vec<String> {
        let messages = self.messages(conversation).into_iter().filter(|message| !message.outgoing);
        messages.map(|message| message.text).collect()
    }

    pub(crate) fn name_of(&self, conversation: ConversationId) -> String {
        self.runtime.block_on(self.store.conversation(conversation)).unwrap().name
    }

    pub(crate) fn state(&self, message: MessageId) -> MessageState {
        self.runtime.block_on(self.store.message(message)).unwrap().state
    }

    /// Banners that are due or shown.
    pub(crate) fn banners(&self) -> Vec<Banner> {
        let all = self.runtime.block_on(self.store.banners()).unwrap();
        all.into_iter().filter(|banner| !matches!(banner.state, BannerState::Dropped(_))).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
        self.runtime.block_on(self.store.close());
    }
}

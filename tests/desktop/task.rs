//! The whole notification task on a real store and a bus, with the links, readers and machine played by the test.

use crate::bus::Bus;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wakeful::model::{
    AccountId, Addressed, Arrival, Attention, ConversationKey, ConversationKind, ConversationUpdate, Event, MessageId,
    MessageKind, Origin, PageRow, Query, Scope, ServerRef, Signal,
};
use wakeful::notify::{self, Linux, Notifier, NotifyParts, Settings};
use wakeful::store::{self, BannerState, Batch, Store};
use wakeful::world::{Clock, Entropy};

/// A running task.
pub struct Task {
    pub store: Store,
    pub account: AccountId,
    attention: watch::Sender<Attention>,
    pub notifier: Notifier,
    signals: broadcast::Sender<Addressed>,
    _settings: watch::Sender<Settings>,
    stop: CancellationToken,
    handle: JoinHandle<()>,
    numbers: AtomicU64,
}

impl Task {
    /// On a new store beside the bus.
    pub async fn start(bus: &Bus, settings: Settings) -> Self {
        let store = Store::open(bus.dir(), store::Settings::default(), Clock::system(), Entropy::system()).unwrap();
        Self::on(store, bus, settings).await
    }

    /// Waits until it has the server's answer for all that is due.
    pub async fn answered(&self) {
        loop {
            let banners = self.store.banners().await.unwrap();
            if banners.iter().all(|banner| matches!(banner.state, BannerState::Shown { .. })) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// On a store that is there already.
    pub async fn on(store: Store, bus: &Bus, settings: Settings) -> Self {
        let account = store.account("work", "hub", Some("me")).await.unwrap();
        let (attention, attentions) = watch::channel(Attention::default());
        let (signals, heard) = broadcast::channel(16);
        let (settings, configured) = watch::channel(settings);
        let (notifier, asks) = Notifier::new();
        let icon = bus.dir().join("wakeful.svg");
        std::fs::write(&icon, notify::ICON).unwrap();
        let stop = CancellationToken::new();
        let handle = notify::spawn(NotifyParts {
            store: store.clone(),
            desktop: Box::new(Linux::start(Some(bus.address())).with_icon(Some(icon))),
            attention: attentions,
            signals: heard,
            clock: Clock::system(),
            entropy: Entropy::system(),
            settings: configured,
            asks,
            shutdown: stop.clone(),
        });
        let numbers = AtomicU64::new(u64::from(std::process::id()) << 20);
        Self { store, account, attention, notifier, signals, _settings: settings, stop, handle, numbers }
    }

    /// Stops the task; the store goes on.
    pub async fn stop(self) -> Store {
        self.stop.cancel();
        self.handle.await.unwrap();
        self.store
    }

    /// A message that arrives now; in a direct conversation unless `group` names one.
    pub fn arrival(&self, group: Option<&str>, sender: &str, text: &str, origin: Origin) -> Event {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let conversation = match group {
            Some(group) => ConversationKey::server(group),
            None => ConversationKey::peer(sender),
        };
        Event::Message(Box::new(Arrival {
            conversation,
            sender: sender.into(),
            outgoing: false,
            server: Some(ServerRef { id: format!("e/{number}"), order: None }),
            own_id: None,
            sender_ref: None,
            sent_at: Clock::system().wall(),
            kind: MessageKind::Text,
            text: text.into(),
            reply_to: None,
            mentions_me: false,
            attachments: Vec::new(),
            rev: 0,
            edited_at: None,
            retracted: false,
            reactions: Vec::new(),
            silent: false,
            origin,
        }))
    }

    /// Commits what a link brought.
    pub async fn commit(&self, events: Vec<Event>) {
        let batch = Batch { events, at: Clock::system().wall(), ..Batch::default() };
        self.store.apply(self.account, batch).await.unwrap();
    }

    /// A live message in a direct conversation.
    pub async fn message(&self, sender: &str, text: &str) -> MessageId {
        self.commit(vec![self.arrival(None, sender, text, Origin::Live)]).await;
        self.newest().await
    }

    /// A live message in a group, which is made first.
    pub async fn group_message(&self, group: &str, sender: &str, text: &str) -> MessageId {
        let update = ConversationUpdate {
            key: ConversationKey::server(group),
            kind: ConversationKind::Group,
            title: Some(group.into()),
            members: None,
            unread_below: None,
        };
        let message = self.arrival(Some(group), sender, text, Origin::Live);
        self.commit(vec![Event::Conversation(update), message]).await;
        self.newest().await
    }

    /// The newest message.
    pub async fn newest(&self) -> MessageId {
        let page = self.store.page(Query::new(Scope::All), None, 1).await.unwrap();
        let Some(PageRow::Message(message)) = page.rows.first() else { panic!("no message") };
        message.id
    }

    /// Reads the message's conversation up to it.
    pub async fn read(&self, message: MessageId) {
        let conversation = self.store.message(message).await.unwrap().conversation.id;
        self.store.mark_read(conversation, Some(message), Clock::system().wall()).await.unwrap();
    }

    /// An app has the message's conversation on screen, or none has any.
    pub async fn look_at(&self, message: Option<MessageId>) {
        let mut looking = std::collections::BTreeSet::new();
        if let Some(message) = message {
            looking.insert(self.store.message(message).await.unwrap().conversation.id);
        }
        self.attention.send_replace(Attention { attached: 1, looking });
    }

    /// What `platform` says.
    pub fn signal(&self, signal: Signal) {
        self.signals.send(Addressed { account: None, signal }).unwrap();
    }
}

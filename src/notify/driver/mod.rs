//! The notification task: feeds the rules, does what they say, and keeps what they decided.
//!
//! It reads the store and the desktop; no link and no reader ever waits for it.

mod answer;
mod digest;
mod show;

use super::decision::Decisions;
use super::desktop::{Capabilities, Desktop, DesktopEvent};
use super::notifier::{Asks, NotifyError};
use super::open::Target;
use super::rules::{Input, Place, Rules};
use super::settings::{Choices, Settings};
use super::{Decision, NotifyParts};
use crate::machine::Machine;
use crate::model::{Addressed, Attention, ConversationId, MessageId, Seq, Signal, Timestamp};
use crate::store::{BannerState, Draft, Store};
use crate::world::{Clock, Entropy};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long after a failure of the disk it is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Notices whose clicks are still understood after they have left the screen.
const REMEMBERED: usize = 64;
/// The store's key for [`Choices`].
const CHOICES: &str = "notify";

/// The task.
pub(super) struct Driver {
    store: Store,
    desktop: Box<dyn Desktop>,
    attention: watch::Receiver<Attention>,
    signals: Option<broadcast::Receiver<Addressed>>,
    clock: Clock,
    entropy: Entropy,
    settings: watch::Receiver<Settings>,
    asks: Asks,
    shutdown: CancellationToken,
    feed: watch::Receiver<Seq>,

    rules: Rules,
    choices: Choices,
    decisions: Decisions,
    capabilities: Capabilities,
    server: Option<String>,
    seq: Seq,
    /// When this task began.
    started: Timestamp,
    /// Everything on disk has to be looked at again.
    stale: bool,
    places: BTreeMap<ConversationId, Arc<Place>>,
    records: Vec<(MessageId, BannerState)>,
    /// Where the number of messages that are only counted may have changed.
    uncertain: BTreeSet<ConversationId>,
    /// What wakeful has to say about itself, until there is a server that shows it.
    alerts: Vec<(String, oneshot::Sender<Result<(), NotifyError>>)>,
    /// What was typed into a notification and is not in the outbox yet.
    unsent: Vec<Draft>,
    told: VecDeque<(u32, Clicked)>,
    token: Option<(u32, String)>,
    unread: Option<u64>,
}

/// What a click on a notice is about.
#[derive(Clone, Debug)]
struct Clicked {
    target: Target,
    place: Option<(Arc<Place>, MessageId)>,
}

impl Driver {
    pub(super) fn new(parts: NotifyParts) -> Self {
        let NotifyParts { store, desktop, attention, signals, clock, entropy, settings, asks, shutdown } = parts;
        let feed = store.feed();
        let (rules, started) = (Rules::new(settings.borrow().clone()), clock.wall());
        Self {
            store,
            desktop,
            attention,
            signals: Some(signals),
            clock,
            entropy,
            settings,
            asks,
            shutdown,
            feed,
            rules,
            choices: Choices::default(),
            decisions: Decisions::default(),
            capabilities: Capabilities::default(),
            server: None,
            seq: Seq::default(),
            started,
            stale: true,
            places: BTreeMap::new(),
            records: Vec::new(),
            uncertain: BTreeSet::new(),
            alerts: Vec::new(),
            unsent: Vec::new(),
            told: VecDeque::new(),
            token: None,
            unread: None,
        }
    }

    pub(super) async fn run(mut self) {
        self.load_choices().await;
        self.look();
        loop {
            self.read().await;
            self.settle().await;
            let owing = self.stale || !self.records.is_empty() || !self.unsent.is_empty() || !self.uncertain.is_empty();
            let deadline = self.rules.poll_timeout();
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                Ok(()) = self.feed.changed() => {}
                event = self.desktop.event() => self.happened(event).await,
                Ok(()) = self.attention.changed() => self.look(),
                Ok(()) = self.settings.changed() => self.configure(),
                signal = signal(&mut self.signals) => self.signal(&signal),
                Some(ask) = self.asks.0.recv() => self.answer(ask).await,
                () = until(deadline) => self.rules.handle_timeout(self.clock.now()),
                () = sleep(RETRY), if owing => self.retry().await,
            }
        }
        self.settle().await;
    }

    /// One input, with the wall clock as it is now.
    fn tell(&mut self, input: Input) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        self.rules.handle_input(now, Input::Wall(wall, offset(wall)));
        self.rules.handle_input(now, input);
    }

    /// Hears what was said before the changes that have just been read: a message that was committed after the screen
    /// was locked must not be shown as if it were open.
    fn hear(&mut self) {
        while let Some(heard) = self.signals.as_mut().map(broadcast::Receiver::try_recv) {
            match heard {
                Ok(addressed) => self.signal(&addressed.signal),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if self.attention.has_changed().unwrap_or(false) {
            self.look();
        }
        if self.settings.has_changed().unwrap_or(false) {
            self.configure();
        }
    }

    fn look(&mut self) {
        let attention = self.attention.borrow_and_update().clone();
        self.tell(Input::Attention(attention));
    }

    fn configure(&mut self) {
        let settings = self.settings.borrow_and_update().clone();
        self.tell(Input::Settings(Box::new(settings)));
    }

    fn signal(&mut self, signal: &Signal) {
        match signal {
            Signal::Locked(locked) => self.tell(Input::Locked(*locked)),
            // The monotonic clock stood still: every time limit is judged anew.
            Signal::Woke { .. } => {
                let attention = self.attention.borrow().clone();
                self.tell(Input::Attention(attention));
            }
            _ => {}
        }
    }

    async fn happened(&mut self, event: DesktopEvent) {
        match event {
            DesktopEvent::Up { server, name, capabilities } => {
                tracing::info!(server = name, "notifications are shown by this server");
                (self.capabilities, self.server, self.unread) = (capabilities, Some(name), None);
                self.tell(Input::Up(server));
                self.tell_alerts().await;
                self.tell_unread().await;
            }
            DesktopEvent::Down { why } => {
                tracing::info!(why, "notifications wait");
                self.server = None;
                self.tell(Input::Down);
            }
            DesktopEvent::Inhibited(on) => self.tell(Input::Inhibited(on)),
            DesktopEvent::Token { id, token } => self.token = Some((id, token)),
            DesktopEvent::Invoked { id, key } => self.invoked(id, &key).await,
            DesktopEvent::Replied { id, text } => self.replied(id, text).await,
            DesktopEvent::Closed { id, reason } => self.tell(Input::Closed(id, reason)),
        }
    }

    async fn load_choices(&mut self) {
        match self.store.setting(CHOICES).await {
            Ok(Some(text)) => match serde_json::from_str(&text) {
                Ok(choices) => self.choices = choices,
                Err(error) => tracing::warn!(%error, "mutes and do-not-disturb cannot be read; they start empty"),
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "mutes and do-not-disturb cannot be read; they start empty"),
        }
        self.tell(Input::Choices(self.choices.clone()));
    }

    async fn retry(&mut self) {
        for draft in std::mem::take(&mut self.unsent) {
            self.enqueue(draft).await;
        }
    }

    fn decided(&mut self, decision: Decision) {
        tracing::debug!(message = %decision.message, verdict = ?decision.verdict, why = decision.why.code(), "banner");
        self.decisions.push(decision);
    }
}

/// Local time's distance from UTC in seconds.
fn offset(at: Timestamp) -> i32 {
    let Ok(time) = jiff::Timestamp::from_millisecond(at.ms()) else { return 0 };
    jiff::tz::TimeZone::system().to_offset(time).seconds()
}

async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(at) => sleep_until(Instant::from_std(at)).await,
        None => std::future::pending().await,
    }
}

/// The next signal. Those that were missed are hints that will be made good.
async fn signal(signals: &mut Option<broadcast::Receiver<Addressed>>) -> Signal {
    while let Some(receiver) = signals {
        match receiver.recv().await {
            Ok(addressed) => return addressed.signal,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => *signals = None,
        }
    }
    std::future::pending().await
}

//! The task that keeps the store in order: reads a file through that was left by a killed process, throws away what is
//! not to be kept, and tells the user what went wrong with the store, once.

use crate::model::{AccountId, Position, StoreState, StoreStatus};
use crate::notify::Notifier;
use crate::store::{Retention, Store, StoreError};
use crate::world::Clock;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// From the start to the first round: other things are more urgent then.
const FIRST: Duration = Duration::from_secs(30);
/// Between two rounds: what has become too old is noticed within this time.
const EVERY: Duration = Duration::from_secs(3_600);
/// Between two steps of a round, so that messages which arrive meanwhile do not wait.
const BREATH: Duration = Duration::from_millis(20);
/// Between two readings of the whole file, whatever gives reason for one.
const RECHECK: Duration = Duration::from_secs(600);

/// How much is kept, by account; the others as `general` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keep {
    pub(super) general: Retention,
    pub(super) accounts: BTreeMap<String, Retention>,
}

impl Keep {
    fn of(&self, name: &str) -> &Retention {
        self.accounts.get(name).unwrap_or(&self.general)
    }
}

/// The task.
pub(super) struct Upkeep {
    pub(super) store: Store,
    pub(super) notifier: Notifier,
    pub(super) clock: Clock,
    pub(super) keep: watch::Receiver<Keep>,
    /// Cancelled when the file turned out to be damaged: only a new start can help.
    pub(super) damaged: CancellationToken,
    pub(super) shutdown: CancellationToken,
}

impl Upkeep {
    pub(super) async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let mut health = self.store.health();
        let mut round = Instant::from_std(self.clock.now()) + FIRST;
        let mut check = Instant::from_std(self.clock.now());
        let begun = health.borrow().clone();
        self.tell_of_quarantine(&begun).await;
        loop {
            let status = health.borrow_and_update().clone();
            if status.state == StoreState::Damaged {
                self.tell(&damage(&status)).await;
                self.damaged.cancel();
                return;
            }
            tokio::select! {
                () = sleep_until(check), if status.state == StoreState::Checking => {
                    self.store.check(status.detail.is_some()).await;
                    check = Instant::from_std(self.clock.now()) + RECHECK;
                }
                Ok(()) = health.changed() => {}
                Ok(()) = self.keep.changed() => round = Instant::from_std(self.clock.now()),
                () = sleep_until(round) => {
                    if let Err(error) = self.round().await {
                        tracing::warn!(%error, "not everything that is too old was thrown away; tried again in an hour");
                    }
                    round = Instant::from_std(self.clock.now()) + EVERY;
                }
            }
        }
    }

    /// Throws away what is not to be kept, step by step.
    async fn round(&mut self) -> Result<(), StoreError> {
        let now = self.clock.wall();
        while self.store.sweep(now).await? > 0 {
            sleep(BREATH).await;
        }
        let keep = self.keep.borrow_and_update().clone();
        for (account, name) in self.store.accounts().await? {
            let limits = keep.of(&name);
            if limits.is_everything() {
                continue;
            }
            let removed = self.retain(account, limits).await?;
            if removed > 0 {
                tracing::info!(account = name, removed, "old messages were thrown away, as [retention] asks");
            }
        }
        Ok(())
    }

    async fn retain(&self, account: AccountId, limits: &Retention) -> Result<usize, StoreError> {
        let (mut removed, mut from): (usize, Option<Position>) = (0, None);
        loop {
            let step = self.store.retain(account, limits, from, self.clock.wall()).await?;
            removed += step.removed;
            match step.next {
                Some(next) => from = Some(next),
                None => return Ok(removed),
            }
            sleep(BREATH).await;
        }
    }

    async fn tell_of_quarantine(&self, status: &StoreStatus) {
        const TOLD: &str = "daemon.quarantine_told";
        let Some(found) = &status.quarantined else { return };
        let told = self.store.setting(TOLD).await.ok().flatten();
        if told.as_deref() == Some(found.file.as_str()) {
            return;
        }
        let lost = if found.incomplete { " Some that were written and not sent may be missing." } else { "" };
        let text = format!(
            "The message store was damaged ({}). It was moved aside and messages are fetched again from the servers; {} \
             waiting to be sent were carried over.{lost} `wakeful doctor` tells more.",
            found.why, found.carried
        );
        self.tell(&text).await;
        if let Err(error) = self.store.set_setting(TOLD, Some(found.file.clone())).await {
            tracing::warn!(%error, "it may be told again that the store was damaged");
        }
    }

    /// Says it in the log and on the desktop. A desktop that shows nothing is no reason to stop.
    async fn tell(&self, text: &str) {
        tracing::error!("{text}");
        if let Err(error) = self.notifier.alert(text.to_owned()).await {
            tracing::warn!(%error, "the notification about the store was not shown");
        }
    }
}

fn damage(status: &StoreStatus) -> String {
    let why = status.detail.as_deref().unwrap_or("it cannot be read");
    format!("The message store is damaged ({why}). It is moved aside and rebuilt from the servers at the next start.")
}

//! The task that keeps the store in order: reads a file through that was left by a killed process, throws away what is
//! not to be kept, and tells the user what went wrong with the store, once.

use super::rounds::Rounds;
use crate::model::{AccountId, Position, StoreState, StoreStatus, Timestamp};
use crate::notify::Notifier;
use crate::store::{Retention, Store, StoreError};
use crate::world::Clock;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// From the start to the first round: other things are more urgent then.
const FIRST: Duration = Duration::from_secs(30);
/// Between two rounds: what has become too old is noticed within this time.
const EVERY: Duration = Duration::from_secs(3_600);
/// Between two steps of a round, so that messages which arrive meanwhile do not wait.
const BREATH: Duration = Duration::from_millis(20);
/// So long a notification server may take, where nothing can wait for it.
const TELLING: Duration = Duration::from_secs(2);
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

    /// Somebody's messages go by their age.
    fn goes_by_age(&self) -> bool {
        std::iter::once(&self.general).chain(self.accounts.values()).any(|keep| keep.age.is_some())
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
        // Beside everything else: a notification server may come late, or hang.
        let mut telling = JoinSet::new();
        telling.spawn(tell_of_quarantine(self.store.clone(), self.notifier.clone(), begun));
        loop {
            let status = health.borrow_and_update().clone();
            if status.state == StoreState::Damaged {
                // If nobody can show it now, the next start tells of what became of the file.
                timeout(TELLING, tell(&self.notifier, &damage(&status))).await.ok();
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
                () = sleep_until(round), if !crate::mutant("retention-asleep") => {
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
        let now = if keep.goes_by_age() { self.believed(now).await? } else { now };
        for (account, name) in self.store.accounts().await? {
            let limits = keep.of(&name);
            if limits.is_everything() {
                continue;
            }
            let removed = self.retain(account, limits, now).await?;
            if removed > 0 {
                tracing::info!(account = name, removed, "old messages were thrown away, as [retention] asks");
            }
        }
        Ok(())
    }

    /// The time by which messages are too old: what the clock says, unless it is much further on than a round ago.
    async fn believed(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        const ROUNDS: &str = "daemon.rounds";
        let before = self.store.setting(ROUNDS).await?;
        let mut rounds = before.and_then(|note| Rounds::read(&note)).unwrap_or_else(|| Rounds::begin(now));
        let believed = rounds.believe(now);
        self.store.set_setting(ROUNDS, Some(rounds.note())).await?;
        if believed != now && !crate::mutant("clock-believed") {
            tracing::warn!(%now, %believed, "the clock is far ahead of the last round: if it stays, what is too old goes in the next");
            return Ok(believed);
        }
        Ok(now)
    }

    async fn retain(&self, account: AccountId, limits: &Retention, now: Timestamp) -> Result<usize, StoreError> {
        let (mut removed, mut from): (usize, Option<Position>) = (0, None);
        let Some(floor) = self.store.floor(account, limits, now).await? else { return Ok(0) };
        loop {
            let step = self.store.retain(account, floor, from, self.clock.wall()).await?;
            removed += step.removed;
            match step.next {
                Some(next) => from = Some(next),
                None => return Ok(removed),
            }
            sleep(BREATH).await;
        }
    }
}

/// Tells, once, of the damaged file that this one replaces.
async fn tell_of_quarantine(store: Store, notifier: Notifier, status: StoreStatus) {
    const TOLD: &str = "daemon.quarantine_told";
    let Some(found) = &status.quarantined else { return };
    let told = store.setting(TOLD).await.ok().flatten();
    if told.as_deref() == Some(found.file.as_str()) {
        return;
    }
    let lost = if found.incomplete { " Some that were written and not sent may be missing." } else { "" };
    let text = format!(
        "The message store was damaged ({}). It was moved aside and messages are fetched again from the servers; {} \
         waiting to be sent were carried over.{lost} `wakeful doctor` tells more.",
        found.why, found.carried
    );
    if !tell(&notifier, &text).await {
        return;
    }
    if let Err(error) = store.set_setting(TOLD, Some(found.file.clone())).await {
        tracing::warn!(%error, "it may be told again that the store was damaged");
    }
}

/// Says it in the log and on the desktop; whether it was shown there. A desktop that shows nothing is no reason to stop.
async fn tell(notifier: &Notifier, text: &str) -> bool {
    tracing::error!("{text}");
    let shown = notifier.alert(text.to_owned()).await;
    if let Err(error) = &shown {
        tracing::warn!(%error, "the notification about the store was not shown");
    }
    shown.is_ok()
}

fn damage(status: &StoreStatus) -> String {
    let why = status.detail.as_deref().unwrap_or("it cannot be read");
    format!("The message store is damaged ({why}). It is moved aside and rebuilt from the servers at the next start.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arrival, Event, Order, PageRow, Query, Scope, Timestamp};
    use crate::store::{Batch, Settings};
    use crate::world::Entropy;

    const T0: i64 = 1_700_000_000_000;

    struct Scene {
        store: Store,
        account: AccountId,
        clock: Clock,
        keep: watch::Sender<Keep>,
        stop: CancellationToken,
        _asks: crate::notify::Asks,
    }

    impl Scene {
        /// A store with ten messages, a minute apart, the last an hour ago, and the task beside it.
        async fn start(keep: Retention) -> Self {
            let clock = Clock::simulated(Timestamp(T0));
            let store = Store::in_memory(Settings::default(), clock.clone(), Entropy::seeded(1)).unwrap();
            let account = store.account("work", "hub", Some("me")).await.unwrap();
            let events = (1..=10).map(|n| arrival(n, T0 - 3_600_000 - 60_000 * (10 - n))).collect();
            store.apply(account, Batch { events, at: Timestamp(T0), ..Batch::default() }).await.unwrap();
            let (keep, kept) = watch::channel(Keep { general: keep, ..Keep::default() });
            let (notifier, asks) = Notifier::new();
            let stop = CancellationToken::new();
            let task = Upkeep {
                store: store.clone(),
                notifier,
                clock: clock.clone(),
                keep: kept,
                damaged: CancellationToken::new(),
                shutdown: stop.clone(),
            };
            tokio::spawn(task.run());
            Self { store, account, clock, keep, stop, _asks: asks }
        }

        async fn left(&self) -> usize {
            let query = Query { order: Order::Desc, ..Query::new(Scope::Account(self.account)) };
            let page = self.store.page(query, None, 100).await.unwrap();
            page.rows.iter().filter(|row| matches!(row, PageRow::Message(_))).count()
        }
    }

    fn arrival(n: i64, at: i64) -> Event {
        let order = u64::try_from(n).unwrap();
        Event::Message(Box::new(Arrival::live("c1", order, &format!("number {n}"), Timestamp(at))))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_goes_half_a_minute_after_the_start_and_then_within_an_hour() {
        // Five are older than an hour and four and a half minutes.
        let scene = Scene::start(Retention { age: Some(Duration::from_secs(3_870)), ..Retention::default() }).await;
        sleep(FIRST - Duration::from_secs(1)).await;
        assert_eq!(scene.left().await, 10, "other things are more urgent at the start");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(scene.left().await, 5);
        sleep(EVERY + Duration::from_secs(1)).await;
        assert_eq!(scene.left().await, 0, "nobody asked");
        scene.stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_a_reload_brings_holds_at_once() {
        let scene = Scene::start(Retention::default()).await;
        sleep(EVERY * 3).await;
        assert_eq!(scene.left().await, 10, "without a limit all stay");
        let general = Retention { count: Some(3), ..Retention::default() };
        scene.keep.send_replace(Keep { general, ..Keep::default() });
        sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.left().await, 3);
        let account = Retention { count: Some(1), ..Retention::default() };
        let accounts = BTreeMap::from([("work".to_owned(), account)]);
        scene.keep.send_replace(Keep { accounts, ..Keep::default() });
        sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.left().await, 1, "an account's own limit replaces the general one");
        scene.stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_ahead_for_one_round_throws_nothing_away_and_one_that_stays_ahead_does() {
        const YEAR: i64 = 365 * 86_400_000;
        let scene =
            Scene::start(Retention { age: Some(Duration::from_secs(30 * 86_400)), ..Retention::default() }).await;
        sleep(FIRST + EVERY / 2).await;
        assert_eq!(scene.left().await, 10);
        scene.clock.jump(2 * YEAR);
        sleep(EVERY).await;
        assert_eq!(scene.left().await, 10, "one reading is not enough");
        // Nor is a second one at once, as a reload takes it.
        let general = Retention { age: Some(Duration::from_secs(31 * 86_400)), ..Retention::default() };
        scene.keep.send_replace(Keep { general, ..Keep::default() });
        sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.left().await, 10);
        scene.clock.jump(-2 * YEAR);
        sleep(EVERY * 3).await;
        assert_eq!(scene.left().await, 10, "it was set right");
        scene.clock.jump(2 * YEAR);
        sleep(EVERY * 2 + FIRST).await;
        assert_eq!(scene.left().await, 0, "it stayed");
        scene.stop.cancel();
    }
}

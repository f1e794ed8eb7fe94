//! Rows of the outbox on their way to the protocol: a bounded number is out at once, the rest stays on disk.
//! When the connection is gone, whatever was handed out goes back.

use super::super::Settings;
use crate::model::{AccountId, Command, OutboxId, Timestamp};
use crate::store::{Store, StoreError};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What the store answered.
pub(super) enum Done {
    Taken(Result<(Vec<Command>, Option<Timestamp>), StoreError>),
    Requeued(Result<(), StoreError>),
}

pub(super) struct Outbox {
    account: AccountId,
    store: Store,
    bell: watch::Receiver<u64>,
    task: Option<BoxFuture<'static, Done>>,
    out: BTreeSet<OutboxId>,
    /// Settled, and that is not on disk yet: the store may still hand them out, and nothing more will be said of them.
    settled: BTreeSet<OutboxId>,
    /// The same of rows whose settling came to disk while rows were being read.
    landed: BTreeSet<OutboxId>,
    ready: bool,
    want_take: bool,
    want_requeue: bool,
    due: Option<Timestamp>,
    pause: Option<Instant>,
    /// A moment by both clocks.
    seen: Option<(Instant, Timestamp)>,
    /// The wall clock was set back, or may have been: rows that wait until a time of day would wait that much longer.
    set_back: bool,
}

const PAUSE: Duration = Duration::from_secs(1);
/// Clocks that are set back by less are only slewed, milliseconds.
const SET_BACK: i64 = 1_000;

impl Outbox {
    pub(super) fn new(account: AccountId, store: Store) -> Self {
        let bell = store.outbox_bell(account);
        Self {
            account,
            store,
            bell,
            task: None,
            out: BTreeSet::new(),
            settled: BTreeSet::new(),
            landed: BTreeSet::new(),
            ready: false,
            want_take: false,
            // A process that died may have left rows in flight.
            want_requeue: true,
            due: None,
            pause: None,
            seen: None,
            set_back: true,
        }
    }

    pub(super) fn opened(&mut self) {
        self.ready = true;
        self.want_take = true;
    }

    pub(super) fn closed(&mut self) {
        self.ready = false;
        // A row may be in flight that is not counted as out: it was settled in a batch that is lost now.
        self.want_requeue = true;
        self.out.clear();
        self.settled.clear();
        self.landed.clear();
    }

    /// The protocol told this row's fate.
    pub(super) fn settled(&mut self, row: OutboxId) {
        self.out.remove(&row);
        if !crate::mutant("outbox-counts-settled") {
            self.settled.insert(row);
        }
    }

    /// The fate of these rows is on disk: what is read from now on has none of them.
    pub(super) fn landed(&mut self, rows: &[OutboxId]) {
        for row in rows {
            if self.settled.remove(row) && self.task.is_some() {
                self.landed.insert(*row);
            }
        }
        self.want_take |= !rows.is_empty();
    }

    /// Look for rows again.
    pub(super) fn look(&mut self) {
        self.want_take = true;
    }

    /// Begins what is to be done next.
    pub(super) fn pump(&mut self, now: Instant, wall: Timestamp, settings: &Settings) {
        if self.seen.replace((now, wall)).is_some_and(|seen| went_back(seen, now, wall)) {
            (self.set_back, self.want_take) = (true, true);
        }
        if self.due.is_some_and(|due| due <= wall) {
            self.due = None;
            self.want_take = true;
        }
        if self.task.is_some() || self.pause.is_some_and(|until| now < until) {
            return;
        }
        let (store, account) = (self.store.clone(), self.account);
        if self.want_requeue {
            self.want_requeue = false;
            self.task = Some(Box::pin(async move { Done::Requeued(store.requeue_outbox(account).await) }));
        } else if self.ready && self.want_take && self.out.len() < settings.inflight {
            self.want_take = false;
            let room = settings.inflight - self.out.len();
            let at_once = std::mem::take(&mut self.set_back) && !crate::mutant("deferred-by-date");
            self.task = Some(Box::pin(async move { Done::Taken(take(&store, account, room, wall, at_once).await) }));
        }
    }

    /// Waits for the store or the bell; `None`: the bell rang. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let answer = async {
            match &mut self.task {
                Some(task) => task.await,
                None => std::future::pending().await,
            }
        };
        let bell = async {
            if self.bell.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            done = answer => Some(done),
            () = bell => None,
        }
    }

    /// The rows to hand out now.
    pub(super) fn done(&mut self, now: Instant, done: Done) -> Vec<Command> {
        self.task = None;
        let landed = std::mem::take(&mut self.landed);
        match done {
            Done::Requeued(Ok(())) => Vec::new(),
            Done::Requeued(Err(_)) => {
                self.want_requeue = true;
                self.pause = Some(now + PAUSE);
                Vec::new()
            }
            Done::Taken(Err(_)) => {
                (self.want_take, self.set_back) = (true, true);
                self.pause = Some(now + PAUSE);
                Vec::new()
            }
            // Taken for a connection that is gone, even if there is a new one: older rows have to go back first, or
            // these would overtake them.
            Done::Taken(Ok((rows, _))) if !self.ready || self.want_requeue => {
                self.want_requeue |= !rows.is_empty();
                self.want_take = true;
                Vec::new()
            }
            Done::Taken(Ok((rows, due))) => {
                self.due = due;
                self.want_take |= !rows.is_empty();
                let told = |row: &OutboxId| self.settled.contains(row) || landed.contains(row);
                self.out.extend(rows.iter().map(|row| row.outbox).filter(|row| !told(row)));
                rows
            }
        }
    }

    /// When to look again. A wall clock may jump, so a far date is looked at once a minute.
    pub(super) fn timeout(&self, now: Instant, wall: Timestamp) -> Option<Instant> {
        let due = self.due.filter(|_| self.ready).map(|due| {
            let ms = u64::try_from(due.ms().saturating_sub(wall.ms())).unwrap_or_default();
            now + Duration::from_millis(ms.clamp(1, 60_000))
        });
        let waiting = self.task.is_none() && (self.want_requeue || self.want_take);
        let pause = self.pause.filter(|until| waiting && *until > now);
        [due, pause].into_iter().flatten().min()
    }
}

fn went_back((then, date): (Instant, Timestamp), now: Instant, wall: Timestamp) -> bool {
    let passed = i64::try_from(now.saturating_duration_since(then).as_millis()).unwrap_or(i64::MAX);
    wall.ms() < date.ms().saturating_add(passed).saturating_sub(SET_BACK)
}

async fn take(
    store: &Store,
    account: AccountId,
    room: usize,
    wall: Timestamp,
    at_once: bool,
) -> Result<(Vec<Command>, Option<Timestamp>), StoreError> {
    if at_once {
        store.hasten_outbox(account).await?;
    }
    let rows = store.take_outbox(account, room, wall).await?;
    let due = store.outbox_due(account, wall).await?;
    Ok((rows, due))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CommandKind;
    use crate::store::Draft;
    use crate::world::{Clock, Entropy};

    struct Stage {
        outbox: Outbox,
        clock: Clock,
        settings: Settings,
    }

    impl Stage {
        /// Three rows on disk, two of which may be out at once.
        async fn new() -> Self {
            let (clock, entropy) = (Clock::system(), Entropy::system());
            let store = Store::in_memory(crate::store::Settings::default(), clock.clone(), entropy).unwrap();
            let account = store.account("a", "xmpp", Some("a@example.org")).await.unwrap();
            let conversation = Some(store.direct(account, "b@example.org").await.unwrap());
            for text in ["one", "two", "three"] {
                let what = CommandKind::Send { text: text.into(), reply_to: None, attachments: Vec::new() };
                store.enqueue(Draft { account, conversation, what, id: None, at: clock.wall() }).await.unwrap();
            }
            let mut outbox = Outbox::new(account, store);
            outbox.opened();
            let settings = Settings { inflight: 2, ..Settings::default() };
            let mut stage = Self { outbox, clock, settings };
            // A process that died may have left rows in flight.
            assert_eq!(stage.read().await, []);
            stage
        }

        fn pump(&mut self) -> bool {
            self.outbox.pump(self.clock.now(), self.clock.wall(), &self.settings);
            self.outbox.task.is_some()
        }

        async fn answer(&mut self) -> Done {
            assert!(self.pump(), "there is a place");
            self.outbox.task.as_mut().unwrap().await
        }

        async fn read(&mut self) -> Vec<OutboxId> {
            let done = self.answer().await;
            self.outbox.done(self.clock.now(), done).into_iter().map(|row| row.outbox).collect()
        }
    }

    /// A date would come a day late.
    #[tokio::test]
    async fn a_row_that_waits_goes_out_at_once_when_the_clock_is_set_back() {
        let mut stage = Stage::new().await;
        let rows = stage.read().await;
        let later = |row: &OutboxId| {
            let outcome = crate::model::Outcome::Later(Duration::from_secs(5));
            crate::model::Event::Settled(crate::model::Settled { outbox: *row, outcome })
        };
        let (events, at) = (rows.iter().map(later).collect(), stage.clock.wall());
        let batch = crate::store::Batch { events, at, ..crate::store::Batch::default() };
        stage.outbox.store.apply(stage.outbox.account, batch).await.unwrap();
        rows.iter().for_each(|row| stage.outbox.settled(*row));
        stage.outbox.landed(&rows);
        assert_eq!(stage.read().await, [], "not before its time, nor what stands behind it");
        let (now, wall) = (stage.clock.now(), Timestamp(stage.clock.wall().ms() - 86_400_000));
        stage.outbox.pump(now, wall, &stage.settings);
        let done = stage.outbox.task.as_mut().expect("it looks").await;
        let taken: Vec<_> = stage.outbox.done(now, done).into_iter().map(|row| row.outbox).collect();
        assert_eq!(taken, rows);
    }

    /// An archive shows a message while the row is being read: the protocol says so before it is handed the row, and
    /// never again. Rows like that must not fill the places of those that may be out.
    #[tokio::test]
    async fn rows_that_were_settled_while_they_were_read_take_no_place() {
        let mut stage = Stage::new().await;
        let taken = stage.answer().await;
        let Done::Taken(Ok((rows, _))) = &taken else { panic!("not taken") };
        let rows: Vec<_> = rows.iter().map(|row| row.outbox).collect();
        assert_eq!(rows.len(), 2);
        rows.iter().for_each(|row| stage.outbox.settled(*row));
        // Their batch lands before the driver looks at what was read.
        stage.outbox.landed(&rows);
        assert_eq!(stage.outbox.done(stage.clock.now(), taken).len(), 2);
        assert_eq!(stage.read().await.len(), 1, "the third has a place");
    }

    /// An archive shows a message whose row waits on disk for its place; before that is on disk too, the row is read.
    #[tokio::test]
    async fn rows_that_were_settled_before_they_were_read_take_no_place_either() {
        let mut stage = Stage::new().await;
        let first = stage.read().await;
        let waiting = OutboxId(first[1].0 + 1);
        stage.outbox.settled(waiting);
        stage.outbox.settled(first[0]);
        assert_eq!(stage.read().await, [waiting]);
        assert_eq!(stage.outbox.out, BTreeSet::from([first[1]]));
        stage.outbox.landed(&[first[0], waiting]);
        assert!(stage.pump() && stage.outbox.settled.is_empty() && stage.outbox.landed.is_empty());
    }
}

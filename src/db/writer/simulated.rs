//! A writer on a disk that takes its time, for simulations: commits land later than they were asked for, several at
//! once, are told of later still, and sometimes fail. A crash loses what has not landed.
//!
//! It uses no thread and reads no clock but tokio's, so that the same disk makes the same story every time.

use super::{DbError, Kind, Owner, Work, Writer};
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// What a simulated disk does with one commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// From the first wish until it lands; what is asked meanwhile shares the commit.
    pub lands_after: Duration,
    /// From then until those who asked hear of it.
    pub told_after: Duration,
    /// It does not land: all who asked hear that the disk is full.
    pub fails: bool,
}

/// Decides the fate of each commit.
pub trait Disk: Send + Sync + 'static {
    /// The next commit's.
    fn next(&self) -> Fate;
}

type Jobs<A> = Vec<Box<dyn Work<A>>>;

/// What is asked and has not landed, and the connection.
pub(super) struct Queue<A> {
    owner: Arc<Mutex<Option<Owner<A>>>>,
    jobs: Mutex<Jobs<A>>,
    /// Landed, and not told yet.
    landed: Mutex<Option<(Jobs<A>, Vec<A>)>>,
    bell: Arc<Notify>,
}

impl<A> Queue<A> {
    pub(super) fn push(&self, job: Box<dyn Work<A>>) {
        lock(&self.jobs).push(job);
        self.bell.notify_one();
    }

    pub(super) fn owner(&self) -> &Arc<Mutex<Option<Owner<A>>>> {
        &self.owner
    }

    pub(super) fn close(&self) {
        lock(&self.owner).take();
        self.bell.notify_one();
    }

    /// Commits what was asked for so far; `None`: there is no connection any more.
    fn land(&self, fails: bool) -> Option<()> {
        let mut jobs = std::mem::take(&mut *lock(&self.jobs));
        let mut owner = lock(&self.owner);
        let owner = owner.as_mut()?;
        let full = DbError::Disk { intent: "writing the database".into(), cause: "the disk is full".into() };
        // Everything runs up to the COMMIT, which SQLite then turns into a rollback.
        let hooked = !fails || owner.conn.commit_hook(Some(|| true)).is_ok();
        let announcements = owner.commit(&mut jobs, Some(full).filter(|_| fails && hooked));
        if fails {
            let _nothing_is_hooked = owner.conn.commit_hook(None::<fn() -> bool>);
        }
        *lock(&self.landed) = Some((jobs, announcements));
        Some(())
    }

    fn tell(&self) {
        let Some((jobs, announcements)) = lock(&self.landed).take() else { return };
        if let Some(owner) = lock(&self.owner).as_mut() {
            announcements.into_iter().for_each(&mut owner.announce);
        }
        jobs.into_iter().for_each(|job| job.answer());
    }
}

impl<A: Send + 'static> Writer<A> {
    /// A writer whose commits have these fates. Must be called within a tokio runtime.
    #[must_use]
    pub fn simulated(conn: Connection, disk: Arc<dyn Disk>, announce: impl FnMut(A) + Send + 'static) -> Self {
        let owner = Owner { conn, path: None, checkpointer: None, announce: Box::new(announce) };
        let bell = Arc::new(Notify::new());
        let queue = Arc::new(Queue {
            owner: Arc::new(Mutex::new(Some(owner))),
            jobs: Mutex::default(),
            landed: Mutex::default(),
            bell: bell.clone(),
        });
        tokio::spawn(run(Arc::downgrade(&queue), bell, disk));
        Self(Kind::Simulated(queue))
    }

    /// Runs a job that only reads on the connection of a database in memory, in the caller; it sees what is committed.
    ///
    /// # Errors
    /// The job's own, or [`DbError::Closed`].
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        A: Default,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let owner = match &self.0 {
            Kind::Thread(_) => return self.call(move |conn| Ok((job(conn)?, A::default()))).await,
            Kind::Inline(owner) => owner,
            Kind::Simulated(queue) => queue.owner(),
        };
        let owner = owner.lock().unwrap_or_else(PoisonError::into_inner);
        job(&owner.as_ref().ok_or_else(|| E::from(DbError::Closed))?.conn)
    }

    /// The process is killed: what has not landed is lost, and nobody hears of what has. On a simulated disk only.
    pub fn crash(&self) {
        if let Kind::Simulated(queue) = &self.0 {
            lock(&queue.jobs).clear();
            lock(&queue.landed).take();
        }
    }
}

async fn run<A: Send + 'static>(queue: Weak<Queue<A>>, bell: Arc<Notify>, disk: Arc<dyn Disk>) {
    loop {
        bell.notified().await;
        while queue.upgrade().is_some_and(|queue| !lock(&queue.jobs).is_empty()) {
            let fate = disk.next();
            sleep(fate.lands_after).await;
            let Some(()) = queue.upgrade().and_then(|queue| queue.land(fate.fails)) else { return };
            sleep(fate.told_after).await;
            let Some(queue) = queue.upgrade() else { return };
            queue.tell();
        }
        if queue.strong_count() == 0 {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Settings, open_memory};
    use rusqlite_migration::{M, Migrations};
    use std::collections::VecDeque;

    const TABLE: [M<'static>; 1] = [M::up("CREATE TABLE t(x INTEGER PRIMARY KEY) STRICT;")];

    struct Script(Mutex<VecDeque<Fate>>);

    impl Disk for Script {
        fn next(&self) -> Fate {
            lock(&self.0).pop_front().unwrap_or_default()
        }
    }

    fn writer(fates: &[Fate]) -> Writer<i64> {
        let conn = open_memory(&Settings::default(), &Migrations::from_slice(&TABLE)).unwrap();
        Writer::simulated(conn, Arc::new(Script(Mutex::new(fates.iter().copied().collect()))), |_| ())
    }

    async fn insert(writer: Writer<i64>, x: i64) -> Result<(), DbError> {
        writer.call(move |conn| Ok((conn.execute("INSERT INTO t VALUES (?1)", [x]).map(drop)?, x))).await
    }

    async fn rows(writer: &Writer<i64>) -> i64 {
        let count = writer.read::<_, DbError, _>(|conn| {
            Ok(conn.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?)
        });
        count.await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_before_it_lands_shares_the_commit_and_a_failed_one_leaves_nothing() {
        let slow = Fate { lands_after: Duration::from_millis(10), ..Fate::default() };
        let writer = writer(&[Fate { fails: true, ..slow }, slow]);
        let (one, two) = (insert(writer.clone(), 1), insert(writer.clone(), 2));
        let (one, two) = tokio::join!(one, two);
        assert!(matches!((one, two), (Err(DbError::Disk { .. }), Err(DbError::Disk { .. }))));
        assert_eq!(rows(&writer).await, 0);
        insert(writer.clone(), 1).await.unwrap();
        assert_eq!(rows(&writer).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_loses_what_has_not_landed_and_keeps_what_has_though_nobody_heard_of_it() {
        let ten = Duration::from_millis(10);
        let writer = writer(&[Fate { lands_after: ten, told_after: ten, fails: false }; 2]);
        let (first, second) = (insert(writer.clone(), 1), insert(writer.clone(), 2));
        let first = tokio::spawn(first);
        sleep(Duration::from_millis(15)).await;
        let second = tokio::spawn(second);
        tokio::task::yield_now().await;
        writer.crash();
        assert!(matches!(first.await.unwrap(), Err(DbError::Closed)));
        assert!(matches!(second.await.unwrap(), Err(DbError::Closed)));
        assert_eq!(rows(&writer).await, 1);
    }
}

//! The group-commit writer: one thread owns the writing connection and commits once for all that is queued.
//! It never answers before the commit, and one job's failure never undoes another's work.

mod simulated;

use super::{Checkpointer, DbError};
use rusqlite::Connection;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

pub use simulated::{Disk, Fate};

/// Jobs that may wait; then callers wait for room.
const QUEUE: usize = 256;
/// Jobs that share one commit at most.
const GROUP: usize = 256;

thread_local! {
    /// Pages in the WAL as of this thread's last commit.
    static WAL_PAGES: Cell<u32> = const { Cell::new(0) };
}

type Announce<A> = Box<dyn FnMut(A) + Send>;

/// A handle to the writer. `A` is what a job announces; it is handed to the hook after the commit.
pub struct Writer<A>(Kind<A>);

enum Kind<A> {
    Thread(mpsc::Sender<Order<A>>),
    Inline(Arc<Mutex<Option<Owner<A>>>>),
    Simulated(Arc<simulated::Queue<A>>),
}

enum Order<A> {
    Work(Box<dyn Work<A>>),
    Stop(oneshot::Sender<()>),
}

impl<A> Clone for Writer<A> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Thread(queue) => Kind::Thread(queue.clone()),
            Kind::Inline(owner) => Kind::Inline(owner.clone()),
            Kind::Simulated(queue) => Kind::Simulated(queue.clone()),
        })
    }
}

impl<A: Send + 'static> Writer<A> {
    /// Starts the thread. `announce` runs on it after each commit, once a job, before the jobs are answered.
    ///
    /// # Errors
    /// [`DbError::Disk`] if the system gives no thread.
    pub fn spawn(
        conn: Connection,
        path: PathBuf,
        checkpointer: Option<Checkpointer>,
        announce: impl FnMut(A) + Send + 'static,
    ) -> Result<Self, DbError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let owner = Owner { conn, path: Some(path), checkpointer, announce: Box::new(announce) };
        std::thread::Builder::new().name("db-writer".into()).spawn(move || run(owner, jobs)).map_err(|error| {
            DbError::Disk { intent: "starting the writer's thread".into(), cause: error.to_string() }
        })?;
        Ok(Self(Kind::Thread(queue)))
    }

    /// A writer without a thread: each job runs and commits in the caller. For databases in memory.
    #[must_use]
    pub fn inline(conn: Connection, announce: impl FnMut(A) + Send + 'static) -> Self {
        let owner = Owner { conn, path: None, checkpointer: None, announce: Box::new(announce) };
        Self(Kind::Inline(Arc::new(Mutex::new(Some(owner)))))
    }

    /// Runs a job in the next group and answers once it is committed. If the caller goes away the job runs still.
    ///
    /// # Errors
    /// The job's own (its savepoint was rolled back), or a [`DbError`] if the commit failed or the writer has ended.
    pub async fn call<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<(T, A), E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Task { job: Some(job), outcome: None, reply });
        match &self.0 {
            Kind::Thread(queue) => {
                queue.send(Order::Work(task)).await.map_err(|_| E::from(DbError::Closed))?;
            }
            Kind::Inline(owner) => {
                let mut owner = owner.lock().unwrap_or_else(PoisonError::into_inner);
                owner.as_mut().ok_or_else(|| E::from(DbError::Closed))?.group(vec![task]);
            }
            Kind::Simulated(queue) => queue.push(task),
        }
        answer.await.unwrap_or_else(|_| Err(E::from(DbError::Closed)))
    }

    /// Commits what is queued and closes the connection; later calls get [`DbError::Closed`].
    pub async fn stop(&self) {
        match &self.0 {
            Kind::Thread(queue) => {
                let (reply, answer) = oneshot::channel();
                if queue.send(Order::Stop(reply)).await.is_ok() {
                    let _gone = answer.await;
                }
            }
            Kind::Inline(owner) => drop(owner.lock().unwrap_or_else(PoisonError::into_inner).take()),
            Kind::Simulated(queue) => queue.close(),
        }
    }
}

/// Something queued: it runs inside the transaction and is answered after it.
trait Work<A>: Send {
    /// Runs the job in its savepoint: its announcement, or that it failed.
    fn run(&mut self, conn: &Connection) -> Option<A>;
    /// Its savepoint or its transaction is lost.
    fn spoil(&mut self, error: DbError);
    fn answer(self: Box<Self>);
}

struct Task<F, T, E> {
    job: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<A, F, T, E> Work<A> for Task<F, T, E>
where
    T: Send,
    E: From<DbError> + Send,
    F: FnOnce(&Connection) -> Result<(T, A), E> + Send,
{
    fn run(&mut self, conn: &Connection) -> Option<A> {
        let job = self.job.take()?;
        let (outcome, announcement) = match catch_unwind(AssertUnwindSafe(|| job(conn))) {
            Ok(Ok((value, announcement))) => (Ok(value), Some(announcement)),
            Ok(Err(error)) => (Err(error), None),
            Err(_) => {
                (Err(E::from(DbError::Statement { intent: "writing".into(), cause: "a job panicked".into() })), None)
            }
        };
        self.outcome = Some(outcome);
        announcement
    }

    fn spoil(&mut self, error: DbError) {
        if !matches!(self.outcome, Some(Err(_))) {
            self.outcome = Some(Err(E::from(error)));
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            let _caller_left = self.reply.send(outcome);
        }
    }
}

/// What the thread owns.
struct Owner<A> {
    conn: Connection,
    path: Option<PathBuf>,
    checkpointer: Option<Checkpointer>,
    announce: Announce<A>,
}

impl<A> Owner<A> {
    /// One transaction for all of them, then one answer each.
    fn group(&mut self, mut jobs: Vec<Box<dyn Work<A>>>) {
        let announcements = self.commit(&mut jobs, None);
        if !announcements.is_empty() {
            announcements.into_iter().for_each(&mut self.announce);
            crate::failpoint("commit-announced");
        }
        jobs.into_iter().for_each(|job| job.answer());
        crate::failpoint("commit-answered");
    }

    /// One transaction for all of them: what they announce. Nobody is answered yet. `reason`: what a failure is called.
    fn commit(&mut self, jobs: &mut [Box<dyn Work<A>>], reason: Option<DbError>) -> Vec<A> {
        match self.transaction(jobs) {
            Ok(announcements) => announcements,
            Err(error) => {
                let error = reason.unwrap_or(error);
                if !self.conn.is_autocommit() {
                    let _already_gone = self.conn.execute_batch("ROLLBACK");
                }
                jobs.iter_mut().for_each(|job| job.spoil(error.clone()));
                Vec::new()
            }
        }
    }

    fn transaction(&self, jobs: &mut [Box<dyn Work<A>>]) -> Result<Vec<A>, DbError> {
        let failed = |error: rusqlite::Error| DbError::sqlite("writing", self.path.as_deref(), &error);
        let run = |sql: &str| self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        run("BEGIN IMMEDIATE").map_err(failed)?;
        crate::failpoint("commit-begun");
        let mut announcements = Vec::with_capacity(jobs.len());
        for job in jobs {
            run("SAVEPOINT job").map_err(failed)?;
            let announcement = job.run(&self.conn);
            if self.conn.is_autocommit() {
                // SQLite itself rolled the whole transaction back (full disk, I/O error): nothing of the group stands.
                return Err(DbError::Disk {
                    intent: "writing".into(),
                    cause: "the transaction was rolled back".into(),
                });
            }
            match announcement {
                Some(announcement) => announcements.push(announcement),
                None => drop(run("ROLLBACK TO job").map_err(failed)?),
            }
            run("RELEASE job").map_err(failed)?;
        }
        crate::failpoint("commit-due");
        let committed = run("COMMIT");
        if !crate::mutant("commit-failure-ignored") {
            committed.map_err(failed)?;
        }
        crate::failpoint("commit-done");
        Ok(announcements)
    }
}

fn run<A>(mut owner: Owner<A>, mut jobs: mpsc::Receiver<Order<A>>) {
    owner.conn.wal_hook(Some(|_, pages| {
        WAL_PAGES.set(u32::try_from(pages).unwrap_or_default());
        Ok(())
    }));
    let mut stop = None;
    while stop.is_none() {
        let Some(first) = jobs.blocking_recv() else { break };
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Work(work) => group.push(work),
                Order::Stop(reply) => stop = Some(reply),
            }
            if stop.is_none() && group.len() < GROUP {
                next = jobs.try_recv().ok();
            }
        }
        if !group.is_empty() {
            owner.group(group);
            if let Some(checkpointer) = &owner.checkpointer {
                checkpointer.wrote(&owner.conn, WAL_PAGES.get());
            }
        }
    }
    drop(jobs);
    drop(owner);
    if let Some(reply) = stop {
        let _nobody_waits = reply.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Settings, open};
    use rusqlite_migration::{M, Migrations};
    use std::sync::mpsc as std_mpsc;

    const TABLE: [M<'static>; 1] = [M::up("CREATE TABLE t(x INTEGER PRIMARY KEY) STRICT;")];

    fn writer(dir: &std::path::Path) -> (Writer<i64>, std_mpsc::Receiver<i64>) {
        let path = dir.join("a.db");
        let conn = open(&path, &Settings::default(), &Migrations::from_slice(&TABLE)).unwrap();
        let (told, heard) = std_mpsc::channel();
        (Writer::spawn(conn, path, None, move |a| told.send(a).unwrap()).unwrap(), heard)
    }

    fn insert(x: i64) -> impl FnOnce(&Connection) -> Result<((), i64), DbError> + Send + 'static {
        move |conn| {
            conn.execute("INSERT INTO t VALUES (?1)", [x])?;
            Ok(((), x))
        }
    }

    fn rows(dir: &std::path::Path) -> Vec<i64> {
        let conn = Connection::open(dir.join("a.db")).unwrap();
        let mut statement = conn.prepare("SELECT x FROM t ORDER BY x").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Holds the writer inside a job until the sender is dropped, so that what follows forms one group.
    async fn block(writer: &Writer<i64>) -> (std_mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), DbError>>) {
        let (open, gate) = std_mpsc::channel::<()>();
        let (entered, entry) = oneshot::channel();
        let writer = writer.clone();
        let held = tokio::spawn(async move {
            writer
                .call(move |_| {
                    entered.send(()).unwrap();
                    let _opened = gate.recv();
                    Ok(((), 0))
                })
                .await
        });
        entry.await.unwrap();
        (open, held)
    }

    #[tokio::test]
    async fn a_job_that_fails_is_undone_alone_and_its_neighbours_in_the_group_commit() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, heard) = writer(dir.path());
        let (open, held) = block(&writer).await;
        let good = tokio::join!(
            writer.call(insert(1)),
            writer.call::<(), DbError, _>(|conn| {
                conn.execute("INSERT INTO t VALUES (2)", [])?;
                Err(DbError::Closed)
            }),
            writer.call(insert(1)),
            writer.call(insert(3)),
            async {
                drop(open);
                held.await.unwrap()
            },
        );
        assert!(good.0.is_ok() && good.1.is_err() && good.2.is_err() && good.3.is_ok() && good.4.is_ok());
        assert_eq!(rows(dir.path()), [1, 3]);
        writer.stop().await;
        assert_eq!(heard.iter().collect::<Vec<_>>(), [0, 1, 3]);
    }

    #[tokio::test]
    async fn a_failed_commit_fails_every_job_of_the_group_and_the_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, heard) = writer(dir.path());
        let limit = |pages: i64| {
            move |conn: &Connection| -> Result<((), i64), DbError> {
                conn.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))?;
                Ok(((), 0))
            }
        };
        writer.call(limit(1)).await.unwrap();
        let many = |from: i64| {
            move |conn: &Connection| -> Result<((), i64), DbError> {
                for x in from..from + 5_000 {
                    conn.execute("INSERT INTO t VALUES (?1)", [x])?;
                }
                Ok(((), from))
            }
        };
        let (first, second) = tokio::join!(writer.call(insert(7)), writer.call(many(100)));
        assert!(matches!(second, Err(DbError::Disk { .. })), "{second:?}");
        writer.call(limit(100_000)).await.unwrap();
        writer.call(insert(8)).await.unwrap();
        let expected: &[i64] = if first.is_ok() { &[7, 8] } else { &[8] };
        assert_eq!(rows(dir.path()), expected);
        writer.stop().await;
        assert_eq!(heard.iter().filter(|x| *x >= 100).count(), 0);
    }

    #[tokio::test]
    async fn a_job_that_panics_is_undone_and_reported_and_the_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, _heard) = writer(dir.path());
        let bad = writer
            .call::<(), DbError, _>(|conn| {
                conn.execute("INSERT INTO t VALUES (1)", []).unwrap();
                panic!("on purpose")
            })
            .await;
        assert!(bad.is_err());
        writer.call(insert(2)).await.unwrap();
        assert_eq!(rows(dir.path()), [2]);
    }

    #[tokio::test]
    async fn after_a_stop_everything_queued_is_on_disk_and_calls_say_closed() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, _heard) = writer(dir.path());
        let (queued, ()) = tokio::join!(writer.call(insert(1)), writer.stop());
        queued.unwrap();
        assert_eq!(rows(dir.path()), [1]);
        assert!(matches!(writer.call(insert(2)).await, Err(DbError::Closed)));
    }
}

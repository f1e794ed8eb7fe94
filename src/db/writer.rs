//! The group-commit writer: one thread owns the writing connection and commits once for all that is queued.
//! It never answers before the commit, and one job's failure never undoes another's work.

mod simulated;
#[cfg(test)]
mod tests;

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
    /// The job's own (what it did was rolled back), or a [`DbError`] if the commit failed or the writer has ended.
    pub async fn call<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<(T, A), E> + Send + 'static,
    {
        self.order(job, false).await
    }

    /// As [`call`](Self::call), for a job that changes many pages: it has a transaction, and so a commit, of its own.
    ///
    /// # Errors
    /// As of [`call`](Self::call).
    pub async fn call_alone<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<(T, A), E> + Send + 'static,
    {
        self.order(job, true).await
    }

    async fn order<T, E, F>(&self, job: F, alone: bool) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<(T, A), E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Task { job: Some(job), alone, outcome: None, reply });
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
    /// It shares its transaction with nobody.
    fn is_alone(&self) -> bool;
    /// Runs the job: its announcement, or that it failed.
    fn run(&mut self, conn: &Connection) -> Option<A>;
    /// Its savepoint or its transaction is lost.
    fn spoil(&mut self, error: DbError);
    fn answer(self: Box<Self>);
}

struct Task<F, T, E> {
    job: Option<F>,
    alone: bool,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<A, F, T, E> Work<A> for Task<F, T, E>
where
    T: Send,
    E: From<DbError> + Send,
    F: FnOnce(&Connection) -> Result<(T, A), E> + Send,
{
    fn is_alone(&self) -> bool {
        self.alone
    }

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

    /// Jobs that share a transaction have a savepoint each. One that has it for itself has none: with every statement
    /// SQLite walks through all that an open savepoint has kept so far, so that many changes in one cost the square.
    fn transaction(&self, jobs: &mut [Box<dyn Work<A>>]) -> Result<Vec<A>, DbError> {
        let failed = |error: rusqlite::Error| DbError::sqlite("writing", self.path.as_deref(), &error);
        let run = |sql: &str| self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        run("BEGIN IMMEDIATE").map_err(failed)?;
        crate::failpoint("commit-begun");
        let shared = jobs.len() > 1;
        let mut announcements = Vec::with_capacity(jobs.len());
        for job in jobs {
            if shared {
                run("SAVEPOINT job").map_err(failed)?;
            }
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
                None if shared => drop(run("ROLLBACK TO job").map_err(failed)?),
                None => {
                    run("ROLLBACK").map_err(failed)?;
                    return Ok(announcements);
                }
            }
            if shared {
                run("RELEASE job").map_err(failed)?;
            }
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
    let (mut stop, mut left) = (None, None);
    while stop.is_none() {
        let Some(first) = left.take().or_else(|| jobs.blocking_recv()) else { break };
        let mut group: Vec<Box<dyn Work<A>>> = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Work(work) if work.is_alone() && !group.is_empty() => {
                    left = Some(Order::Work(work));
                    break;
                }
                Order::Work(work) => group.push(work),
                Order::Stop(reply) => stop = Some(reply),
            }
            let closed = stop.is_some() || group.len() >= GROUP || group.iter().any(|work| work.is_alone());
            if !closed {
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

//! Reading: threads with read-only connections. Each job sees one snapshot; none is held after it, so that the WAL
//! can always be moved into the file.

use super::{DbError, Settings, open_reader};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for one thread.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(Result<&Connection, DbError>) + Send>;

enum Order {
    Work(Job),
    /// Close the connection until the next job.
    Rest,
}

/// A handle to the reading threads.
#[derive(Clone)]
pub struct Reader {
    threads: Arc<[mpsc::Sender<Order>]>,
}

impl Reader {
    /// Starts `threads` threads. The first opens its connection at once, so that reading goes on when there are no more
    /// file descriptors; the others at their first job, and what they cannot do then the first does.
    ///
    /// # Errors
    /// [`DbError::Disk`] if the system gives no thread.
    pub fn spawn(path: &Path, settings: &Settings, threads: usize) -> Result<Self, DbError> {
        let mut first = None;
        let start = |_| {
            let (queue, jobs) = mpsc::channel(QUEUE);
            let (path, settings, other) = (path.to_owned(), settings.clone(), first.clone());
            first.get_or_insert_with(|| queue.clone().downgrade());
            std::thread::Builder::new()
                .name("db-reader".into())
                .spawn(move || run(&path, &settings, jobs, other))
                .map_err(|error| DbError::Disk {
                    intent: "starting a reader's thread".into(),
                    cause: error.to_string(),
                })?;
            Ok(queue)
        };
        Ok(Self { threads: (0..threads.max(1)).map(start).collect::<Result<_, DbError>>()? })
    }

    /// Runs a job on the least busy thread, within one read transaction.
    ///
    /// # Errors
    /// The job's own, or a [`DbError`] if the file cannot be opened or the threads have ended.
    pub async fn call<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let outcome = match conn.map_err(E::from) {
                Ok(conn) => catch_unwind(AssertUnwindSafe(|| within_snapshot(conn, job))).unwrap_or_else(|_| {
                    Err(E::from(DbError::Statement { intent: "reading".into(), cause: "a job panicked".into() }))
                }),
                Err(error) => Err(error),
            };
            let _caller_left = reply.send(outcome);
        });
        // The first of equals: a quiet daemon keeps one connection only.
        let free = self.threads.iter().rev().max_by_key(|queue| queue.capacity());
        let queue = free.ok_or_else(|| E::from(DbError::Closed))?;
        queue.send(Order::Work(job)).await.map_err(|_| E::from(DbError::Closed))?;
        answer.await.unwrap_or_else(|_| Err(E::from(DbError::Closed)))
    }

    /// Closes connections that nothing waits for, with their caches; the next job opens one anew. The first thread's
    /// stays, without its caches.
    pub fn rest(&self) {
        for queue in self.threads.iter() {
            let _busy = queue.try_send(Order::Rest);
        }
    }
}

fn within_snapshot<T, E: From<DbError>>(
    conn: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    conn.execute_batch("BEGIN").map_err(|error| E::from(DbError::from(error)))?;
    let outcome = job(conn);
    let _nothing_to_undo = conn.execute_batch("ROLLBACK");
    outcome
}

/// Gives back what a connection remembers, but not its descriptor.
pub fn shrink(conn: &Connection) {
    conn.flush_prepared_statement_cache();
    let _as_it_is = conn.execute_batch("PRAGMA shrink_memory");
}

fn run(path: &Path, settings: &Settings, mut orders: mpsc::Receiver<Order>, first: Option<mpsc::WeakSender<Order>>) {
    let mut open = if first.is_none() { open_reader(path, settings).ok() } else { None };
    while let Some(order) = orders.blocking_recv() {
        let Order::Work(job) = order else {
            open = open.filter(|_| first.is_none()).inspect(shrink);
            continue;
        };
        let conn = match open.take() {
            Some(conn) => Ok(conn),
            None => open_reader(path, settings),
        };
        match (conn, first.as_ref().and_then(mpsc::WeakSender::upgrade)) {
            (Ok(conn), _) => {
                job(Ok(&conn));
                // A panic may have left the snapshot open.
                if conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok() {
                    open = Some(conn);
                }
            }
            (Err(_), Some(first)) => {
                if let Err(mpsc::error::SendError(Order::Work(job))) = first.blocking_send(Order::Work(job)) {
                    job(Err(DbError::Closed));
                }
            }
            (Err(error), None) => job(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::open;
    use rusqlite_migration::{M, Migrations};

    #[tokio::test]
    async fn a_reader_sees_each_commit_and_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let steps = [M::up("CREATE TABLE t(x INTEGER NOT NULL) STRICT;")];
        let conn = open(&path, &Settings::default(), &Migrations::from_slice(&steps)).unwrap();
        let reader = Reader::spawn(&path, &Settings::default(), 2).unwrap();
        for x in 1..=3_i64 {
            conn.execute("INSERT INTO t VALUES (?1)", [x]).unwrap();
            let seen = reader
                .call(|conn| Ok::<i64, DbError>(conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?))
                .await
                .unwrap();
            assert_eq!(seen, x);
            reader.rest();
        }
        let refused = reader.call(|conn| Ok::<_, DbError>(conn.execute("INSERT INTO t VALUES (9)", [])?)).await;
        assert!(refused.is_err());
    }

    #[tokio::test]
    async fn a_job_that_panics_leaves_no_snapshot_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let steps = [M::up("CREATE TABLE t(x INTEGER NOT NULL) STRICT;")];
        let _conn = open(&path, &Settings::default(), &Migrations::from_slice(&steps)).unwrap();
        let reader = Reader::spawn(&path, &Settings::default(), 1).unwrap();
        assert!(reader.call::<(), DbError, _>(|_| panic!("on purpose")).await.is_err());
        let after = reader.call(|conn| Ok::<i64, DbError>(conn.query_row("SELECT 1", [], |row| row.get(0))?)).await;
        assert_eq!(after.unwrap(), 1);
    }
}

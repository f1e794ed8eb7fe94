//! Moves the WAL into the database file from a thread and a connection of its own, so that no commit waits for it.
//! It sleeps until the writer says that the WAL has grown.

use super::{DbError, sums};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pages in the WAL from which it is moved (4 MiB).
const MOVE: u32 = 1_000;
/// Pages from which the writer itself empties the WAL (64 MiB): it writes faster than the thread can follow.
const EMPTY: u32 = 16_000;

/// A handle to the checkpointing thread.
#[derive(Clone)]
pub struct Checkpointer {
    grown: mpsc::SyncSender<bool>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Held while a checkpoint runs: SQLite refuses a second one at once instead of waiting.
    turn: Arc<Mutex<()>>,
    path: PathBuf,
}

impl Checkpointer {
    /// Starts the thread; its connection opens when first needed.
    ///
    /// # Errors
    /// [`DbError::Disk`] if the system gives no thread.
    pub fn spawn(path: &Path) -> Result<Self, DbError> {
        let (grown, news) = mpsc::sync_channel(1);
        let file = path.to_owned();
        let turn = Arc::new(Mutex::new(()));
        let ours = turn.clone();
        let thread =
            std::thread::Builder::new().name("db-checkpoint".into()).spawn(move || run(&file, &news, &ours)).map_err(
                |error| DbError::Disk { intent: "starting the checkpointer".into(), cause: error.to_string() },
            )?;
        Ok(Self { grown, turn, thread: Arc::new(Mutex::new(Some(thread))), path: path.to_owned() })
    }

    /// The writer's WAL has so many pages now. A hint that finds the thread busy is made good by the next. Blocks only
    /// when the WAL has grown out of bounds; then the writer's own connection empties it.
    pub fn wrote(&self, conn: &Connection, pages: u32) {
        if pages >= EMPTY {
            let _ours = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = checkpoint(conn, "RESTART") {
                tracing::warn!(%error, "the write-ahead log stays as it is for now");
            }
        } else if pages >= MOVE {
            let _busy = self.grown.try_send(true);
        }
    }

    /// Ends the thread and empties the WAL. Blocking; call it when the writer has stopped.
    ///
    /// # Errors
    /// [`DbError::Disk`] if the WAL could not be moved; nothing is lost by that.
    pub fn finish(&self) -> Result<(), DbError> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _stopped = self.grown.send(false);
        if let Some(thread) = thread {
            let _ended = thread.join();
        }
        checkpoint(&connect(&self.path)?, "TRUNCATE")
    }
}

fn run(path: &Path, news: &mpsc::Receiver<bool>, turn: &Mutex<()>) {
    let mut conn = None;
    while news.recv() == Ok(true) {
        let result = match conn.take() {
            Some(conn) => Ok(conn),
            None => connect(path),
        }
        .and_then(|open| {
            let ours = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let done = checkpoint(&open, "PASSIVE");
            drop(ours);
            conn = Some(open);
            done
        });
        if let Err(error) = result {
            tracing::warn!(%error, "the write-ahead log stays as it is for now");
        }
    }
}

fn connect(path: &Path) -> Result<Connection, DbError> {
    let failed = |error: rusqlite::Error| DbError::sqlite("checkpointing", Some(path), &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags_and_vfs(path, flags, sums::vfs()?).map_err(failed)?;
    conn.busy_timeout(Duration::from_secs(1)).map_err(failed)?;
    conn.pragma_update(None, "cache_size", -64).map_err(failed)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    if cfg!(target_os = "macos") {
        conn.pragma_update(None, "checkpoint_fullfsync", true).map_err(failed)?;
    }
    Ok(conn)
}

fn checkpoint(conn: &Connection, how: &str) -> Result<(), DbError> {
    crate::failpoint("log-moving");
    conn.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).map_err(|error| {
        let path = conn.path().map(PathBuf::from);
        DbError::sqlite("checkpointing", path.as_deref(), &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Settings, Writer, open};
    use rusqlite_migration::{M, Migrations};

    #[tokio::test]
    async fn the_wal_stays_small_under_writing_and_is_empty_after_a_stop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let steps = [M::up("CREATE TABLE t(x BLOB NOT NULL) STRICT;")];
        let settings = Settings { full_sync: false, ..Settings::default() };
        let conn = open(&path, &settings, &Migrations::from_slice(&steps)).unwrap();
        let checkpointer = Checkpointer::spawn(&path).unwrap();
        let writer = Writer::spawn(conn, path.clone(), Some(checkpointer.clone()), |()| {}).unwrap();
        let wal = path.with_file_name("a.db-wal");
        let mut largest = 0;
        for _ in 0..800 {
            writer
                .call::<_, DbError, _>(|conn| {
                    conn.execute("INSERT INTO t VALUES (zeroblob(200000))", [])?;
                    Ok(((), ()))
                })
                .await
                .unwrap();
            largest = largest.max(std::fs::metadata(&wal).unwrap().len());
        }
        assert!(largest < 100 << 20, "{largest} bytes");
        writer.stop().await;
        checkpointer.finish().unwrap();
        assert_eq!(std::fs::metadata(&wal).map_or(0, |found| found.len()), 0);
    }
}

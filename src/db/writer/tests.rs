//! Groups, savepoints, failures, and the order in which all of it is told.

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
async fn a_job_of_its_own_has_its_own_commit_and_its_failure_undoes_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, heard) = writer(dir.path());
    let (commits, counted) = std_mpsc::channel();
    let count = move |conn: &Connection| -> Result<((), i64), DbError> {
        conn.commit_hook(Some(move || commits.send(()).is_err()))?;
        Ok(((), 0))
    };
    writer.call(count).await.unwrap();
    let (open, held) = block(&writer).await;
    let done = tokio::join!(
        writer.call(insert(1)),
        writer.call_alone(insert(2)),
        writer.call_alone::<(), DbError, _>(|conn| {
            conn.execute("INSERT INTO t VALUES (3)", [])?;
            Err(DbError::Closed)
        }),
        writer.call(insert(4)),
        writer.call(insert(5)),
        async {
            drop(open);
            held.await.unwrap()
        },
    );
    assert!(done.0.is_ok() && done.1.is_ok() && done.2.is_err() && done.3.is_ok() && done.4.is_ok());
    assert_eq!(rows(dir.path()), [1, 2, 4, 5]);
    writer.stop().await;
    assert_eq!(heard.iter().collect::<Vec<_>>(), [0, 0, 1, 2, 4, 5], "in the order asked");
    assert_eq!(counted.iter().count(), 5, "the counting itself, the gate, 1, 2, and 4 with 5");
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

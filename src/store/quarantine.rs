//! A damaged file is moved aside and kept; a new one takes its place, with what was written and not sent. Everything else
//! comes from the servers again: without a checkpoint a protocol catches up from nothing.

use super::health::{Health, QUARANTINED};
use super::tx::{Result, Tx, json, set_meta};
use super::{Settings, StoreError, salvage, schema};
use crate::db;
use crate::model::{Quarantined, Timestamp};
use crate::world::{Clock, Entropy};
use rusqlite::Connection;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Beside the file: it is damaged, and why. Whoever opens the store next moves it aside.
fn marker(path: &Path) -> PathBuf {
    path.with_extension("db.damaged")
}

/// Notes that the file is damaged.
///
/// # Errors
/// When the note cannot be written.
pub(super) fn mark(path: &Path, why: &str) -> io::Result<()> {
    std::fs::write(marker(path), why)
}

/// Opens the file; a damaged one is moved aside first.
///
/// # Errors
/// `Newer` leaves it as it was; `Disk`; `Corrupt` only if even a new file is.
pub(super) fn open(path: &Path, settings: &Settings, clock: &Clock, entropy: &Entropy) -> Result<(Connection, Health)> {
    let options = settings.db();
    let why = match std::fs::read_to_string(marker(path)) {
        Ok(why) => why,
        Err(_) => match sound(path, &options, clock) {
            Err(StoreError::Corrupt { cause, .. }) => cause,
            other => return other,
        },
    };
    tracing::error!(%why, "the database is damaged: it is moved aside and a new one begun");
    let conn = replace(path, &options, &why, clock.wall(), entropy)?;
    let health = Health::begin(&conn, path, clock.wall())?;
    Ok((conn, health))
}

/// Opens it as it is, and sees that it is one of ours.
fn sound(path: &Path, options: &db::Settings, clock: &Clock) -> Result<(Connection, Health)> {
    let conn = db::open(path, options, &schema::migrations())?;
    let health = Health::begin(&conn, path, clock.wall())?;
    let look = "SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM outbox WHERE state < 2)
                + (SELECT count(*) FROM conversation WHERE key = 0) + (SELECT count(*) FROM message WHERE position = 0)";
    match conn.query_row(look, [], |_| Ok(())).map_err(StoreError::from) {
        Ok(()) => Ok((conn, health)),
        // The statement is right, so the tables are not.
        Err(StoreError::Fault { cause, .. }) => Err(StoreError::Corrupt { path: path.display().to_string(), cause }),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, options: &db::Settings, why: &str, at: Timestamp, entropy: &Entropy) -> Result<Connection> {
    let failed = |error: io::Error| StoreError::Disk {
        intent: format!("moving the damaged {} aside", path.display()),
        cause: error.to_string(),
    };
    let kept = aside(path, at).map_err(failed)?;
    let readable = kept.as_deref().filter(|_| !crate::mutant("salvage-off"));
    let salvaged = readable.map(|kept| salvage::read(kept, options)).unwrap_or_default();
    let conn = db::open(path, options, &schema::migrations())?;
    let transaction = conn.unchecked_transaction()?;
    let mut tx = Tx::new(&transaction, entropy, at);
    let carried = salvage::write(&mut tx, &salvaged)?;
    let told = Quarantined {
        file: kept.unwrap_or_else(|| path.to_owned()).display().to_string(),
        at,
        why: why.to_owned(),
        carried,
        incomplete: salvaged.incomplete || carried < salvaged.rows.len() as u64,
    };
    set_meta(tx.conn, QUARANTINED, Some(&json(&told)?))?;
    transaction.commit()?;
    std::fs::remove_file(marker(path)).or_else(gone).map_err(failed)?;
    Ok(conn)
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Gives the file and its WAL a name with the date. Links first, so that a crash in between leaves the copy whole; the
/// WAL's own name goes before the file's, so that no new file ever meets an old WAL.
fn aside(path: &Path, at: Timestamp) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    let stamp: String = at.to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    let name = |n: u32| {
        let again = if n == 0 { String::new() } else { format!("-{n}") };
        PathBuf::from(format!("{}.damaged-{stamp}{again}", path.display()))
    };
    let kept = (0..1_000).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(1_000));
    let with = |path: &Path, suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    for suffix in ["-wal", ""] {
        let from = with(path, suffix);
        if from.exists() {
            std::fs::hard_link(&from, with(&kept, suffix))?;
        }
    }
    for suffix in ["-shm", "-wal", ""] {
        std::fs::remove_file(with(path, suffix)).or_else(gone)?;
    }
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(Some(kept))
}

//! A damaged file is kept under another name; a new one takes its place, with what was written and not sent. Everything
//! else comes from the servers again: without a checkpoint a protocol catches up from nothing. The new one is made whole
//! beside the old one and renamed over it, so that a full disk or a death on the way leaves what the next start begins with.

use super::health::{Health, QUARANTINED};
use super::salvage::{self, Salvaged};
use super::tx::{Result, Tx, json, set_meta};
use super::{Settings, StoreError, schema};
use crate::db;
use crate::model::{Quarantined, Timestamp};
use crate::world::{Clock, Entropy};
use rusqlite::Connection;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Beside the file: which file is damaged, and why. Whoever opens the store next puts a new one in its place.
fn marker(path: &Path) -> PathBuf {
    path.with_extension("db.damaged")
}

/// Notes durably that the file is damaged.
///
/// # Errors
/// When the note cannot be written.
pub(super) fn mark(path: &Path, why: &str) -> io::Result<()> {
    let note = format!("{}\n{why}", std::fs::metadata(path)?.ino());
    let mut file = File::create(marker(path))?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    sync_folder(path)
}

/// Why this very file is damaged. A note about another one is left from a replacement that got that far, or the user has
/// put a copy in its place.
fn marked(path: &Path) -> io::Result<Option<String>> {
    let note = match std::fs::read_to_string(marker(path)) {
        Ok(note) => note,
        Err(error) => return gone(error).map(|()| None),
    };
    let (inode, why) = note.split_once('\n').unwrap_or(("", &note));
    let this = match std::fs::metadata(path) {
        Ok(found) => found.ino(),
        Err(error) => return gone(error).map(|()| None),
    };
    Ok(inode.parse().map_or(true, |noted: u64| noted == this).then(|| why.to_owned()))
}

/// Opens the file; a damaged one is kept under another name, and a new one takes its place.
///
/// # Errors
/// `Newer` leaves it as it was; `Disk`; `Corrupt` only if even a new file is.
pub(super) fn open(path: &Path, settings: &Settings, clock: &Clock, entropy: &Entropy) -> Result<(Connection, Health)> {
    let options = settings.db();
    let failed = |error: io::Error| StoreError::Disk {
        intent: format!("replacing the damaged {}", path.display()),
        cause: error.to_string(),
    };
    let why = match marked(path).map_err(failed)? {
        Some(why) => why,
        None => match sound(path, &options, clock) {
            Err(StoreError::Corrupt { cause, .. }) => {
                mark(path, &cause).map_err(failed)?;
                cause
            }
            opened => {
                if opened.is_ok() {
                    std::fs::remove_file(marker(path)).or_else(gone).map_err(failed)?;
                }
                return opened;
            }
        },
    };
    tracing::error!(%why, "the database is damaged: it is kept under another name and a new one begun");
    crate::failpoint("damage-noted");
    let at = clock.wall();
    let kept = keep(path, at).map_err(failed)?;
    crate::failpoint("damage-kept");
    let fresh = path.with_extension("db.new");
    remove_logs(&fresh).and_then(|()| std::fs::remove_file(&fresh).or_else(gone)).map_err(failed)?;
    rebuild(&fresh, &kept, &options, &why, at, entropy)?;
    crate::failpoint("damage-rebuilt");
    take_place(&fresh, path).map_err(failed)?;
    crate::failpoint("damage-replaced");
    std::fs::remove_file(marker(path)).or_else(gone).map_err(failed)?;
    sound(path, &options, clock)
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

/// A whole new file beside the old one, with what can be read of that and exists nowhere else.
fn rebuild(
    fresh: &Path,
    kept: &Path,
    options: &db::Settings,
    why: &str,
    at: Timestamp,
    entropy: &Entropy,
) -> Result<()> {
    let salvaged = if crate::mutant("salvage-off") { Salvaged::default() } else { salvage::read(kept, options) };
    let conn = db::open(fresh, options, &schema::migrations())?;
    let transaction = conn.unchecked_transaction()?;
    let mut tx = Tx::new(&transaction, entropy, at);
    let carried = salvage::write(&mut tx, &salvaged)?;
    let told = Quarantined {
        file: kept.display().to_string(),
        at,
        why: why.to_owned(),
        carried,
        incomplete: salvaged.incomplete || carried < salvaged.rows.len() as u64,
    };
    set_meta(tx.conn, QUARANTINED, Some(&json(&told)?))?;
    transaction.commit()?;
    // Into the file, so that it can be renamed without its log.
    let blocked: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    drop(conn);
    let log = with(fresh, "-wal");
    if blocked || std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let cause = "its log could not be emptied".into();
        return Err(StoreError::Disk { intent: format!("writing {}", fresh.display()), cause });
    }
    Ok(())
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Removes what SQLite keeps beside a database.
fn remove_logs(path: &Path) -> io::Result<()> {
    ["-shm", "-wal"].into_iter().try_for_each(|suffix| std::fs::remove_file(with(path, suffix)).or_else(gone))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Gives the file and its log a second name with the date, or finds the one that an earlier try gave it. The log comes
/// first: what bears the file's second name is whole.
fn keep(path: &Path, at: Timestamp) -> io::Result<PathBuf> {
    let this = std::fs::metadata(path)?.ino();
    let stamp: String = at.to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    let name = |n: u32| {
        let again = if n == 0 { String::new() } else { format!("-{n}") };
        with(path, &format!(".damaged-{stamp}{again}"))
    };
    if let Some(kept) = kept_before(path, this)? {
        return Ok(kept);
    }
    let kept = (0..1_000).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(1_000));
    for suffix in ["-wal", ""] {
        let (from, to) = (with(path, suffix), with(&kept, suffix));
        std::fs::remove_file(&to).or_else(gone)?;
        // Not every file system has links.
        if from.exists() && std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).inspect_err(|_| drop(std::fs::remove_file(&to)))?;
            File::open(&to)?.sync_all()?;
        }
    }
    sync_folder(path)?;
    Ok(kept)
}

/// The second name that this very file has already.
fn kept_before(path: &Path, this: u64) -> io::Result<Option<PathBuf>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let prefix = format!("{}.damaged-", name.to_string_lossy());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) && entry.metadata()?.ino() == this {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// The log's own name goes first, so that no new file ever meets an old log; its second name keeps it.
fn take_place(fresh: &Path, path: &Path) -> io::Result<()> {
    remove_logs(fresh)?;
    remove_logs(path)?;
    std::fs::rename(fresh, path)?;
    sync_folder(path)
}

//! Opening a database file: permissions, pragmas, migrations, and what is refused.

use super::{DbError, sums};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use rusqlite_migration::Migrations;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `synchronous=FULL`: a commit survives a power cut. `false` is NORMAL.
    pub full_sync: bool,
    /// Page cache of each connection, KiB.
    pub cache_kib: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { full_sync: true, cache_kib: 256 }
    }
}

/// How long a connection waits for another process's lock.
const BUSY: Duration = Duration::from_secs(5);
/// The WAL file is cut back to this after a checkpoint, bytes.
const WAL_KEEP: i64 = 8 << 20;

/// Opens or creates the file (0600, its folder 0700 if made here), migrates it and sets it up for writing.
///
/// # Errors
/// [`DbError::Newer`] and [`DbError::Corrupt`] leave the file as it was; [`DbError::Disk`] may be tried again.
pub fn open(path: &Path, settings: &Settings, migrations: &Migrations<'_>) -> Result<Connection, DbError> {
    create(path)?;
    let _turn = turn(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags_and_vfs(path, flags, sums::vfs()?)
        .map_err(|error| DbError::sqlite("opening", Some(path), &error))?;
    sums::reserve(&conn);
    set_up(conn, Some(path), settings, migrations)
}

/// A database in memory with the same set-up.
///
/// # Errors
/// Only if a migration is wrong.
pub fn open_memory(settings: &Settings, migrations: &Migrations<'_>) -> Result<Connection, DbError> {
    let conn = Connection::open_in_memory()?;
    set_up(conn, None, settings, migrations)
}

/// A read-only connection to a file that a writing connection has open.
///
/// # Errors
/// [`DbError::Disk`] if it cannot be opened.
pub fn open_reader(path: &Path, settings: &Settings) -> Result<Connection, DbError> {
    let failed = |error: rusqlite::Error| DbError::sqlite("opening for reading", Some(path), &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags_and_vfs(path, flags, sums::vfs()?).map_err(failed)?;
    common(&conn, settings).map_err(failed)?;
    conn.pragma_update(None, "query_only", true).map_err(failed)?;
    Ok(conn)
}

/// What SQLite finds wrong with the file: `quick` leaves out the comparison of indices with tables.
///
/// # Errors
/// [`DbError::Corrupt`] with the first finding; [`DbError::Disk`] if it cannot be read.
pub fn integrity(conn: &Connection, path: &Path, quick: bool) -> Result<(), DbError> {
    let sql = if quick { "PRAGMA quick_check(1)" } else { "PRAGMA integrity_check(1)" };
    let finding: String =
        conn.query_row(sql, [], |row| row.get(0)).map_err(|error| DbError::sqlite("checking", Some(path), &error))?;
    if finding == "ok" { Ok(()) } else { Err(DbError::Corrupt { path: path.display().to_string(), cause: finding }) }
}

fn create(path: &Path) -> Result<(), DbError> {
    let failed = |error: std::io::Error| DbError::Disk {
        intent: format!("creating {}", path.display()),
        cause: error.to_string(),
    };
    if let Some(dir) = path.parent()
        && !dir.exists()
    {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 == 0 => Ok(()),
        Ok(_) => fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed),
        Err(_) => fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map(drop)
            .map_err(failed),
    }
}

/// One process sets a file up at a time: two that migrate at once would both make the first table. The folder is
/// locked, since closing a further descriptor of the file itself would drop SQLite's own locks.
fn turn(path: &Path) -> Result<Option<fs::File>, DbError> {
    if crate::mutant("open-without-turn") {
        return Ok(None);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let locked = fs::File::open(dir).and_then(|dir| dir.lock().map(|()| dir));
    locked
        .map(Some)
        .map_err(|error| DbError::Disk { intent: format!("locking {}", dir.display()), cause: error.to_string() })
}

pub(super) fn set_up(
    mut conn: Connection,
    path: Option<&Path>,
    settings: &Settings,
    migrations: &Migrations<'_>,
) -> Result<Connection, DbError> {
    let failed = |error: rusqlite::Error| DbError::sqlite("opening", path, &error);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    common(&conn, settings).map_err(failed)?;
    refuse_newer(&conn, path, migrations)?;
    write_ahead(&conn, path)?;
    let synchronous = if settings.full_sync && !crate::mutant("sync-normal") { "FULL" } else { "NORMAL" };
    conn.pragma_update(None, "synchronous", synchronous).map_err(failed)?;
    if cfg!(target_os = "macos") {
        conn.pragma_update(None, "fullfsync", true).map_err(failed)?;
    }
    conn.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEEP).map_err(failed)?;
    migrations.to_latest(&mut conn).map_err(|error| migration_failed(path, &error))?;
    Ok(conn)
}

/// Switches the log on. SQLite answers with the new mode before that is on disk: only the end of the statement tells.
fn write_ahead(conn: &Connection, path: Option<&Path>) -> Result<(), DbError> {
    let failed = |error: rusqlite::Error| DbError::sqlite("opening", path, &error);
    let mut statement = conn.prepare("PRAGMA journal_mode = wal").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut mode = String::new();
    while let Some(row) = rows.next().map_err(failed)? {
        mode = row.get(0).map_err(failed)?;
        if crate::mutant("log-unasked") {
            break;
        }
    }
    if path.is_none() || mode == "wal" {
        return Ok(());
    }
    let cause = format!("the write-ahead log could not be switched on (mode {mode})");
    Err(DbError::Disk { intent: format!("opening {}", shown(path)), cause })
}

/// The pragmas of every connection.
fn common(conn: &Connection, settings: &Settings) -> Result<(), rusqlite::Error> {
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(96);
    conn.pragma_update(None, "cache_size", -i64::from(settings.cache_kib))?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan never depends on bound values: else each statement with `LIMIT ?` is planned anew whenever it runs.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn refuse_newer(conn: &Connection, path: Option<&Path>, migrations: &Migrations<'_>) -> Result<(), DbError> {
    let failed = |error: rusqlite::Error| DbError::sqlite("opening", path, &error);
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let pending = migrations.pending_migrations(conn).map_err(|error| migration_failed(path, &error))?;
    let known = found + i64::from(pending);
    if found > known {
        return Err(DbError::Newer { path: shown(path), found, known });
    }
    Ok(())
}

fn migration_failed(path: Option<&Path>, error: &rusqlite_migration::Error) -> DbError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => DbError::sqlite("migrating", path, err),
        rusqlite_migration::Error::InvalidUserVersion => {
            DbError::Corrupt { path: shown(path), cause: error.to_string() }
        }
        other => DbError::Statement { intent: format!("migrating {}", shown(path)), cause: other.to_string() },
    }
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| "the database".to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite_migration::M;

    const ONE: [M<'static>; 1] = [M::up("CREATE TABLE t(x INTEGER NOT NULL) STRICT;")];

    #[test]
    fn a_new_file_and_its_wal_are_readable_by_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state").join("a.db");
        let conn = open(&path, &Settings::default(), &Migrations::from_slice(&ONE)).unwrap();
        conn.execute("INSERT INTO t VALUES (1)", []).unwrap();
        for name in ["a.db", "a.db-wal", "a.db-shm"] {
            let mode = fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn many_who_open_a_new_file_at_once_all_find_it_migrated() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.db");
            let start = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        start.wait();
                        let conn = open(&path, &Settings::default(), &Migrations::from_slice(&ONE)).unwrap();
                        conn.execute("INSERT INTO t VALUES (1)", []).unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn a_statement_with_a_bound_limit_is_planned_once() {
        let conn = open_memory(&Settings::default(), &Migrations::from_slice(&ONE)).unwrap();
        let mut page = conn.prepare("SELECT x FROM t LIMIT ?1").unwrap();
        for limit in 1..4 {
            assert!(page.query([limit]).unwrap().next().unwrap().is_none());
        }
        assert_eq!(page.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    /// How many pages a connection has read from its file since it was last asked.
    fn misses(conn: &Connection) -> i32 {
        let (mut count, mut most) = (0, 0);
        // SAFETY: an open connection and two numbers that outlive the call.
        #[expect(unsafe_code, reason = "rusqlite does not tell it")]
        unsafe {
            let which = rusqlite::ffi::SQLITE_DBSTATUS_CACHE_MISS;
            rusqlite::ffi::sqlite3_db_status(conn.handle(), which, &raw mut count, &raw mut most, 1);
        }
        count
    }

    #[test]
    fn what_one_connection_reads_does_not_take_the_pages_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let settings = Settings { cache_kib: 256, ..Settings::default() };
        let conn = open(&path, &settings, &Migrations::from_slice(&ONE)).unwrap();
        conn.execute_batch("CREATE TABLE big(id INTEGER PRIMARY KEY, x TEXT) STRICT").unwrap();
        let fill = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            INSERT INTO big SELECT i, hex(randomblob(1000)) FROM n";
        conn.execute_batch(fill).unwrap();
        drop(conn);
        let (busy, quiet) = (open_reader(&path, &settings).unwrap(), open_reader(&path, &settings).unwrap());
        let look = |conn: &Connection, from: i64, many: i64| {
            let sql = "SELECT sum(length(x)) FROM big WHERE id BETWEEN ?1 AND ?2";
            conn.prepare_cached(sql).unwrap().query_row([from, from + many], |row| row.get::<_, i64>(0)).unwrap()
        };
        for turn in 0..20 {
            look(&quiet, 1, 60);
            look(&busy, turn * 90 + 1, 200);
        }
        look(&quiet, 1, 60);
        misses(&quiet);
        for _ in 0..10 {
            look(&quiet, 1, 60);
        }
        assert_eq!(misses(&quiet), 0);
    }

    #[test]
    fn a_commit_is_synced_unless_the_settings_say_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let ask = |full_sync: bool, name: &str| -> i64 {
            let settings = Settings { full_sync, ..Settings::default() };
            let conn = open(&dir.path().join(name), &settings, &Migrations::from_slice(&ONE)).unwrap();
            conn.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(ask(true, "full.db"), 2);
        assert_eq!(ask(false, "normal.db"), 1);
    }

    #[test]
    fn a_file_of_a_newer_program_is_refused_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        {
            let conn = Connection::open(&path).unwrap();
            conn.execute_batch("CREATE TABLE future(x); PRAGMA user_version = 7;").unwrap();
        }
        let before = fs::read(&path).unwrap();
        let error = open(&path, &Settings::default(), &Migrations::from_slice(&ONE)).unwrap_err();
        assert!(matches!(error, DbError::Newer { found: 7, known: 1, .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_database_is_called_damaged_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        fs::write(&path, vec![0x5a; 9000]).unwrap();
        let error = open(&path, &Settings::default(), &Migrations::from_slice(&ONE)).unwrap_err();
        assert!(matches!(error, DbError::Corrupt { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), vec![0x5a; 9000]);
    }
}

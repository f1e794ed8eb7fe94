//! Databases in memory, for tests and simulations that open thousands: one is migrated, the others are copies of it.

use super::{DbError, Settings, open};
use rusqlite::Connection;
use rusqlite::backup::Backup;
use rusqlite_migration::Migrations;
use std::cell::OnceCell;
use std::time::Duration;

/// One connection does here what several do on a file, so it keeps all their statements.
const STATEMENTS: usize = 512;

/// Databases of one schema on one thread.
#[derive(Debug, Default)]
pub struct Memory(OnceCell<Connection>);

impl Memory {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// A new database. The schema must be the same every time.
    ///
    /// # Errors
    /// Only if a migration is wrong.
    pub fn open(&self, settings: &Settings, migrations: &Migrations<'_>) -> Result<Connection, DbError> {
        let first = match self.0.get() {
            Some(first) => first,
            None => {
                let made = open::open_memory(settings, migrations)?;
                self.0.get_or_init(|| made)
            }
        };
        let mut conn = Connection::open_in_memory()?;
        Backup::new(first, &mut conn)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
        let conn = open::set_up(conn, None, settings, migrations)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite_migration::M;

    const TABLE: [M<'static>; 1] = [M::up("CREATE TABLE t(x INTEGER PRIMARY KEY) STRICT;")];

    #[test]
    fn each_has_the_schema_and_nothing_of_the_others() {
        let memory = Memory::new();
        let open = || memory.open(&Settings::default(), &Migrations::from_slice(&TABLE)).unwrap();
        let (one, two) = (open(), open());
        one.execute("INSERT INTO t VALUES (1)", []).unwrap();
        let rows =
            |conn: &Connection| conn.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        let version =
            |conn: &Connection| conn.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((rows(&one), rows(&two), rows(&open())), (1, 0, 0));
        assert_eq!((version(&one), version(&two)), (1, 1));
    }
}

//! What can go wrong with a database, by what the caller can do about it.

use rusqlite::ErrorCode;
use std::path::Path;

/// An error of the database layer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DbError {
    /// The disk is full, read-only, failing or busy: nothing was written, the same may be tried again.
    #[error("{intent}: {cause}")]
    Disk {
        /// What was being done, with the path where one is known.
        intent: String,
        /// What the system said.
        cause: String,
    },
    /// The file is damaged or is not a database.
    #[error("{path} is damaged: {cause}")]
    Corrupt {
        /// Which file.
        path: String,
        /// What SQLite said.
        cause: String,
    },
    /// A newer program wrote the file; it was not touched.
    #[error("{path} was written by a newer wakeful (schema {found}, this one knows {known}); it is left untouched")]
    Newer {
        /// Which file.
        path: String,
        /// Its schema version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// A statement failed for a reason that is a fault of the program.
    #[error("{intent}: {cause}")]
    Statement {
        /// What was being done.
        intent: String,
        /// What SQLite said.
        cause: String,
    },
    /// The thread that owns the connection has ended.
    #[error("the database is closed")]
    Closed,
}

impl DbError {
    /// Sorts an SQLite error by what can be done about it.
    #[must_use]
    pub fn sqlite(intent: &str, path: Option<&Path>, error: &rusqlite::Error) -> Self {
        let cause = error.to_string();
        let place = path.map_or_else(|| "the database".to_owned(), |path| path.display().to_string());
        let intent = path.map_or_else(|| intent.to_owned(), |path| format!("{intent} {}", path.display()));
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied,
            ) => Self::Disk { intent, cause },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path: place, cause },
            _ => Self::Statement { intent, cause },
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::sqlite("using the database", None, &error)
    }
}

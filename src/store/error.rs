//! What can go wrong in the store, by what the caller can do about it.

use crate::db::DbError;

/// What went wrong, by what the caller can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, read-only or failing: keep the batch and try again.
    #[error("{intent}: {cause}")]
    Disk {
        /// What was being done, with the path.
        intent: String,
        /// What the system said.
        cause: String,
    },
    /// The file is damaged.
    #[error("{path} is damaged: {cause}")]
    Corrupt {
        /// Which file.
        path: String,
        /// What SQLite said.
        cause: String,
    },
    /// The file was written by a newer wakeful.
    #[error("{path} was written by a newer wakeful (schema {found}, this one knows {known}); it is left untouched")]
    Newer {
        /// Which file.
        path: String,
        /// Its schema version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// No such account, conversation, message or row.
    #[error("no such {what}")]
    NotFound {
        /// What is not there.
        what: String,
    },
    /// The request makes no sense, or would have to scan everything.
    #[error("{0}")]
    Invalid(String),
    /// A statement failed through a fault of this program: report it.
    #[error("{intent}: {cause}")]
    Fault {
        /// What was being done.
        intent: String,
        /// What SQLite said.
        cause: String,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Disk { intent, cause } => Self::Disk { intent, cause },
            DbError::Corrupt { path, cause } => Self::Corrupt { path, cause },
            DbError::Newer { path, found, known } => Self::Newer { path, found, known },
            DbError::Statement { intent, cause } => Self::Fault { intent, cause },
            DbError::Closed => Self::Closed,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        DbError::from(error).into()
    }
}

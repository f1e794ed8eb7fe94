//! What can go wrong with a hub, by what the caller can do about it.

use super::store::Stop;
use crate::db::DbError;

/// An error of the hub as a whole; errors of one client stay on its connection.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// What was asked for makes no sense; the words say why and what to do.
    #[error("{0}")]
    Invalid(String),
    /// The database cannot be used.
    #[error("the hub's database: {0}")]
    Database(#[from] DbError),
    /// The network cannot be used.
    #[error("{intent}: {cause}")]
    Network {
        /// What was being done, with the address.
        intent: String,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl From<Stop> for HubError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refuse(err) => Self::Invalid(err.msg.unwrap_or_default()),
            Stop::Db(error) => Self::Database(error),
        }
    }
}

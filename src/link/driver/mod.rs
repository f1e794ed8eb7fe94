//! Drives one account's connection: the only place where its protocol, its supervisor, its socket and the store meet.
//! It decides nothing; the machines do.

use super::Settings;
use super::dial::Dialer;
use crate::model::{AccountId, Addressed, Perishable, Statuses};
use crate::proto::Protocol;
use crate::store::Store;
use crate::world::{Clock, Entropy};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a link needs. Everything that touches the world comes from outside.
pub struct LinkParts {
    /// Whose connection it is.
    pub account: AccountId,
    /// The account's name, for `status`.
    pub name: String,
    /// The wire protocol; made with the rows of `store.checkpoint(account)`.
    pub protocol: Box<dyn Protocol>,
    /// `hub` or `xmpp`, for `status`.
    pub protocol_name: String,
    /// How sockets are opened.
    pub dialer: Arc<dyn Dialer>,
    /// The hall.
    pub store: Store,
    /// Intervals and bounds.
    pub settings: Settings,
    /// Clocks.
    pub clock: Clock,
    /// Randomness for the jitter.
    pub entropy: Entropy,
    /// Facts about the machine and readers' wishes.
    pub signals: broadcast::Receiver<Addressed>,
    /// Where typing and presence go.
    pub perishables: broadcast::Sender<(AccountId, Perishable)>,
    /// Where this account's status is kept.
    pub statuses: watch::Sender<Statuses>,
    /// Ends the link; it says goodbye and stops within [`Settings::farewell`].
    pub shutdown: CancellationToken,
}

/// One account's connection.
pub struct Link;

impl Link {
    /// Starts the link's task. It ends only by `shutdown`.
    #[must_use]
    pub fn spawn(parts: LinkParts) -> JoinHandle<()> {
        tokio::spawn(async move { parts.shutdown.cancelled().await })
    }
}

//! The hub: the server side of `wakeful.v1.json` in one process, with SQLite as its only record.
//!
//! - `session`: one client's connection as a pure machine.
//! - `store`: users, conversations, messages, update streams. It answers what sessions [`ask`].
//! - `bus`: hints to those who are connected, after each commit; they may be lost.
//! - `server`: sockets, TLS, the upgrade, one task a connection.
//!
//! Nothing is acknowledged before it is on disk, and nothing is told to others before it is acknowledged on disk.

pub mod ask;
mod bus;
mod error;
mod server;
pub mod session;
pub mod store;

pub use error::HubError;
pub use server::{check_listen, tls_config};
pub use store::{NewDevice, UserEntry};

use crate::world::{Clock, Entropy};
use bus::Bus;
use std::path::Path;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The database's name in the data folder.
const FILE: &str = "hub.db";

/// How a hub behaves.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Connections and sessions.
    pub server: server::Settings,
    /// The record.
    pub store: store::Settings,
}

/// A hub on one data folder. Several processes may open the same folder at once; one of them serves.
#[derive(Clone)]
pub struct Hub {
    store: Store,
    bus: Bus,
    settings: Arc<server::Settings>,
    clock: Clock,
    entropy: Entropy,
}

impl Hub {
    /// Opens or makes the hub in this folder. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the database cannot be opened, is damaged, or was written by a newer program.
    #[expect(clippy::unused_async, reason = "it needs the runtime that an async caller has")]
    pub async fn open(data: &Path, settings: Settings, clock: Clock, entropy: Entropy) -> Result<Self, HubError> {
        let Settings { mut server, store } = settings;
        server.session.retain_days = store.retain_days;
        server.session.retain_events = store.retain_events;
        server.session.limits.edit_ms = store.edit_ms;
        server.session.limits.members = store.members_most;
        let bus = Bus::start();
        let hints = bus.clone();
        let store = Store::open(&data.join(FILE), store, entropy.clone(), move |told| hints.tell_blocking(told))?;
        Ok(Self { store, bus, settings: Arc::new(server), clock, entropy })
    }

    /// Serves on this listener until `shutdown`; then says goodbye to all, commits what is queued and closes the file.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        shutdown: CancellationToken,
    ) {
        let doorway = server::Doorway {
            store: self.store.clone(),
            bus: self.bus,
            clock: self.clock.clone(),
            entropy: self.entropy,
            settings: self.settings,
            shutdown: shutdown.clone(),
        };
        let pruning = tokio::spawn(prune(self.store.clone(), self.clock, shutdown));
        server::serve(listener, tls.map(tokio_rustls::TlsAcceptor::from), doorway).await;
        pruning.abort();
        self.store.close().await;
    }

    /// Adds a user with a device, or a device to a user who is there. The token can be read only now.
    ///
    /// # Errors
    /// A name that is not allowed, a device that exists already, or a database that cannot be written.
    pub async fn add_user(&self, name: &str, device: Option<&str>) -> Result<NewDevice, HubError> {
        self.store.add_user(name, device, self.clock.wall()).await
    }

    /// All users by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn users(&self) -> Result<Vec<UserEntry>, HubError> {
        self.store.users().await
    }

    /// Commits what is queued and closes the file, for a hub that does not serve.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// Keeps the update streams within their retention: once at the start, then every hour, in small steps.
async fn prune(store: Store, clock: Clock, shutdown: CancellationToken) {
    let mut hourly = tokio::time::interval(std::time::Duration::from_secs(3_600));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = hourly.tick() => {}
        }
        loop {
            match store.prune(clock.wall()).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "old events stay for now");
                    break;
                }
            }
        }
    }
}

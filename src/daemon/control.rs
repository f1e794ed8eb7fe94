//! The task that owns the accounts: it carries out reloads and ends with the daemon.

use super::accounts::Accounts;
use super::settings;
use crate::config::Config;
use crate::notify;
use serde::Serialize;
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// What can be asked of the owner.
pub(super) enum Control {
    /// Read the configuration again.
    Reload(oneshot::Sender<anyhow::Result<Reloaded>>),
}

/// What a reload changed; accounts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are gone or switched off.
    pub removed: Vec<String>,
    /// Those whose settings or secret changed: they connect anew.
    pub changed: Vec<String>,
}

/// Owns the accounts.
pub(super) struct Owner {
    pub(super) config_file: PathBuf,
    pub(super) accounts: Accounts,
    pub(super) notifications: watch::Sender<notify::Settings>,
    pub(super) orders: mpsc::Receiver<Control>,
}

impl Owner {
    /// Until `shutdown`; hands the accounts back to be stopped.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Accounts {
        loop {
            let order = tokio::select! {
                () = shutdown.cancelled() => return self.accounts,
                order = self.orders.recv() => order,
            };
            let Some(Control::Reload(answer)) = order else {
                shutdown.cancelled().await;
                return self.accounts;
            };
            answer.send(self.reload().await).ok();
        }
    }

    async fn reload(&mut self) -> anyhow::Result<Reloaded> {
        let config = Config::load(&self.config_file)?;
        let reloaded = self.accounts.apply(&config).await?;
        self.notifications.send_if_modified(|now| {
            let new = settings::notify(&config);
            let differs = *now != new;
            *now = new;
            differs
        });
        tracing::info!(?reloaded, "configuration read again");
        Ok(reloaded)
    }
}

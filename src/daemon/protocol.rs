//! From an account's configuration to its protocol machine.

use crate::config::{Account, Protocol as Configured};
use crate::model::{CheckpointRow, Secret};
use crate::proto::{Protocol, hub, xmpp};
use crate::store::Store;
use crate::world::Entropy;
use std::fmt::Write as _;

/// Our own user id, where the configuration names it.
pub(super) fn me(account: &Account) -> Option<&str> {
    match &account.protocol {
        Configured::Hub { .. } => None,
        Configured::Xmpp { jid, .. } => Some(jid),
    }
}

/// The protocol of an account with the progress that was last committed.
pub(super) async fn make(
    account: &Account,
    secret: Secret,
    rows: &[CheckpointRow],
    store: &Store,
    entropy: &Entropy,
) -> anyhow::Result<Box<dyn Protocol>> {
    let device = device(store, entropy).await?;
    assemble(account, secret, rows, &device, entropy.seed())
}

/// Without a store: for [`make`] and for the trial login.
pub(super) fn assemble(
    account: &Account,
    secret: Secret,
    rows: &[CheckpointRow],
    device: &str,
    seed: u64,
) -> anyhow::Result<Box<dyn Protocol>> {
    match &account.protocol {
        Configured::Hub { url } => {
            let settings = hub::client::Settings::new(url.clone(), secret, rows.to_vec());
            Ok(Box::new(hub::client::Hub::new(settings)))
        }
        Configured::Xmpp { jid, url } => {
            let mut settings = xmpp::Settings::new(jid, &format!("wakeful-{device}"), secret);
            settings.url.clone_from(url);
            settings.plain_without_tls = account.insecure;
            Ok(Box::new(xmpp::Xmpp::new(settings, rows, seed)))
        }
    }
}

/// What tells this installation from the user's others: random, made once, kept in the store.
async fn device(store: &Store, entropy: &Entropy) -> anyhow::Result<String> {
    const KEY: &str = "daemon.device";
    if let Some(device) = store.setting(KEY).await? {
        return Ok(device);
    }
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    let mut device = String::new();
    for byte in bytes {
        write!(device, "{byte:02x}")?;
    }
    store.set_setting(KEY, Some(device.clone())).await?;
    Ok(device)
}

//! `wakeful stop`: asks the daemon to stop in order, and returns when it has ended.

use super::attach::{attach, explain};
use super::{Fault, Global};
use crate::ipc::wire::Shutdown;
use crate::platform::StateLock;
use anyhow::Context as _;
use std::time::Duration;
use tokio::time::timeout;

/// The daemon itself needs at most 2 s.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stop the daemon, and return when it has ended.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful stop\n\nA daemon that a service manager started and restarts is stopped with it:\n  \
    systemctl --user stop wakeful"
)]
pub(super) struct Args {}

/// Over the daemon's socket; the lock on the state folder tells when it has ended.
///
/// # Errors
/// No daemon (status 3), or one that does not end.
pub(super) fn run(global: &Global, _args: &Args) -> anyhow::Result<()> {
    super::block_on(async {
        let lock = global.paths.lock_file();
        match attach(global).await {
            Ok(client) => {
                client.call(Shutdown {}).await.map_err(explain)?;
            }
            Err(error) => {
                let Some(pid) = StateLock::holder(&lock) else { return Err(error) };
                let process = pid.map(|pid| format!("process {pid}")).unwrap_or_else(|| "a process".into());
                let why = format!("{process} holds {} but does not answer: end that process", lock.display());
                return Err(match error.downcast_ref::<Fault>() {
                    Some(_) => anyhow::anyhow!(why),
                    None => error.context(why),
                });
            }
        }
        let ended = tokio::task::spawn_blocking(move || StateLock::wait_free(&lock));
        match timeout(PATIENCE, ended).await {
            Ok(ended) => ended.context("waiting for the daemon")?.context("waiting for the daemon's lock"),
            Err(_) => anyhow::bail!("the daemon did not end within {} s", PATIENCE.as_secs()),
        }
    })
}

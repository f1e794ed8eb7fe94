//! How commands reach the daemon, and how its refusals become errors with a remedy.

use super::{Fault, Global};
use crate::ipc::wire::FaultCode;
use crate::ipc::{Client, ClientError};
use crate::platform::StateLock;
use crate::store::{Settings, Store};
use crate::world::{Clock, Entropy};

/// Connects to the daemon.
///
/// # Errors
/// [`Fault::NoDaemon`] when none answers.
pub(super) async fn attach(global: &Global) -> anyhow::Result<Client> {
    Client::connect(&global.paths.socket()).await.map_err(explain)
}

/// Connects to the daemon; `None` when none runs.
///
/// # Errors
/// When one runs and does not answer as it should.
pub(super) async fn running(global: &Global) -> anyhow::Result<Option<Client>> {
    match Client::connect(&global.paths.socket()).await {
        Ok(client) => Ok(Some(client)),
        Err(ClientError::NoDaemon { .. }) => Ok(None),
        Err(error) => Err(explain(error)),
    }
}

/// The store itself, where no daemon runs, under the daemon's lock: none can start meanwhile.
///
/// # Errors
/// When the lock is held, or the store does not open.
pub(super) async fn own_store(global: &Global) -> anyhow::Result<(StateLock, Store)> {
    let lock = StateLock::take(&global.paths.lock_file())?;
    let dir = global.paths.state_dir().to_path_buf();
    let open = move || Store::open(&dir, Settings::default(), Clock::system(), Entropy::system());
    Ok((lock, tokio::task::spawn_blocking(open).await??))
}

/// The daemon's refusal in one line with what to do about it; a name that fits several things is a usage error.
pub(super) fn explain(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::NoDaemon { path, .. } => Fault::NoDaemon(path).into(),
        ClientError::Fault(fault) => {
            let text = match &fault.data.remedy {
                Some(remedy) => format!("{}: {remedy}", fault.message),
                None => fault.message.clone(),
            };
            match fault.kind() {
                FaultCode::BadParams | FaultCode::Ambiguous => Fault::Usage(text).into(),
                _ => anyhow::anyhow!(text),
            }
        }
        other => other.into(),
    }
}

//! How commands reach the daemon, and how its refusals become errors with a remedy.

use super::{Fault, Global};
use crate::ipc::wire::FaultCode;
use crate::ipc::{Client, ClientError};

/// Connects to the daemon.
///
/// # Errors
/// [`Fault::NoDaemon`] when none answers.
pub(super) async fn attach(global: &Global) -> anyhow::Result<Client> {
    Client::connect(&global.paths.socket()).await.map_err(explain)
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

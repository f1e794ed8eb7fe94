//! `wakeful account remove`: takes an account out of the configuration and forgets its secret.

use super::super::attach::{explain, own_store};
use super::super::{Global, output};
use super::tell_daemon;
use crate::config::{AccountName, edit};
use crate::ipc::wire::{AccountPurge, FaultCode};
use crate::ipc::{Client, ClientError};

/// Remove an account. Its messages stay on this machine unless --purge is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful account remove work\n  wakeful account remove work --purge")]
pub(super) struct Args {
    /// Which.
    #[arg(value_parser = super::name)]
    name: AccountName,
    /// Delete its messages from this machine too. Nothing is deleted at the server.
    #[arg(long)]
    purge: bool,
}

/// # Errors
/// When there is no such account, or something cannot be written.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    super::super::block_on(async {
        global.paths.make()?;
        let found = edit::remove_account(&global.paths.config_file(), &global.paths.config_lock(), &args.name)?;
        if !found && !args.purge {
            return Err(anyhow::anyhow!("no account {} in the configuration", args.name));
        }
        super::super::secrets(global).remove(args.name.as_str()).await?;
        let running = tell_daemon(global).await?;
        if args.purge {
            Box::pin(purge(global, &args.name, running)).await?;
        }
        let messages = if args.purge { "and its messages" } else { "(its messages are kept)" };
        output::hint(format!("account {} {messages} removed", args.name));
        Ok(())
    })
}

/// The store has one owner: the daemon, or, where none runs, this command under the daemon's lock.
async fn purge(global: &Global, name: &AccountName, running: Option<Client>) -> anyhow::Result<()> {
    if let Some(client) = running {
        return match client.call(AccountPurge { account: name.to_string() }).await {
            Err(ClientError::Fault(fault)) if fault.kind() == FaultCode::NotFound => Ok(()),
            answer => answer.map(drop).map_err(explain),
        };
    }
    let (_lock, store) = own_store(global).await?;
    let known = store.accounts().await?;
    let purged = match known.iter().find(|(_, known)| known == name.as_str()) {
        Some((id, _)) => store.purge_account(*id).await,
        None => Ok(()),
    };
    store.close().await;
    Ok(purged?)
}

//! `wakeful reconnect`: a new connection now, instead of waiting for the next attempt.

use super::attach::{attach, explain};
use super::{Global, block_on};
use crate::ipc::wire::Reconnect;

/// Make a new connection now.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful reconnect\n  wakeful reconnect work")]
pub(super) struct Args {
    /// Only this account's; without it, all.
    account: Option<String>,
}

/// Asks for it.
///
/// # Errors
/// No daemon, or an unknown account.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    block_on(async {
        attach(global).await?.call(Reconnect { account: args.account }).await.map_err(explain)?;
        Ok(())
    })
}

//! `wakeful account`: the accounts in the configuration and their secrets. Works with and without a daemon.

mod add;
mod list;
mod remove;

use super::attach::explain;
use super::{Global, output};
use crate::ipc::wire::Reload;
use crate::ipc::{Client, ClientError};
use clap::Subcommand;

/// Add, list and remove accounts.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Add(add::Args),
    List(list::Args),
    Remove(remove::Args),
}

/// # Errors
/// What the user can do about it is in the text.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Add(args) => add::run(global, args),
        What::List(args) => list::run(global, &args),
        What::Remove(args) => remove::run(global, args),
    }
}

/// Tells a running daemon. `false`: none runs.
async fn tell_daemon(global: &Global) -> anyhow::Result<bool> {
    match Client::connect(&global.paths.socket()).await {
        Ok(client) => client.call(Reload {}).await.map(|_| true).map_err(explain),
        Err(ClientError::NoDaemon { .. }) => Ok(false),
        Err(error) => Err(explain(error)),
    }
}

/// The name of an account as the command line gives it.
fn name(text: &str) -> Result<crate::config::AccountName, String> {
    text.parse()
}

/// The last line for the person: whether a daemon has taken it up.
async fn conclude(global: &Global, done: &str) -> anyhow::Result<()> {
    if tell_daemon(global).await? {
        output::hint(format!("{done}; the running daemon took it up"));
    } else {
        output::hint(format!("{done}; no daemon runs: `wakeful service install` or `wakeful start` starts one"));
    }
    Ok(())
}

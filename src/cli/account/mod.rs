//! `wakeful account`: the accounts in the configuration and their secrets. Works with and without a daemon.

mod add;
mod list;
mod remove;

use super::attach::{explain, running};
use super::{Global, output};
use crate::ipc::Client;
use crate::ipc::wire::Reload;
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

/// Tells a running daemon. `None`: none runs.
async fn tell_daemon(global: &Global) -> anyhow::Result<Option<Client>> {
    let running = running(global).await?;
    if let Some(client) = &running {
        client.call(Reload {}).await.map_err(explain)?;
    }
    Ok(running)
}

/// The name of an account as the command line gives it.
fn name(text: &str) -> Result<crate::config::AccountName, String> {
    text.parse()
}

/// The last line for the person: whether a daemon has taken it up.
async fn conclude(global: &Global, done: &str) -> anyhow::Result<()> {
    if tell_daemon(global).await?.is_some() {
        output::hint(format!("{done}; the running daemon took it up"));
    } else {
        output::hint(format!("{done}; no daemon runs: `wakeful service install` or `wakeful start` starts one"));
    }
    Ok(())
}

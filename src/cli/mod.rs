//! The commands: what a person or a script types, what they read, and the exit status.
//!
//! Every command is a file with `Args` and `run(&Global, Args) -> anyhow::Result<()>`; nothing else prints.
//! Commands run on a single-threaded runtime; `start` runs before any runtime or thread exists.

mod account;
mod amend;
mod attach;
mod choices;
mod contact;
mod conversation;
#[cfg(feature = "hub")]
mod demo;
mod doctor;
mod exit;
mod export;
mod history;
#[cfg(feature = "hub")]
mod hub;
mod import;
mod logging;
mod mark;
mod notify;
mod outbox;
pub mod output;
mod progress;
mod reconnect;
mod reload;
mod render;
mod room;
mod run;
mod search;
mod send;
mod service;
mod start;
mod status;
mod stop;
mod watch;
mod when;

pub use exit::Fault;

use crate::paths::Paths;
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Keeps your messages arriving while no chat app is open.
#[derive(Debug, Parser)]
#[command(name = "wakeful", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 usage, 3 no daemon is running.\n\
    WAKEFUL_HOME=DIR keeps configuration, state, cache and socket under one folder.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
enum Command {
    // Each command's module is hooked here: `Name(name::Args)`, and once in `dispatch`.
    Run(run::Args),
    Start(start::Args),
    Stop(stop::Args),
    Reload(reload::Args),
    Service(service::Args),
    Account(account::Args),
    Status(status::Args),
    Send(send::Args),
    Export(export::Args),
    Import(import::Args),
    Doctor(doctor::Args),
    Edit(amend::EditArgs),
    Delete(amend::DeleteArgs),
    React(amend::ReactArgs),
    Outbox(outbox::Args),
    History(history::Args),
    Watch(watch::Args),
    Search(search::Args),
    Mark(mark::Args),
    Conversation(conversation::Args),
    Reconnect(reconnect::Args),
    Why(notify::WhyArgs),
    Notify(notify::Args),
    Mute(choices::MuteArgs),
    Dnd(choices::DndArgs),
    Quiet(choices::QuietArgs),
    Room(room::Args),
    Contact(contact::Args),
    #[cfg(feature = "hub")]
    Hub(hub::Args),
    #[cfg(feature = "hub")]
    Demo(demo::Args),
}

/// What every command may need.
#[derive(Clone, Debug)]
pub struct Global {
    /// Where everything is.
    pub paths: Paths,
}

/// The whole program. Reads the environment and the arguments, runs the command, prints its error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    exit::status(global().and_then(|global| dispatch(&global, cli.command)))
}

fn global() -> anyhow::Result<Global> {
    let paths = Paths::discover(std::env::var_os("WAKEFUL_HOME")).map_err(|error| Fault::Usage(error.to_string()))?;
    Ok(Global { paths })
}

fn dispatch(global: &Global, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => run::run(global, &args),
        Command::Start(args) => start::run(global, &args),
        Command::Stop(args) => stop::run(global, &args),
        Command::Reload(args) => reload::run(global, &args),
        Command::Service(args) => service::run(global, args),
        Command::Account(args) => account::run(global, args),
        Command::Status(args) => status::run(global, &args),
        Command::Send(args) => send::run(global, args),
        Command::Export(args) => export::run(global, &args),
        Command::Import(args) => import::run(global, &args),
        Command::Doctor(args) => doctor::run(global, &args),
        Command::Edit(args) => amend::edit(global, args),
        Command::Delete(args) => amend::delete(global, &args),
        Command::React(args) => amend::react(global, args),
        Command::Outbox(args) => outbox::run(global, args),
        Command::History(args) => history::run(global, &args),
        Command::Watch(args) => watch::run(global, &args),
        Command::Search(args) => search::run(global, &args),
        Command::Mark(args) => mark::run(global, args),
        Command::Conversation(args) => conversation::run(global, args),
        Command::Reconnect(args) => reconnect::run(global, args),
        Command::Why(args) => notify::why(global, &args),
        Command::Notify(args) => notify::run(global, &args),
        Command::Mute(args) => choices::mute(global, args),
        Command::Dnd(args) => choices::dnd(global, &args),
        Command::Quiet(args) => choices::quiet(global, &args),
        Command::Room(args) => room::run(global, args),
        Command::Contact(args) => contact::run(global, args),
        #[cfg(feature = "hub")]
        Command::Hub(args) => hub::run(global, args),
        #[cfg(feature = "hub")]
        Command::Demo(args) => demo::run(&args),
    }
}

/// Where this installation's secrets are: under `WAKEFUL_HOME` never in a keyring.
fn secrets(global: &Global) -> crate::platform::secrets::Secrets {
    use crate::platform::secrets::Secrets;
    let files = global.paths.secrets_dir();
    if global.paths.one_folder() { Secrets::files(files) } else { Secrets::session(files) }
}

/// Runs a command's future on a runtime with no further threads. Blocking work that hangs, such as a name that does
/// not resolve, is left behind at the end.
///
/// # Errors
/// When the runtime cannot be made, and whatever the future returns.
pub fn block_on<F: Future<Output = anyhow::Result<()>>>(future: F) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}

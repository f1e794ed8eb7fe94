//! `wakeful hub`: run the hub server, give people device tokens, list them.

use super::{Fault, Global, output};
use crate::hub::{Hub, HubError, Settings, check_listen, tls_config};
use crate::world::{Clock, Entropy};
use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The hub: a small message server for one machine or a few people.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: HubCommand,
}

/// What the hub can be told.
#[derive(Debug, Subcommand)]
pub(super) enum HubCommand {
    /// Serves until it is interrupted.
    Run(RunArgs),
    /// People and their devices.
    User {
        /// What to do.
        #[command(subcommand)]
        command: UserCommand,
    },
}

/// Arguments of `hub run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7750")]
    listen: SocketAddr,
    /// The folder of the hub's database; made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A proxy in front does TLS: listen beyond this machine without it.
    #[arg(long)]
    behind_proxy: bool,
}

/// What can be done about users. Works also beside a running hub.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Adds a user, or another device to a user who is there; prints the device's token, once.
    Add {
        /// Their id: 1 to 64 letters, digits, `_` or `-`.
        name: String,
        /// The folder of the hub's database.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The device's id; without it the next free one.
        #[arg(long, value_name = "DEVICE")]
        device: Option<String>,
    },
    /// Lists users.
    List {
        /// The folder of the hub's database.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// A user as `hub user list --json` prints them.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    devices: u64,
    last_seen: Option<crate::model::Timestamp>,
}

/// Runs the command.
///
/// # Errors
/// In words that say what to do; a usage error for an address that is not safe to listen on.
pub(super) fn run(_global: &Global, args: Args) -> anyhow::Result<()> {
    match args.command {
        HubCommand::Run(args) => serve(args),
        HubCommand::User { command: UserCommand::Add { name, data, device } } => {
            super::block_on(add(data, name, device))
        }
        HubCommand::User { command: UserCommand::List { data, json } } => super::block_on(list(data, json)),
    }
}

fn serve(args: RunArgs) -> anyhow::Result<()> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(tls_config(cert, key).map_err(told)?),
        _ => None,
    };
    check_listen(args.listen, tls.is_some(), args.behind_proxy).map_err(told)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 8);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("hub")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async move {
        let hub = open(&args.data).await?;
        let listener =
            TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        output::line(format_args!("listening on {scheme}://{}", listener.local_addr()?))?;
        let serving = tokio::spawn(hub.serve(listener, tls, shutdown.clone()));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
        serving.await.context("the hub failed")
    })
}

async fn add(data: PathBuf, name: String, device: Option<String>) -> anyhow::Result<()> {
    let hub = open(&data).await?;
    let added = hub.add_user(&name, device.as_deref()).await.map_err(told)?;
    if added.existed {
        let device = &added.device;
        output::hint(format_args!("{name} is there already: this is the token of a further device, `{device}`"));
    }
    let said = output::line(added.token.expose());
    hub.close().await;
    said
}

async fn list(data: PathBuf, json: bool) -> anyhow::Result<()> {
    let hub = open(&data).await?;
    for user in hub.users().await.map_err(told)? {
        let last_seen = Some(crate::model::Timestamp(user.last_seen)).filter(|at| at.ms() > 0);
        if json {
            output::json(&Listed { name: &user.name, devices: user.devices, last_seen })?;
        } else {
            let seen = last_seen.map_or_else(|| "never".to_owned(), |at| at.to_string());
            output::line(format_args!("{:<24} {:>3} devices   last seen {seen}", user.name, user.devices))?;
        }
    }
    hub.close().await;
    Ok(())
}

async fn open(data: &Path) -> anyhow::Result<Hub> {
    let settings = Settings::default();
    Hub::open(data, settings, Clock::system(), Entropy::system()).await.map_err(told)
}

/// What the caller did wrong is a usage error.
fn told(error: HubError) -> anyhow::Error {
    match error {
        HubError::Invalid(words) => Fault::Usage(words).into(),
        other => other.into(),
    }
}

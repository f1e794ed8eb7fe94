//! `wakeful run`: the daemon in the foreground. What service managers call, and what `wakeful start` becomes.

use super::{Global, logging};
use crate::config::Config;
use crate::daemon::{self, Daemon, Options, Running};
use crate::notify;
use crate::platform::ready::{Readiness, StartPipe};
use crate::world::{Clock, Entropy};
use anyhow::Context as _;
use listenfd::ListenFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Run the daemon in the foreground.
///
/// Ready means: the socket listens and every account is loaded. SIGTERM and SIGINT stop it in order, SIGHUP reads the
/// configuration again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful run\n  wakeful run --log wakeful::link=debug,info")]
pub(super) struct Args {
    /// What to log, such as `debug` or `wakeful::link=trace,info`.
    #[arg(long, value_name = "FILTER", env = "WAKEFUL_LOG")]
    log: Option<String>,
    /// Standard input is the pipe of `wakeful start`.
    #[arg(long, hide = true)]
    ready_stdin: bool,
}

/// What only the environment of the process tells. Read once, before any thread exists.
struct Environment {
    /// There is a notify socket.
    notify_socket: Option<std::ffi::OsString>,
    /// systemd itself started this very process.
    unit: bool,
    pipe: Option<StartPipe>,
    listener: Option<UnixListener>,
    credentials: Option<PathBuf>,
}

/// Until it is told to stop.
///
/// # Errors
/// When the configuration is not right, another daemon runs, or a room cannot be opened.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let environment = environment(args)?;
    let config = Config::load(&global.paths.config_file())?;
    logging::start(args.log.as_deref().or(config.daemon.log.as_deref()), environment.notify_socket.is_some())?;
    super::block_on(serve(global, config, environment))
}

fn environment(args: &Args) -> anyhow::Result<Environment> {
    let pipe =
        if args.ready_stdin { Some(StartPipe::on_stdin().context("the pipe of `wakeful start`")?) } else { None };
    let mut given = ListenFd::from_env();
    let listener =
        if given.len() > 0 { given.take_unix_listener(0).context("the service manager's socket")? } else { None };
    Ok(Environment {
        notify_socket: std::env::var_os("NOTIFY_SOCKET"),
        unit: std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string()),
        pipe,
        listener,
        credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
    })
}

async fn serve(global: &Global, config: Config, environment: Environment) -> anyhow::Result<()> {
    let mut readiness = Readiness::new(environment.notify_socket.as_deref(), environment.pipe);
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let shutdown = CancellationToken::new();
    // Before anything is opened: a signal during the start stops it in order too.
    let signals = stop_on_signals(shutdown.clone())?;
    let secrets = super::secrets(global).with_credentials(environment.credentials);
    if crate::mutant("ready-early") {
        readiness.ready("not yet");
    }
    let mut config = config;
    loop {
        let listener = environment.listener.as_ref().map(UnixListener::try_clone).transpose();
        let running = Daemon::start(Options {
            paths: global.paths.clone(),
            config,
            dialer: daemon::network(),
            desktop: notify::desktop(&entropy, super::service::icon()),
            launcher: launcher(environment.unit),
            secrets: secrets.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            listener: listener.context("the service manager's socket")?,
            machine: true,
            shutdown: shutdown.child_token(),
        })
        .await?;
        readiness.ready(&daemon::summary(&running.statuses().borrow()));
        tracing::info!(socket = %global.paths.socket().display(), "ready");
        crate::platform::memory::trim();
        let again = tend(&running, &readiness, &clock).await?;
        if !again {
            readiness.stopping();
            tracing::info!("stopping");
            signals.abort();
        }
        running.stop().await;
        if !again {
            return Ok(());
        }
        tracing::warn!("starting again, since the store is damaged");
        config = Config::load(&global.paths.config_file())?;
    }
}

/// Until somebody wants it to stop, or (`true`) it has to start again: feeds the watchdog, reloads on SIGHUP.
async fn tend(running: &Running, readiness: &Readiness, clock: &Clock) -> anyhow::Result<bool> {
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let watchdog = daemon::watch(readiness, running.statuses(), running.store(), clock);
    tokio::pin!(watchdog);
    loop {
        tokio::select! {
            () = running.asked_to_stop() => return Ok(false),
            () = running.damaged() => return Ok(true),
            () = &mut watchdog => return Ok(false),
            _ = hangup.recv() => {
                let reload = running.reload();
                tokio::spawn(async move {
                    if let Err(error) = reload.await {
                        tracing::error!("the configuration was not taken: {error:#}");
                    }
                });
            }
        }
    }
}

fn stop_on_signals(shutdown: CancellationToken) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    }))
}

/// Programs that a click opens must not inherit the unit's restrictions, nor end with it.
fn launcher(unit: bool) -> Vec<String> {
    if !unit {
        return Vec::new();
    }
    let words = ["systemd-run", "--user", "--quiet", "--collect", "--setenv=XDG_ACTIVATION_TOKEN", "--"];
    words.map(String::from).to_vec()
}

//! `wakeful start`: the daemon in the background without a service manager. The exit status tells the truth.

use super::{Fault, Global, output};
use crate::platform::StateLock;
use crate::platform::detach::{self, Detach};
use anyhow::Context as _;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// A log that is larger than this at a start becomes `wakeful.log.old`, bytes.
const LOG_MAX: u64 = 1024 * 1024;

/// Start the daemon in the background.
///
/// Returns when it is ready, with status 0, or with status 1 and the end of its log when it is not. Where a service
/// manager runs, `wakeful service install` is better: it starts the daemon at login and again after a crash.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful start\n  wakeful start --log debug")]
pub(super) struct Args {
    /// What to log, such as `debug` or `wakeful::link=trace,info`.
    #[arg(long, value_name = "FILTER", env = "WAKEFUL_LOG")]
    log: Option<String>,
    /// How many seconds it may take to become ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    patience: u64,
}

/// Before any thread exists: the process forks.
///
/// # Errors
/// When a service manager started us (status 2), or the daemon is not ready (status 1).
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let at_terminal = File::open("/dev/tty").is_ok();
    if let Some(variable) = detach::supervisor(|name| std::env::var_os(name), at_terminal) {
        return Err(Fault::Usage(detach::DetachError::Supervised(variable).to_string()).into());
    }
    global.paths.make()?;
    if let Some(pid) = StateLock::holder(&global.paths.lock_file()) {
        let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        output::hint(format!("wakeful: the daemon runs already{process}"));
        return Ok(());
    }
    let log = global.paths.log_file();
    rotate(&log);
    let mut arguments: Vec<OsString> = vec!["run".into(), "--ready-stdin".into()];
    if let Some(filter) = &args.log {
        arguments.extend(["--log".into(), filter.into()]);
    }
    detach::start(&Detach {
        program: std::env::current_exe().context("finding our own program")?,
        arguments,
        folder: global.paths.state_dir().to_path_buf(),
        log,
        patience: Duration::from_secs(args.patience),
    })?;
    Ok(())
}

/// Best effort: a log that cannot be moved just grows on.
fn rotate(log: &Path) {
    if std::fs::metadata(log).is_ok_and(|meta| meta.len() > LOG_MAX) {
        std::fs::rename(log, log.with_extension("log.old")).ok();
    }
}

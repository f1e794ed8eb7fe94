//! `wakeful service`: the daemon under the session's own service manager, systemd or launchd.

#[cfg(target_os = "linux")]
#[path = "service/systemd.rs"]
mod native;
#[cfg(target_os = "macos")]
#[path = "service/launchd.rs"]
mod native;

use super::{Fault, Global, output};
use crate::platform::StateLock;
use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Let the session's service manager (systemd, launchd) run the daemon.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful service install\n  wakeful service status --json\n  wakeful service uninstall"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start the daemon now, at every login, and again after a crash.
    Install {
        /// Write the unit only; start nothing.
        #[arg(long)]
        no_start: bool,
    },
    /// Stop the daemon and start it no more.
    Uninstall,
    /// Tell whether the service is installed and runs.
    Status {
        /// Print `{"installed", "file", "active", "enabled"}`.
        #[arg(long)]
        json: bool,
    },
}

/// What the service manager knows of us.
#[derive(Debug, Serialize)]
struct State {
    /// The unit's or agent's file is there.
    installed: bool,
    /// Where it is.
    file: PathBuf,
    /// It runs.
    active: bool,
    /// It starts at login.
    enabled: bool,
}

/// # Errors
/// When a file cannot be written, or the service manager does not do as it is told.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Install { no_start } => install(global, no_start),
        What::Uninstall => {
            let file = native::file()?;
            native::stop()?;
            remove(&file)?;
            for (file, _) in native::extras()? {
                remove(&file)?;
            }
            native::forget()?;
            output::hint(format!("{} is removed; messages and accounts stay", file.display()));
            Ok(())
        }
        What::Status { json } => {
            let file = native::file()?;
            let (active, enabled) = native::state()?;
            let state = State { installed: file.exists(), file, active, enabled };
            if json {
                return output::json(&state);
            }
            let yes = |yes, what: &str| if yes { what.to_owned() } else { format!("not {what}") };
            let words =
                [yes(state.installed, "installed"), yes(state.enabled, "enabled"), yes(state.active, "running")];
            output::line(format!("{}: {}", words.join(", "), state.file.display()))
        }
    }
}

/// Whether a service manager looks after the daemon, for `doctor`.
pub(super) fn health(global: &Global) -> super::doctor::Check {
    use super::doctor::Check;
    let remedy = "`wakeful service install` starts the daemon at every login";
    match (native::file(), native::state()) {
        (Ok(file), Ok((active, enabled))) if file.exists() => match (active, enabled) {
            (true, true) => Check::good("service", "installed, enabled and running"),
            (true, false) => Check::note("service", "it runs, but is not enabled", remedy),
            (false, _) if StateLock::holder(&global.paths.lock_file()).is_some() => Check::note(
                "service",
                "installed, but the daemon runs outside of it",
                "`wakeful stop`, then start the service",
            ),
            (false, _) => {
                Check::bad("service", "installed, but it does not run", "`systemctl --user status wakeful` tells why")
            }
        },
        (Ok(_), Ok(_)) => Check::note("service", "not installed", remedy),
        (Err(error), _) | (_, Err(error)) => {
            Check::note("service", format!("no service manager answers ({error:#})"), remedy)
        }
    }
}

/// Our icon's file, where `install` has put it.
pub(super) fn icon() -> Option<PathBuf> {
    native::extras()
        .ok()?
        .into_iter()
        .map(|(file, _)| file)
        .find(|file| file.extension().is_some_and(|extension| extension == "svg") && file.exists())
}

fn install(global: &Global, no_start: bool) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("finding our own program")?;
    let file = native::file()?;
    let home = std::env::var_os("WAKEFUL_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    write(&file, &native::render(&program, home.as_deref())?)?;
    for (file, text) in native::extras()? {
        write(&file, text)?;
    }
    output::hint(format!("wrote {}", file.display()));
    if no_start {
        return Ok(());
    }
    let (active, _) = native::state()?;
    if !active && let Some(pid) = StateLock::holder(&global.paths.lock_file()) {
        let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let text =
            format!("a daemon{process} runs already, outside the service manager: `wakeful stop`, then install again");
        return Err(Fault::Usage(text).into());
    }
    native::start(&file)?;
    output::hint("the daemon runs, and will at every login");
    Ok(())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let beside = file.with_extension("new");
        let mut out = std::fs::File::create(&beside)?;
        out.write_all(text.as_bytes())?;
        std::fs::rename(&beside, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Runs a service manager's own command; what it says on failure is part of the error.
fn command(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let line = || format!("{program} {}", arguments.join(" "));
    let out = Command::new(program).args(arguments).output().with_context(line)?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    anyhow::bail!("{} failed: {said}", line())
}

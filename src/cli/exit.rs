//! How a command ends: its error on standard error, its exit status for scripts.

use std::path::PathBuf;
use std::process::ExitCode;

/// Errors whose exit status is not 1. Anything else is an `anyhow` error and ends with 1.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The command was called wrongly: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// No daemon answers at the socket: exit status 3.
    #[error("no daemon is running (nothing answers at {0}): start it with `wakeful start` or `wakeful run`")]
    NoDaemon(PathBuf),
    /// The reader of our output went away, as in `wakeful history | head`: exit status 0, silently.
    #[error("the output was closed")]
    OutputClosed,
    /// Everything was said already; only the exit status is left: 1.
    #[error("failed")]
    Said,
}

/// Prints the error and chooses the exit status.
#[expect(clippy::print_stderr, reason = "the one place that tells of errors")]
pub(super) fn status(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let code = match error.downcast_ref::<Fault>() {
        Some(Fault::OutputClosed) => return ExitCode::SUCCESS,
        Some(Fault::Said) => return ExitCode::from(1),
        Some(Fault::Usage(_)) => 2,
        Some(Fault::NoDaemon(_)) => 3,
        None => 1,
    };
    eprintln!("wakeful: {error:#}");
    ExitCode::from(code)
}

/// Help and version go to standard output with status 0, usage errors to standard error with status 2.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { 2 } else { 0 };
    error.print().ok();
    ExitCode::from(code)
}

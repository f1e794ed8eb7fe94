//! Standard output for commands: a line at a time, and a closed pipe is not an error.

use super::Fault;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints one line and flushes it.
///
/// # Errors
/// [`Fault::OutputClosed`] when nobody reads any more, which ends the command silently.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(closed)
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// As [`line()`].
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)
}

/// Says something on standard error: hints and progress, never data.
#[expect(clippy::print_stderr, reason = "hints do not belong into the data")]
pub fn hint(text: impl Display) {
    eprintln!("{text}");
}

fn closed(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Fault::OutputClosed.into(),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    }
}

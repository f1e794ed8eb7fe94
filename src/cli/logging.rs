//! What the daemon says about itself: to standard error, which is a terminal, the journal or the log file.

use super::Fault;
use std::io::{self, IsTerminal as _};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Without a wish: what a person wants to know, and of libraries only what is wrong.
const DEFAULT: &str = "warn,wakeful=info";

/// Starts logging for this process. The journal has times of its own.
///
/// # Errors
/// When the filter makes no sense.
pub(super) fn start(filter: Option<&str>, journal: bool) -> anyhow::Result<()> {
    let filter = filter.unwrap_or(DEFAULT);
    let targets: Targets = filter.parse().map_err(|error| {
        Fault::Usage(format!(
            "the log filter {filter:?} makes no sense ({error}): write for example `wakeful=debug,warn`"
        ))
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let started = if journal {
        tracing_subscriber::registry().with(targets).with(lines.without_time()).try_init()
    } else {
        tracing_subscriber::registry().with(targets).with(lines).try_init()
    };
    started.map_err(Into::into)
}

//! `wakeful reload`: the running daemon reads its configuration again.

use super::attach::{attach, explain};
use super::{Global, output};
use crate::daemon::Reloaded;
use crate::ipc::wire::Reload;

/// Let the running daemon read its configuration again.
///
/// Accounts that did not change stay connected. A configuration that is not right changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful reload\n  wakeful reload --json")]
pub(super) struct Args {
    /// Print `{"added": [...], "removed": [...], "changed": [...]}`.
    #[arg(long)]
    json: bool,
}

/// Asks and prints what changed.
///
/// # Errors
/// No daemon (status 3), or a configuration that is not right.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    super::block_on(async {
        let answer = attach(global).await?.call(Reload {}).await.map_err(explain)?;
        if args.json {
            return output::json(&answer);
        }
        let done: Reloaded = serde_json::from_value(answer)?;
        let all = [("added", done.added), ("removed", done.removed), ("connected anew", done.changed)];
        for (what, names) in all.into_iter().filter(|(_, names)| !names.is_empty()) {
            output::line(format!("{what}: {}", names.join(", ")))?;
        }
        Ok(())
    })
}

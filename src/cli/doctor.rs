//! `wakeful doctor`: proves that everything is in order, or says what is not and what to do about it, a line each. It changes
//! nothing, but that it notes a damaged file as such, and works with and without a daemon.

mod around;
mod inside;

use super::render::{harmless, table};
use super::{Fault, Global, block_on, output};
use serde::Serialize;

/// Check that everything is in order.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful doctor\n  wakeful doctor --thorough\n  wakeful doctor --json | jq '.checks[] | select(.state == \"bad\")'\n\n\
    Exit status: 0 when nothing is bad, else 1."
)]
pub(super) struct Args {
    /// Compare the database's indices with its tables too; takes longer.
    #[arg(long)]
    thorough: bool,
    /// Print `{"ok", "checks": [{"check", "state", "text", "remedy"}]}`.
    #[arg(long)]
    json: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// In order.
    Good,
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something is wrong; the remedy says what to do.
    Bad,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    check: &'static str,
    state: State,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    pub(super) fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, state: State::Good, text: text.into(), remedy: None }
    }

    pub(super) fn note(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, state: State::Note, text: text.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn bad(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, state: State::Bad, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn line(&self) -> Vec<String> {
        let state = match self.state {
            State::Good => "ok",
            State::Note => "note",
            State::Bad => "BAD",
        };
        let text = harmless(&self.text).replace('\n', " ");
        let text = self.remedy.as_ref().map_or_else(|| text.clone(), |remedy| format!("{text}: {}", harmless(remedy)));
        vec![state.into(), self.check.into(), text]
    }
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

/// # Errors
/// [`Fault::Said`] when something is bad: it was printed.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    block_on(async {
        let mut checks = inside::checks(global, args.thorough);
        checks.extend(Box::pin(around::checks(global)).await);
        let ok = checks.iter().all(|check| check.state != State::Bad);
        if args.json {
            output::json(&Report { ok, checks })?;
        } else {
            let lines: Vec<_> = checks.iter().map(Check::line).collect();
            table(&lines).into_iter().try_for_each(output::line)?;
        }
        if ok { Ok(()) } else { Err(Fault::Said.into()) }
    })
}

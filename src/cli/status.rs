//! `wakeful status`: what every account's connection is doing.

use super::attach::{attach, explain};
use super::render::{age, harmless, local, table};
use super::{Global, block_on, output};
use crate::ipc::wire::{AccountInfo, StatusInfo};
use crate::model::StoreState;

/// Show what every account's connection is doing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "PROVEN is the age of the last proven round trip; BYTES/H, WAKE-UPS/H and RECONNECTS/D are counts of the last \
    hour and day.\n\nExamples:\n  wakeful status\n  wakeful watch --status       # whenever it changes\n  wakeful status --json | jq '.accounts[] | select(.state != \"online\")'"
)]
pub(super) struct Args {
    /// Print `{\"accounts\": [{\"name\", \"state\", \"last_round_trip_ms_ago\", ...}]}`.
    #[arg(long)]
    json: bool,
}

/// Asks once and prints.
///
/// # Errors
/// No daemon.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    block_on(async {
        let status = attach(global).await?.status().await.map_err(explain)?;
        if args.json {
            return output::json(&status);
        }
        lines(&status).into_iter().try_for_each(output::line)
    })
}

/// The states for a person.
pub(super) fn lines(status: &StatusInfo) -> Vec<String> {
    let mut lines = accounts(status);
    if let Some(why) = &status.disk {
        lines.push(format!(
            "disk: messages cannot be written: {}; free some space, wakeful goes on by itself",
            harmless(why)
        ));
    }
    let detail = status.store.detail.as_deref().unwrap_or_default();
    match status.store.state {
        StoreState::Sound => {}
        StoreState::Checking => {
            lines.push(format!("store: the last run did not end in order; it is being checked {detail}"))
        }
        StoreState::Damaged => lines.push(format!("store: damaged ({detail}); it is rebuilt at the next start")),
    }
    if let Some(found) = &status.store.quarantined {
        lines.push(format!(
            "store: a damaged one was moved aside on {} ({}): {}; delete that file when you no longer need it",
            local(found.at),
            harmless(&found.why),
            found.file
        ));
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

fn accounts(status: &StatusInfo) -> Vec<String> {
    if status.accounts.is_empty() {
        return vec!["no accounts: add one with `wakeful account add`".into()];
    }
    let mut rows =
        vec![heads(&["ACCOUNT", "STATE", "PROVEN", "RTT", "UNREAD", "BYTES/H", "WAKE-UPS/H", "RECONNECTS/D", ""])];
    rows.extend(status.accounts.iter().map(row));
    table(&rows)
}

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

fn row(account: &AccountInfo) -> Vec<String> {
    let proven = account.last_round_trip_ms_ago.map_or_else(|| "never".into(), |ms| format!("{} ago", age(ms)));
    let state = serde_json::to_value(account.state).ok().and_then(|state| state.as_str().map(String::from));
    let online = account.state == crate::model::AccountState::Online;
    let mut why: Vec<String> = Vec::new();
    if let Some(error) = account.last_error.as_ref().filter(|_| !online) {
        why.push(harmless(&error.text));
        why.extend(error.remedy.clone());
    }
    if account.attempts > 0 && !online {
        why.push(format!("attempt {}", account.attempts));
    }
    if let Some(ms) = account.next_try_in_ms.filter(|_| !online) {
        why.push(format!("next attempt in {}", age(ms)));
    }
    if online && !account.caught_up {
        why.push("catching up".into());
    }
    vec![
        account.name.clone(),
        state.unwrap_or_default(),
        proven,
        account.rtt_ms.map_or_else(String::new, |ms| format!("{ms} ms")),
        account.unread.to_string(),
        account.bytes_last_hour.to_string(),
        account.wakeups_last_hour.to_string(),
        account.reconnects_last_day.to_string(),
        why.join("; "),
    ]
}

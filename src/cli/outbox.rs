//! `wakeful outbox`: what waits to be sent, what failed and why, taking back what has not gone yet, sending again what failed.

use super::attach::{attach, explain};
use super::render::{harmless, local, table};
use super::{Fault, Global, block_on, output};
use crate::ipc::wire::{OutboxCancel, OutboxEntry, OutboxList, OutboxProgress, OutboxRetry};
use crate::model::MessageId;

/// See what waits to be sent or failed, take it back, or send it again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful outbox list\n  wakeful outbox list --all --json | jq 'select(.state == \"failed\")'\n  \
    wakeful outbox cancel 0197a0c2-...\n  wakeful outbox retry 0197a0c2-..."
)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What waits and what failed, newest first.
    List(List),
    /// Take something back that was never handed to a connection.
    Cancel(One),
    /// Send something again that failed for good. Asking twice sends it once.
    Retry(One),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only this account's.
    #[arg(long, short)]
    account: Option<String>,
    /// What is done too, for the 7 days that it is kept.
    #[arg(long)]
    all: bool,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: usize,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The id that `send` printed or `outbox list` shows.
    id: MessageId,
    /// Print `{"cancelled": true}` or `{"retried": true}`.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// No daemon, an unknown id, or something that is on its way already.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    block_on(async {
        match args.verb {
            Verb::List(ask) => list(global, ask).await,
            Verb::Cancel(ask) => cancel(global, &ask).await,
            Verb::Retry(ask) => retry(global, &ask).await,
        }
    })
}

async fn list(global: &Global, ask: List) -> anyhow::Result<()> {
    let List { account, all, limit, json } = ask;
    let client = attach(global).await?;
    let rows = client.call(OutboxList { account, all, limit: Some(limit) }).await.map_err(explain)?.rows;
    if json {
        return rows.iter().try_for_each(output::json);
    }
    if rows.is_empty() {
        return output::line("nothing waits to be sent");
    }
    let heads = ["WRITTEN", "ACCOUNT", "FOR", "WHAT", "STATE", "TRIES", "ID", ""];
    let mut lines = vec![heads.map(String::from).to_vec()];
    lines.extend(rows.iter().map(row));
    table(&lines).into_iter().try_for_each(output::line)
}

fn row(entry: &OutboxEntry) -> Vec<String> {
    let state = match entry.state {
        OutboxProgress::Pending => "pending",
        OutboxProgress::InFlight => "in flight",
        OutboxProgress::Done => "done",
        OutboxProgress::Failed => "failed",
    };
    let text: String = entry.text.as_deref().unwrap_or_default().chars().take(40).collect();
    let place = entry.conversation.as_ref().map(|conversation| harmless(&conversation.name)).unwrap_or_default();
    let note = match (&entry.error, entry.due_at) {
        (Some(error), _) => harmless(error),
        (None, Some(due)) => format!("not before {}", local(due)),
        (None, None) => String::new(),
    };
    let what = format!("{} {}", entry.kind, harmless(&text).replace('\n', " ")).trim_end().to_owned();
    let (written, tries) = (local(entry.written_at), entry.tries.to_string());
    vec![written, entry.account.clone(), place, what, state.into(), tries, entry.id.to_string(), note]
}

async fn cancel(global: &Global, ask: &One) -> anyhow::Result<()> {
    let client = attach(global).await?;
    let answer = client.call(OutboxCancel { id: ask.id }).await.map_err(explain)?;
    if ask.json {
        output::json(&answer)?;
    }
    if answer.cancelled {
        return Ok(());
    }
    if !ask.json {
        output::hint("wakeful: it was handed to a connection already: the server may have it");
    }
    Err(Fault::Said.into())
}

async fn retry(global: &Global, ask: &One) -> anyhow::Result<()> {
    let client = attach(global).await?;
    let answer = client.call(OutboxRetry { id: ask.id }).await.map_err(explain)?;
    if ask.json {
        return output::json(&answer);
    }
    if !answer.retried {
        output::hint("wakeful: nothing to do: it waits to be sent already, or the server has it");
    }
    Ok(())
}

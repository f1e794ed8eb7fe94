//! `wakeful send`: a message, durably in the outbox when the command returns.

use super::attach::{attach, explain};
use super::{Fault, Global, block_on, output};
use crate::ipc::Client;
use crate::ipc::wire::{self, OutboxInfo, OutboxProgress, Until};
use crate::model::MessageId;
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use std::io::Read as _;

/// The longest text that standard input may give, bytes.
const MAX_TEXT: u64 = 512 << 10;

/// Send a message.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful send work alice \"on my way\"\n  \
    git log -1 | wakeful send work \"Release team\" -\n  \
    wakeful send work alice \"are you there?\" --wait delivered --timeout 60")]
pub(super) struct Args {
    /// The account to send with.
    account: String,
    /// A user's name (opens the direct conversation), a conversation's exact title, or its id.
    conversation: String,
    /// The text; `-` reads it from standard input.
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Return when it is durably in the outbox, at the server, or on a receiver's device.
    #[arg(long, value_enum, default_value_t = Wait::Queued)]
    wait: Wait,
    /// How long to wait for `sent` or `delivered`, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// The id of the message that it answers.
    #[arg(long)]
    reply_to: Option<MessageId>,
    /// An id of your own (a UUID): sending the same id again sends nothing.
    #[arg(long)]
    id: Option<MessageId>,
    /// Print the message as JSON instead of its id.
    #[arg(long)]
    json: bool,
}

/// How long `send` waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wait {
    /// Durably in the outbox.
    Queued,
    /// The server has it.
    Sent,
    /// A device of a receiver has it.
    Delivered,
}

/// Sends and, if asked, waits.
///
/// # Errors
/// No daemon, an unknown account or conversation, or a message that was refused or did not get there in time.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    block_on(send(global, args))
}

async fn send(global: &Global, args: Args) -> anyhow::Result<()> {
    let text = if args.text == "-" { standard_input()? } else { args.text.clone() };
    let client = attach(global).await?;
    let ask = wire::Send {
        account: Some(args.account.clone()),
        conversation: args.conversation.clone(),
        text,
        reply_to: args.reply_to,
        attachments: Vec::new(),
        id: args.id,
    };
    let queued = client.call(ask).await.map_err(explain)?;
    if !args.json && args.wait == Wait::Queued {
        return output::line(queued.id);
    }
    let outcome = wait(&client, queued.id, &args).await;
    if args.json {
        output::json(&client.call(wire::MessageGet { id: queued.id }).await.map_err(explain)?)?;
    } else {
        output::line(queued.id)?;
    }
    outcome
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(MAX_TEXT + 1).read_to_string(&mut text).context("cannot read standard input")?;
    if text.len() as u64 > MAX_TEXT {
        return Err(Fault::Usage(format!("the text has more than {MAX_TEXT} bytes")).into());
    }
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_string())
}

async fn wait(client: &Client, id: MessageId, args: &Args) -> anyhow::Result<()> {
    let until = match args.wait {
        Wait::Queued => return Ok(()),
        Wait::Sent => Until::Sent,
        Wait::Delivered => Until::Delivered,
    };
    let ask = wire::OutboxWait { id, until, timeout_ms: Some(args.timeout * 1_000) };
    let info: OutboxInfo = client.call(ask).await.map_err(explain)?;
    if info.state == OutboxProgress::Failed {
        bail!("the message was refused: {}", info.text.or(info.code).unwrap_or_else(|| "no reason given".into()));
    }
    Ok(())
}

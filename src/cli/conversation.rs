//! `wakeful conversation`: make one, see them, and who is in them.

use super::attach::{attach, explain};
use super::render::{harmless, local, table};
use super::{Global, block_on, output};
use crate::ipc::wire::{
    self, ConversationGet, ConversationInfo, FaultCode, OutboxInfo, OutboxProgress, OutboxWait, Queued, Until,
};
use crate::ipc::{Client, ClientError};
use anyhow::bail;

/// How long a change waits for the server's answer before it is left to the outbox, milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// Make, list and change conversations.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful conversation create work \"Release team\" alice bob\n  \
    wakeful conversation list --account work\n  wakeful conversation add work \"Release team\" carol\n  \
    wakeful conversation members work \"Release team\" --json")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a group; prints its id.
    Create(Create),
    /// Add somebody.
    Add(Person),
    /// Remove somebody.
    Remove(Person),
    /// Leave; the history stays readable.
    Leave(Place),
    /// The conversations, newest activity first.
    List(List),
    /// Who is in it.
    Members(Place),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The account to make it with.
    account: String,
    /// Its title.
    title: String,
    /// User ids of the first members, without yourself.
    members: Vec<String>,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Person {
    /// Whose conversation.
    account: String,
    /// Its title or id.
    conversation: String,
    /// A user id.
    user: String,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Whose conversation.
    account: String,
    /// Its title or id.
    conversation: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only this account's.
    #[arg(long, short)]
    account: Option<String>,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 500)]
    limit: usize,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Carries the verb out.
///
/// # Errors
/// No daemon, an unknown account or conversation, or a refusal by the server.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    block_on(async {
        let client = attach(global).await?;
        match args.verb {
            Verb::Create(ask) => create(&client, ask).await,
            Verb::Add(ask) => {
                let Person { account, conversation, user, json } = ask;
                let account = Some(account);
                change(&client, wire::ConversationAdd { account, conversation, user }, json).await
            }
            Verb::Remove(ask) => {
                let Person { account, conversation, user, json } = ask;
                let account = Some(account);
                change(&client, wire::ConversationRemove { account, conversation, user }, json).await
            }
            Verb::Leave(ask) => {
                let Place { account, conversation, json } = ask;
                change(&client, wire::ConversationLeave { account: Some(account), conversation }, json).await
            }
            Verb::List(ask) => list(&client, ask).await,
            Verb::Members(ask) => members(&client, ask).await,
        }
    })
}

async fn create(client: &Client, ask: Create) -> anyhow::Result<()> {
    let Create { account, title, members, json } = ask;
    let queued = client.call(wire::ConversationCreate { account, title, members, id: None }).await.map_err(explain)?;
    let Some(info) = settle(client, &queued).await? else { return Ok(()) };
    let Some(id) = info.conversation else { bail!("the server made it but did not say what it is called") };
    if json {
        let get = ConversationGet { account: None, conversation: id.to_string() };
        return output::json(&client.call(get).await.map_err(explain)?);
    }
    output::line(id)
}

pub(super) async fn change<M: wire::Method<Answer = Queued>>(
    client: &Client,
    ask: M,
    json: bool,
) -> anyhow::Result<()> {
    let queued = client.call(ask).await.map_err(explain)?;
    match settle(client, &queued).await? {
        Some(info) if json => output::json(&info),
        _ => Ok(()),
    }
}

/// Waits for the server's answer; `None`: it is left to the outbox, and said so.
async fn settle(client: &Client, queued: &Queued) -> anyhow::Result<Option<OutboxInfo>> {
    let ask = OutboxWait { id: queued.id, until: Until::Sent, timeout_ms: Some(PATIENCE_MS) };
    match client.call(ask).await {
        Ok(info) if info.state == OutboxProgress::Failed => {
            bail!("the server refused: {}", info.text.or(info.code).unwrap_or_else(|| "no reason given".into()))
        }
        Ok(info) => Ok(Some(info)),
        Err(ClientError::Fault(fault)) if fault.kind() == FaultCode::Timeout => {
            output::hint("wakeful: not at the server yet; it is in the outbox and goes on by itself");
            Ok(None)
        }
        Err(error) => Err(explain(error)),
    }
}

async fn list(client: &Client, ask: List) -> anyhow::Result<()> {
    let found = client
        .call(wire::Conversations { account: ask.account, limit: Some(ask.limit) })
        .await
        .map_err(explain)?
        .conversations;
    if ask.json {
        return found.iter().try_for_each(output::json);
    }
    if found.is_empty() {
        return output::line("no conversations yet");
    }
    let heads = ["ACCOUNT", "NAME", "KIND", "UNREAD", "LAST", "ID"];
    let mut rows = vec![heads.iter().map(|head| (*head).to_string()).collect()];
    rows.extend(found.iter().map(row));
    table(&rows).into_iter().try_for_each(output::line)
}

fn row(conversation: &ConversationInfo) -> Vec<String> {
    let kind = format!("{:?}", conversation.kind).to_lowercase();
    vec![
        conversation.account.clone(),
        harmless(&conversation.name),
        if conversation.gone { format!("{kind}, left") } else { kind },
        conversation.unread.to_string(),
        conversation.last_at.map(local).unwrap_or_default(),
        conversation.id.to_string(),
    ]
}

async fn members(client: &Client, ask: Place) -> anyhow::Result<()> {
    let get = wire::ConversationMembers { account: Some(ask.account), conversation: ask.conversation };
    let members = client.call(get).await.map_err(explain)?.members;
    if ask.json {
        return members.iter().try_for_each(output::json);
    }
    let rows: Vec<Vec<String>> = members
        .iter()
        .map(|member| {
            let name = member.name.as_deref().map(harmless).unwrap_or_default();
            vec![harmless(&member.user), name, format!("{:?}", member.role).to_lowercase()]
        })
        .collect();
    table(&rows).into_iter().try_for_each(output::line)
}

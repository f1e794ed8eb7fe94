//! `wakeful contact`: who may see when we are there, by name (XMPP).

use super::attach::{attach, explain};
use super::conversation::change;
use super::render::{harmless, table};
use super::{Global, block_on, output};
use crate::ipc::wire::{self, ContactVerb};
use crate::model::ConversationKind;

/// Add, accept, remove and list contacts of an XMPP account.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful contact add home bob@example.org --name Bob\n  \
    wakeful contact accept home bob@example.org\n  wakeful contact list home --json")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Ask somebody to be a contact.
    Add(Add),
    /// Accept somebody's request.
    Accept(Person),
    /// Be contacts no longer.
    Remove(Person),
    /// Take nothing from somebody.
    Block(Person),
    /// Take messages from somebody again.
    Unblock(Person),
    /// The people this account has to do with.
    List(List),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The account.
    account: String,
    /// Their address.
    user: String,
    /// What to call them.
    #[arg(long)]
    name: Option<String>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Person {
    /// The account.
    account: String,
    /// Their address.
    user: String,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    /// The account.
    account: String,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Carries the verb out.
///
/// # Errors
/// No daemon, an unknown account, or a refusal by the server.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    block_on(async {
        let client = attach(global).await?;
        let (person, verb, name) = match args.verb {
            Verb::List(ask) => return list(&client, ask).await,
            Verb::Add(Add { account, user, name, json }) => (Person { account, user, json }, ContactVerb::Add, name),
            Verb::Accept(person) => (person, ContactVerb::Accept, None),
            Verb::Remove(person) => (person, ContactVerb::Remove, None),
            Verb::Block(person) => (person, ContactVerb::Block, None),
            Verb::Unblock(person) => (person, ContactVerb::Unblock, None),
        };
        let Person { account, user, json } = person;
        change(&client, wire::Contact { account, user, verb, name, id: None }, json).await
    })
}

async fn list(client: &crate::ipc::Client, ask: List) -> anyhow::Result<()> {
    let asked = wire::Conversations { account: Some(ask.account), limit: None };
    let found = client.call(asked).await.map_err(explain)?.conversations;
    let people = found.into_iter().filter(|conversation| conversation.kind == ConversationKind::Direct);
    if ask.json {
        return people.into_iter().try_for_each(|person| output::json(&person));
    }
    let rows: Vec<Vec<String>> =
        people.map(|person| vec![harmless(&person.name), harmless(&person.peer.unwrap_or_default())]).collect();
    table(&rows).into_iter().try_for_each(output::line)
}

//! `wakeful room`: rooms of an XMPP account, by their address.

use super::attach::{attach, explain};
use super::conversation::change;
use super::render::{harmless, table};
use super::{Global, block_on, output};
use crate::ipc::wire;
use crate::model::ConversationKind;

/// Join, leave and list rooms of an XMPP account.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful room join home den@conference.example.org --nick ann\n  \
    wakeful room leave home den@conference.example.org\n  wakeful room list home")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Join a room, now and after every restart.
    Join(Join),
    /// Leave a room; its history stays readable.
    Leave(Leave),
    /// The rooms of this account.
    List(List),
}

#[derive(Debug, clap::Args)]
struct Join {
    /// The account.
    account: String,
    /// The room's address.
    room: String,
    /// The nick to take there; without it, the user name.
    #[arg(long)]
    nick: Option<String>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Leave {
    /// The account.
    account: String,
    /// The room's address, title or id.
    room: String,
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
/// No daemon, an unknown account or room, or a refusal by the server.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    block_on(async {
        let client = attach(global).await?;
        match args.verb {
            Verb::Join(Join { account, room, nick, json }) => {
                change(&client, wire::RoomJoin { account, room, nick, id: None }, json).await
            }
            Verb::Leave(Leave { account, room, json }) => {
                change(&client, wire::ConversationLeave { account: Some(account), conversation: room }, json).await
            }
            Verb::List(ask) => list(&client, ask).await,
        }
    })
}

async fn list(client: &crate::ipc::Client, ask: List) -> anyhow::Result<()> {
    let asked = wire::Conversations { account: Some(ask.account), limit: None };
    let found = client.call(asked).await.map_err(explain)?.conversations;
    let rooms = found.into_iter().filter(|conversation| conversation.kind != ConversationKind::Direct);
    if ask.json {
        return rooms.into_iter().try_for_each(|room| output::json(&room));
    }
    let rows: Vec<Vec<String>> = rooms
        .map(|room| {
            let state = if room.gone { "left" } else { "" };
            vec![harmless(&room.name), harmless(&room.server_id.unwrap_or_default()), state.to_owned()]
        })
        .collect();
    table(&rows).into_iter().try_for_each(output::line)
}

//! `wakeful search`: full text over everything on this machine, newest first.

use super::attach::{attach, explain};
use super::when::When;
use super::{Global, block_on, output, render};
use crate::ipc::wire::{Find, Row};
use crate::model::{Message, Order};
use crate::world::Clock;
use std::io::IsTerminal as _;

/// Search messages by their words.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful search invoice\n  wakeful search 'deploy*' --account work --since \"30 days ago\"\n  \
    wakeful search '\"on my way\"' --rank --limit 5 --json"
)]
pub(super) struct Args {
    /// Words that must all occur; `word*` for beginnings, `"two words"` for a phrase.
    #[arg(required = true)]
    words: Vec<String>,
    /// Only this account's.
    #[arg(long, short)]
    account: Option<String>,
    /// Only this conversation: a user's name, an exact title, or an id.
    #[arg(long, short)]
    conversation: Option<String>,
    /// Only by this sender.
    #[arg(long)]
    sender: Option<String>,
    /// Only from this time on, e.g. "yesterday 18:00", "2026-11-24", "3 hours ago".
    #[arg(long)]
    since: Option<When>,
    /// Only before this time.
    #[arg(long)]
    until: Option<When>,
    /// Best match first instead of newest first (at most 1,000).
    #[arg(long)]
    rank: bool,
    /// At most so many; 0: all.
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: u32,
    /// Whether matches are bold; `always` for a pager such as `less -R`.
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    /// Print one message a line as JSON; `snippet` has the matches marked.
    #[arg(long)]
    json: bool,
}

/// When matches are shown in bold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Colour {
    /// On a terminal.
    Auto,
    /// Into pipes too.
    Always,
    /// Not even on a terminal.
    Never,
}

/// Marks around a match, in characters that mean nothing; taken out of what others wrote.
const OPEN: char = '\u{e000}';
/// The end of a match.
const CLOSE: char = '\u{e001}';

/// Prints what is found.
///
/// # Errors
/// No daemon, or an unknown account or conversation.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    block_on(search(global, args))
}

async fn search(global: &Global, args: &Args) -> anyhow::Result<()> {
    let now = Clock::system().wall();
    let find = Find {
        account: args.account.clone(),
        conversation: args.conversation.clone(),
        sort: if args.rank { Order::Rank } else { Order::Desc },
        sender: args.sender.clone(),
        since: args.since.as_ref().map(|when| when.at(now)).transpose()?,
        until: args.until.as_ref().map(|when| when.at(now)).transpose()?,
        text: Some(args.words.join(" ")),
        limit: Some(args.limit),
        ..Find::default()
    };
    let colour = match args.color {
        Colour::Auto => std::io::stdout().is_terminal(),
        Colour::Always => true,
        Colour::Never => false,
    };
    let mut cursor = attach(global).await?.find(find.clone());
    while let Some(row) = cursor.next().await {
        match row.map_err(explain)? {
            Row::Message(message) if args.json => output::json(&message)?,
            Row::Message(message) if colour => {
                output::line(bright(&render::message(&marked(&message), find.conversation.is_none())))?;
            }
            row @ Row::Message(_) => output::line(render::row(&row, &find))?,
            Row::Hole(_) => {}
        }
    }
    Ok(())
}

/// A message whose text is what was found in it, with marks around the matches.
fn marked(message: &Message) -> Message {
    let bare = |text: &str| text.replace([OPEN, CLOSE], "");
    let text = match &message.snippet {
        Some(parts) => parts
            .iter()
            .map(|part| if part.hit { format!("{OPEN}{}{CLOSE}", bare(&part.text)) } else { bare(&part.text) })
            .collect(),
        None => bare(&message.text),
    };
    Message { text, ..message.clone() }
}

/// The marks as what a terminal understands.
fn bright(line: &str) -> String {
    line.replace(OPEN, "\x1b[1m").replace(CLOSE, "\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SnippetPart;

    #[test]
    fn matches_are_bold_and_nothing_in_a_message_can_pretend_to_be_one() {
        let json = serde_json::json!({
            "id": uuid::Uuid::nil(), "account": "a", "sender": "bob", "text": "", "kind": "text", "outgoing": false,
            "conversation": {"id": uuid::Uuid::nil(), "name": "c", "peer": null}, "sent_at": "2026-11-24T12:00:00.000Z",
            "state": "read", "server_id": null, "position": "1", "seq": 1,
        });
        let part = |text: &str, hit| SnippetPart { text: text.into(), hit };
        let mut message: Message = serde_json::from_value(json).unwrap();
        message.snippet = Some(vec![part("x\u{e000}\x1b[5m ", false), part("ÜBER", true), part(" den", false)]);
        let line = bright(&render::message(&marked(&message), false));
        assert!(line.ends_with("x\u{fffd}[5m \x1b[1mÜBER\x1b[0m den"), "{line:?}");
    }
}

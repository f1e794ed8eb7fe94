//! `wakeful search`: full text over everything on this machine, newest first.

use super::attach::{attach, explain};
use super::when::When;
use super::{Global, block_on, output, render};
use crate::ipc::wire::{Find, Row};
use crate::model::Order;
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
    /// Print one message a line as JSON.
    #[arg(long)]
    json: bool,
}

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
    let bright = !args.json && std::io::stdout().is_terminal();
    let words = words(&args.words);
    let mut cursor = attach(global).await?.find(find.clone());
    while let Some(row) = cursor.next().await {
        match row.map_err(explain)? {
            Row::Message(message) if args.json => output::json(&message)?,
            row @ Row::Message(_) => {
                let line = render::row(&row, &find);
                output::line(if bright { highlight(&line, &words) } else { line })?;
            }
            Row::Hole(_) => {}
        }
    }
    Ok(())
}

/// The plain words of a query, in lower case.
fn words(query: &[String]) -> Vec<String> {
    let split = query.iter().flat_map(|part| part.split(|c: char| !c.is_alphanumeric()));
    split.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The line with every match bold. Matches are found without regard to case.
fn highlight(line: &str, words: &[String]) -> String {
    let mut out = String::with_capacity(line.len() + 32);
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let matched = words.iter().filter_map(|word| prefix(rest, word)).max();
        match matched.and_then(|bytes| rest.split_at_checked(bytes)) {
            Some((hit, after)) => {
                out.push_str("\x1b[1m");
                out.push_str(hit);
                out.push_str("\x1b[0m");
                rest = after;
            }
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

/// How many bytes of `text` are `word`, which is in lower case.
fn prefix(text: &str, word: &str) -> Option<usize> {
    let mut expected = word.chars();
    let mut next = expected.next();
    for (at, c) in text.char_indices() {
        for lower in c.to_lowercase() {
            match next {
                None => return Some(at),
                Some(wanted) if wanted == lower => next = expected.next(),
                Some(_) => return None,
            }
        }
    }
    if next.is_none() { Some(text.len()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_bold_whatever_their_case() {
        let words = words(&["\"Über".into(), "den\" fl*".into()]);
        assert_eq!(words, ["über", "den", "fl"]);
        assert_eq!(highlight("x ÜBER den Fluss", &words), "x \x1b[1mÜBER\x1b[0m \x1b[1mden\x1b[0m \x1b[1mFl\x1b[0muss");
    }
}

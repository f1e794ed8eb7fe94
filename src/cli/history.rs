//! `wakeful history`: what has been said, oldest first, in constant memory however long it is.

use super::attach::{attach, explain};
use super::when::When;
use super::{Global, block_on, output, render, watch};
use crate::ipc::wire::{Find, Holes, Row};
use crate::ipc::{Client, Cursor};
use crate::model::{MessageId, Order, Seq};
use crate::world::Clock;

/// Rows that are counted off at once, the most that a cursor leaves out.
const STEP: u32 = 10_000;

/// Show what has been said, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful history --account work --conversation alice --limit 20\n  \
    wakeful history --account work --since \"yesterday 18:00\" --json | jq -r .text\n  \
    wakeful history --conversation alice --account work --limit 10 --follow")]
pub(super) struct Args {
    /// Only this account's.
    #[arg(long, short)]
    account: Option<String>,
    /// Only this conversation: a user's name, an exact title, or an id.
    #[arg(long, short)]
    conversation: Option<String>,
    /// Only the newest N (with --after, --around or --since: the first N from there).
    #[arg(long, short = 'n')]
    limit: Option<u32>,
    /// Only by this sender.
    #[arg(long)]
    sender: Option<String>,
    /// Only from this time on, e.g. "yesterday 18:00", "2026-11-24", "3 hours ago".
    #[arg(long)]
    since: Option<When>,
    /// Only before this time.
    #[arg(long)]
    until: Option<When>,
    /// Only messages before this one (an id).
    #[arg(long, conflicts_with_all = ["after", "around"])]
    before: Option<MessageId>,
    /// Only messages after this one (an id).
    #[arg(long, conflicts_with = "around")]
    after: Option<MessageId>,
    /// The messages on both sides of this one (an id), 50 unless --limit says otherwise.
    #[arg(long)]
    around: Option<MessageId>,
    /// Only incoming messages that are not read.
    #[arg(long)]
    unread: bool,
    /// Newest first.
    #[arg(long, conflicts_with = "follow")]
    reverse: bool,
    /// Go on with new messages as they come.
    #[arg(long, short, conflicts_with_all = ["until", "before", "around"])]
    follow: bool,
    /// Ask the server for messages that are not on this machine.
    #[arg(long)]
    fetch: bool,
    /// Print one JSON object a line: a message, or {"hole": ...} where messages are missing.
    #[arg(long)]
    json: bool,
}

/// Prints the rows as they come.
///
/// # Errors
/// No daemon, or an unknown account or conversation.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    block_on(history(global, args))
}

async fn history(global: &Global, args: &Args) -> anyhow::Result<()> {
    let client = attach(global).await?;
    let mut find = find(args)?;
    let from_there = args.reverse || args.since.is_some() || args.after.is_some() || args.around.is_some();
    let seq = match args.limit.filter(|_| !from_there) {
        Some(0) => None,
        Some(limit) if limit <= 1_000 => print_newest(&client, &find, args, limit).await?,
        Some(limit) => {
            find.around = nth_newest(&client, &find, limit).await?;
            find.before = args.before.filter(|_| find.around.is_none());
            find.limit = None;
            print(&client, &find, args, Some(0)).await?
        }
        None => print(&client, &find, args, args.around.map(|_| args.limit.unwrap_or(50).clamp(1, 1_000))).await?,
    };
    if !args.follow {
        return Ok(());
    }
    let seq = match seq {
        Some(seq) => seq,
        None => client.status().await.map_err(explain)?.seq,
    };
    watch::follow(
        global,
        watch::Wanted { account: args.account.clone(), conversation: args.conversation.clone() },
        seq,
        args.json,
    )
    .await
}

fn find(args: &Args) -> anyhow::Result<Find> {
    let now = Clock::system().wall();
    let around_limit = args.around.map(|_| args.limit.unwrap_or(50));
    Ok(Find {
        account: args.account.clone(),
        conversation: args.conversation.clone(),
        sort: if args.reverse { Order::Desc } else { Order::Asc },
        before: args.before,
        after: args.after,
        around: args.around,
        sender: args.sender.clone(),
        since: args.since.as_ref().map(|when| when.at(now)).transpose()?,
        until: args.until.as_ref().map(|when| when.at(now)).transpose()?,
        unread: args.unread,
        limit: around_limit.or(args.limit),
        ..Find::default()
    })
}

fn holes(args: &Args) -> Holes {
    if args.fetch { Holes::Fetch } else { Holes::Report }
}

fn show(row: &Row, find: &Find, json: bool) -> anyhow::Result<()> {
    if json { output::json(&render::row_json(row)) } else { output::line(render::row(row, find)) }
}

/// Not a failure: what is here was printed.
fn tell_unfilled(cursor: &Cursor) {
    if cursor.gave_up() {
        output::hint("messages that are missing here cannot be had: the server did not send them when asked");
    }
}

/// The newest few, turned round: at most a thousand rows in memory.
async fn print_newest(client: &Client, find: &Find, args: &Args, limit: u32) -> anyhow::Result<Option<Seq>> {
    let mut cursor = client.find(find.clone()).sort(Order::Desc).limit(limit).batch_size(1_000).holes(holes(args));
    let rows = cursor.to_vec(10_000).await.map_err(explain)?;
    rows.iter().rev().try_for_each(|row| show(row, find, args.json))?;
    tell_unfilled(&cursor);
    Ok(cursor.seq())
}

/// Where the newest `limit` begin; `None`: there are not so many.
async fn nth_newest(client: &Client, find: &Find, limit: u32) -> anyhow::Result<Option<MessageId>> {
    let (mut left, mut before) = (limit, find.before);
    loop {
        let step = left.min(STEP);
        let find = Find { before, ..find.clone() };
        let mut cursor = client.find(find).sort(Order::Desc).skip(step.saturating_sub(1)).limit(1);
        let mut found = None;
        while let Some(row) = cursor.next().await {
            if let Row::Message(message) = row.map_err(explain)? {
                found = Some(message.id);
            }
        }
        left -= step;
        if found.is_none() || left == 0 {
            return Ok(found);
        }
        before = found;
    }
}

/// Row by row. `first`: how large the first batch is, which is where `around` begins.
async fn print(client: &Client, find: &Find, args: &Args, first: Option<u32>) -> anyhow::Result<Option<Seq>> {
    let mut cursor = client.find(find.clone()).holes(holes(args));
    if let Some(rows) = first {
        cursor = cursor.batch_size(rows);
    }
    while let Some(row) = cursor.next().await {
        show(&row.map_err(explain)?, find, args.json)?;
    }
    tell_unfilled(&cursor);
    Ok(cursor.seq())
}

//! `wakeful export`: everything that is here, as JSON Lines, in constant memory. It reads the store beside a running
//! daemon and never writes to it.

mod read;
mod write;

pub(super) use read::{Lines, Sum};

use super::progress::Progress;
use super::{Fault, Global, output};
use crate::model::{AccountId, ConversationId, ExportHead, Position, Record, Seq};
use crate::store::Viewer;
use crate::world::{Clock, Entropy};
use anyhow::{Context as _, bail};
use std::io;
use std::path::{Path, PathBuf};
use write::Out;

/// Messages read at once.
const PAGE: usize = 500;

/// Write all messages to a file, as JSON Lines.
///
/// The last line holds the counts and a SHA-256 of all lines before it; `wakeful import --verify` compares. Secrets are not in it,
/// what people wrote is: keep it as safe as your home folder.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful export backup.jsonl\n  wakeful export backup.jsonl --resume      # go on after an interruption\n  \
    wakeful export --account work --conversation alice - | jq -r 'select(.message) | .message.text'"
)]
pub(super) struct Args {
    /// Where to; `-`: standard output.
    file: PathBuf,
    /// Only this account's.
    #[arg(long, short)]
    account: Option<String>,
    /// Only this conversation: a user's name, an exact title, or an id.
    #[arg(long, short, requires = "account")]
    conversation: Option<String>,
    /// Go on with a file that was begun before.
    #[arg(long, conflicts_with_all = ["account", "conversation"])]
    resume: bool,
    /// Print `{"file", "lines", "messages", "conversations", "sha256"}` at the end.
    #[arg(long)]
    json: bool,
}

/// What of the store is wanted.
struct Wanted {
    accounts: Vec<(AccountId, String)>,
    conversation: Option<ConversationId>,
}

/// Where an interrupted export stood.
struct Stood {
    account: String,
    position: Position,
}

/// # Errors
/// No store, an unknown account or conversation, a file that is there already, or a disk that takes no more.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let viewer = Viewer::open(global.paths.state_dir())?;
    let to_file = args.file.as_os_str() != "-";
    if args.resume && !to_file {
        return Err(Fault::Usage("standard output cannot be resumed: name a file".into()).into());
    }
    let (mut out, head, stood) = if args.resume {
        let Some((out, head, stood)) = resume(&args.file)? else {
            output::hint(format!("{} is whole already", args.file.display()));
            return Ok(());
        };
        (out, head, stood)
    } else {
        // First: what is refused leaves no file behind.
        let head = head(&viewer, args)?;
        wanted(&viewer, &head)?;
        let mut out = if to_file { Out::create(&args.file)? } else { Out::stdout() };
        out.line(&Record::Wakeful(head.clone()))?;
        (out, head, None)
    };
    let wanted = wanted(&viewer, &head)?;
    everything(&viewer, &mut out, &wanted, stood)?;
    changed(&viewer, &mut out, &wanted, head.seq)?;
    let end = out.end()?;
    if args.json && to_file {
        let mut json = serde_json::to_value(&end)?;
        if let Some(json) = json.as_object_mut() {
            json.insert("file".into(), args.file.display().to_string().into());
        }
        output::json(&json)?;
    } else if to_file {
        output::hint(format!(
            "{} messages of {} conversations are in {}",
            end.messages,
            end.conversations,
            args.file.display()
        ));
    }
    Ok(())
}

fn head(viewer: &Viewer, args: &Args) -> anyhow::Result<ExportHead> {
    let at = Clock::system().wall();
    let conversation = match (&args.account, &args.conversation) {
        (Some(account), Some(name)) => Some(viewer.resolve(account_id(viewer, account)?, name)?),
        _ => None,
    };
    Ok(ExportHead {
        format: 1,
        id: Entropy::system().message_id(at).to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        at,
        seq: viewer.newest()?,
        account: args.account.clone(),
        conversation,
    })
}

fn account_id(viewer: &Viewer, name: &str) -> anyhow::Result<AccountId> {
    let accounts = viewer.accounts()?;
    let found = accounts.iter().find(|(_, account)| account.name == name).map(|(id, _)| *id);
    found.with_context(|| format!("there is no account {name:?} here"))
}

fn wanted(viewer: &Viewer, head: &ExportHead) -> anyhow::Result<Wanted> {
    let all = viewer.accounts()?.into_iter().map(|(id, account)| (id, account.name));
    let accounts: Vec<_> = all.filter(|(_, name)| head.account.as_ref().is_none_or(|only| only == name)).collect();
    if accounts.is_empty() && head.account.is_some() {
        bail!("there is no account {:?} here", head.account.as_deref().unwrap_or_default());
    }
    Ok(Wanted { accounts, conversation: head.conversation })
}

/// Accounts, conversations, messages oldest first, and what is known without a gap.
fn everything(viewer: &Viewer, out: &mut Out, wanted: &Wanted, stood: Option<Stood>) -> anyhow::Result<()> {
    let mut total = 0;
    for (account, _) in &wanted.accounts {
        total += viewer.count(*account, wanted.conversation)?;
    }
    let mut progress = Progress::new(total);
    if stood.is_none() {
        let records = viewer.accounts()?;
        for (id, _) in &wanted.accounts {
            for (_, record) in records.iter().filter(|(other, _)| other == id) {
                out.line(&Record::Account(record.clone()))?;
            }
            for conversation in viewer.conversations(*id, wanted.conversation)? {
                out.line(&Record::Conversation(conversation))?;
            }
        }
    }
    let mut reached = stood.is_none();
    for (account, name) in &wanted.accounts {
        let mut after = Position(i64::MIN);
        if let Some(stood) = stood.as_ref().filter(|stood| stood.account == *name) {
            (after, reached) = (stood.position, true);
        }
        if !reached {
            continue;
        }
        loop {
            let page = viewer.messages(*account, wanted.conversation, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.message.position;
            for record in page {
                out.line(&Record::Message(Box::new(record)))?;
            }
            progress.at(out.messages());
        }
    }
    for (account, _) in &wanted.accounts {
        for span in viewer.spans(*account, wanted.conversation)? {
            out.line(&Record::Span(span))?;
        }
    }
    Ok(())
}

/// What changed since the export was begun, as it is now: it may have come to a place that was passed already.
fn changed(viewer: &Viewer, out: &mut Out, wanted: &Wanted, since: Seq) -> anyhow::Result<()> {
    let mut after = since;
    loop {
        let items = viewer
            .changed(after, 1_000)
            .context("more changed since this export was begun than is kept: begin a new one")?;
        let Some((last, _)) = items.last() else { return Ok(()) };
        after = *last;
        let mut done = std::collections::BTreeSet::new();
        for id in items.into_iter().filter_map(|(_, id)| id).filter(|id| done.insert(*id)) {
            let Some(record) = viewer.message(id)? else { continue };
            let ours = wanted.accounts.iter().any(|(_, name)| *name == record.message.account);
            let here = wanted.conversation.is_none_or(|only| only == record.message.conversation.id);
            if ours && here {
                out.line(&Record::Message(Box::new(record)))?;
            }
        }
    }
}

/// Reads what is there, cuts a torn end off, and says where to go on; `None`: it is whole.
fn resume(path: &Path) -> anyhow::Result<Option<(Out, ExportHead, Option<Stood>)>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut lines = Lines::new(io::BufReader::new(file));
    let mut head = None;
    let mut stood = None;
    let mut sum = lines.sum().clone();
    // A line that does not read is where the interruption was.
    while let Ok(Some(record)) = lines.next() {
        match record {
            Record::Wakeful(found) => head = Some(found),
            Record::Message(row) => {
                stood = Some(Stood { account: row.message.account.clone(), position: row.message.position });
            }
            Record::End(_) => return Ok(None),
            // What comes after the messages is quickly written anew.
            Record::Span(_) => break,
            Record::Account(_) | Record::Conversation(_) => {}
        }
        sum = lines.sum().clone();
    }
    let Some(head) = head else { bail!("{} is no export of wakeful's: nothing to go on with", path.display()) };
    if stood.is_none() {
        // Not even its beginning is whole: begin behind the first line.
        sum = first_line(path)?;
    }
    Ok(Some((Out::resume(path, sum)?, head, stood)))
}

fn first_line(path: &Path) -> anyhow::Result<Sum> {
    let mut lines = Lines::new(io::BufReader::new(std::fs::File::open(path)?));
    lines.next()?;
    Ok(lines.sum().clone())
}

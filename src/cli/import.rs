//! `wakeful import`: puts an export back, through the daemon where one runs, else under its lock. Nothing here
//! becomes older or double, so it may be interrupted and run again at any point.

use super::attach::{explain, own_store, running};
use super::export::Lines;
use super::progress::Progress;
use super::{Global, block_on, output};
use crate::ipc::Client;
use crate::ipc::wire::{self, Imported};
use crate::model::{ExportEnd, Record};
use crate::platform::StateLock;
use crate::store::Store;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Lines that go in at once, and the bytes after which fewer do.
const LINES: usize = 256;
const BYTES: usize = 256 << 10;

/// Put an export back.
///
/// Of messages that are here already only what is newer is taken, nothing is sent, nothing raises a notification. The whole file is
/// compared with its last line first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful import backup.jsonl\n  wakeful import backup.jsonl --verify     # only compare counts and digest\n  \
    wakeful import unfinished.jsonl --partial\n\nAfter an interruption run it again: it goes on where it was."
)]
pub(super) struct Args {
    /// What `wakeful export` wrote; `-`: standard input, which can only be compared at its end.
    file: PathBuf,
    /// Only compare counts and digest.
    #[arg(long)]
    verify: bool,
    /// Take what is there of an export that was not finished.
    #[arg(long)]
    partial: bool,
    /// Print `{"lines", "added", "known", "whole"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Outcome {
    lines: u64,
    added: u64,
    known: u64,
    whole: bool,
}

/// # Errors
/// A file that is not whole or not ours, an account of another protocol, or a disk that takes no more.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let from_file = args.file.as_os_str() != "-";
    let mut outcome = Outcome::default();
    if from_file {
        outcome = verify(&args.file, args.partial)?;
    }
    if !args.verify {
        outcome = block_on_import(global, args, from_file)?;
    } else if !from_file {
        outcome = judge(Lines::new(io::stdin().lock()), args.partial, None)?;
    }
    if args.json {
        return output::json(&outcome);
    }
    if args.verify {
        output::hint(format!("{} lines, counts and digest are right", outcome.lines));
    } else {
        output::hint(format!("{} messages are new here, {} were here already", outcome.added, outcome.known));
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 16, File::open(path).with_context(|| format!("cannot open {}", path.display()))?))
}

fn verify(path: &Path, partial: bool) -> anyhow::Result<Outcome> {
    let file = open(path)?;
    let size = file.get_ref().metadata().map_or(0, |found| found.len());
    judge(Lines::new(file), partial, Some(Progress::new(size))).with_context(|| path.display().to_string())
}

/// Reads everything and compares.
fn judge<R: BufRead>(mut lines: Lines<R>, partial: bool, mut progress: Option<Progress>) -> anyhow::Result<Outcome> {
    loop {
        match lines.next() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) if partial && lines.count() > 0 && !lines.is_whole() => {
                output::hint(format!("wakeful: {error:#}; what stands before is taken"));
                break;
            }
            Err(error) => return Err(error),
        }
        if let Some(progress) = &mut progress {
            progress.at(lines.bytes());
        }
    }
    if !lines.is_whole() && !partial {
        bail!(
            "its last line is missing: finish it with `wakeful export --resume`, or take what is there with --partial"
        );
    }
    Ok(Outcome { lines: lines.count(), whole: lines.is_whole(), ..Outcome::default() })
}

fn block_on_import(global: &Global, args: &Args, from_file: bool) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    block_on(async {
        let target = Target::open(global).await?;
        let done = if from_file {
            let file = open(&args.file)?;
            let size = file.get_ref().metadata().map_or(0, |found| found.len());
            put(&target, Lines::new(file), args.partial, Progress::new(size)).await
        } else {
            put(&target, Lines::new(io::stdin().lock()), args.partial, Progress::new(u64::MAX)).await
        };
        target.close().await;
        outcome = done?;
        Ok(())
    })?;
    Ok(outcome)
}

/// Reads on and hands over a bounded number of lines at a time.
async fn put<R: BufRead>(
    target: &Target,
    mut lines: Lines<R>,
    partial: bool,
    mut progress: Progress,
) -> anyhow::Result<Outcome> {
    let Some(Record::Wakeful(head)) = lines.next()? else { bail!("there is nothing in it") };
    let so_far = target.import(&head.id, 0, Vec::new()).await?.line;
    let mut outcome = Outcome::default();
    let (mut batch, mut begun) = (Vec::new(), lines.bytes());
    loop {
        let record = match lines.next() {
            Ok(record) => record,
            Err(_) if partial && !lines.is_whole() => None,
            Err(error) => return Err(error),
        };
        let over = record.is_none();
        // Accounts and conversations are said again, so that what follows finds them.
        let wanted = lines.count() > so_far || !matches!(record, Some(Record::Message(_)));
        batch.extend(record.filter(|_| wanted));
        if over && !lines.is_whole() && partial {
            // All that there is: with the last line, which it lacks, it is no interrupted import.
            batch.push(Record::End(ExportEnd::default()));
        }
        let large = usize::try_from(lines.bytes() - begun).unwrap_or(usize::MAX) >= BYTES;
        if batch.len() >= LINES || large || over {
            let done = target.import(&head.id, lines.count(), std::mem::take(&mut batch)).await?;
            outcome.added += done.added;
            outcome.known += done.known;
            begun = lines.bytes();
            progress.at(begun);
        }
        if over {
            break;
        }
    }
    if !lines.is_whole() && !partial {
        bail!("its last line is missing; what stands before is in");
    }
    outcome.lines = lines.count();
    outcome.whole = lines.is_whole();
    Ok(outcome)
}

/// Who takes the lines: the daemon, or the store itself while this command holds the daemon's lock.
enum Target {
    Daemon(Client),
    Store(Store, #[expect(dead_code, reason = "held until the end")] StateLock),
}

impl Target {
    async fn open(global: &Global) -> anyhow::Result<Self> {
        if let Some(client) = running(global).await? {
            return Ok(Self::Daemon(client));
        }
        global.paths.make()?;
        let (lock, store) = own_store(global).await?;
        Ok(Self::Store(store, lock))
    }

    async fn import(&self, export: &str, line: u64, records: Vec<Record>) -> anyhow::Result<Imported> {
        match self {
            Self::Daemon(client) => {
                client.call(wire::Import { export: export.into(), line, records }).await.map_err(explain)
            }
            Self::Store(store, _) => {
                let done = store.import(export.into(), line, records).await?;
                Ok(Imported { added: done.added, known: done.known, line: done.line })
            }
        }
    }

    async fn close(&self) {
        if let Self::Store(store, _) = self {
            store.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Settings;
    use crate::world::{Clock, Entropy};

    const HEAD: &str = r#"{"wakeful":{"format":1,"id":"x","version":"0","at":"2026-01-01T00:00:00.000Z","seq":0}}"#;
    const ACCOUNT: &str = r#"{"account":{"name":"work","protocol":"hub"}}"#;

    #[tokio::test]
    async fn only_an_import_that_was_interrupted_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { full_sync: false, ..Settings::default() };
        let store = Store::open(dir.path(), settings, Clock::system(), Entropy::seeded(1)).unwrap();
        let target = Target::Store(store, StateLock::take(&dir.path().join("lock")).unwrap());
        let text = format!("{HEAD}\n{ACCOUNT}\n{{\"acc");
        let lines = || Lines::new(text.as_bytes());
        assert!(put(&target, lines(), false, Progress::new(0)).await.is_err());
        target.import("x", 2, vec![serde_json::from_str(ACCOUNT).unwrap()]).await.unwrap();
        assert_eq!(target.import("x", 0, Vec::new()).await.unwrap().line, 2);
        put(&target, lines(), true, Progress::new(0)).await.unwrap();
        assert_eq!(target.import("x", 0, Vec::new()).await.unwrap().line, 0, "all that there is was taken in");
        target.close().await;
    }
}

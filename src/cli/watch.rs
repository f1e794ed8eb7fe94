//! `wakeful watch`: every new message as it comes, without gap and without double, however often the daemon restarts.

use super::attach::{attach, explain};
use super::output::hint;
use super::{Fault, Global, block_on, output, render};
use crate::ipc::wire::{Event, Find, Notification, Row, Subscribe};
use crate::ipc::{Client, ClientError, Subscription};
use crate::model::{FeedKind, Message, MessageId, Order, Seq};
use anyhow::bail;
use std::time::Duration;

/// How long the first and the longest wait between two attempts to reach a daemon that went away are.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Show new messages as they come.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful watch\n  wakeful watch --account work --json | while read -r line; do ...; done\n  \
    wakeful watch --json --after 4711    # go on after the message whose \"seq\" was 4711\n\n\
    A daemon that restarts is waited for; nothing is missed and nothing comes twice."
)]
pub(super) struct Args {
    /// Only this account's.
    #[arg(long, short)]
    account: Option<String>,
    /// Only this conversation: a user's name, an exact title, or an id.
    #[arg(long, short)]
    conversation: Option<String>,
    /// Begin after this change: the `seq` of the last message seen. 0: everything that is kept.
    #[arg(long, value_name = "SEQ")]
    after: Option<i64>,
    /// Show the accounts' states instead, whenever one changes, until the daemon ends.
    #[arg(long, conflicts_with_all = ["account", "conversation", "after"])]
    status: bool,
    /// Print one JSON object a line; its `seq` is what --after takes.
    #[arg(long)]
    json: bool,
}

/// What is watched.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) account: Option<String>,
    pub(super) conversation: Option<String>,
}

/// Prints until the output is closed.
///
/// # Errors
/// No daemon at the start, or an unknown account or conversation.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let wanted = Wanted { account: args.account.clone(), conversation: args.conversation.clone() };
    if args.status {
        return block_on(states(global, args.json));
    }
    block_on(async {
        let after = match args.after {
            Some(after) => Seq(after),
            None => attach(global).await?.status().await.map_err(explain)?.seq,
        };
        follow(global, wanted, after, args.json).await
    })
}

/// Prints the accounts' states at once and whenever one changes.
async fn states(global: &Global, json: bool) -> anyhow::Result<()> {
    let mut states = attach(global).await?.watch_status().await.map_err(explain)?;
    let closed = output_closed();
    tokio::pin!(closed);
    loop {
        let status = tokio::select! {
            next = states.next() => match next {
                Some(Ok(Notification::Status(status))) => status,
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(explain(error)),
                None => bail!("the daemon went away"),
            },
            () = &mut closed => return Err(Fault::OutputClosed.into()),
        };
        if json {
            output::json(&status)?;
        } else {
            super::status::lines(&status).into_iter().try_for_each(output::line)?;
        }
    }
}

/// Prints new messages after a change, for ever.
pub(super) async fn follow(global: &Global, wanted: Wanted, after: Seq, json: bool) -> anyhow::Result<()> {
    let mut follower = Follower { wanted, after, last: None, json };
    let mut first = true;
    loop {
        let subscription = match follower.subscribe(global, first).await? {
            Some(subscription) => subscription,
            None => follower.wait(global).await?,
        };
        if !first {
            hint("wakeful: the daemon is back");
        }
        first = false;
        follower.print(global, subscription).await?;
        hint("wakeful: the daemon went away; waiting for it");
    }
}

struct Follower {
    wanted: Wanted,
    after: Seq,
    last: Option<MessageId>,
    json: bool,
}

impl Follower {
    /// `None`: the daemon is not there, after it has been.
    async fn subscribe(&self, global: &Global, first: bool) -> anyhow::Result<Option<Subscription>> {
        let ask = Subscribe {
            after: Some(self.after),
            account: self.wanted.account.clone(),
            conversation: self.wanted.conversation.clone(),
            kinds: vec![FeedKind::Message],
            fleeting: false,
        };
        let client = match Client::connect(&global.paths.socket()).await {
            Ok(client) => client,
            Err(error) if first => return Err(explain(error)),
            Err(_) => return Ok(None),
        };
        match client.subscribe(ask).await {
            Ok(subscription) => Ok(Some(subscription)),
            Err(error @ ClientError::Fault(_)) => Err(explain(error)),
            Err(error) if first => Err(explain(error)),
            Err(_) => Ok(None),
        }
    }

    /// Tries again until the daemon is back.
    async fn wait(&self, global: &Global) -> anyhow::Result<Subscription> {
        let mut pause = RETRY.0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = output_closed() => return Err(Fault::OutputClosed.into()),
            }
            pause = (pause * 2).min(RETRY.1);
            if let Some(subscription) = self.subscribe(global, false).await? {
                return Ok(subscription);
            }
        }
    }

    /// Prints what comes until the daemon goes away.
    async fn print(&mut self, global: &Global, mut subscription: Subscription) -> anyhow::Result<()> {
        let closed = output_closed();
        tokio::pin!(closed);
        loop {
            let notification = tokio::select! {
                next = subscription.next() => next,
                () = &mut closed => return Err(Fault::OutputClosed.into()),
            };
            match notification {
                Some(Ok(Notification::Event(event))) => self.event(*event)?,
                Some(Ok(Notification::Resync(resync))) => self.resync(global, resync.seq).await?,
                Some(Ok(Notification::Status(_) | Notification::Fleeting(_))) => {}
                Some(Err(_)) | None => return Ok(()),
            }
        }
    }

    fn event(&mut self, event: Event) -> anyhow::Result<()> {
        self.after = event.seq;
        match event.message {
            Some(mut message) => {
                message.seq = event.seq;
                self.show(&message)
            }
            None => Ok(()),
        }
    }

    fn show(&mut self, message: &Message) -> anyhow::Result<()> {
        self.last = Some(message.id);
        if self.json { output::json(message) } else { output::line(render::message(message, true)) }
    }

    /// Too far behind for the feed: what is missing is read from history.
    async fn resync(&mut self, global: &Global, seq: Seq) -> anyhow::Result<()> {
        hint("wakeful: more happened than the feed keeps; reading on from history");
        self.after = seq;
        let Some(last) = self.last else { return Ok(()) };
        let find = Find {
            account: self.wanted.account.clone(),
            conversation: self.wanted.conversation.clone(),
            sort: Order::Asc,
            after: Some(last),
            ..Find::default()
        };
        let mut cursor = attach(global).await?.find(find);
        while let Some(row) = cursor.next().await {
            if let Row::Message(message) = row.map_err(explain)? {
                self.show(&message)?;
            }
        }
        Ok(())
    }
}

/// Ready when the reader of our output went away, so that an idle `watch | head -1` ends (elsewhere than on Linux the
/// next line finds out).
async fn output_closed() {
    #[cfg(target_os = "linux")]
    {
        use tokio::io::Interest;
        #[expect(deprecated, reason = "standard output stays open as long as the process")]
        let fd = tokio::io::unix::AsyncFd::with_interest(std::io::stdout(), Interest::ERROR);
        while let Ok(fd) = &fd
            && let Ok(mut guard) = fd.ready(Interest::ERROR).await
        {
            if guard.ready().is_error() {
                return;
            }
            guard.clear_ready();
        }
    }
    std::future::pending().await
}

//! `wakeful mark`: a conversation has been read; here, on the desktop and on every other device.

use super::attach::{attach, explain};
use super::{Global, block_on};
use crate::ipc::wire::MarkRead;
use crate::model::MessageId;

/// Mark a conversation as read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful mark work alice\n  wakeful mark work \"Release team\" --upto 0197...")]
pub(super) struct Args {
    /// The account.
    account: String,
    /// A user's name, a title, or an id.
    conversation: String,
    /// Only up to this message (an id); without it, all that is here.
    #[arg(long)]
    upto: Option<MessageId>,
}

/// Marks it.
///
/// # Errors
/// No daemon, or an unknown account or conversation.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    block_on(async {
        let client = attach(global).await?;
        let ask = MarkRead { account: Some(args.account), conversation: args.conversation, upto: args.upto };
        client.call(ask).await.map_err(explain)?;
        Ok(())
    })
}

//! `wakeful edit`, `wakeful delete`, `wakeful react`: changes to a message that is there already.

use super::attach::attach;
use super::conversation::change;
use super::{Global, block_on};
use crate::ipc::wire::{MessageEdit, MessageReact, MessageRetract};
use crate::model::MessageId;

/// Replace the text of a message of yours.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful edit 0197a0c2-... \"see you at nine\"\n  \
    wakeful edit \"$(wakeful history -c alice -n 1 --json | jq -r .id)\" \"see you at nine\"")]
pub(super) struct EditArgs {
    /// The message's id, as `send` prints it and `history --json` shows it.
    message: MessageId,
    /// The whole new text.
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// Take a message back, for everybody.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful delete 0197a0c2-...\n  wakeful delete 0197a0c2-... --json\n\n\
    Others may have read it. Who may take back whose messages, the server decides.")]
pub(super) struct DeleteArgs {
    /// The message's id.
    message: MessageId,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// React to a message, or take a reaction back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful react 0197a0c2-... 👍\n  wakeful react 0197a0c2-... 👍 --remove")]
pub(super) struct ReactArgs {
    /// The message's id.
    message: MessageId,
    /// An emoji.
    reaction: String,
    /// Take it back.
    #[arg(long)]
    remove: bool,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// No daemon, an unknown message, one of somebody else, or a refusal by the server.
pub(super) fn edit(global: &Global, args: EditArgs) -> anyhow::Result<()> {
    block_on(async {
        let ask = MessageEdit { message: args.message, text: args.text };
        change(&attach(global).await?, ask, args.json).await
    })
}

/// # Errors
/// No daemon, an unknown message, or a refusal by the server.
pub(super) fn delete(global: &Global, args: &DeleteArgs) -> anyhow::Result<()> {
    block_on(async { change(&attach(global).await?, MessageRetract { message: args.message }, args.json).await })
}

/// # Errors
/// No daemon, an unknown message, or a refusal by the server.
pub(super) fn react(global: &Global, args: ReactArgs) -> anyhow::Result<()> {
    block_on(async {
        let ask = MessageReact { message: args.message, key: args.reaction, on: !args.remove };
        change(&attach(global).await?, ask, args.json).await
    })
}

//! `wakeful why`, `notify`, `mute` and `dnd`: what was decided about banners, and what the user chooses.

use super::attach::{attach, explain};
use super::render::{harmless, local};
use super::when::When;
use super::{Fault, Global, block_on, output};
use crate::ipc::wire::{Hold, NotifyDecisions, NotifyDnd, NotifyMute, NotifyTest, Why};
use crate::model::MessageId;
use crate::notify::{Decision, Tested};
use crate::world::Clock;

/// Tell why a message did or did not raise a notification.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful why 0197b8a2-...")]
pub(super) struct WhyArgs {
    /// The message's id.
    message: MessageId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Try notifications and see what was decided.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful notify test\n  wakeful notify decisions -n 50 --json")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show a test notification and say what would keep real ones away.
    Test {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The newest decisions, newest first.
    Decisions {
        /// At most so many.
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// Silence a conversation or a whole account.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful mute work \"Release team\" --until 18:00\n  wakeful mute work alice --off\n  wakeful mute work"
)]
pub(super) struct MuteArgs {
    /// The account.
    account: String,
    /// A user's name, a title or an id; without it, the whole account.
    conversation: Option<String>,
    #[command(flatten)]
    hold: HoldArgs,
}

/// Do not disturb: no notifications until it is lifted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful dnd\n  wakeful dnd --until 14:30\n  wakeful dnd --off")]
pub(super) struct DndArgs {
    #[command(flatten)]
    hold: HoldArgs,
}

#[derive(Debug, clap::Args)]
struct HoldArgs {
    /// Until then, e.g. "18:00" or RFC 3339; without it, until it is lifted.
    #[arg(long, conflicts_with = "off")]
    until: Option<When>,
    /// Lift it.
    #[arg(long)]
    off: bool,
    /// Print all choices that hold as JSON.
    #[arg(long)]
    json: bool,
}

impl HoldArgs {
    fn hold(&self) -> anyhow::Result<Hold> {
        let now = Clock::system().wall();
        match &self.until {
            None if self.off => Ok(Hold::Off),
            None => Ok(Hold::Forever),
            Some(when) => match when.at(now)? {
                then if then <= now => Err(Fault::Usage("--until is in the past".into()).into()),
                then => Ok(Hold::Until(then)),
            },
        }
    }

    fn print(&self, choices: &serde_json::Value) -> anyhow::Result<()> {
        if self.json { output::json(choices) } else { Ok(()) }
    }
}

/// Prints the decisions about one message.
///
/// # Errors
/// No daemon.
pub(super) fn why(global: &Global, args: &WhyArgs) -> anyhow::Result<()> {
    block_on(async {
        let answer = attach(global).await?.call(Why { message: args.message }).await.map_err(explain)?;
        let decisions: Vec<Decision> = serde_json::from_value(answer)?;
        if decisions.is_empty() && !args.json {
            return output::line("nothing was decided about it since the daemon started");
        }
        decisions.iter().try_for_each(|decision| print(decision, args.json))
    })
}

/// Tries, or shows decisions.
///
/// # Errors
/// No daemon, or no notification server.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    block_on(async {
        let client = attach(global).await?;
        match args.verb {
            Verb::Test { json } => {
                let answer = client.call(NotifyTest {}).await.map_err(explain)?;
                if json {
                    return output::json(&answer);
                }
                let tested: Tested = serde_json::from_value(answer)?;
                output::line(format!("shown by {}", harmless(&tested.server)))?;
                tested.obstacles.iter().try_for_each(|obstacle| output::line(format!("but: {}", harmless(obstacle))))
            }
            Verb::Decisions { limit, json } => {
                let answer = client.call(NotifyDecisions { limit: Some(limit) }).await.map_err(explain)?;
                let decisions: Vec<Decision> = serde_json::from_value(answer)?;
                decisions.iter().try_for_each(|decision| print(decision, json))
            }
        }
    })
}

/// Silences, or lets speak again.
///
/// # Errors
/// No daemon, or an unknown account or conversation.
pub(super) fn mute(global: &Global, args: MuteArgs) -> anyhow::Result<()> {
    block_on(async {
        let hold = args.hold.hold()?;
        let ask = NotifyMute { account: Some(args.account), conversation: args.conversation, hold };
        args.hold.print(&attach(global).await?.call(ask).await.map_err(explain)?)
    })
}

/// Sets or lifts it.
///
/// # Errors
/// No daemon.
pub(super) fn dnd(global: &Global, args: &DndArgs) -> anyhow::Result<()> {
    block_on(async {
        let ask = NotifyDnd { hold: args.hold.hold()? };
        args.hold.print(&attach(global).await?.call(ask).await.map_err(explain)?)
    })
}

fn print(decision: &Decision, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(decision);
    }
    let verdict = format!("{:?}", decision.verdict).to_lowercase();
    let text = harmless(&decision.text);
    output::line(format!("{}  {verdict:<9}  {}  {text}", local(decision.at), decision.message))
}

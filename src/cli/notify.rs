//! `wakeful why` and `notify`: what was decided about banners, and a test of them.

use super::attach::{attach, explain};
use super::render::{harmless, local};
use super::{Global, block_on, output};
use crate::ipc::wire::{NotifyDecisions, NotifyTest, Why};
use crate::model::MessageId;
use crate::notify::{Decision, Tested};

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

fn print(decision: &Decision, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(decision);
    }
    let verdict = format!("{:?}", decision.verdict).to_lowercase();
    let text = harmless(&decision.text);
    output::line(format!("{}  {verdict:<9}  {}  {text}", local(decision.at), decision.message))
}

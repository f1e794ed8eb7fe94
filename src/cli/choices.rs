//! `wakeful mute`, `dnd` and `quiet`: what the user chooses about banners. The daemon keeps it over restarts.

use super::attach::{attach, explain};
use super::render::{harmless, local};
use super::when::When;
use super::{Fault, Global, block_on, output};
use crate::config::ClockTime;
use crate::ipc::wire::{Hold, Method, NotifyChoices, NotifyDnd, NotifyMute, NotifyQuiet, Quiet};
use crate::notify::{Hours, Standing, Until};
use crate::world::Clock;
use serde_json::Value;
use std::str::FromStr;

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

/// Quiet hours: every day, notifications wait between two times. Without an argument: what holds now.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful quiet\n  wakeful quiet 22:00-07:00\n  wakeful quiet --off\n  wakeful quiet --reset"
)]
pub(super) struct QuietArgs {
    /// From and to in local time; to earlier than from: past midnight.
    hours: Option<Span>,
    /// None, whatever the configuration says.
    #[arg(long, conflicts_with = "hours")]
    off: bool,
    /// Those of the configuration again.
    #[arg(long, conflicts_with_all = ["hours", "off"])]
    reset: bool,
    /// Print all choices that hold as JSON.
    #[arg(long)]
    json: bool,
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

/// `22:00-07:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: ClockTime,
    to: ClockTime,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = || format!("{text:?} are no quiet hours: write for example \"22:00-07:00\"");
        let (from, to) = text.split_once('-').ok_or_else(hint)?;
        let (from, to) = (from.trim().parse()?, to.trim().parse()?);
        if from == to { Err(hint()) } else { Ok(Self { from, to }) }
    }
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
}

/// Silences, or lets speak again.
///
/// # Errors
/// No daemon, or an unknown account or conversation.
pub(super) fn mute(global: &Global, args: MuteArgs) -> anyhow::Result<()> {
    let hold = args.hold.hold()?;
    let what = args.conversation.clone().unwrap_or_else(|| args.account.clone());
    let ask = NotifyMute { account: Some(args.account), conversation: args.conversation, hold };
    ask_and_print(global, ask, args.hold.json, |_| format!("{} is {}", harmless(&what), held("muted", hold)))
}

/// Sets or lifts it.
///
/// # Errors
/// No daemon.
pub(super) fn dnd(global: &Global, args: &DndArgs) -> anyhow::Result<()> {
    let hold = args.hold.hold()?;
    ask_and_print(global, NotifyDnd { hold }, args.hold.json, |_| format!("do not disturb is {}", held("on", hold)))
}

/// Shows, sets or switches off quiet hours.
///
/// # Errors
/// No daemon.
pub(super) fn quiet(global: &Global, args: &QuietArgs) -> anyhow::Result<()> {
    let quiet = match args.hours {
        Some(Span { from, to }) => Some(Quiet::Daily { from: from.0, to: to.0 }),
        None if args.off => Some(Quiet::Off),
        None if args.reset => Some(Quiet::Configured),
        None => None,
    };
    match quiet {
        Some(quiet) => ask_and_print(global, NotifyQuiet { quiet }, args.json, quiet_line),
        None => ask_and_print(global, NotifyChoices {}, args.json, everything),
    }
}

fn ask_and_print<A>(global: &Global, ask: A, json: bool, text: impl FnOnce(&Standing) -> String) -> anyhow::Result<()>
where
    A: Method<Answer = Value>,
{
    block_on(async {
        let answer = attach(global).await?.call(ask).await.map_err(explain)?;
        if json {
            return output::json(&answer);
        }
        let standing: Standing = serde_json::from_value(answer)?;
        output::line(text(&standing))
    })
}

fn held(word: &str, hold: Hold) -> String {
    match hold {
        Hold::Off => format!("not {word}"),
        Hold::Forever => word.to_owned(),
        Hold::Until(time) => format!("{word} until {}", local(time)),
    }
}

fn quiet_line(standing: &Standing) -> String {
    let now = if standing.quiet_now { ", now too" } else { "" };
    match &standing.quiet_hours {
        Some(Hours { from, to }) => format!("quiet every day from {from} to {to}{now}"),
        None => "no quiet hours".into(),
    }
}

fn everything(standing: &Standing) -> String {
    let hold = |until: &Until| match until {
        Until::Forever => Hold::Forever,
        Until::Time(time) => Hold::Until(*time),
    };
    let mut lines = vec![quiet_line(standing)];
    let choices = &standing.choices;
    lines.extend(choices.dnd.iter().map(|until| format!("do not disturb is {}", held("on", hold(until)))));
    let accounts = choices.accounts.iter().map(|(name, until)| (format!("account {}", harmless(name)), until));
    let conversations = choices.conversations.iter().map(|(id, until)| (format!("conversation {id}"), until));
    lines
        .extend(accounts.chain(conversations).map(|(what, until)| format!("{what} is {}", held("muted", hold(until)))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_are_read_or_refused_with_an_example() {
        let span: Span = "22:00-07:30".parse().unwrap();
        assert_eq!((span.from.0, span.to.0), (1320, 450));
        for wrong in ["22:00", "22-7", "22:00-25:00", "08:00-08:00", ""] {
            assert!(wrong.parse::<Span>().unwrap_err().contains("write for example"), "{wrong}");
        }
    }

    #[test]
    fn what_holds_is_told_in_plain_words() {
        let mut standing = Standing {
            choices: crate::notify::Choices::default(),
            quiet_hours: Some(crate::notify::Quiet { from: 1320, to: 420 }.into()),
            quiet_now: true,
        };
        standing.choices.dnd = Some(Until::Forever);
        standing.choices.accounts.insert("work".into(), Until::Forever);
        let told = "quiet every day from 22:00 to 07:00, now too\ndo not disturb is on\naccount work is muted";
        assert_eq!(everything(&standing), told);
        let json = serde_json::to_value(&standing).unwrap();
        assert_eq!((&json["dnd"], &json["quiet_hours"]["from"]), (&"forever".into(), &"22:00".into()));
    }
}

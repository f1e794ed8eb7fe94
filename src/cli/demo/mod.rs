//! `wakeful demo`: the main job in seconds, in one process, on temporary state.
//!
//! A hub, two people with a daemon each, a network that goes silent, and at the end a verdict that is computed from
//! what was really received. It touches no network but this machine's loopback, and none of the user's files.

mod house;
mod relay;
mod story;
mod summary;
mod timeline;

use super::{Fault, output};
use crate::world::Clock;
use house::House;
use timeline::Timeline;

/// See it work: two people, a network that fails, nothing lost.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wakeful demo\n  wakeful demo --stay     then attach with `wakeful watch` as it says\n  \
    wakeful demo --json | jq .lost\n\nExit status 0 only if nothing was lost or doubled and every notification came."
)]
pub(super) struct Args {
    /// Keep hub and daemons running afterwards, and say how to attach to them
    #[arg(long)]
    stay: bool,
    /// Print the timeline and the summary as one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// Plays the demo and tells how it went.
///
/// # Errors
/// When something of the promise did not hold, or the stage could not be set.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    super::block_on(play(args))
}

async fn play(args: &Args) -> anyhow::Result<()> {
    let clock = Clock::system();
    let mut timeline = Timeline::new(clock.now(), args.json);
    let mut house = House::build(clock.clone(), &mut timeline).await?;
    let told = story::play(&mut house, &mut timeline).await;
    if args.stay {
        stay(&house).await?;
    }
    house.close().await;
    let summary = told?;
    if args.json {
        output::json(&serde_json::json!({ "summary": summary, "timeline": timeline.into_lines() }))?;
    } else {
        output::line(&summary)?;
    }
    if summary.holds() { Ok(()) } else { Err(Fault::Said.into()) }
}

async fn stay(house: &House) -> anyhow::Result<()> {
    output::hint("\nStill running. In another terminal:");
    for (person, does) in [(&house.anna, "watch"), (&house.ben, "send ben anna hello")] {
        output::hint(format!("  WAKEFUL_HOME={} wakeful {does}", person.home.display()));
    }
    output::hint("Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

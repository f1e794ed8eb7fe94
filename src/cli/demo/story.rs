//! What happens in the demo, step by step. Every claim is taken from the daemon over IPC, as a GUI would.

use super::house::{House, PATIENCE, Person};
use super::summary::Summary;
use super::timeline::Timeline;
use crate::ipc::wire::{AttentionSet, Find, Hello, MarkRead, Notification, OutboxWait, Row, Subscribe, Until};
use crate::ipc::{Client, Subscription};
use crate::model::{AccountState, ConversationId, FeedKind, Message, MessageId, Order};
use crate::notify::Seen;
use anyhow::{Context as _, bail};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What ben writes while nobody looks, before and during the cut.
const FIRST: &str = "Are you awake? 🐦";
const DURING: [&str; 3] = ["The train is late.", "Platform <4> & not 7!", "Can you wait for me?"];
const LOOKING: &str = "I see you there.";
const REPLY: &str = "I was asleep, wakeful was not.";

/// Long enough to notice a banner that should not come.
const QUIET: Duration = Duration::from_millis(700);

pub(super) async fn play(house: &mut House, timeline: &mut Timeline) -> anyhow::Result<Summary> {
    let mut summary = Summary { notification_server: house.server.clone(), ..Summary::default() };
    let mut arrivals = arrivals(&house.anna.client).await?;
    first_message(house, timeline, &mut summary).await.context("the first message")?;
    cut(house, timeline, &mut summary, &mut arrivals).await.context("the cut")?;
    attach(house, timeline, &mut summary, &mut arrivals).await.context("a GUI attached")?;
    Ok(summary)
}

/// Nobody looks: a message becomes a notification.
async fn first_message(house: &mut House, timeline: &mut Timeline, summary: &mut Summary) -> anyhow::Result<()> {
    timeline.say(house.clock.now(), "no app is open on anna's side; ben sends her a message");
    let sent = house.clock.now();
    let id = say(&house.ben, FIRST).await?;
    let (title, body) = banner(house).await?;
    let now = house.clock.now();
    let took = now.saturating_duration_since(sent);
    summary.send_to_notification_ms = Some(millis(took));
    summary.banners += 1;
    let shown = match &house.server {
        Some(server) => format!("{server} shows it"),
        None => "no notification server here; it would have shown".into(),
    };
    timeline.say(now, format!("{shown}, {} ms after the send:  [{title}] {body}", millis(took)));
    confirmed(&house.ben.client, id).await?;
    summary.sent += 1;
    Ok(())
}

/// The network goes silent, three are sent, the network comes back.
async fn cut(
    house: &mut House,
    timeline: &mut Timeline,
    summary: &mut Summary,
    arrivals: &mut Subscription,
) -> anyhow::Result<()> {
    let first = next(arrivals).await?;
    if first.text != FIRST {
        bail!("{:?} came instead of the first message", first.text);
    }
    house.relay.cut();
    let cut = house.clock.now();
    timeline.say(cut, "anna's network is cut: nothing is closed, nothing gets through");
    let why = house.anna.until_state(|state| state != AccountState::Online).await?.unwrap_or_default();
    let noticed = house.clock.now().saturating_duration_since(cut);
    summary.cut_noticed_after_ms = Some(millis(noticed));
    timeline.say(house.clock.now(), format!("her daemon noticed after {:.1} s: {why}", noticed.as_secs_f64()));
    for text in DURING {
        let id = say(&house.ben, text).await?;
        confirmed(&house.ben.client, id).await?;
        summary.sent += 1;
    }
    timeline.say(house.clock.now(), "ben has sent three more; the hub has them, anna cannot");
    house.relay.restore();
    let back = house.clock.now();
    timeline.say(back, "the network is back");
    for _ in DURING {
        next(arrivals).await?;
    }
    let took = house.clock.now().saturating_duration_since(back);
    summary.back_after_ms = Some(millis(took));
    timeline.say(house.clock.now(), format!("all three are on anna's disk {:.1} s later", took.as_secs_f64()));
    let (title, _) = banner(house).await?;
    summary.banners += 1;
    timeline.say(house.clock.now(), format!("and one notification tells of them:  [{title}]"));
    Ok(())
}

/// A GUI comes: notifications stop, it reads history and replies.
async fn attach(
    house: &mut House,
    timeline: &mut Timeline,
    summary: &mut Summary,
    arrivals: &mut Subscription,
) -> anyhow::Result<()> {
    let gui = Client::connect(house.anna.client.path()).await?;
    gui.call(Hello { client: "demo".into(), version: None }).await?;
    let rows = history(&gui).await?;
    let conversation = rows.first().context("the history is empty")?.conversation.id;
    gui.call(AttentionSet { conversation: Some(conversation), idle: false }).await?;
    timeline.say(house.clock.now(), format!("a GUI attaches over IPC, reads {} messages and stays", rows.len()));
    mark_read(&gui, conversation).await?;
    withdrawn(house).await?;
    timeline.say(house.clock.now(), "what it has shown is read: the notification is withdrawn");
    while house.anna.seen.try_recv().is_ok() {}

    let id = say(&house.ben, LOOKING).await?;
    confirmed(&house.ben.client, id).await?;
    summary.sent += 1;
    next(arrivals).await?;
    summary.silent_while_looking = timeout(QUIET, banner(house)).await.is_err();
    let quiet =
        if summary.silent_while_looking { "no notification, since she looks" } else { "a banner came all the same" };
    timeline.say(house.clock.now(), format!("ben writes again: the GUI has it at once, {quiet}"));

    let reply = gui.send("anna", &conversation.to_string(), REPLY).await?.id;
    confirmed(&gui, reply).await?;
    let answered = history(&house.ben.client).await?;
    summary.reply_arrived = await_reply(&house.ben, answered).await?;
    timeline.say(house.clock.now(), format!("anna replies from the GUI; ben has it: {}", summary.reply_arrived));
    verdict(&history(&gui).await?, summary);
    Ok(())
}

/// What anna has, against what ben has sent.
fn verdict(rows: &[Message], summary: &mut Summary) {
    let expected: Vec<&str> = std::iter::once(FIRST).chain(DURING).chain([LOOKING]).collect();
    let got: Vec<&str> = rows.iter().filter(|row| !row.outgoing).map(|row| row.text.as_str()).collect();
    summary.received = got.len();
    summary.lost = expected.iter().filter(|text| !got.contains(text)).count();
    let times = |text: &&str| got.iter().filter(|other| *other == text).count();
    summary.doubled = expected.iter().map(|text| times(text).saturating_sub(1)).sum();
    summary.in_order = got == expected;
}

async fn say(from: &Person, text: &str) -> anyhow::Result<MessageId> {
    Ok(from.client.send("ben", "anna", text).await?.id)
}

async fn confirmed(client: &Client, id: MessageId) -> anyhow::Result<()> {
    let timeout_ms = Some(millis(PATIENCE));
    client.call(OutboxWait { id, until: Until::Sent, timeout_ms }).await.context("waiting for the hub to have it")?;
    Ok(())
}

async fn mark_read(gui: &Client, conversation: ConversationId) -> anyhow::Result<()> {
    gui.call(MarkRead { account: None, conversation: conversation.to_string(), upto: None }).await?;
    Ok(())
}

/// All of the account's messages, oldest first, by cursor.
async fn history(client: &Client) -> anyhow::Result<Vec<Message>> {
    let rows = client.find(Find::default()).sort(Order::Asc).to_vec(1_000).await?;
    let message = |row| match row {
        Row::Message(message) => Some(*message),
        Row::Hole(_) => None,
    };
    Ok(rows.into_iter().filter_map(message).collect())
}

async fn await_reply(ben: &Person, mut rows: Vec<Message>) -> anyhow::Result<bool> {
    let mut arrivals = arrivals(&ben.client).await?;
    let deadline = Instant::from(tokio::time::Instant::now() + PATIENCE);
    loop {
        if rows.iter().any(|row| !row.outgoing && row.text == REPLY) {
            return Ok(true);
        }
        if tokio::time::timeout_at(deadline.into(), next(&mut arrivals)).await.is_err() {
            return Ok(false);
        }
        rows = history(&ben.client).await?;
    }
}

async fn arrivals(client: &Client) -> anyhow::Result<Subscription> {
    let kinds = vec![FeedKind::Message];
    Ok(client.subscribe(Subscribe { kinds, ..Subscribe::default() }).await?)
}

/// The next message that arrived.
async fn next(arrivals: &mut Subscription) -> anyhow::Result<Message> {
    let arrived = async {
        while let Some(notification) = arrivals.next().await {
            if let Notification::Event(event) = notification?
                && let Some(message) = event.message
                && !message.outgoing
            {
                return Ok(message);
            }
        }
        bail!("the daemon ended the connection");
    };
    timeout(PATIENCE, arrived).await.context("no message came")?
}

/// The next notification that was shown: title and body.
async fn banner(house: &mut House) -> anyhow::Result<(String, String)> {
    let shown = async {
        while let Some(seen) = house.anna.seen.recv().await {
            if let Seen::Notify(notice, Ok(_)) = seen {
                return Ok((notice.summary, notice.body.replace('\n', " / ")));
            }
        }
        bail!("notifications have stopped");
    };
    timeout(PATIENCE, shown).await.context("no notification came")?
}

async fn withdrawn(house: &mut House) -> anyhow::Result<()> {
    let closed = async {
        while let Some(seen) = house.anna.seen.recv().await {
            if matches!(seen, Seen::Close(_)) {
                return Ok(());
            }
        }
        bail!("notifications have stopped");
    };
    timeout(PATIENCE, closed).await.context("the notification was not withdrawn")?
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

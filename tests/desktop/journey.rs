//! From the committed message to the screen and back: the whole task against the programmable server.

use crate::bus::Bus;
use crate::monitor::{Monitor, Seen};
use crate::programmable::{Asked, Programmable};
use crate::support::eventually;
use crate::task::Task;
use std::time::{Duration, Instant};
use wakeful::model::{CommandKind, Event, Origin, Signal};
use wakeful::notify::{Choice, Settings, Until, Verdict, Why};
use wakeful::store::BannerState;
use wakeful::world::Clock;

const FULL: [&str; 5] = ["actions", "body", "body-markup", "inline-reply", "persistence"];

struct Scene {
    bus: Bus,
    server: Programmable,
    monitor: Monitor,
    task: Task,
}

async fn scene(settings: Settings) -> Option<Scene> {
    let bus = Bus::start()?;
    let server = Programmable::on(&bus, &FULL).await;
    let monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, settings).await;
    Some(Scene { bus, server, monitor, task })
}

/// What is in the outbox.
async fn outbox(task: &Task) -> Vec<CommandKind> {
    let rows = task.store.take_outbox(task.account, 10, Clock::system().wall()).await.unwrap();
    rows.into_iter().map(|row| row.what).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_shown_recorded_and_withdrawn_when_it_is_read() {
    let Some(Scene { bus: _bus, server, mut monitor, task }) = scene(Settings::default()).await else { return };
    let message = task.message("ann", "1 < 2").await;
    let seen = monitor.notify(1).await;
    assert_eq!((seen.summary.as_str(), seen.body.as_str()), ("ann", "1 &lt; 2"));
    let shown = BannerState::Shown { server: server.unique_name(), id: 1 };
    loop {
        let banners = task.store.banners().await.unwrap();
        if banners.len() == 1 && banners[0].state == shown {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let decisions = task.notifier.why(message).await.unwrap();
    assert_eq!(decisions.last().map(|one| (one.verdict, one.why)), Some((Verdict::Shown, Why::Wanted)));
    task.read(message).await;
    monitor.closed(1).await;
    let decisions = task.notifier.recent(10).await.unwrap();
    assert_eq!(decisions.last().map(|one| (one.verdict, one.why)), Some((Verdict::Withdrawn, Why::Read)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_typed_into_the_notification_is_in_the_outbox_while_there_is_no_network() {
    let Some(Scene { bus: _bus, server, mut monitor, task }) = scene(Settings::default()).await else { return };
    let message = task.message("ann", "are you there?").await;
    let seen = monitor.notify(1).await;
    assert_eq!(seen.actions, ["inline-reply", "Reply", "mark-read", "Mark read", "mute-1h", "Mute 1 h"]);
    let conversation = task.store.message(message).await.unwrap().conversation.id;
    task.answered().await;
    server.emit("NotificationReplied", &(1_u32, " yes, 2 min ☕ "), true).await;
    server.emit("NotificationClosed", &(1_u32, 2_u32), true).await;
    let mut rows = Vec::new();
    while rows.is_empty() {
        rows = outbox(&task).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(&rows[0], CommandKind::Send { text, .. } if text == "yes, 2 min ☕"), "{rows:?}");
    while task.store.conversation(conversation).await.unwrap().unread > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_starts_the_app_with_the_conversation_and_the_token() {
    let Some(bus) = Bus::start() else { return };
    let out = bus.dir().join("opened");
    let script = r#"printf '%s %s %s' "$XDG_ACTIVATION_TOKEN" "$1" "$2" >"$0.new" && mv "$0.new" "$0""#;
    let open = ["sh", "-c", script, out.to_str().unwrap(), "{account}", "{conversation}"].map(String::from).to_vec();
    let server = Programmable::on(&bus, &FULL).await;
    let mut monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, Settings { open, ..Settings::default() }).await;
    let message = task.message("ann", "look").await;
    assert_eq!(monitor.notify(1).await.actions[..2], ["default", "Open"]);
    task.answered().await;
    server.emit("ActivationToken", &(1_u32, "token-7"), true).await;
    server.emit("ActionInvoked", &(1_u32, "default"), true).await;
    let opened = eventually("the app to start", || std::fs::read_to_string(&out).ok());
    let conversation = task.store.message(message).await.unwrap().conversation.id;
    assert_eq!(opened, format!("token-7 work {conversation}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_buttons_mark_read_and_mute_do_what_they_say() {
    let Some(Scene { bus: _bus, server, mut monitor, task }) = scene(Settings::default()).await else { return };
    task.message("ann", "one").await;
    monitor.notify(1).await;
    task.answered().await;
    server.emit("ActionInvoked", &(1_u32, "mark-read"), true).await;
    monitor.closed(1).await;

    let message = task.message("bob", "two").await;
    monitor.notify(2).await;
    task.answered().await;
    server.emit("ActionInvoked", &(2_u32, "mute-1h"), true).await;
    monitor.closed(2).await;
    let conversation = task.store.message(message).await.unwrap().conversation.id;
    assert!(task.notifier.choices().await.unwrap().choices.conversations.contains_key(&conversation));
    let muted = task.message("bob", "three").await;
    let mut decisions = Vec::new();
    while decisions.is_empty() {
        decisions = task.notifier.why(muted).await.unwrap();
    }
    assert_eq!(decisions[0].why, Why::Muted);
    assert_eq!(monitor.notifies().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_what_is_unread_is_put_in_its_place_and_what_was_read_is_taken_away() {
    let Some(Scene { bus, server: _server, mut monitor, task }) = scene(Settings::default()).await else { return };
    task.message("ann", "unread").await;
    monitor.notify(1).await;
    let read = task.message("bob", "read meanwhile").await;
    monitor.notify(2).await;
    task.answered().await;
    let conversation = task.store.message(read).await.unwrap().conversation.id;
    let store = task.stop().await;
    store.mark_read(conversation, Some(read), Clock::system().wall()).await.unwrap();
    let task = Task::on(store, &bus, Settings::default()).await;
    let again = monitor.notify(3).await;
    assert_eq!((again.replaces, again.summary.as_str()), (1, "ann"));
    assert!(again.hints.contains_key("suppress-sound"));
    monitor.closed(2).await;
    drop(task);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_came_without_a_server_is_shown_when_one_comes() {
    let Some(bus) = Bus::start() else { return };
    let mut monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, Settings::default()).await;
    let message = task.message("ann", "early").await;
    while task.notifier.why(message).await.unwrap().last().map(|one| one.why) != Some(Why::NoServer) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _server = Programmable::on(&bus, &["body"]).await;
    assert_eq!(monitor.notify(1).await.body, "early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn do_not_disturb_survives_a_restart_and_a_test_names_it() {
    let Some(Scene { bus, server: _server, mut monitor, task }) = scene(Settings::default()).await else { return };
    task.notifier.choose(Choice::Dnd(Some(Until::Forever))).await.unwrap();
    let task = Task::on(task.stop().await, &bus, Settings::default()).await;
    let message = task.message("ann", "psst").await;
    let mut decisions = Vec::new();
    while decisions.is_empty() {
        decisions = task.notifier.why(message).await.unwrap();
    }
    assert_eq!((decisions[0].verdict, decisions[0].why), (Verdict::Held, Why::Dnd));
    let tested = loop {
        match task.notifier.test().await {
            Ok(tested) if !tested.server.is_empty() => break tested,
            // The server is not met yet.
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!((tested.server.as_str(), tested.obstacles.len()), ("programmable 1", 1));
    task.notifier.choose(Choice::Dnd(None)).await.unwrap();
    let shown = |one: &Seen| matches!(one, Seen::Notify(notify) if notify.body == "psst");
    monitor.wait("the held message", |seen| seen.iter().any(shown).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_app_has_on_screen_raises_nothing_until_it_looks_away() {
    let Some(Scene { bus: _bus, server: _server, mut monitor, task }) = scene(Settings::default()).await else {
        return;
    };
    let first = task.message("ann", "one").await;
    monitor.notify(1).await;
    task.look_at(Some(first)).await;
    let second = task.message("ann", "two").await;
    let mut decisions = Vec::new();
    while decisions.is_empty() {
        decisions = task.notifier.why(second).await.unwrap();
    }
    assert_eq!((decisions[0].verdict, decisions[0].why), (Verdict::Dropped, Why::OnScreen));
    task.look_at(None).await;
    task.message("ann", "three").await;
    assert_eq!(monitor.notify(2).await.body, "one\nthree");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_away_before_the_message_counts_although_the_task_was_busy() {
    let Some(Scene { bus: _bus, server, mut monitor, task }) = scene(Settings::default()).await else { return };
    let first = task.message("ann", "one").await;
    monitor.notify(1).await;
    task.answered().await;
    task.look_at(Some(first)).await;
    let second = task.message("ann", "two").await;
    while task.notifier.why(second).await.unwrap().is_empty() {}
    // The task waits for the server and hears nothing meanwhile.
    server.hang(true);
    task.message("bob", "busy").await;
    monitor.notify(2).await;
    task.look_at(None).await;
    task.message("ann", "three").await;
    server.hang(false);
    let shown = |one: &Seen| matches!(one, Seen::Notify(notify) if notify.body == "one\nthree");
    monitor.wait("the message after the look away", |seen| seen.iter().any(shown).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_screen_hides_and_the_desktops_do_not_disturb_holds() {
    let Some(Scene { bus: _bus, server, mut monitor, task }) = scene(Settings::default()).await else { return };
    task.signal(Signal::Locked(true));
    task.message("ann", "secret").await;
    let hidden = monitor.notify(1).await;
    assert_eq!((hidden.summary.as_str(), hidden.body.as_str()), ("New message", ""));
    task.signal(Signal::Locked(false));
    let open = monitor.notify(2).await;
    assert_eq!((open.replaces, open.body.as_str()), (1, "secret"));
    server.inhibit(true).await;
    while task.notifier.test().await.unwrap().obstacles.is_empty() {}
    task.message("bob", "later").await;
    server.inhibit(false).await;
    let shown = |one: &Seen| matches!(one, Seen::Notify(notify) if notify.body == "later");
    monitor.wait("the held message", |seen| seen.iter().any(shown).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversations_picture_is_shown_if_it_is_small_and_nothing_is_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let header = |side: u32| [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &side.to_be_bytes(), &side.to_be_bytes()].concat();
    let picture = |name: &str, side| {
        let file = dir.path().join(name);
        std::fs::write(&file, header(side)).unwrap();
        wakeful::notify::Override { picture: Some(file), ..Default::default() }
    };
    let conversations = [("ann".to_owned(), picture("ann.png", 64)), ("bob".to_owned(), picture("bob.png", 70_000))];
    let settings = Settings { conversations: conversations.into(), ..Settings::default() };
    let Some(Scene { bus: _bus, server: _server, mut monitor, task }) = scene(settings).await else { return };
    task.message("ann", "hi").await;
    assert!(monitor.notify(1).await.hints["image-path"].ends_with("/ann.png"));
    task.message("bob", "ho").await;
    assert!(monitor.notify(2).await.hints["image-path"].ends_with("/wakeful.svg"), "too large: our icon");
    task.signal(Signal::Locked(true));
    let hidden = |one: &Seen| matches!(one, Seen::Notify(one) if one.replaces == 1 && one.hints["image-path"].ends_with("/wakeful.svg"));
    monitor.wait("the picture hidden", |seen| seen.iter().any(hidden).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_missed_messages_make_at_most_three_notifications() {
    let Some(Scene { bus, server: _server, mut monitor, task }) = scene(Settings::default()).await else {
        return;
    };
    for chunk in 0..50 {
        let one = |number: usize| {
            task.arrival(None, &format!("p{}", number % 20), &format!("{chunk}/{number}"), Origin::CatchUp)
        };
        task.commit((0..200).map(one).collect()).await;
    }
    task.commit(vec![Event::CaughtUp]).await;
    let summary = monitor.notify(3).await;
    assert!(summary.summary.ends_with("new messages in 18 conversations"), "{}", summary.summary);
    task.answered().await;
    assert_eq!(monitor.notifies().len(), 3);
    let kept = task.store.banners().await.unwrap().len();
    assert!(kept <= 20 * 32, "{kept} are kept one by one");
    assert_eq!(task.notifier.recent(5_000).await.unwrap().len(), 1_000, "so many decisions are kept");
    // After a restart the numbers are the same.
    let task = Task::on(task.stop().await, &bus, Settings::default()).await;
    let summary = summary.summary;
    monitor
        .wait("the same numbers", |seen| {
            let again =
                |one: &Seen| matches!(one, Seen::Notify(notify) if notify.replaces > 0 && notify.summary == summary);
            seen.iter().any(again).then_some(())
        })
        .await;
    drop(task);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_does_not_slow_what_arrives() {
    let Some(Scene { bus: _bus, server, monitor: _monitor, task }) =
        scene(Settings { rate: 1_000, ..Settings::default() }).await
    else {
        return;
    };
    // Whoever waited for the server would wait two seconds. A machine that is busy may slow one round, not each.
    let mut slowest = Vec::new();
    for round in 0..3 {
        let (_, healthy) = ingest(&task, &format!("ann {round}")).await;
        server.hang(true);
        let (slow, hung) = ingest(&task, &format!("bob {round}")).await;
        server.hang(false);
        eventually("what is still unread is shown", || {
            let name = format!("bob {round}");
            server
                .asked()
                .iter()
                .any(|one| matches!(one, Asked::Notify { summary, .. } if *summary == name))
                .then_some(())
        });
        let ratio = hung.as_secs_f64() / healthy.as_secs_f64();
        eprintln!("ingest with a hung server takes {ratio:.2} of the time with a healthy one ({hung:?}, {healthy:?})");
        slowest.push(slow);
    }
    assert!(slowest.iter().min() < Some(&Duration::from_millis(1_500)), "{slowest:?}");
}

/// Commits one message after the other; gives the slowest commit and the time of all.
async fn ingest(task: &Task, sender: &str) -> (Duration, Duration) {
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for number in 0..100 {
        let before = Instant::now();
        task.commit(vec![task.arrival(None, sender, &format!("{number}"), Origin::Live)]).await;
        slowest = slowest.max(before.elapsed());
    }
    (slowest, start.elapsed())
}

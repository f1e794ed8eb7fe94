//! The core dozen of situations against real notification servers: what they receive, and that they live through it.

use crate::bus::Bus;
use crate::monitor::{Monitor, Notify, Seen};
use crate::screen::{Kind, Screen};
use crate::support::eventually;
use crate::task::Task;
use std::time::Duration;
use wakeful::model::{Event, MessageId, Origin};
use wakeful::notify::{Settings, Why};
use wakeful::store::BannerState;

struct Room {
    bus: Bus,
    screen: Screen,
    monitor: Monitor,
    task: Task,
}

async fn room(kind: Kind) -> Option<Room> {
    let bus = Bus::start()?;
    let screen = Screen::start(&bus, kind)?;
    let monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, unhurried()).await;
    Some(Room { bus, screen, monitor, task })
}

/// Without the limit of three in ten seconds, which has its own situation.
fn unhurried() -> Settings {
    Settings { rate: 100, open: vec!["true".into()], ..Settings::default() }
}

impl Room {
    /// A message, its `Notify`, and the id that the server gave.
    async fn shown(&mut self, sender: &str, text: &str) -> (MessageId, Notify, u32) {
        let before = self.monitor.notifies().len();
        let message = self.task.message(sender, text).await;
        let notify = self.monitor.notify(before + 1).await;
        (message, notify, self.id_of(message).await)
    }

    async fn id_of(&self, message: MessageId) -> u32 {
        loop {
            let banners = self.task.store.banners().await.unwrap();
            let banner = banners.into_iter().find(|banner| banner.message == message);
            if let Some(BannerState::Shown { id, .. }) = banner.map(|banner| banner.state) {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What every server must receive and survive.
async fn core(kind: Kind) {
    let Some(mut room) = room(kind).await else { return };
    // 1 plain, 2 markup, 3 emoji, 4 right to left, 5 long, 6 hostile.
    let (_, notify, id) = room.shown("ann", "See you at 8").await;
    assert_eq!((notify.replaces, notify.summary.as_str(), notify.body.as_str()), (0, "ann", "See you at 8"));
    assert_eq!(notify.hints["category"], "im.received");
    let (_, notify, bob) = room.shown("bob", "<b>1 < 2 && 3 > 2</b>").await;
    assert_eq!(notify.body, "&lt;b&gt;1 &lt; 2 &amp;&amp; 3 &gt; 2&lt;/b&gt;");
    assert_ne!(id, bob);
    let family = "👨‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 👋🏽";
    let (_, notify, _) = room.shown("cid", family).await;
    assert_eq!(notify.body, family);
    let (_, notify, _) = room.shown("דנה", "שלום עולם 123").await;
    assert_eq!((notify.summary.as_str(), notify.body.as_str()), ("דנה", "שלום עולם 123"));
    let (_, notify, _) = room.shown("dan", &"wörd ".repeat(800)).await;
    assert_eq!(notify.body.chars().count(), 400);
    let hostile = format!("</b><img src='x'/>&bogus;\u{202e}gpj.exe\u{200b}\0\u{1b}[2J{}", "z\u{335}".repeat(60));
    let (_, notify, _) = room.shown("<u>eve</u>&", &hostile).await;
    assert!(notify.body.starts_with("&lt;/b&gt;&lt;img src='x'/&gt;&amp;bogus;gpj.exe[2Jz"), "{}", notify.body);
    assert!(room.screen.alive());
    // 7 appended in place, 8 a group says who, 9 read: withdrawn, and the server says so.
    let (_, notify, again) = room.shown("ann", "or at 9").await;
    assert_eq!((notify.replaces, again, notify.body.as_str()), (id, id, "See you at 8\nor at 9"));
    let before = room.monitor.notifies().len();
    room.task.group_message("Team", "Bob & Co", "<lunch>?").await;
    let notify = room.monitor.notify(before + 1).await;
    assert_eq!((notify.summary.as_str(), notify.body.as_str()), ("Team", "<b>Bob &amp; Co</b>: &lt;lunch&gt;?"));
    let newest = room.task.message("ann", "read all").await;
    room.monitor.notify(before + 2).await;
    room.id_of(newest).await;
    room.task.read(newest).await;
    room.monitor.closed(id).await;
    let (closed, reason) = room.monitor.signal("NotificationClosed").await;
    assert_eq!((closed, reason.as_str()), (id, "3"));
    // 10 a megabyte, 11 the server is killed and comes back: what is unread is shown again, without a sound.
    let (_, notify, _) = room.shown("fay", &"<&\u{301}".repeat(300_000)).await;
    assert!(notify.body.len() < 8_000);
    assert!(room.screen.alive(), "{kind:?} lives");
    let before = room.monitor.notifies().len();
    room.screen.down();
    room.screen.up();
    let again = room.monitor.notify(before + 1).await;
    assert_eq!(again.replaces, 0);
    assert!(again.hints.contains_key("suppress-sound"));
    // 12 a gap of a thousand messages: one notification a conversation.
    room.monitor.notify(before + 7).await;
    let before = room.monitor.notifies().len();
    let one =
        |number: usize| room.task.arrival(None, &format!("g{}", number % 2), &number.to_string(), Origin::CatchUp);
    room.task.commit((0..1_000).map(one).collect()).await;
    room.task.commit(vec![Event::CaughtUp]).await;
    let notify = room.monitor.notify(before + 2).await;
    assert!(notify.body.starts_with("<i>495 earlier messages</i>\n"), "{}", notify.body);
    assert!(room.screen.alive(), "{kind:?} lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dunst_receives_the_core_dozen() {
    core(Kind::Dunst).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xfce4_notifyd_receives_the_core_dozen() {
    core(Kind::Xfce).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_daemon_receives_the_core_dozen() {
    core(Kind::Gnome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mate_notification_daemon_receives_the_core_dozen() {
    core(Kind::Mate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lxqt_notificationd_receives_the_core_dozen() {
    core(Kind::Lxqt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_on_dunst_opens_the_app_and_a_dismissal_starts_anew() {
    let Some(bus) = Bus::start() else { return };
    let Some(screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let out = bus.dir().join("opened");
    let open = ["sh", "-c", "echo $1 >$0.new; mv $0.new $0", out.to_str().unwrap(), "{conversation}"];
    let settings = Settings { open: open.map(String::from).to_vec(), ..Settings::default() };
    let mut monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, settings).await;
    let message = task.message("ann", "click me").await;
    monitor.notify(1).await;
    eventually("dunst to show it", || (screen.run("dunstctl", &["count", "displayed"]) == "1").then_some(()));
    screen.run("dunstctl", &["action", "0"]);
    let opened = eventually("the app to start", || std::fs::read_to_string(&out).ok());
    let conversation = task.store.message(message).await.unwrap().conversation.id;
    assert_eq!(opened.trim(), conversation.to_string());

    let one = task.message("bob", "one").await;
    monitor.notify(2).await;
    let dismissed = |told: &wakeful::notify::Decision| told.message == one && told.why == Why::Dismissed;
    while !task.notifier.recent(10).await.unwrap().iter().any(dismissed) {
        screen.run("dunstctl", &["close-all"]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task.message("bob", "two").await;
    let notify = monitor.notify(3).await;
    assert_eq!((notify.replaces, notify.body.as_str()), (0, "two"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_on_dunst_makes_three_in_ten_seconds() {
    let Some(bus) = Bus::start() else { return };
    let Some(_screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let mut monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, Settings::default()).await;
    for number in 0..100 {
        task.message(&format!("p{}", number % 10), "hello").await;
    }
    // A slow machine may have shown all of them in three; one more must wait then.
    task.message("late", "me too").await;
    let late = |one: &Seen| matches!(one, Seen::Notify(one) if one.summary == "late" || one.body.contains("late"));
    monitor.wait("the last", |seen| seen.iter().any(late).then_some(())).await;
    let times: Vec<_> = monitor.notifies().into_iter().map(|one| one.at).collect();
    let spans: Vec<_> = times.windows(4).map(|four| four[3] - four[0]).collect();
    assert!(!spans.is_empty() && spans.iter().all(|span| *span >= Duration::from_millis(9_900)), "{spans:?}");
}

#[test]
fn the_desktop_entry_is_valid_and_names_the_icon() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wakeful.desktop");
    std::fs::write(&file, wakeful::notify::DESKTOP_ENTRY).unwrap();
    assert!(wakeful::notify::DESKTOP_ENTRY.contains("\nIcon=wakeful\n") && wakeful::notify::ICON.starts_with("<svg "));
    if !crate::bus::installed("desktop-file-validate") {
        crate::support::skip("desktop", "desktop-file-validate is not installed");
        return;
    }
    let checked = std::process::Command::new("desktop-file-validate").arg(&file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// The pictures in the docs; written when `WAKEFUL_PICTURES` names a folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_real_notifications() {
    let Some(folder) = std::env::var_os("WAKEFUL_PICTURES") else { return };
    for (kind, name) in [(Kind::Dunst, "dunst"), (Kind::Xfce, "xfce4-notifyd"), (Kind::Gnome, "notification-daemon")] {
        let Some(mut room) = room(kind).await else { return };
        room.task.group_message("Saturday hike 🥾", "Mira", "Meet at the station at 8:15?").await;
        room.task.group_message("Saturday hike 🥾", "Jonas", "Fine by me — I'll bring coffee ☕").await;
        room.task.group_message("Saturday hike 🥾", "דנה", "אני מגיעה! 🎒").await;
        room.monitor
            .wait("all three", |seen| seen.iter().any(|one| format!("{one:?}").contains("דנה")).then_some(()))
            .await;
        room.shown("Ada Lovelace", "The proofs are in. Page 3 has <b>two</b> typos & a missing figure.").await;
        let hostile =
            "<b>bold?</b> <img src='http://x'/> &bogus; \u{202e}gpj.exe\u{202c} z\u{200b}e\u{200d}ro \u{1b}[31m";
        room.shown("<u>Eve</u> \u{202e}& Co", hostile).await;
        // What draws and fades tells nobody when it is done.
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(room.screen.alive() && !room.bus.address().is_empty());
        room.screen.shot(&std::path::Path::new(&folder).join(format!("{name}.png")));
    }
}

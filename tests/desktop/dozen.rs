//! The rules' core situations on a real dunst: what is called on the bus, and what dunst has on its screen.

use crate::bus::Bus;
use crate::monitor::{Monitor, Notify, Seen};
use crate::screen::{Kind, Screen};
use crate::support::eventually;
use crate::task::Task;
use std::time::Duration;
use wakeful::model::{
    AccountId, ConversationKey, ConversationKind, ConversationUpdate, Event, MessageId, Origin, Signal,
};
use wakeful::notify::{Choice, Muted, Override, Quiet, QuietChoice, Settings, Until, Verdict, Why};
use wakeful::store::Batch;
use wakeful::world::Clock;

struct Room {
    _bus: Bus,
    screen: Screen,
    monitor: Monitor,
    task: Task,
}

/// Three in ten seconds has a test of its own; one group is mentions only; another device delays for two seconds.
fn settings() -> Settings {
    let mentions = Override { mentions_only: Some(true), ..Override::default() };
    Settings {
        rate: 100,
        other_device_delay: Duration::from_secs(2),
        conversations: [("Crew".to_owned(), mentions)].into(),
        ..Settings::default()
    }
}

impl Room {
    /// How many notifications dunst has on its screen, once they are so many.
    fn displayed(&self, count: usize) {
        eventually(&format!("{count} on dunst's screen"), || {
            (self.screen.run("dunstctl", &["count", "displayed"]) == count.to_string()).then_some(())
        });
    }

    /// The last decision about a message, once there is one of this verdict.
    async fn decided(&self, message: MessageId, verdict: Verdict) -> Why {
        loop {
            let last = self.task.notifier.why(message).await.unwrap().pop();
            if let Some(decision) = last.filter(|decision| decision.verdict == verdict) {
                return decision.why;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn newest_with(&mut self, text: &str) -> Notify {
        self.monitor
            .wait(text, |seen| {
                seen.iter().rev().find_map(|one| match one {
                    Seen::Notify(notify) if notify.body.lines().last() == Some(text) => Some(notify.clone()),
                    _ => None,
                })
            })
            .await
    }

    /// Reads everything of a message's conversation and waits until dunst shows nothing any more.
    async fn clear(&self, message: MessageId) {
        self.task.read(message).await;
        self.displayed(0);
    }

    /// Dropped for this reason, and nothing reaches the bus.
    async fn dropped(&self, sender: &str, why: Why) -> MessageId {
        let before = self.monitor.notifies().len();
        let message = self.task.message(sender, "psst").await;
        assert_eq!(self.decided(message, Verdict::Dropped).await, why);
        assert_eq!(self.monitor.notifies().len(), before);
        message
    }
}

/// A day's span that holds now in every time zone (which differ by quarters of an hour), and for minutes to come.
fn almost_always() -> Quiet {
    let minute = Clock::system().wall().ms() / 60_000;
    let to = u16::try_from((minute + 7).rem_euclid(15)).unwrap();
    Quiet { from: to + 1, to }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_core_situations_on_dunst_are_as_the_table_says() {
    let Some(bus) = Bus::start() else { return };
    let Some(screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, settings()).await;
    let mut room = Room { _bus: bus, screen, monitor, task };
    who_looks(&mut room).await;
    held(&mut room).await;
    lock(&mut room).await;
    missed(&mut room).await;
    elsewhere(&mut room).await;
    groups_and_accounts(&mut room).await;
    restarts(room).await;
}

/// 1 nobody looks, 2 an app looks at it, 3 an app looks at another, 4 it is muted.
async fn who_looks(room: &mut Room) {
    let first = room.task.message("ann", "hello").await;
    assert!(room.newest_with("hello").await.is_loud());
    room.displayed(1);
    room.task.look_at(Some(first)).await;
    room.dropped("ann", Why::OnScreen).await;
    let other = room.task.message("bob", "over here").await;
    assert!(!room.newest_with("over here").await.is_loud(), "no sound while an app is looked at");
    room.displayed(2);
    room.task.look_at(None).await;
    room.task.read(other).await;
    room.clear(first).await;

    let conversation = room.task.store.message(other).await.unwrap().conversation.id;
    let muted = |until| Choice::Mute(Muted::Conversation(conversation), until);
    room.task.notifier.choose(muted(Some(Until::Forever))).await.unwrap();
    room.dropped("bob", Why::Muted).await;
    room.task.notifier.choose(muted(None)).await.unwrap();
}

/// 5 quiet hours, 6 do not disturb: held, and shown when they end.
async fn held(room: &mut Room) {
    let quiet = Choice::Quiet(Some(QuietChoice::Daily(almost_always())));
    for (on, off, why) in [
        (quiet, Choice::Quiet(Some(QuietChoice::Never)), Why::Quiet),
        (Choice::Dnd(Some(Until::Forever)), Choice::Dnd(None), Why::Dnd),
    ] {
        let text = format!("during {why:?}");
        room.task.notifier.choose(on).await.unwrap();
        let before = room.monitor.notifies().len();
        let message = room.task.message("cid", &text).await;
        assert_eq!(room.decided(message, Verdict::Held).await, why);
        assert_eq!(room.monitor.notifies().len(), before);
        room.displayed(0);
        room.task.notifier.choose(off).await.unwrap();
        assert!(room.newest_with(&text).await.is_loud());
        room.displayed(1);
        room.clear(message).await;
    }
}

/// 7 the locked screen hides what comes, and what is there already; unlocked it is told.
async fn lock(room: &mut Room) {
    let open = room.task.message("dan", "open").await;
    room.newest_with("open").await;
    room.displayed(1);
    let before = room.monitor.notifies().len();
    room.task.signal(Signal::Locked(true));
    let hidden = room.monitor.notify(before + 1).await;
    assert_eq!((hidden.summary.as_str(), hidden.body.as_str()), ("New message", ""));
    let secret = room.task.message("eve", "secret").await;
    let hidden = room.monitor.notify(before + 2).await;
    assert_eq!((hidden.summary.as_str(), hidden.body.as_str()), ("New message", ""));
    room.displayed(2);
    room.decided(secret, Verdict::Shown).await;
    room.task.signal(Signal::Locked(false));
    room.newest_with("open").await;
    room.newest_with("secret").await;
    room.displayed(2);
    room.task.read(open).await;
    room.clear(secret).await;
}

/// 8 what was missed waits until all is here; 9 what is read meanwhile never comes up.
async fn missed(room: &mut Room) {
    let before = room.monitor.notifies().len();
    for number in 1..=3 {
        let text = format!("missed {number}");
        room.task.commit(vec![room.task.arrival(None, "fay", &text, Origin::CatchUp)]).await;
    }
    let waits = room.task.newest().await;
    room.task.commit(vec![room.task.arrival(None, "gil", "read there", Origin::CatchUp)]).await;
    let read = room.task.newest().await;
    assert_eq!(room.decided(read, Verdict::Held).await, Why::CatchUp);
    room.task.read(read).await;
    assert_eq!(room.decided(read, Verdict::Dropped).await, Why::Read);
    assert_eq!(room.monitor.notifies().len(), before);
    room.task.commit(vec![Event::CaughtUp]).await;
    assert_eq!(room.newest_with("missed 3").await.body, "missed 1\nmissed 2\nmissed 3");
    room.displayed(1);
    assert_eq!(room.monitor.notifies().len(), before + 1);
    room.clear(waits).await;
}

/// 10 another device is in use: it waits, and comes; 11 read there: it never comes, and dunst's closes.
async fn elsewhere(room: &mut Room) {
    let Event::Message(mut own) = room.task.arrival(None, "hal", "mine", Origin::Live) else { panic!("a message") };
    (own.outgoing, own.sender) = (true, "me".into());
    room.task.commit(vec![Event::Message(own)]).await;
    let message = room.task.message("hal", "there?").await;
    assert_eq!(room.decided(message, Verdict::Held).await, Why::OtherDevice);
    room.newest_with("there?").await;
    room.displayed(1);
    room.clear(message).await;
    assert_eq!(room.decided(message, Verdict::Withdrawn).await, Why::Read);
    let before = room.monitor.notifies().len();
    let message = room.task.message("hal", "and now?").await;
    assert_eq!(room.decided(message, Verdict::Held).await, Why::OtherDevice);
    room.task.read(message).await;
    assert_eq!(room.decided(message, Verdict::Dropped).await, Why::Read);
    assert_eq!(room.monitor.notifies().len(), before);
}

/// 12 a group that is mentions only, 13 two accounts.
async fn groups_and_accounts(room: &mut Room) {
    let update = ConversationUpdate {
        key: ConversationKey::server("Crew"),
        kind: ConversationKind::Group,
        title: Some("Crew".into()),
        members: None,
        unread_below: None,
    };
    let named = |named: bool, text: &str| {
        let Event::Message(mut message) = room.task.arrival(Some("Crew"), "ida", text, Origin::Live) else {
            panic!("a message")
        };
        message.mentions_me = named;
        Event::Message(message)
    };
    // Another device is in use for this account: a direct message would wait, so would this.
    room.task.commit(vec![Event::Conversation(update), named(false, "all")]).await;
    let all = room.task.newest().await;
    assert_eq!(room.decided(all, Verdict::Dropped).await, Why::NoMention);
    room.task.commit(vec![named(true, "you")]).await;
    let you = room.task.newest().await;
    let notify = room.newest_with("<b>ida</b>: you").await;
    assert_eq!(notify.summary, "Crew");
    room.displayed(1);
    room.clear(you).await;

    let home: AccountId = room.task.store.account("home", "hub", Some("me")).await.unwrap();
    let event = room.task.arrival(None, "ann", "from home", Origin::Live);
    let batch = Batch { events: vec![event], at: Clock::system().wall(), ..Batch::default() };
    room.task.store.apply(home, batch).await.unwrap();
    assert_eq!(room.newest_with("from home").await.summary, "ann (home)");
    room.displayed(1);
    let message = room.task.newest().await;
    room.clear(message).await;
}

/// 14 the daemon restarts: in its place and silent; 15 dunst goes and another one comes: shown there, silent.
async fn restarts(mut room: Room) {
    let other = room.task.message("jo", "still unread").await;
    assert!(room.newest_with("still unread").await.is_loud());
    room.displayed(1);
    room.decided(other, Verdict::Shown).await;
    let before = room.monitor.notifies().len();
    let store = room.task.stop().await;
    room.task = Task::on(store, &room._bus, settings()).await;
    let again = room.monitor.notify(before + 1).await;
    assert!(again.replaces > 0 && !again.is_loud() && again.body.ends_with("still unread"), "{again:?}");
    room.displayed(1);
    room.screen.down();
    room.screen.up();
    let again = room.monitor.notify(before + 2).await;
    assert!(again.replaces == 0 && !again.is_loud() && again.body.ends_with("still unread"), "{again:?}");
    room.displayed(1);
    room.clear(other).await;
}

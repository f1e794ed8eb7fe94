//! The whole of it with the built program: a hub, two people, real dunst, a logind that locks the screen. What a person
//! would do by hand: lock, flood, click, reply, read elsewhere.

use crate::bus::Bus;
use crate::monitor::{Monitor, Seen};
use crate::screen::{Kind, Screen};
use crate::support::{Home, Hub, eventually};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zbus::zvariant::{OwnedFd, OwnedObjectPath};

const SESSION: &str = "/org/freedesktop/login1/session/_31";

struct Manager;

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, _what: &str, _who: &str, _why: &str, _mode: &str) -> OwnedFd {
        std::os::fd::OwnedFd::from(UnixStream::pair().unwrap().1).into()
    }

    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        let us = rustix::process::geteuid().as_raw();
        vec![("1".into(), us, "me".into(), "seat0".into(), OwnedObjectPath::try_from(SESSION).unwrap())]
    }
}

struct Session(bool);

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn r#type(&self) -> String {
        "x11".into()
    }

    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.0
    }
}

async fn logind(bus: &Bus) -> zbus::Connection {
    let connection = bus.connect().await;
    connection.object_server().at("/org/freedesktop/login1", Manager).await.unwrap();
    connection.object_server().at(SESSION, Session(true)).await.unwrap();
    connection.request_name("org.freedesktop.login1").await.unwrap();
    connection
}

async fn lock(logind: &zbus::Connection, on: bool) {
    let session = logind.object_server().interface::<_, Session>(SESSION).await.unwrap();
    session.get_mut().await.0 = on;
    session.get().await.locked_hint_changed(session.signal_emitter()).await.unwrap();
}

/// Waits for a notification with this summary and last line.
async fn saw(monitor: &mut Monitor, summary: &str, line: &str) {
    let found = |one: &Seen| match one {
        Seen::Notify(one) => one.summary == summary && one.body.lines().last().unwrap_or_default() == line,
        _ => false,
    };
    monitor.wait(&format!("{summary}: {line}"), |seen| seen.iter().any(found).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one evening at one desktop, in its order")]
async fn lock_click_reply_read_elsewhere_and_flood_behave_on_dunst_as_the_table_says() {
    let Some(bus) = Bus::start() else { return };
    let Some(screen) = Screen::start(&bus, Kind::Dunst) else { return };
    let logind = logind(&bus).await;
    let mut monitor = Monitor::on(&bus).await;
    let hub = Hub::start();
    let (alice, bob) = (Home::with_account("alice", &hub), Home::with_account("bob", &hub));
    let phone = Home::new();
    phone.add_account("phone", &hub.url(), &hub.user("bob")).ok();
    let out = bus.dir().join("opened");
    let open = format!("open = [\"sh\", \"-c\", \"echo $1 >$0.new; mv $0.new $0\", {:?}, \"{{conversation}}\"]", out);
    let text = format!("\n[notifications]\n{open}\nother_device_delay = \"0s\"\n");
    bob.configure(&text);
    let _alice = alice.daemon();
    let daemon = bob.daemon_with(|command| {
        bus.is_session_of(command);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
    });
    let _phone = phone.daemon();
    bob.wait_state("bob", "online");
    phone.wait_state("phone", "online");
    let send = |text: &str| drop(alice.run(&["send", "alice", "bob", text, "--wait", "sent"]).ok());
    let displayed = |count: &str| {
        eventually("dunst's screen", || (screen.run("dunstctl", &["count", "displayed"]) == count).then_some(()));
    };

    let look = |name: &str| {
        if let Some(folder) = std::env::var_os("WAKEFUL_LOOK") {
            // What draws tells nobody when it is done.
            std::thread::sleep(Duration::from_secs(1));
            screen.shot(&std::path::Path::new(&folder).join(format!("{name}.png")));
        }
    };

    // Lock. The session was locked when the daemon started.
    send("for my eyes only");
    saw(&mut monitor, "New message", "").await;
    displayed("1");
    look("1-locked");
    lock(&logind, false).await;
    saw(&mut monitor, "alice", "for my eyes only").await;
    lock(&logind, true).await;
    let hidden = |seen: &[Seen]| matches!(seen.iter().rfind(|one| matches!(one, Seen::Notify(_))), Some(Seen::Notify(one)) if one.body.is_empty());
    monitor.wait("hidden again", |seen| hidden(seen).then_some(())).await;
    lock(&logind, false).await;

    look("2-unlocked");
    // Click: the app starts with the conversation.
    monitor.wait("open again", |seen| (!hidden(seen)).then_some(())).await;
    displayed("1");
    eventually("dunst to take the click", || {
        screen.run("dunstctl", &["action", "0"]);
        out.exists().then_some(())
    });
    let conversation = bob.history("bob")[0]["conversation"]["id"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), conversation);

    look("3-clicked");
    // Reply, by the app that has opened: it goes out, and alice has it.
    bob.run(&["send", "bob", &conversation, "seen it", "--wait", "sent"]).ok();
    eventually("alice to have the reply", || {
        alice.history("alice").iter().any(|message| message["text"] == "seen it").then_some(())
    });

    // Read elsewhere: bob's phone reads, bob's desktop closes.
    screen.run("dunstctl", &["close-all"]);
    displayed("0");
    send("read me there");
    saw(&mut monitor, "alice", "read me there").await;
    displayed("1");
    look("4-before-read-elsewhere");
    eventually("the phone to have it", || {
        phone.history("phone").iter().any(|message| message["text"] == "read me there").then_some(())
    });
    phone.run(&["mark", "phone", "alice"]).ok();
    displayed("0");

    look("5-read-elsewhere");
    // Flood: three within ten seconds, one notification on the screen, everything there.
    let before = monitor.notifies().len();
    for number in 0..20 {
        send(&format!("flood {number}"));
    }
    saw(&mut monitor, "alice", "flood 19").await;
    let times: Vec<_> = monitor.notifies().into_iter().skip(before).map(|one| one.at).collect();
    let close = times.windows(4).filter(|four| four[3] - four[0] < Duration::from_millis(9_900)).count();
    assert_eq!(close, 0, "{times:?}");
    displayed("1");
    look("6-flood");
    assert_eq!(bob.history("bob").iter().filter(|one| one["text"].as_str().unwrap().starts_with("flood")).count(), 20);
    daemon.stop();
}

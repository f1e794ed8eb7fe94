//! A real app with a window, started by a click: by command, and over D-Bus.

use crate::bus::Bus;
use crate::monitor::Monitor;
use crate::programmable::Programmable;
use crate::screen::{Kind, Screen};
use crate::support::{eventually, skip};
use crate::task::Task;
use std::path::PathBuf;
use wakeful::notify::Settings;

/// A GTK program.
fn app() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/desktop/chat.py")
}

/// Debian's Python, which has GTK's bindings; `None` (and a note) without them.
fn python() -> Option<&'static str> {
    let python = "/usr/bin/python3";
    let asked = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk";
    let found = std::process::Command::new(python).args(["-c", asked]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skip("desktop", "GTK's Python bindings are not installed");
    None
}

/// What the app was asked, once its window is on screen.
fn asked(log: &std::path::Path) -> Vec<String> {
    let line = eventually("the app's window", || {
        let text = std::fs::read_to_string(log).ok()?;
        text.lines().next().map(str::to_owned)
    });
    line.split(' ').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_of_the_mouse_on_dunst_starts_an_app_that_shows_the_conversation() {
    let Some(python) = python() else { return };
    let Some(bus) = Bus::start() else { return };
    let Some(screen) = Screen::start(&bus, Kind::Dunst) else { return };
    if !crate::bus::installed("xdotool") {
        skip("desktop", "xdotool is not installed");
        return;
    }
    let log = bus.dir().join("chat.log");
    let mut open = screen.environment();
    open.insert(0, "env".into());
    open.push(format!("CHAT_LOG={}", log.display()));
    open.extend([python.to_owned(), app().to_str().unwrap().to_owned(), "{conversation}".into()]);
    let mut monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, Settings { open, ..Settings::default() }).await;
    let message = task.message("ann", "click me").await;
    monitor.notify(1).await;
    task.answered().await;
    eventually("dunst to show it", || (screen.run("dunstctl", &["count", "displayed"]) == "1").then_some(()));
    // Until it is drawn there is nothing to click on.
    eventually("a click that dunst takes", || {
        screen.run("xdotool", &["mousemove", "880", "40", "click", "1"]);
        std::thread::sleep(std::time::Duration::from_millis(200));
        (screen.run("dunstctl", &["count", "displayed"]) == "0").then_some(())
    });
    let conversation = task.store.message(message).await.unwrap().conversation.id.to_string();
    assert_eq!(asked(&log)[..2], ["command".to_owned(), conversation.clone()]);
    let titles = screen.run("xdotool", &["search", "--name", &format!("Chat {conversation}")]);
    assert!(!titles.is_empty(), "a window of that title is on screen");
    screen.run("xdotool", &["search", "--name", "Chat", "windowclose"]);
}

/// A click on a programmable server's notification; the bus starts the app.
async fn activated(action: Option<&str>) -> Option<(Vec<String>, String, String)> {
    let python = python()?;
    let bus = Bus::start()?;
    let screen = Screen::blank(&bus)?;
    let log = bus.dir().join("chat.log");
    let environment = [screen.environment(), vec![format!("CHAT_LOG={}", log.display())]].concat().join(" ");
    let exec = format!("/usr/bin/env {environment} {python} {} --gapplication-service", app().display());
    bus.service("org.example.Chat", &exec).await;
    let server = Programmable::on(&bus, &["actions", "body"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let settings =
        Settings { app: Some("org.example.Chat".into()), app_action: action.map(Into::into), ..Settings::default() };
    let task = Task::start(&bus, settings).await;
    let message = task.message("ann", "look").await;
    assert_eq!(monitor.notify(1).await.actions[..2], ["default", "Open"]);
    task.answered().await;
    server.emit("ActivationToken", &(1_u32, "token-9"), true).await;
    server.emit("ActionInvoked", &(1_u32, "default"), true).await;
    let asked = asked(&log);
    let conversation = task.store.message(message).await.unwrap().conversation.id.to_string();
    bus.end("org.example.Chat").await;
    Some((asked, conversation, message.to_string()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_the_bus_starts_is_given_the_conversation_as_a_uri_and_the_token() {
    let Some((asked, conversation, message)) = activated(None).await else { return };
    assert_eq!(asked, ["uri".into(), format!("wakeful://work/{conversation}?message={message}"), "token-9".into()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_with_an_action_of_its_own_is_given_the_conversation_by_that() {
    let Some((asked, conversation, _)) = activated(Some("show-conversation")).await else { return };
    assert_eq!(asked, ["action".into(), conversation, "token-9".into()]);
}

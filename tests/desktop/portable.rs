//! The portable backend, which takes its bus from the environment: the test runs itself with one.

use crate::bus::Bus;
use crate::monitor::Monitor;
use crate::programmable::Programmable;
use wakeful::notify::{Desktop, DesktopError, DesktopEvent, Notice, Portable};
use wakeful::world::Entropy;

fn notice(body: &str, replaces: u32) -> Notice {
    Notice { summary: "Ann".into(), body: body.into(), category: "im.received".into(), replaces, ..Notice::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portable_backend_shows_and_replaces_and_lets_nothing_look_like_markup() {
    if std::env::var_os("WAKEFUL_INNER").is_some() {
        let mut portable = Portable::new(&Entropy::system());
        assert!(matches!(portable.event().await, DesktopEvent::Up { .. }));
        let first = portable.notify(notice("<b>1</b> & 2", 0)).await.unwrap();
        let second = portable.notify(notice("again", first.id)).await.unwrap();
        assert_eq!(first, second);
        return;
    }
    let Some(bus) = Bus::start() else { return };
    let _server = Programmable::on(&bus, &["body", "body-markup"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let name = "portable::the_portable_backend_shows_and_replaces_and_lets_nothing_look_like_markup";
    let mut inner = tokio::process::Command::new(std::env::current_exe().unwrap());
    inner.args(["--exact", name]).env("WAKEFUL_INNER", "1").env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    assert!(inner.output().await.unwrap().status.success());
    let first = monitor.notify(1).await;
    assert_eq!((first.app.as_str(), first.body.as_str()), ("wakeful", "&lt;b>1&lt;/b> &amp; 2"));
    assert_eq!(monitor.notify(2).await.replaces, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portable_backend_says_that_nobody_is_there() {
    if std::env::var_os("WAKEFUL_INNER").is_some() {
        let mut portable = Portable::new(&Entropy::system());
        assert!(matches!(portable.notify(notice("x", 0)).await, Err(DesktopError::Absent(_))));
        return;
    }
    let mut inner = tokio::process::Command::new(std::env::current_exe().unwrap());
    inner.args(["--exact", "portable::the_portable_backend_says_that_nobody_is_there"]);
    inner.env("WAKEFUL_INNER", "1").env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    assert!(inner.output().await.unwrap().status.success());
}

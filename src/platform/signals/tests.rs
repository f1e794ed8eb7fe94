//! The Linux sources against a real bus with a logind, a NetworkManager and a UPower that we play ourselves.

use super::*;
use crate::model::{Power, Timestamp};
use std::collections::HashMap;
use std::io::BufRead as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use zbus::zvariant::{OwnedFd, OwnedObjectPath, Value};

/// A bus of our own; `None` where there is no dbus-daemon.
struct PrivateBus {
    daemon: Child,
    address: String,
    dir: tempfile::TempDir,
}

impl PrivateBus {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}/bus", dir.path().display());
        Some(Self { daemon: Self::daemon(&address)?, address, dir })
    }

    fn restart(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
        std::fs::remove_file(self.dir.path().join("bus")).ok();
        self.daemon = Self::daemon(&self.address).unwrap();
    }

    fn daemon(address: &str) -> Option<Child> {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address", &format!("--address={address}")])
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        std::io::BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(daemon)
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}

const SESSION_PATH: &str = "/org/freedesktop/login1/session/_31";

#[derive(Clone, Default)]
struct Manager {
    /// The other ends of the inhibitors that were handed out.
    inhibitors: Arc<Mutex<Vec<UnixStream>>>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, _who: &str, _why: &str, mode: &str) -> OwnedFd {
        assert_eq!((what, mode), ("sleep", "delay"));
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        self.inhibitors.lock().unwrap().push(ours);
        std::os::fd::OwnedFd::from(theirs).into()
    }

    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        let us = rustix::process::geteuid().as_raw();
        vec![("1".into(), us, "me".into(), "seat0".into(), OwnedObjectPath::try_from(SESSION_PATH).unwrap())]
    }
}

struct Session {
    locked: bool,
}

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn r#type(&self) -> String {
        "wayland".into()
    }
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.locked
    }
}

async fn fake_logind(bus: &PrivateBus, manager: &Manager) -> zbus::Connection {
    zbus::connection::Builder::address(bus.address.as_str())
        .unwrap()
        .serve_at("/org/freedesktop/login1", manager.clone())
        .unwrap()
        .serve_at(SESSION_PATH, Session { locked: false })
        .unwrap()
        .name("org.freedesktop.login1")
        .unwrap()
        .build()
        .await
        .unwrap()
}

struct Listening {
    signals: broadcast::Receiver<Addressed>,
    clock: Clock,
    _stop: tokio_util::sync::DropGuard,
}

fn listen(bus: &PrivateBus) -> Listening {
    let (sender, signals) = broadcast::channel(64);
    let clock = Clock::simulated(Timestamp(0));
    let shutdown = CancellationToken::new();
    watch(sender, clock.clone(), Bus::At(bus.address.clone()), shutdown.clone());
    Listening { signals, clock, _stop: shutdown.drop_guard() }
}

impl Listening {
    async fn next(&mut self) -> Signal {
        let wait = async {
            loop {
                // The machine that runs the tests may change its own network meanwhile.
                match self.signals.recv().await.unwrap().signal {
                    Signal::Network { routed: _, local_gone: _ } => {}
                    signal => return signal,
                }
            }
        };
        timeout(Duration::from_secs(10), wait).await.expect("nothing was told")
    }
}

async fn until(what: impl Fn() -> bool) {
    let poll = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), poll).await.expect("it did not come to that");
}

/// The inhibitor is released: its other end reads the end of the stream.
fn released(stream: &UnixStream) -> bool {
    use std::io::Read as _;
    matches!((&*stream).read(&mut [0; 1]), Ok(0))
}

async fn emit<B: serde::Serialize + zbus::zvariant::DynamicType>(
    connection: &zbus::Connection,
    path: &str,
    interface: &str,
    member: &str,
    body: &B,
) {
    connection.emit_signal(None::<&str>, path, interface, member, body).await.unwrap();
}

#[tokio::test]
async fn sleep_is_announced_held_up_for_a_farewell_and_its_end_told_once() {
    let Some(bus) = PrivateBus::start() else { return };
    let manager = Manager::default();
    let logind = fake_logind(&bus, &manager).await;
    let mut listening = listen(&bus);
    until(|| manager.inhibitors.lock().unwrap().len() == 1).await;
    let login1 = "org.freedesktop.login1.Manager";
    emit(&logind, "/org/freedesktop/login1", login1, "PrepareForSleep", &true).await;
    assert_eq!(listening.next().await, Signal::Sleeping);
    assert!(!released(&manager.inhibitors.lock().unwrap()[0]), "sleep must wait for the farewell");
    until(|| released(&manager.inhibitors.lock().unwrap()[0])).await;
    listening.clock.sleep(Duration::from_secs(3600));
    emit(&logind, "/org/freedesktop/login1", login1, "PrepareForSleep", &false).await;
    let Signal::Woke { slept } = listening.next().await else { panic!("no wake-up") };
    assert!(slept >= Duration::from_secs(3600) && slept < Duration::from_secs(3610), "{slept:?}");
    until(|| manager.inhibitors.lock().unwrap().len() == 2).await;
}

#[tokio::test]
async fn the_screens_lock_is_told_by_the_hint_and_by_the_signals() {
    let Some(bus) = PrivateBus::start() else { return };
    let manager = Manager::default();
    let logind = fake_logind(&bus, &manager).await;
    let mut listening = listen(&bus);
    until(|| manager.inhibitors.lock().unwrap().len() == 1).await;
    // The sessions are listed right after the inhibitor was taken; a signal before that would be lost on a test only.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let session = logind.object_server().interface::<_, Session>(SESSION_PATH).await.unwrap();
    session.get_mut().await.locked = true;
    session.get().await.locked_hint_changed(session.signal_emitter()).await.unwrap();
    assert_eq!(listening.next().await, Signal::Locked(true));
    emit(&logind, SESSION_PATH, "org.freedesktop.login1.Session", "Unlock", &()).await;
    assert_eq!(listening.next().await, Signal::Locked(false));
}

struct UPower(bool);

#[zbus::interface(name = "org.freedesktop.UPower")]
impl UPower {
    #[zbus(property)]
    fn on_battery(&self) -> bool {
        self.0
    }
}

struct NetworkManager;

#[zbus::interface(name = "org.freedesktop.NetworkManager")]
impl NetworkManager {
    #[zbus(property)]
    fn metered(&self) -> u32 {
        3
    }
}

#[tokio::test]
async fn battery_and_meter_are_told_by_services_that_start_later() {
    let Some(bus) = PrivateBus::start() else { return };
    let mut listening = listen(&bus);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let address = bus.address.as_str();
    let builder = zbus::connection::Builder::address(address).unwrap();
    let _power = builder
        .serve_at("/org/freedesktop/UPower", UPower(true))
        .unwrap()
        .name("org.freedesktop.UPower")
        .unwrap()
        .build()
        .await
        .unwrap();
    assert_eq!(listening.next().await, Signal::Power(Power { battery: true, metered: false }));
    let builder = zbus::connection::Builder::address(address).unwrap();
    let network = builder
        .serve_at("/org/freedesktop/NetworkManager", NetworkManager)
        .unwrap()
        .name("org.freedesktop.NetworkManager")
        .unwrap()
        .build()
        .await
        .unwrap();
    assert_eq!(listening.next().await, Signal::Power(Power { battery: true, metered: true }));
    // A portal was signed in to: the whole internet is there now.
    for connectivity in [2_u32, 4] {
        let changed = HashMap::from([("Connectivity", Value::from(connectivity))]);
        let body = ("org.freedesktop.NetworkManager", changed, Vec::<String>::new());
        let properties = "org.freedesktop.DBus.Properties";
        emit(&network, "/org/freedesktop/NetworkManager", properties, "PropertiesChanged", &body).await;
    }
    let told = timeout(Duration::from_secs(10), listening.signals.recv()).await.unwrap().unwrap();
    assert_eq!(told.signal, Signal::Network { routed: true, local_gone: false });
}

#[tokio::test]
async fn a_bus_that_goes_away_is_found_again() {
    let Some(mut bus) = PrivateBus::start() else { return };
    let manager = Manager::default();
    let first = fake_logind(&bus, &manager).await;
    let mut listening = listen(&bus);
    until(|| manager.inhibitors.lock().unwrap().len() == 1).await;
    drop(first);
    bus.restart();
    let again = fake_logind(&bus, &manager).await;
    until(|| manager.inhibitors.lock().unwrap().len() == 2).await;
    let login1 = "org.freedesktop.login1.Manager";
    emit(&again, "/org/freedesktop/login1", login1, "PrepareForSleep", &true).await;
    assert_eq!(listening.next().await, Signal::Sleeping);
}

//! logind: sleep, which it announces and which a delay inhibitor lets us say goodbye before, and the screen lock.

use super::Told;
use super::bus::System;
use super::wake::Nudge;
use crate::model::Signal;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use zbus::Message;
use zbus::zvariant::{OwnedFd, OwnedObjectPath};

/// Whose changed properties are heard.
pub(super) const HEARD: &[&str] = &["org.freedesktop.login1.Session"];

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const PATH: &str = "/org/freedesktop/login1";

/// From `Sleeping` until sleep is no longer held up: links say goodbye meanwhile. logind grants 5 s by default.
const FAREWELL: Duration = Duration::from_secs(1);

/// What logind said so far.
#[derive(Default)]
pub(super) struct Logind {
    /// Sleep waits while this is open.
    inhibitor: Option<OwnedFd>,
    /// Our user's graphical sessions, and whether each is locked.
    sessions: BTreeMap<String, bool>,
    locked: bool,
}

impl Logind {
    /// Takes the inhibitor and reads which sessions there are.
    pub(super) async fn open(bus: &System, told: &Told) -> Self {
        let mut logind = Self::default();
        if bus.runs(LOGIND).await {
            logind.inhibit(bus).await;
            logind.list(bus, told).await;
        }
        logind
    }

    async fn inhibit(&mut self, bus: &System) {
        let why = ("sleep", "wakeful", "says goodbye to message servers", "delay");
        self.inhibitor = match bus.call(LOGIND, PATH, MANAGER, "Inhibit", &why).await {
            Ok(answer) => answer.body().deserialize::<OwnedFd>().ok(),
            Err(error) => {
                tracing::debug!(%error, "sleep cannot be delayed");
                None
            }
        };
    }

    async fn list(&mut self, bus: &System, told: &Told) {
        self.sessions.clear();
        let Ok(answer) = bus.call(LOGIND, PATH, MANAGER, "ListSessions", &()).await else { return };
        type Row = (String, u32, String, String, OwnedObjectPath);
        let rows: Vec<Row> = answer.body().deserialize().unwrap_or_default();
        let us = rustix::process::geteuid().as_raw();
        for (_, _, _, _, path) in rows.into_iter().filter(|(_, user, ..)| *user == us) {
            let kind = bus.property(LOGIND, path.as_str(), SESSION, "Type").await;
            let kind = kind.and_then(|kind| String::try_from(kind).ok()).unwrap_or_default();
            if matches!(kind.as_str(), "x11" | "wayland" | "mir") {
                let hint = bus.property(LOGIND, path.as_str(), SESSION, "LockedHint").await;
                let hint = hint.and_then(|hint| bool::try_from(hint).ok()).unwrap_or(false);
                self.sessions.insert(path.to_string(), hint);
            }
        }
        self.judge(told);
    }

    /// Locked: there is a screen, and none of ours is open.
    fn judge(&mut self, told: &Told) {
        let locked = !self.sessions.is_empty() && self.sessions.values().all(|locked| *locked);
        if locked != self.locked {
            self.locked = locked;
            told.tell(Signal::Locked(locked));
        }
    }

    /// Hears a signal, whoever sent it.
    pub(super) async fn hear(&mut self, message: &Message, bus: &System, told: &Told, nudge: &mpsc::Sender<Nudge>) {
        let header = message.header();
        let (Some(interface), Some(member), Some(path)) = (header.interface(), header.member(), header.path()) else {
            return;
        };
        match (interface.as_str(), member.as_str()) {
            (MANAGER, "PrepareForSleep") => {
                let asleep = message.body().deserialize::<bool>().unwrap_or(false);
                self.sleep(asleep, bus, nudge).await;
            }
            (MANAGER, "SessionNew" | "SessionRemoved") => self.list(bus, told).await,
            (SESSION, "Lock" | "Unlock") => self.lock(path.as_str(), member == "Lock", told),
            ("org.freedesktop.DBus.Properties", "PropertiesChanged") => {
                if let Some(locked) = locked_hint(message) {
                    self.lock(path.as_str(), locked, told);
                }
            }
            _ => {}
        }
    }

    fn lock(&mut self, path: &str, locked: bool, told: &Told) {
        if let Some(session) = self.sessions.get_mut(path) {
            *session = locked;
            self.judge(told);
        }
    }

    async fn sleep(&mut self, asleep: bool, bus: &System, nudge: &mpsc::Sender<Nudge>) {
        if asleep {
            nudge.send(Nudge::Asleep).await.ok();
            let held = self.inhibitor.take();
            tokio::spawn(async move {
                sleep(FAREWELL).await;
                drop(held);
            });
        } else {
            nudge.send(Nudge::Awake).await.ok();
            self.inhibit(bus).await;
        }
    }
}

fn locked_hint(message: &Message) -> Option<bool> {
    super::power::changed(message, SESSION)?.remove("LockedHint").and_then(|value| bool::try_from(value).ok())
}

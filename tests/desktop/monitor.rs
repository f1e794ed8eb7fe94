//! What really passes over the bus: every call to and signal from a notification server, with its time.

use crate::bus::Bus;
use crate::support::PATIENCE;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::sync::watch;
use zbus::message::Type;
use zbus::zvariant::{OwnedValue, Value};

/// One message on the bus.
#[derive(Clone, Debug)]
pub enum Seen {
    /// `Notify`.
    Notify(Notify),
    /// `CloseNotification`.
    Close(u32),
    /// A signal of the server: member, id, and the rest.
    Signal(String, u32, String),
    /// The launcher's count.
    Count(i64),
}

/// The arguments of a `Notify`.
#[derive(Clone, Debug)]
pub struct Notify {
    pub at: Instant,
    pub wall: wakeful::model::Timestamp,
    pub sender: String,
    pub app: String,
    pub replaces: u32,
    pub icon: String,
    pub summary: String,
    pub body: String,
    pub actions: Vec<String>,
    pub hints: BTreeMap<String, String>,
    pub timeout: i32,
}

impl Notify {
    /// Nothing says that it is silent.
    pub fn is_loud(&self) -> bool {
        !self.hints.contains_key("suppress-sound")
    }
}

/// A connection that became a monitor (D-Bus specification, `BecomeMonitor`).
pub struct Monitor {
    seen: watch::Receiver<Vec<Seen>>,
}

impl Monitor {
    /// Watches a bus from now on.
    pub async fn on(bus: &Bus) -> Self {
        let connection = bus.connect().await;
        let mut messages = zbus::MessageStream::from(&connection);
        let rules = ["org.freedesktop.Notifications", "com.canonical.Unity.LauncherEntry"];
        let rules: Vec<zbus::MatchRule<'_>> =
            rules.iter().map(|name| zbus::MatchRule::builder().interface(*name).unwrap().build()).collect();
        let proxy = zbus::fdo::MonitoringProxy::new(&connection).await.unwrap();
        proxy.become_monitor(&rules, 0).await.unwrap();
        let (sender, seen) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if let Some(one) = read(&message) {
                    sender.send_modify(|all| all.push(one));
                }
            }
        });
        Self { seen }
    }

    /// Everything so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Every `Notify` so far.
    pub fn notifies(&self) -> Vec<Notify> {
        notifies(&self.seen.borrow())
    }

    /// Waits until `find` finds something in what was seen.
    pub async fn wait<T>(&mut self, what: &str, find: impl Fn(&[Seen]) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = find(&self.seen.borrow_and_update()) {
                    return found;
                }
                self.seen.changed().await.expect("the bus lives");
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("never seen: {what}; only {:#?}", self.seen()),
        }
    }

    /// Waits until something more is seen than when this was called last.
    pub async fn changed(&mut self, what: &str) {
        let more = tokio::time::timeout(PATIENCE, self.seen.changed()).await;
        assert!(more.is_ok(), "never seen: {what}; only {:#?}", self.seen());
    }

    /// Waits for the `count`-th `Notify` (from 1).
    pub async fn notify(&mut self, count: usize) -> Notify {
        self.wait(&format!("Notify number {count}"), |seen| notifies(seen).into_iter().nth(count - 1)).await
    }

    /// Waits until the server was told to close this, or said that it is closed.
    pub async fn closed(&mut self, id: u32) {
        self.wait(&format!("CloseNotification({id})"), |seen| {
            seen.iter().find(|one| matches!(one, Seen::Close(closed) if *closed == id)).map(|_| ())
        })
        .await;
    }

    /// Waits for a signal of the server; gives its id.
    pub async fn signal(&mut self, name: &str) -> (u32, String) {
        self.wait(name, |seen| {
            seen.iter().find_map(|one| match one {
                Seen::Signal(member, id, rest) if member == name => Some((*id, rest.clone())),
                _ => None,
            })
        })
        .await
    }
}

fn notifies(seen: &[Seen]) -> Vec<Notify> {
    seen.iter().filter_map(|one| if let Seen::Notify(notify) = one { Some(notify.clone()) } else { None }).collect()
}

fn read(message: &zbus::Message) -> Option<Seen> {
    let header = message.header();
    let member = header.member()?.to_string();
    let body = message.body();
    match (header.message_type(), member.as_str()) {
        (Type::MethodCall, "Notify") => {
            type Arguments = (String, u32, String, String, String, Vec<String>, BTreeMap<String, OwnedValue>, i32);
            let (app, replaces, icon, summary, body, actions, hints, timeout): Arguments = body.deserialize().ok()?;
            let hints = hints.into_iter().map(|(name, value)| (name, plain(&value))).collect();
            let sender = header.sender()?.to_string();
            let (at, wall) = (Instant::now(), wakeful::world::Clock::system().wall());
            Some(Seen::Notify(Notify { at, wall, sender, app, replaces, icon, summary, body, actions, hints, timeout }))
        }
        (Type::MethodCall, "CloseNotification") => body.deserialize().ok().map(Seen::Close),
        (Type::Signal, "Update") => {
            let (_, properties): (String, BTreeMap<String, OwnedValue>) = body.deserialize().ok()?;
            properties.get("count").and_then(|count| i64::try_from(count).ok()).map(Seen::Count)
        }
        (Type::Signal, _) => {
            if let Ok((id, text)) = body.deserialize::<(u32, String)>() {
                return Some(Seen::Signal(member, id, text));
            }
            let (id, number): (u32, u32) = body.deserialize().ok()?;
            Some(Seen::Signal(member, id, number.to_string()))
        }
        _ => None,
    }
}

fn plain(value: &Value<'_>) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        Value::U8(number) => number.to_string(),
        Value::Bool(on) => on.to_string(),
        other => format!("{other:?}"),
    }
}

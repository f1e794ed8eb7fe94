//! Linux: the system's bus, over one connection that is made again when the bus went away.

use super::logind::Logind;
use super::power::Powered;
use super::wake::Nudge;
use super::{Bus, Told};
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use zbus::message::Type;
use zbus::zvariant::{DynamicType, OwnedValue};
use zbus::{Connection, Message, MessageStream};

/// The bus itself.
const DBUS: &str = "org.freedesktop.DBus";
/// An answer that takes longer is no answer.
const ANSWER: Duration = Duration::from_secs(5);
/// First pause before a bus that is away is tried again; it doubles.
const AWAY: Duration = Duration::from_secs(2);
/// Longest such pause.
const AWAY_LONGEST: Duration = Duration::from_secs(300);

/// Follows the bus for ever.
pub(super) async fn run(bus: Bus, told: Told, nudge: mpsc::Sender<Nudge>) {
    let mut pause = AWAY;
    loop {
        match connect(&bus).await {
            Ok(connection) => {
                pause = AWAY;
                if let Err(error) = follow(connection, &told, &nudge).await {
                    tracing::debug!(%error, "the system's bus is gone");
                }
            }
            Err(error) => tracing::debug!(%error, "no system bus"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(AWAY_LONGEST);
    }
}

async fn connect(bus: &Bus) -> zbus::Result<Connection> {
    let builder = match bus {
        Bus::System => zbus::connection::Builder::system()?,
        Bus::At(address) => zbus::connection::Builder::address(address.as_str())?,
    };
    timeout(ANSWER, builder.build()).await.unwrap_or_else(|_| Err(zbus::Error::Failure("no answer".into())))
}

/// Until the connection ends.
async fn follow(connection: Connection, told: &Told, nudge: &mpsc::Sender<Nudge>) -> zbus::Result<()> {
    let mut messages = MessageStream::from(&connection);
    let bus = System(connection);
    for rule in rules() {
        bus.call(DBUS, "/org/freedesktop/DBus", DBUS, "AddMatch", &rule).await?;
    }
    let mut logind = Logind::open(&bus, told).await;
    let mut power = Powered::open(&bus, told).await;
    while let Some(message) = messages.next().await {
        let message = message?;
        if message.message_type() != Type::Signal {
            continue;
        }
        if let Some(name) = appeared(&message) {
            match name.as_str() {
                "org.freedesktop.login1" => logind = Logind::open(&bus, told).await,
                "org.freedesktop.NetworkManager" | "org.freedesktop.UPower" => power.read(&bus, told).await,
                _ => {}
            }
            continue;
        }
        logind.hear(&message, &bus, told, nudge).await;
        power.hear(&message, &bus, told).await;
    }
    Ok(())
}

/// What is to arrive: services that start, sleep, sessions and locks, and the properties of those who are heard. Only
/// from the service itself: anybody may broadcast a signal of its name.
fn rules() -> impl Iterator<Item = String> {
    let (login, network, battery) =
        ("org.freedesktop.login1", "org.freedesktop.NetworkManager", "org.freedesktop.UPower");
    let started = [login, network, battery]
        .map(|name| format!("sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{name}'"));
    let logind = ["Manager", "Session"].map(|name| format!("sender='{login}',interface='{login}.{name}'"));
    let heard = super::logind::HEARD.iter().chain(super::power::HEARD);
    let changed = heard.map(move |name| {
        let sender = [login, network, battery].into_iter().find(|sender| name.starts_with(sender)).unwrap_or(name);
        format!("sender='{sender}',interface='{DBUS}.Properties',member='PropertiesChanged',arg0='{name}'")
    });
    started.into_iter().chain(logind).chain(changed).map(|rule| format!("type='signal',{rule}"))
}

/// The name that a service has just taken.
fn appeared(message: &Message) -> Option<String> {
    let header = message.header();
    if header.member()?.as_str() != "NameOwnerChanged" {
        return None;
    }
    let (name, _, new) = message.body().deserialize::<(String, String, String)>().ok()?;
    (!new.is_empty()).then_some(name)
}

/// The connection, with the few calls that are needed.
pub(super) struct System(Connection);

impl System {
    /// Calls a method; an answer that does not come is an error. Starts no service that does not run.
    pub(super) async fn call<B: serde::Serialize + DynamicType>(
        &self,
        to: &str,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> zbus::Result<Message> {
        let call = self.0.call_method(Some(to), path, Some(interface), method, body);
        timeout(ANSWER, call).await.unwrap_or_else(|_| Err(zbus::Error::Failure("no answer".into())))
    }

    /// Whether the service runs.
    pub(super) async fn runs(&self, name: &str) -> bool {
        let answer = self.call(DBUS, "/org/freedesktop/DBus", DBUS, "NameHasOwner", &name).await;
        answer.is_ok_and(|answer| answer.body().deserialize().unwrap_or(false))
    }

    /// One property; `None` when it is not to be had.
    pub(super) async fn property(&self, to: &str, path: &str, interface: &str, name: &str) -> Option<OwnedValue> {
        let properties = format!("{DBUS}.Properties");
        let answer = self.call(to, path, &properties, "Get", &(interface, name)).await.ok()?;
        answer.body().deserialize::<OwnedValue>().ok()
    }
}

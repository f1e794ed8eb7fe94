//! What the bus and the notification server say unasked.

use super::calls::{NAME, PATH, PROPERTIES};
use crate::notify::desktop::{Closed, DesktopEvent};
use std::collections::HashMap;
use zbus::zvariant::OwnedValue;
use zbus::{Connection, Message};

const BUS: &str = "org.freedesktop.DBus";

/// One message that matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The server's name has a new owner, or none.
    Owner(Option<String>),
    /// Something the server says.
    Event(DesktopEvent),
}

/// Asks the bus for the signals that [`read`] understands.
pub(super) async fn subscribe(bus: &Connection) -> zbus::Result<()> {
    let rules = [
        format!("type='signal',path='{PATH}',interface='{NAME}'"),
        format!("type='signal',path='{PATH}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{NAME}'"),
        format!("type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{NAME}'"),
    ];
    for rule in rules {
        bus.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "AddMatch", &rule).await?;
    }
    Ok(())
}

/// Who owns the server's name now.
pub(super) async fn owner(bus: &Connection) -> Option<String> {
    let answer = bus.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetNameOwner", &NAME).await.ok()?;
    answer.body().deserialize().ok()
}

/// Reads a message; `None`: it is not for us, malformed, or not from the server that owns the name.
pub(super) fn read(message: &Message, server: Option<&str>) -> Option<Heard> {
    let header = message.header();
    if header.message_type() != zbus::message::Type::Signal {
        return None;
    }
    let (sender, interface, member) =
        (header.sender()?.as_str(), header.interface()?.as_str(), header.member()?.as_str());
    let body = message.body();
    if (sender, interface, member) == (BUS, BUS, "NameOwnerChanged") {
        let (name, _old, new): (String, String, String) = body.deserialize().ok()?;
        return (name == NAME).then(|| Heard::Owner((!new.is_empty()).then_some(new)));
    }
    if Some(sender) != server {
        return None;
    }
    let event = match (interface, member) {
        (NAME, "ActionInvoked") => {
            let (id, key) = body.deserialize().ok()?;
            DesktopEvent::Invoked { id, key }
        }
        (NAME, "NotificationReplied") => {
            let (id, text) = body.deserialize().ok()?;
            DesktopEvent::Replied { id, text }
        }
        (NAME, "ActivationToken") => {
            let (id, token) = body.deserialize().ok()?;
            DesktopEvent::Token { id, token }
        }
        (NAME, "NotificationClosed") => {
            let (id, reason): (u32, u32) = body.deserialize().ok()?;
            DesktopEvent::Closed { id, reason: closed(reason) }
        }
        (PROPERTIES, "PropertiesChanged") => {
            let (_, mut changed, _): (String, HashMap<String, OwnedValue>, Vec<String>) = body.deserialize().ok()?;
            DesktopEvent::Inhibited(bool::try_from(changed.remove("Inhibited")?).ok()?)
        }
        _ => return None,
    };
    Some(Heard::Event(event))
}

fn closed(reason: u32) -> Closed {
    match reason {
        1 => Closed::Expired,
        2 => Closed::Dismissed,
        3 => Closed::Withdrawn,
        _ => Closed::Other,
    }
}

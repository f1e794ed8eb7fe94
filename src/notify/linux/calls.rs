//! The calls of `org.freedesktop.Notifications`, as values that can be waited for.

use crate::notify::desktop::{CALL_LIMIT, Capabilities, DesktopError, Notice, Urgency};
use crate::notify::open::percent;
use crate::notify::text::INLINE_REPLY;
use std::collections::HashMap;
use tokio::time::timeout;
use zbus::zvariant::{OwnedValue, Value};
use zbus::{Connection, Message};

/// The well-known name.
pub(super) const NAME: &str = "org.freedesktop.Notifications";
pub(super) const PATH: &str = "/org/freedesktop/Notifications";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Name of our desktop entry, without `.desktop`, and of our icon.
const ENTRY: &str = "wakeful";

/// What a server says about itself.
pub(super) struct Introduction {
    pub(super) name: String,
    pub(super) capabilities: Capabilities,
    /// `None`: it has no such property.
    pub(super) inhibited: Option<bool>,
}

/// Asks a server what it is and can.
pub(super) async fn introduce(bus: Connection) -> Result<Introduction, DesktopError> {
    let (name, vendor, version, _spec): (String, String, String, String) =
        limited(call(&bus, NAME, "GetServerInformation", &())).await?;
    tracing::debug!(name, vendor, version, "a notification server");
    let can: Vec<String> = limited(call(&bus, NAME, "GetCapabilities", &())).await?;
    let inhibited: Result<OwnedValue, _> = limited(call(&bus, PROPERTIES, "Get", &(NAME, "Inhibited"))).await;
    let inhibited = match inhibited {
        Ok(value) => bool::try_from(value).ok(),
        // Most servers have no properties at all, and answer with an error.
        Err(DesktopError::Refused(_)) => None,
        Err(gone) => return Err(gone),
    };
    Ok(Introduction { name: format!("{name} {version}"), capabilities: capabilities(&can), inhibited })
}

fn capabilities(can: &[String]) -> Capabilities {
    let has = |name: &str| can.iter().any(|item| item == name);
    Capabilities {
        actions: has("actions"),
        body: has("body"),
        body_markup: has("body-markup"),
        inline_reply: has(INLINE_REPLY),
        persistence: has("persistence"),
        sound: has("sound"),
    }
}

/// `Notify`; answers with the id. It has no time limit of its own: a late answer still has to be heard.
pub(super) async fn notify(bus: Connection, mut notice: Notice) -> Result<u32, DesktopError> {
    // The bus breaks the connection of whoever sends a string with a NUL in it.
    for text in [&mut notice.summary, &mut notice.body, &mut notice.category].into_iter().chain(&mut notice.sound) {
        text.retain(|character| character != '\0');
    }
    let actions: Vec<&str> = notice.actions.iter().flat_map(|(key, label)| [key.as_str(), label.as_str()]).collect();
    let body = (
        "wakeful",
        notice.replaces,
        ENTRY,
        notice.summary.as_str(),
        notice.body.as_str(),
        actions,
        hints(&notice),
        -1_i32,
    );
    call(&bus, NAME, "Notify", &body).await
}

fn hints(notice: &Notice) -> HashMap<&str, Value<'_>> {
    let urgency = match notice.urgency {
        Urgency::Low => 0_u8,
        Urgency::Normal => 1,
        Urgency::Critical => 2,
    };
    let mut hints = HashMap::from([
        ("urgency", Value::from(urgency)),
        ("category", Value::from(notice.category.as_str())),
        ("desktop-entry", Value::from(ENTRY)),
    ]);
    if let Some(picture) = notice.picture.as_ref().and_then(|file| file.to_str()).filter(|file| file.starts_with('/')) {
        hints.insert("image-path", Value::from(format!("file://{}", percent(picture, b"/"))));
    }
    match &notice.sound {
        Some(sound) => hints.insert("sound-name", Value::from(sound.as_str())),
        None => hints.insert("suppress-sound", Value::from(true)),
    };
    hints
}

/// `CloseNotification`. An id that the server does not know counts as closed: servers differ in their answer.
pub(super) async fn close(bus: Connection, id: u32) -> Result<(), DesktopError> {
    match call(&bus, NAME, "CloseNotification", &id).await {
        Err(DesktopError::Refused(_)) => Ok(()),
        other => other,
    }
}

/// Asks the bus to start a notification server, where one is installed for that.
pub(super) async fn start_server(bus: Connection) {
    let body = (NAME, 0_u32);
    let started = bus.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "StartServiceByName", &body);
    if let Ok(Err(error)) = timeout(CALL_LIMIT, started).await {
        tracing::debug!(%error, "no notification server can be started");
    }
}

/// Tells the launcher how many messages are unread (Unity's LauncherEntry API; Plasma, GNOME docks and others read it).
pub(super) async fn unread(bus: Connection, count: u64) {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let properties = HashMap::from([("count", Value::from(count)), ("count-visible", Value::from(count > 0))]);
    let body = (format!("application://{ENTRY}.desktop"), properties);
    let path = "/com/canonical/unity/launcherentry/wakeful";
    let told = bus.emit_signal(None::<&str>, path, "com.canonical.Unity.LauncherEntry", "Update", &body);
    let _ = timeout(CALL_LIMIT, told).await;
}

const BUS: &str = "org.freedesktop.DBus";

async fn call<B, T>(bus: &Connection, interface: &str, method: &str, body: &B) -> Result<T, DesktopError>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
    T: serde::de::DeserializeOwned + zbus::zvariant::Type,
{
    let reply: Message = bus.call_method(Some(NAME), PATH, Some(interface), method, body).await.map_err(failure)?;
    reply.body().deserialize().map_err(|error| DesktopError::Refused(format!("{method} answered nonsense: {error}")))
}

/// An answer within the limit, or [`DesktopError::Silent`].
pub(super) async fn limited<T>(what: impl Future<Output = Result<T, DesktopError>>) -> Result<T, DesktopError> {
    timeout(CALL_LIMIT, what).await.unwrap_or(Err(DesktopError::Silent))
}

fn failure(error: zbus::Error) -> DesktopError {
    const ABSENT: [&str; 4] = ["ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected"];
    match error {
        zbus::Error::MethodError(name, detail, _) => {
            let text = detail.unwrap_or_else(|| name.to_string());
            let absent = ABSENT.iter().any(|kind| name.ends_with(&format!(".{kind}")));
            if absent { DesktopError::Absent(text) } else { DesktopError::Refused(text) }
        }
        // Ours to mend, and no server will take it next time either.
        zbus::Error::Variant(error) => DesktopError::Refused(error.to_string()),
        other => DesktopError::Absent(other.to_string()),
    }
}

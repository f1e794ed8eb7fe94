//! Opening an app over the bus: `org.freedesktop.Application`, which starts the app where it does not run yet. The
//! activation token goes along as platform data, so that the app may come to the front.

use crate::notify::desktop::{Activation, Opening};
use std::collections::HashMap;
use zbus::Connection;
use zbus::zvariant::Value;

const INTERFACE: &str = "org.freedesktop.Application";

/// Asks the app; what it does with that is its own affair, a refusal stands in the log.
pub(super) async fn activate(bus: Connection, activation: Activation) {
    let Activation { app, what, token } = activation;
    let path = path(&app);
    let mut platform: HashMap<&str, Value<'_>> = HashMap::new();
    if let Some(token) = token.as_deref().filter(|token| !token.contains('\0')) {
        // Wayland's name for it, and X11's.
        platform.insert("activation-token", Value::from(token));
        platform.insert("desktop-startup-id", Value::from(token));
    }
    let (to, path, interface) = (Some(app.as_str()), path.as_str(), Some(INTERFACE));
    let asked = match &what {
        Opening::Front => bus.call_method(to, path, interface, "Activate", &(platform,)).await,
        Opening::Uri(uri) => bus.call_method(to, path, interface, "Open", &([uri.as_str()].as_slice(), platform)).await,
        Opening::Action(name, parameter) => {
            let body = (name.as_str(), vec![Value::from(parameter.as_str())], platform);
            bus.call_method(to, path, interface, "ActivateAction", &body).await
        }
    };
    match asked {
        Ok(_) => tracing::debug!(app, "opened"),
        Err(error) => tracing::warn!(app, %error, "the app cannot be opened: check `app` in the configuration"),
    }
}

/// The object's path as the specification makes it from the id.
fn path(app: &str) -> String {
    let mut path = String::from("/");
    path.extend(app.chars().map(|character| match character {
        '.' => '/',
        '-' => '_',
        other => other,
    }));
    path
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_apps_path_is_made_of_its_id() {
        assert_eq!(super::path("org.example.Chat-2"), "/org/example/Chat_2");
    }
}

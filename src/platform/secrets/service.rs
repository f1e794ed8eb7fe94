//! The Secret Service of the session (GNOME Keyring, KWallet, KeePassXC), over D-Bus.
//!
//! A connection lives only for one question: secrets are read at start and written by a command.

use super::SecretError;
use crate::model::Secret;
use secret_service::{EncryptionType, Error, SecretService};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Without a person in between the service answers in milliseconds.
const ANSWER: Duration = Duration::from_secs(5);
/// A person may have to type the keyring's password.
const PROMPT: Duration = Duration::from_secs(90);

/// `None`: no service, or no such secret. A locked keyring is an error: a daemon does not raise prompts.
pub(super) async fn get(account: &str) -> Result<Option<Secret>, SecretError> {
    let ask = async {
        let Some(service) = connect().await? else { return Ok(None) };
        let found = service.search_items(attributes(account)).await.map_err(fail("search"))?;
        if let Some(item) = found.unlocked.first() {
            let bytes = Zeroizing::new(item.get_secret().await.map_err(fail("read the secret"))?);
            let text = std::str::from_utf8(&bytes);
            let text = text.map_err(|_| SecretError::Unfit("in the keyring is not text"))?;
            return Ok(Some(Secret::new(text.to_owned())));
        }
        if found.locked.is_empty() { Ok(None) } else { Err(SecretError::Locked) }
    };
    timeout(ANSWER, ask).await.unwrap_or_else(|_| Err(silent("read the secret")))
}

/// `false`: there is no service. A locked keyring raises the service's own prompt.
pub(super) async fn set(account: &str, secret: &Secret) -> Result<bool, SecretError> {
    let ask = async {
        let Some(service) = connect().await? else { return Ok(false) };
        let collection = match service.get_default_collection().await {
            Ok(collection) => collection,
            Err(Error::NoResult) => {
                service.create_collection("Login", "default").await.map_err(fail("make a collection"))?
            }
            Err(error) => return Err(fail("open the default collection")(error)),
        };
        if collection.is_locked().await.map_err(fail("ask for its lock"))? {
            collection.unlock().await.map_err(|_| SecretError::Locked)?;
        }
        let label = format!("wakeful: {account}");
        let secret = secret.expose().as_bytes();
        let made = collection.create_item(&label, attributes(account), secret, true, "text/plain").await;
        made.map(|_| true).map_err(fail("store the secret"))
    };
    timeout(PROMPT, ask).await.unwrap_or_else(|_| Err(silent("store the secret")))
}

/// Forgets it; no service or no such secret is as good as forgotten.
pub(super) async fn remove(account: &str) -> Result<(), SecretError> {
    let ask = async {
        let Some(service) = connect().await? else { return Ok(()) };
        let found = service.search_items(attributes(account)).await.map_err(fail("search"))?;
        for item in found.locked.iter() {
            item.unlock().await.map_err(|_| SecretError::Locked)?;
        }
        for item in found.unlocked.iter().chain(&found.locked) {
            item.delete().await.map_err(fail("remove the secret"))?;
        }
        Ok(())
    };
    timeout(PROMPT, ask).await.unwrap_or_else(|_| Err(silent("remove the secret")))
}

/// `None` when there is no session bus or nobody offers the service on it: both are ordinary.
async fn connect() -> Result<Option<SecretService<'static>>, SecretError> {
    let Ok(bus) = zbus::Connection::session().await else { return Ok(None) };
    match SecretService::connect_with_existing(EncryptionType::Dh, bus).await {
        Ok(service) => Ok(Some(service)),
        Err(Error::Unavailable) => Ok(None),
        Err(Error::ZbusFdo(zbus::fdo::Error::ServiceUnknown(_) | zbus::fdo::Error::NameHasNoOwner(_))) => Ok(None),
        Err(Error::Zbus(zbus::Error::MethodError(name, ..))) if name.as_str().contains("ServiceUnknown") => Ok(None),
        Err(error) => Err(fail("open a session")(error)),
    }
}

fn attributes(account: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "wakeful"), ("account", account)])
}

/// The crate's errors carry no secrets, only what the service or the bus said.
fn fail(intent: &'static str) -> impl Fn(Error) -> SecretError {
    move |error| match error {
        Error::Locked | Error::Prompt => SecretError::Locked,
        error => SecretError::Keyring { intent, cause: error.to_string() },
    }
}

fn silent(intent: &'static str) -> SecretError {
    SecretError::Keyring { intent, cause: "no answer in time".into() }
}

//! The login keychain of macOS, through keyring-core. Type-checked there (`tests/suites/mac`), never run.

use super::SecretError;
use crate::model::Secret;
use keyring_core::{Entry, Error};

/// `None`: no such secret.
pub(super) async fn get(account: &str) -> Result<Option<Secret>, SecretError> {
    ask(account, "read the secret", |entry| match entry.get_password() {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    })
    .await
}

/// Always `true` when it returns: macOS has a keychain.
pub(super) async fn set(account: &str, secret: &Secret) -> Result<bool, SecretError> {
    let secret = secret.clone();
    ask(account, "store the secret", move |entry| entry.set_password(secret.expose()).map(|()| true)).await
}

/// Forgets it; no such secret is as good as forgotten.
pub(super) async fn remove(account: &str) -> Result<(), SecretError> {
    ask(account, "remove the secret", |entry| match entry.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(error),
    })
    .await
}

/// The keychain's calls block, and may wait for a person at a prompt.
async fn ask<T: Send + 'static>(
    account: &str,
    intent: &'static str,
    call: impl FnOnce(&Entry) -> Result<T, Error> + Send + 'static,
) -> Result<T, SecretError> {
    let account = account.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        if keyring_core::get_default_store().is_none() {
            keyring_core::set_default_store(apple_native_keyring_store::keychain::Store::new()?);
        }
        call(&Entry::new("wakeful", &account)?)
    });
    match asked.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Error::NoStorageAccess(_))) => Err(SecretError::Locked),
        Ok(Err(error)) => Err(SecretError::Keyring { intent, cause: error.to_string() }),
        Err(error) => Err(SecretError::Keyring { intent, cause: error.to_string() }),
    }
}

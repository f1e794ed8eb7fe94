//! The configuration file: TOML, read into types that cannot hold a wrong value.
//!
//! An unknown key, a wrong value or a missing one is an error with file, line and column. Secrets never stand here.
//! The daemon only reads; the commands edit through [`edit`], which keeps comments and order.

mod account;
pub mod edit;
mod error;
mod interval;
mod limits;
mod notifications;
mod retention;

pub use account::{Account, AccountName, Protocol, Proxy};
pub use error::ConfigError;
pub use interval::Interval;
pub use limits::{Daemon, Link};
pub use notifications::{AppId, ClockTime, Notifications, Preview, QuietHours, Rule};
pub use retention::{Age, Count, Retention, Size};

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// The most bytes a configuration file may have.
const SIZE_MAX: u64 = 1024 * 1024;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The daemon itself.
    pub daemon: Daemon,
    /// How connections are kept alive.
    pub link: Link,
    /// Banners.
    pub notifications: Notifications,
    /// How much history is kept, where an account does not say otherwise.
    pub retention: Retention,
    /// Accounts by name.
    pub accounts: BTreeMap<AccountName, Account>,
}

/// The file's shape; accounts carry their place for errors about several keys at once.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    daemon: Daemon,
    link: Link,
    notifications: Notifications,
    retention: Retention,
    account: BTreeMap<AccountName, Spanned<account::Raw>>,
}

impl Config {
    /// Reads the file. One that does not exist is an empty configuration.
    ///
    /// # Errors
    /// When it cannot be read, or anything in it is not right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read(path)?, path)
    }

    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// When anything in it is not right.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let at = |span: Option<std::ops::Range<usize>>, what: String| ConfigError::at(path, text, span, what);
        let File { daemon, link, notifications, retention, account } =
            toml::from_str(text).map_err(|error| at(error.span(), error.message().to_owned()))?;
        let mut accounts = BTreeMap::new();
        for (name, raw) in account {
            let span = raw.span();
            let account = Account::check(raw.into_inner())
                .map_err(|what| at(Some(span.clone()), format!("account {name}: {what}")))?;
            if let Some(other) = accounts.keys().find(|other: &&AccountName| other.same_file_as(&name)) {
                return Err(at(Some(span), format!("accounts {other} and {name} differ only in case: rename one")));
            }
            accounts.insert(name, account);
        }
        if let Err(what) = link.check() {
            return Err(at(None, format!("[link]: {what}")));
        }
        Ok(Self { daemon, link, notifications, retention, accounts })
    }

    /// How much of an account's history is kept.
    #[must_use]
    pub fn retention(&self, name: &AccountName) -> &Retention {
        self.accounts.get(name).and_then(|account| account.retention.as_ref()).unwrap_or(&self.retention)
    }
}

/// The text of the file, bounded; empty when there is none.
fn read(path: &Path) -> Result<String, ConfigError> {
    let fail = |cause| ConfigError::Read { path: path.to_path_buf(), cause };
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > SIZE_MAX => Err(fail(std::io::Error::other("larger than 1 MiB"))),
        Ok(_) => std::fs::read_to_string(path).map_err(fail),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(fail(error)),
    }
}

#[cfg(test)]
mod tests;

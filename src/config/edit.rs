//! Edits of the configuration file by the commands: under a lock, in one rename, comments and order kept.

use super::{Account, AccountName, Config, ConfigError, Protocol, Proxy};
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use toml_edit::{DocumentMut, Item, Table, value};

/// Adds an account, or changes the one of this name; keys that the account no longer has are taken away.
///
/// # Errors
/// When the file is not right as it stands, is being edited by another command, or cannot be written.
pub fn put_account(file: &Path, lock: &Path, name: &AccountName, account: &Account) -> Result<(), ConfigError> {
    change(file, lock, |document| {
        let accounts = table(document.as_table_mut(), "account")?;
        accounts.set_implicit(true);
        let entry = accounts.entry(name.as_str()).or_insert_with(|| Item::Table(Table::new()));
        let entry = entry.as_table_like_mut().ok_or_else(|| not_a_table(name.as_str()))?;
        let (url, jid) = match &account.protocol {
            Protocol::Hub { url } => (Some(url.as_str()), None),
            Protocol::Xmpp { jid, url } => (url.as_deref(), Some(jid.as_str())),
        };
        let ca = account.ca.as_ref().map(|ca| ca.to_string_lossy().into_owned());
        let proxy = account.proxy.as_ref().map(|proxy| match proxy {
            Proxy::Direct => "direct",
            Proxy::Url(url) => url,
        });
        let mut set = |key: &str, item: Option<Item>| match item {
            Some(item) => drop(entry.insert(key, item)),
            None => drop(entry.remove(key)),
        };
        set("protocol", Some(value(account.protocol.name())));
        set("jid", jid.map(value));
        set("url", url.map(value));
        set("ca", ca.map(value));
        set("proxy", proxy.map(value));
        set("insecure", account.insecure.then(|| value(true)));
        set("enabled", (!account.enabled).then(|| value(false)));
        Ok(())
    })
}

/// Takes an account out. `false` when there was none of this name.
///
/// # Errors
/// As [`put_account`].
pub fn remove_account(file: &Path, lock: &Path, name: &AccountName) -> Result<bool, ConfigError> {
    let mut found = false;
    change(file, lock, |document| {
        let accounts = document.get_mut("account").and_then(Item::as_table_like_mut);
        found = accounts.is_some_and(|accounts| accounts.remove(name.as_str()).is_some());
        Ok(())
    })?;
    Ok(found)
}

fn table<'doc>(root: &'doc mut Table, key: &str) -> Result<&'doc mut Table, ConfigError> {
    root.entry(key).or_insert_with(|| Item::Table(Table::new())).as_table_mut().ok_or_else(|| not_a_table(key))
}

fn not_a_table(key: &str) -> ConfigError {
    ConfigError::Edit(format!("{key} in the configuration is not a [table]: write it as one, then try again"))
}

/// Reads, changes, checks the outcome as the daemon would, and replaces the file; all under the lock.
fn change(
    file: &Path,
    lock: &Path,
    edit: impl FnOnce(&mut DocumentMut) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let _held = hold(lock)?;
    let before = super::read(file)?;
    Config::parse(&before, file)?;
    let mut document: DocumentMut =
        before.parse().map_err(|error: toml_edit::TomlError| ConfigError::Edit(error.to_string()))?;
    edit(&mut document)?;
    let after = document.to_string();
    Config::parse(&after, file)?;
    if after == before { Ok(()) } else { replace(file, &after) }
}

/// The lock of whoever edits; a second edit is refused rather than made to wait for a person at a prompt.
fn hold(lock: &Path) -> Result<File, ConfigError> {
    let fail = |cause| ConfigError::Write { path: lock.to_path_buf(), cause };
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(lock).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(ConfigError::Edit("another wakeful command is editing the configuration: try again".into()))
        }
        Err(TryLockError::Error(cause)) => Err(fail(cause)),
    }
}

/// Writes beside and renames, so that a reader or a crash sees the old file or the new one.
fn replace(file: &Path, text: &str) -> Result<(), ConfigError> {
    let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let beside = target.with_extension("toml.new");
    let write = || -> io::Result<()> {
        let mut out = File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&beside, &target)?;
        target.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|cause| ConfigError::Write { path: target.clone(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(url: &str) -> Account {
        let protocol = Protocol::Hub { url: url.into() };
        Account { protocol, ca: None, insecure: false, proxy: None, enabled: true, retention: None }
    }

    #[test]
    fn an_edit_keeps_comments_and_the_other_accounts() {
        let dir = tempfile::tempdir().unwrap();
        let (file, lock) = (dir.path().join("config.toml"), dir.path().join("lock"));
        let before = "# mine\n[account.a] # work\nprotocol = \"hub\"\nurl = \"wss://a\" # there\n";
        std::fs::write(&file, before).unwrap();
        let b: AccountName = "b.c".parse().unwrap();
        put_account(&file, &lock, &b, &hub("wss://b")).unwrap();
        let after = std::fs::read_to_string(&file).unwrap();
        assert!(after.starts_with(before), "{after}");
        assert_eq!(Config::load(&file).unwrap().accounts.len(), 2);
        assert!(remove_account(&file, &lock, &b).unwrap());
        assert!(!remove_account(&file, &lock, &b).unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_not_right_is_left_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let (file, lock) = (dir.path().join("config.toml"), dir.path().join("lock"));
        std::fs::write(&file, "[account.a]\nprotocol = 3\n").unwrap();
        let error = put_account(&file, &lock, &"b".parse().unwrap(), &hub("wss://b")).unwrap_err();
        assert!(error.to_string().contains("config.toml:2:12"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[account.a]\nprotocol = 3\n");
    }

    #[test]
    fn two_edits_at_once_do_not_overwrite_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let (file, lock) = (dir.path().join("config.toml"), dir.path().join("lock"));
        let held = hold(&lock).unwrap();
        let error = put_account(&file, &lock, &"b".parse().unwrap(), &hub("wss://b")).unwrap_err();
        assert!(error.to_string().contains("another wakeful command"), "{error}");
        drop(held);
        put_account(&file, &lock, &"b".parse().unwrap(), &hub("wss://b")).unwrap();
    }
}

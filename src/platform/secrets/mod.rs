//! Where passwords and tokens are: the one place that reads and writes them.
//!
//! Read in this order: systemd's credentials folder, a 0600 file, the session's keyring. Written to the keyring where
//! there is one, else to a 0600 file; under `WAKEFUL_HOME` always to the file, so that a trial never touches a keyring.

mod file;
#[cfg(target_os = "macos")]
mod keychain;
#[cfg(target_os = "linux")]
mod service;

use crate::model::Secret;
use std::fmt;
use std::io;
use std::path::PathBuf;

#[cfg(target_os = "macos")]
use keychain as keyring;
#[cfg(target_os = "linux")]
use service as keyring;

/// The longest secret, bytes.
pub const SECRET_MAX: usize = 16 * 1024;

/// What went wrong, by what the user can do.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none for this account.
    #[error("no secret is stored for account {0}: run `wakeful account add` again")]
    Missing(String),
    /// The keyring is locked.
    #[error("the keyring is locked: unlock it, wakeful then goes on by itself")]
    Locked,
    /// The keyring does not answer as it should.
    #[error("the keyring failed to {intent}: {cause}")]
    Keyring {
        /// What was being done.
        intent: &'static str,
        /// What it said.
        cause: String,
    },
    /// Others may read the file.
    #[error("{path} may be read by others (mode {mode:o}): chmod 600 it, and consider the secret known")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file cannot be read or written.
    #[error("cannot {intent} the secret {path}: {cause}")]
    Io {
        /// What was being done.
        intent: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Empty, too long, or with a line break in it.
    #[error("the secret {0}")]
    Unfit(&'static str),
}

/// Where a secret was put, for the user to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the session's keyring.
    Keyring,
    /// In a file.
    File(PathBuf),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyring => f.write_str("the keyring"),
            Self::File(path) => write!(f, "{} (mode 600)", path.display()),
        }
    }
}

/// The places that are used.
#[derive(Clone, Debug)]
pub struct Secrets {
    files: PathBuf,
    credentials: Option<PathBuf>,
    keyring: bool,
}

impl Secrets {
    /// Files alone, in this folder: for `WAKEFUL_HOME`, tests and the demo.
    #[must_use]
    pub fn files(dir: PathBuf) -> Self {
        Self { files: dir, credentials: None, keyring: false }
    }

    /// The session's keyring where there is one, else files in this folder.
    #[must_use]
    pub fn session(dir: PathBuf) -> Self {
        Self { files: dir, credentials: None, keyring: true }
    }

    /// With the folder of systemd's `LoadCredential=wakeful.NAME:…` (the value of `CREDENTIALS_DIRECTORY`).
    #[must_use]
    pub fn with_credentials(mut self, dir: Option<PathBuf>) -> Self {
        self.credentials = dir;
        self
    }

    /// An account's secret.
    ///
    /// # Errors
    /// When there is none, or it cannot be read now.
    pub async fn get(&self, account: &str) -> Result<Secret, SecretError> {
        if let Some(dir) = &self.credentials
            && let Some(secret) = file::read_credential(&dir.join(format!("wakeful.{account}")))?
        {
            return Ok(secret);
        }
        if let Some(secret) = file::read(&self.files.join(account))? {
            return Ok(secret);
        }
        if !self.keyring {
            return Err(SecretError::Missing(account.to_owned()));
        }
        match keyring::get(account).await? {
            Some(secret) => Ok(secret),
            None => Err(SecretError::Missing(account.to_owned())),
        }
    }

    /// Stores an account's secret and says where. An older one elsewhere is taken away.
    ///
    /// # Errors
    /// When it is unfit, or no place takes it.
    pub async fn set(&self, account: &str, secret: &Secret) -> Result<Kept, SecretError> {
        check(secret)?;
        let path = self.files.join(account);
        if self.keyring && keyring::set(account, secret).await? {
            file::remove(&path)?;
            return Ok(Kept::Keyring);
        }
        file::write(&self.files, &path, secret)?;
        Ok(Kept::File(path))
    }

    /// Forgets an account's secret everywhere but in systemd's credentials, which are not ours.
    ///
    /// # Errors
    /// When a place that has it does not let it go.
    pub async fn remove(&self, account: &str) -> Result<(), SecretError> {
        file::remove(&self.files.join(account))?;
        if self.keyring { keyring::remove(account).await } else { Ok(()) }
    }
}

/// A secret goes into HTTP headers and XML: one line, bounded.
fn check(secret: &Secret) -> Result<(), SecretError> {
    let text = secret.expose();
    match text {
        "" => Err(SecretError::Unfit("is empty")),
        _ if text.len() > SECRET_MAX => Err(SecretError::Unfit("is longer than 16 KiB")),
        _ if text.chars().any(char::is_control) => {
            Err(SecretError::Unfit("has more than one line or a control character"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_secret_in_a_file_is_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::files(dir.path().join("secrets"));
        assert!(matches!(secrets.get("a").await, Err(SecretError::Missing(_))));
        let kept = secrets.set("a", &Secret::new("s3cret".into())).await.unwrap();
        let path = dir.path().join("secrets/a");
        assert_eq!(kept, Kept::File(path.clone()));
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(&path), mode(&dir.path().join("secrets"))], [0o600, 0o700]);
        assert_eq!(secrets.get("a").await.unwrap().expose(), "s3cret");
        secrets.set("a", &Secret::new("other".into())).await.unwrap();
        assert_eq!(secrets.get("a").await.unwrap().expose(), "other");
        assert_eq!(mode(&path), 0o600);
        secrets.remove("a").await.unwrap();
        secrets.remove("a").await.unwrap();
        assert!(matches!(secrets.get("a").await, Err(SecretError::Missing(_))));
    }

    #[tokio::test]
    async fn a_file_that_others_may_read_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "s3cret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Secrets::files(dir.path().into()).get("a").await.unwrap_err().to_string();
        assert!(error.contains("mode 644") && !error.contains("s3cret"), "{error}");
    }

    #[tokio::test]
    async fn systemds_credentials_come_first_and_their_line_end_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("wakeful.a"), "from-systemd\n").unwrap();
        let secrets = Secrets::files(dir.path().join("s")).with_credentials(Some(dir.path().into()));
        secrets.set("a", &Secret::new("from-file".into())).await.unwrap();
        assert_eq!(secrets.get("a").await.unwrap().expose(), "from-systemd");
    }

    #[tokio::test]
    async fn an_unfit_secret_is_refused_without_being_shown() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::files(dir.path().into());
        for text in ["", "two\nlines", "nul\0", &"x".repeat(SECRET_MAX + 1)] {
            let error = secrets.set("a", &Secret::new(text.into())).await.unwrap_err();
            assert!(matches!(error, SecretError::Unfit(_)));
        }
    }
}

//! One secret in one 0600 file in a 0700 folder.

use super::{SECRET_MAX, SecretError};
use crate::model::Secret;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The secret in a file of ours; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Secret>, SecretError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mode = file.metadata().map_err(|cause| io_error("read", path, cause))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.to_path_buf(), mode });
    }
    text(file, path).map(Some)
}

/// The secret in systemd's credentials folder, whose modes are systemd's business.
pub(super) fn read_credential(path: &Path) -> Result<Option<Secret>, SecretError> {
    open(path)?.map(|file| text(file, path)).transpose()
}

/// Replaces the file at once, so that a crash leaves the old secret or the new one.
pub(super) fn write(dir: &Path, path: &Path, secret: &Secret) -> Result<(), SecretError> {
    let fail = |cause| io_error("write", path, cause);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
    // No account's name begins with a dot.
    let beside = dir.join(".new");
    let write = || -> io::Result<()> {
        std::fs::remove_file(&beside).or_else(absent)?;
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&beside)?;
        file.write_all(secret.expose().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(fail)
}

/// Removes the file; one that is not there is as good as removed.
pub(super) fn remove(path: &Path) -> Result<(), SecretError> {
    std::fs::remove_file(path).or_else(absent).map_err(|cause| io_error("remove", path, cause))
}

fn open(path: &Path) -> Result<Option<File>, SecretError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(io_error("read", path, cause)),
    }
}

fn text(file: File, path: &Path) -> Result<Secret, SecretError> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    let read = file.take(SECRET_MAX as u64 + 2).read_to_string(&mut text);
    read.map_err(|cause| io_error("read", path, cause))?;
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    super::check(&secret).map(|()| secret)
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn io_error(intent: &'static str, path: &Path, cause: io::Error) -> SecretError {
    SecretError::Io { intent, path: path.to_path_buf(), cause }
}

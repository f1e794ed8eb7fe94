//! Room on the disk: a ballast file kept for the moment when there is none, and what is said while writes fail.
//!
//! On a full disk even a deletion needs room. So the first write that fails gives the ballast up: what the user does
//! (reading, taking back, writing an answer) still fits, while what servers send waits until the ballast stands again.

use super::tx::{Result, set_meta};
use super::{Store, StoreError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// The ballast's name in the store's folder.
const NAME: &str = "ballast";

/// The ballast, and whether the disk takes writes.
pub(super) struct Room {
    ballast: Option<Ballast>,
    trouble: watch::Sender<Option<String>>,
}

#[derive(Clone)]
struct Ballast {
    file: PathBuf,
    bytes: u64,
}

impl Room {
    /// Lays the ballast of so many bytes beside the database; where that fails, there is trouble from the start. Blocking.
    pub(super) fn new(database: &Path, bytes: u64) -> Self {
        let ballast = (bytes > 0).then(|| Ballast { file: database.with_file_name(NAME), bytes });
        let trouble = ballast.as_ref().and_then(|ballast| ballast.lay().err()).map(|error| error.to_string());
        Self { ballast, trouble: watch::Sender::new(trouble) }
    }

    /// Room without a ballast.
    pub(super) fn unbounded() -> Self {
        Self { ballast: None, trouble: watch::Sender::new(None) }
    }

    /// Why the disk takes no writes; `None` while it does.
    pub(super) fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// Before anything of a server's is written: after a failure only once the ballast stands again.
    ///
    /// # Errors
    /// `Disk` while it does not.
    pub(super) async fn admit(&self) -> Result<()> {
        if self.trouble.borrow().is_none() || crate::mutant("ingest-on-a-full-disk") {
            return Ok(());
        }
        let Some(ballast) = self.ballast.clone() else { return Ok(()) };
        let laid = tokio::task::spawn_blocking(move || ballast.lay_with_room()).await;
        laid.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| StoreError::Disk { intent: "keeping some room".into(), cause: error.to_string() })
    }

    /// The disk did not do what it was asked for. A read that fails is no want of room: the ballast stays.
    pub(super) fn doubt(&self, error: &StoreError) {
        if !matches!(error, StoreError::Disk { .. }) {
            return;
        }
        self.trouble.send_if_modified(|trouble| {
            let news = trouble.is_none();
            trouble.get_or_insert_with(|| error.to_string());
            news
        });
    }

    /// What a write came to.
    pub(super) async fn heard<T>(&self, result: &Result<T>) {
        match result {
            Err(error @ StoreError::Disk { .. }) => {
                if let Some(ballast) = self.ballast.clone().filter(|_| !crate::mutant("ballast-kept")) {
                    let given = tokio::task::spawn_blocking(move || std::fs::remove_file(ballast.file)).await;
                    tracing::warn!(%error, given_up = matches!(given, Ok(Ok(()))), "the disk takes no writes");
                }
                self.doubt(error);
            }
            Ok(_) if self.trouble.borrow().is_some() => {
                if self.ballast.as_ref().is_none_or(Ballast::stands) {
                    tracing::info!("the disk takes writes again");
                    self.trouble.send_replace(None);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
}

impl Ballast {
    fn stands(&self) -> bool {
        std::fs::metadata(&self.file).is_ok_and(|found| found.len() == self.bytes)
    }

    /// After a failure: only where there is room for as much again, else what was given up a moment ago would be taken
    /// for free.
    fn lay_with_room(&self) -> io::Result<()> {
        let dir = self.file.parent().unwrap_or(&self.file);
        let found = rustix::fs::statvfs(dir)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if !self.stands() && free < self.bytes.saturating_mul(2) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, format!("only {} KiB are free", free >> 10)));
        }
        self.lay()
    }

    /// Makes the file, unless it stands. What could not be written whole is taken away again.
    fn lay(&self) -> io::Result<()> {
        if self.stands() {
            return Ok(());
        }
        let made = self.write();
        if made.is_err() {
            let _nothing_there = std::fs::remove_file(&self.file);
        }
        made
    }

    /// Bytes that no file system stores as a hole or in less.
    fn write(&self) -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&self.file)?;
        let mut dice = fastrand::Rng::with_seed(1);
        let mut piece = [0; 16 << 10];
        let mut left = self.bytes;
        while left > 0 {
            dice.fill(&mut piece);
            let part = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            file.write_all(piece.get(..part).unwrap_or(&piece))?;
            left -= part as u64;
        }
        // The room is taken from here on; that the bytes reach the disk is nobody's concern.
        Ok(())
    }
}

impl Store {
    /// Why the disk takes no writes; `None` while it does.
    #[must_use]
    pub fn disk(&self) -> watch::Receiver<Option<String>> {
        self.inner.room.trouble()
    }

    /// Gives up the ballast of a folder whose store does not open for want of room; whether there was one. Blocking.
    #[must_use]
    pub fn make_room(dir: &Path) -> bool {
        std::fs::remove_file(dir.join(NAME)).is_ok()
    }

    /// Lays the ballast anew and writes something small: when both succeed the disk takes writes again.
    ///
    /// # Errors
    /// `Disk` while it does not.
    pub async fn try_disk(&self) -> Result<()> {
        self.inner.room.admit().await?;
        self.write(None, |tx| set_meta(tx.conn, "store:tried", Some(&tx.at.ms().to_string()))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_gives_the_ballast_up_and_what_servers_send_waits_until_it_stands_again() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::new(&dir.path().join("a.db"), 100_000);
        let ballast = dir.path().join(NAME);
        assert!(
            ballast.metadata().unwrap().len() == 100_000
                && room.admit().await.is_ok()
                && room.trouble().borrow().is_none()
        );
        let full = StoreError::Disk { intent: "writing".into(), cause: "full".into() };
        room.heard::<()>(&Err(full)).await;
        assert!(!ballast.exists());
        assert_eq!(room.trouble().borrow().as_deref(), Some("writing: full"));
        // A small write of the user's fits: that alone is no sign of room.
        room.heard(&Ok(())).await;
        assert!(room.trouble().borrow().is_some());
        // Nothing can be laid where something else stands.
        std::fs::create_dir(&ballast).unwrap();
        assert!(matches!(room.admit().await, Err(StoreError::Disk { .. })));
        std::fs::remove_dir(&ballast).unwrap();
        room.admit().await.unwrap();
        room.heard(&Ok(())).await;
        assert!(ballast.is_file() && room.trouble().borrow().is_none());
    }
}

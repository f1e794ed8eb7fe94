//! Whether the file is sound: a note that says that a process is at work in it, and what is known since. A process that
//! finds the note of another that never took it back has the file read through, beside its work.

use super::StoreError;
use super::tx::{Result, meta, set_meta};
use crate::db;
use crate::model::{Quarantined, StoreState, StoreStatus, Timestamp};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// Files up to this size are read through before anything else is done, bytes; larger ones meanwhile.
const AT_ONCE: u64 = 4 << 20;
/// Stands while a process is at work in the file.
const RUNNING: &str = "store:running";
/// What is known of the damaged file that this one replaces.
pub(super) const QUARANTINED: &str = "store:quarantined";

/// What is known of the file.
#[derive(Debug)]
pub(super) struct Health {
    path: Option<PathBuf>,
    status: watch::Sender<StoreStatus>,
}

impl Health {
    /// In memory there is nothing to be damaged.
    pub(super) fn of_memory() -> Self {
        Self { path: None, status: watch::Sender::new(StoreStatus::default()) }
    }

    /// Reads and sets the note. A small file that was left by a killed process is read through here.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn begin(conn: &Connection, path: &Path, now: Timestamp) -> Result<Self> {
        let unclean = meta(conn, RUNNING)?.is_some() || crate::mutant("always-unclean");
        let size = std::fs::metadata(path).map_or(0, |found| found.len());
        let mut state = StoreState::Sound;
        if unclean && !crate::mutant("unclean-unchecked") {
            state = StoreState::Checking;
            if size <= AT_ONCE {
                db::integrity(conn, path, true)?;
                state = StoreState::Sound;
            }
        }
        match set_meta(conn, RUNNING, Some(&now.to_string())) {
            Ok(()) => {}
            Err(error @ StoreError::Corrupt { .. }) => return Err(error),
            // Reading goes on; the next write will tell.
            Err(error) => tracing::warn!(%error, "it cannot be noted that a daemon is at work"),
        }
        let status = StoreStatus { state, detail: None, quarantined: quarantined(conn)? };
        Ok(Self { path: Some(path.to_owned()), status: watch::Sender::new(status) })
    }

    pub(super) fn watch(&self) -> watch::Receiver<StoreStatus> {
        self.status.subscribe()
    }

    /// Whether the note may be taken back: nothing is left to be checked.
    pub(super) fn is_sound(&self) -> bool {
        self.status.borrow().state == StoreState::Sound
    }

    /// Something could not be read: it has to be read through before anybody says that it is sound.
    pub(super) fn suspect(&self, error: &StoreError) {
        if let (Some(_), StoreError::Corrupt { cause, .. }) = (&self.path, error) {
            tracing::error!(%error, "the store gives what it should not");
            self.status.send_if_modified(|status| {
                let new = status.state == StoreState::Sound;
                if new {
                    status.state = StoreState::Checking;
                    status.detail = Some(cause.clone());
                }
                new
            });
        }
    }

    /// The file was read through.
    pub(super) fn judged(&self, found: Result<()>) {
        let (state, detail) = match found {
            Ok(()) => (StoreState::Sound, None),
            Err(StoreError::Corrupt { cause, .. }) => (StoreState::Damaged, Some(cause)),
            // The disk did not give it: that says nothing about what stands there.
            Err(error) => (StoreState::Checking, Some(error.to_string())),
        };
        self.status.send_modify(|status| {
            status.state = state;
            status.detail = detail;
        });
    }

    /// What the next process must know: that the file is damaged. For the end of this one.
    pub(super) fn hand_on(&self) {
        let status = self.status.borrow();
        if let (StoreState::Damaged, Some(path)) = (status.state, &self.path)
            && let Err(error) = super::quarantine::mark(path, status.detail.as_deref().unwrap_or("damaged"))
        {
            tracing::error!(%error, "the damage could not be noted: the next start finds it again");
        }
    }

    /// Reads the whole file through on a connection of its own. Blocking, as long as it takes.
    pub(super) fn read_through(path: &Path, settings: &db::Settings, quick: bool) -> Result<()> {
        let conn = db::open_reader(path, settings)?;
        Ok(db::integrity(&conn, path, quick)?)
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// Takes the note back: this process has ended in order.
pub(super) fn end(conn: &Connection) -> Result<()> {
    set_meta(conn, RUNNING, None)
}

/// The damaged file that this one replaces, for as long as it is there.
pub(super) fn quarantined(conn: &Connection) -> Result<Option<Quarantined>> {
    let known = meta(conn, QUARANTINED)?.and_then(|text| serde_json::from_str::<Quarantined>(&text).ok());
    Ok(known.filter(|known| Path::new(&known.file).exists()))
}

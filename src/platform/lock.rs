//! The lock on the state folder: the only truth about "one daemon". Pid files and ping tests lie after a crash.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How often a start gives way to those who only ask whether a daemon lives.
const QUESTIONERS: usize = 1_000;

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it, and lives.
    #[error("another wakeful daemon{} runs on {path}: stop it with `wakeful stop`, or use another WAKEFUL_HOME",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// What it wrote there about itself; a hint for people only.
        pid: Option<u32>,
    },
    /// The file cannot be opened or locked.
    #[error("cannot lock {path}: {cause}")]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// The lock, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock (flock) without waiting. Its folder must exist.
    ///
    /// # Errors
    /// [`LockError::Held`] when a living process has it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let fail = |cause| LockError::Io { path: path.to_path_buf(), cause };
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path).map_err(fail)?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if crate::mutant("lock-off") => break,
                Err(TryLockError::WouldBlock) if tries < QUESTIONERS && only_asked(&file) => tries += 1,
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { path: path.into(), pid: pid(&mut file) });
                }
                Err(TryLockError::Error(cause)) => return Err(fail(cause)),
            }
        }
        // The pid is for people who read the file; nobody acts on it.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(fail)?;
        Ok(Self { _file: file })
    }

    /// Waits until no living process holds the lock. Blocking.
    ///
    /// # Errors
    /// When the system refuses to lock at all.
    pub fn wait_free(path: &Path) -> io::Result<()> {
        match File::options().read(true).write(true).open(path) {
            Ok(file) => file.lock_shared(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a living process holds the lock, with the pid it noted. Takes nothing for longer than the question.
    #[must_use]
    pub fn holder(path: &Path) -> Option<Option<u32>> {
        let mut file = File::options().read(true).write(true).open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(pid(&mut file)),
            _ => None,
        }
    }
}

/// Who is in the way only asks (a shared lock), and no daemon holds it.
fn only_asked(file: &File) -> bool {
    let shared = file.try_lock_shared().is_ok() && file.unlock().is_ok();
    if shared {
        std::thread::yield_now();
    }
    shared
}

fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(StateLock::holder(&path), None);
        let first = StateLock::take(&path).unwrap();
        let error = StateLock::take(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert_eq!(StateLock::holder(&path), Some(Some(std::process::id())));
        drop(first);
        assert_eq!(StateLock::holder(&path), None, "the file is still there; only the lock counts");
        StateLock::take(&path).unwrap();
    }

    #[test]
    fn asking_who_holds_it_never_makes_a_start_fail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        drop(StateLock::take(&path).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = StateLock::holder(&path);
                }
            });
            let all: Result<Vec<_>, _> = (0..500).map(|_| StateLock::take(&path).map(drop)).collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            all.unwrap();
        });
    }

    #[test]
    fn a_thousand_racing_takers_never_hold_it_together() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..250 {
                        if let Ok(lock) = StateLock::take(&path) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
    }
}

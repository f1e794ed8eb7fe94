//! `wakeful start`: a daemon in the background without a service manager, and an exit status that tells the truth.
//!
//! `daemonize` is used only as its advisory (RUSTSEC-2025-0069) allows: `execute()`, before any thread exists. The
//! detached process then becomes `wakeful run` by exec, so that it starts as clean as under a service manager. It says
//! READY through a pipe; until then the command waits, and an end of the pipe without READY is a failed start.

use daemonize::{Daemonize, Outcome};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How much of the log is shown when a start fails, bytes.
const TAIL: u64 = 4096;

/// What is started, and how long to wait for it.
#[derive(Debug)]
pub struct Detach {
    /// The program, this one.
    pub program: PathBuf,
    /// Its arguments, such as `run`; they must tell it to find the pipe on standard input.
    pub arguments: Vec<OsString>,
    /// Its working folder.
    pub folder: PathBuf,
    /// Its standard output and error, 0600, appended to.
    pub log: PathBuf,
    /// How long it may take to become ready.
    pub patience: Duration,
}

/// Why a start failed.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// A service manager started us: it must not be deceived by a process that forks away.
    #[error("{0} is set, so a service manager started this: let it run `wakeful run` instead of `wakeful start`")]
    Supervised(&'static str),
    /// A step before the daemon existed failed.
    #[error("cannot {intent}: {cause}")]
    Io {
        /// What was being done.
        intent: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The process could not be detached.
    #[error("cannot detach: {0}")]
    Fork(daemonize::Error),
    /// It ended before it was ready.
    #[error("the daemon ended before it was ready; the end of {log}:\n{tail}")]
    Ended {
        /// Where its log is.
        log: PathBuf,
        /// The end of what it wrote since it was started.
        tail: String,
    },
    /// It is neither ready nor gone.
    #[error("the daemon is not ready after {} s and was left running; see {log}", .patience.as_secs())]
    Slow {
        /// Where its log is.
        log: PathBuf,
        /// How long it had.
        patience: Duration,
    },
}

/// The variable by which a service manager tells that it started us; `at_terminal`: the process has a controlling
/// terminal, in which `INVOCATION_ID` is merely handed on from the terminal's own unit.
#[must_use]
pub fn supervisor(environment: impl Fn(&str) -> Option<OsString>, at_terminal: bool) -> Option<&'static str> {
    // Every process of a macOS session has XPC_SERVICE_NAME; "0" means: not a launchd job. A terminal's own
    // children inherit "application.…".
    let job = |value: &OsString| value != "0" && !value.to_string_lossy().starts_with("application.");
    if environment("NOTIFY_SOCKET").is_some() {
        Some("NOTIFY_SOCKET")
    } else if environment("INVOCATION_ID").is_some() && !at_terminal {
        Some("INVOCATION_ID")
    } else if environment("XPC_SERVICE_NAME").as_ref().is_some_and(job) {
        Some("XPC_SERVICE_NAME")
    } else {
        None
    }
}

/// Starts the daemon and returns when it is ready. Must be called before any thread exists.
///
/// # Errors
/// When it cannot be started, ended before it was ready, or takes too long.
pub fn start(detach: &Detach) -> Result<(), DetachError> {
    let (reader, writer) = io::pipe().map_err(io_error("make a pipe"))?;
    let log = open_log(&detach.log)?;
    let written = log.metadata().map_err(io_error("read the log's size"))?.len();
    let (out, err) = (log.try_clone().map_err(io_error("share the log"))?, log);
    let daemon = Daemonize::new().working_directory(&detach.folder).umask(0o077).stdout(out).stderr(err);
    match daemon.execute() {
        Outcome::Parent(Ok(_)) => {
            drop(writer);
            wait(detach, reader, written)
        }
        Outcome::Parent(Err(error)) => Err(DetachError::Fork(error)),
        Outcome::Child(Err(error)) => Err(DetachError::Fork(error)),
        Outcome::Child(Ok(_)) => {
            drop(reader);
            Err(become_daemon(detach, writer))
        }
    }
}

/// In the detached process: turns into the daemon. Returns only on failure, which the log then tells.
fn become_daemon(detach: &Detach, writer: PipeWriter) -> DetachError {
    let cause = Command::new(&detach.program).args(&detach.arguments).stdin(writer).exec();
    io_error(&format!("run {}", detach.program.display()))(cause)
}

/// In the command: reads until READY, the end, or the end of patience.
fn wait(detach: &Detach, mut reader: PipeReader, written: u64) -> Result<(), DetachError> {
    use rustix::event::{PollFd, PollFlags, poll};
    let patience = rustix::time::Timespec::try_from(detach.patience).ok();
    let found = loop {
        let mut fds = [PollFd::new(&reader, PollFlags::IN)];
        match poll(&mut fds, patience.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other,
        }
    };
    if matches!(found, Ok(0)) {
        return Err(DetachError::Slow { log: detach.log.clone(), patience: detach.patience });
    }
    let mut said = [0; 5];
    match reader.read_exact(&mut said) {
        Ok(()) if &said == b"READY" => Ok(()),
        _ if crate::mutant("start-untrue") => Ok(()),
        _ => Err(DetachError::Ended { log: detach.log.clone(), tail: tail(&detach.log, written) }),
    }
}

fn open_log(path: &Path) -> Result<File, DetachError> {
    let open = File::options().create(true).append(true).mode(0o600).open(path);
    open.map_err(io_error(&format!("open the log {}", path.display())))
}

/// The end of what was written after `from`.
fn tail(path: &Path, from: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(size.saturating_sub(TAIL)).min(size)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    match read() {
        Ok(text) if text.is_empty() => "(it said nothing)".into(),
        Ok(text) => text,
        Err(error) => format!("(cannot be read: {error})"),
    }
}

fn io_error(intent: &str) -> impl Fn(io::Error) -> DetachError {
    move |cause| DetachError::Io { intent: intent.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(set: &[(&'static str, &str)], at_terminal: bool) -> Option<&'static str> {
        supervisor(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()), at_terminal)
    }

    #[test]
    fn service_managers_are_recognised_and_terminals_are_not_taken_for_them() {
        assert_eq!(found(&[], false), None);
        assert_eq!(found(&[("NOTIFY_SOCKET", "/run/x")], true), Some("NOTIFY_SOCKET"));
        assert_eq!(found(&[("INVOCATION_ID", "a")], false), Some("INVOCATION_ID"));
        assert_eq!(found(&[("INVOCATION_ID", "a")], true), None);
        assert_eq!(found(&[("XPC_SERVICE_NAME", "0")], false), None);
        assert_eq!(found(&[("XPC_SERVICE_NAME", "application.com.apple.Terminal.1")], false), None);
        assert_eq!(found(&[("XPC_SERVICE_NAME", "org.wakeful.daemon")], true), Some("XPC_SERVICE_NAME"));
    }
}

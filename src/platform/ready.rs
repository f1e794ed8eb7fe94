//! Telling whoever started us how we are: systemd's notify socket, or the pipe of `wakeful start`.
//!
//! Never reads the environment by itself: `main` does, before any thread exists.

use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The pipe at whose other end `wakeful start` waits. Only the end of the process closes it without READY: a failed
/// start has written why by then.
#[derive(Debug)]
pub struct StartPipe(ManuallyDrop<File>);

impl StartPipe {
    /// Takes the pipe that [`super::detach`] put in the place of standard input, and puts `/dev/null` there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn on_stdin() -> io::Result<Self> {
        let pipe = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(Self(ManuallyDrop::new(File::from(pipe))))
    }

    fn say_ready(self) {
        let mut pipe = ManuallyDrop::into_inner(self.0);
        // The command may have lost its patience.
        writeln!(pipe, "READY").ok();
    }
}

/// How long READY may wait for a service manager that is slow to read. Nothing else waits at all.
const READY_PATIENCE: Duration = Duration::from_secs(1);

/// Whom to tell.
#[derive(Debug, Default)]
pub struct Readiness {
    manager: Option<ServiceSocket>,
    pipe: Option<StartPipe>,
    watchdog: Option<Duration>,
}

/// The service manager's socket. A full one never holds the daemon up: what it does not take is left out.
#[derive(Debug)]
struct ServiceSocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Readiness {
    /// From what `main` found: the value of `NOTIFY_SOCKET`, and the pipe of `wakeful start`.
    #[must_use]
    pub fn new(notify_socket: Option<&OsStr>, pipe: Option<StartPipe>) -> Self {
        let manager = notify_socket.and_then(|name| match ServiceSocket::at(name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                tracing::warn!(%error, "systemd's notify socket cannot be used");
                None
            }
        });
        let watchdog = manager.as_ref().and_then(|_| sd_notify::watchdog_enabled());
        Self { manager, pipe, watchdog }
    }

    /// For tests: with a manager that wants to hear of us so often.
    #[cfg(test)]
    pub(crate) fn with_watchdog(self, watchdog: Duration) -> Self {
        Self { watchdog: Some(watchdog), ..self }
    }

    /// How often systemd wants to hear of us at the latest, if it does.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sockets listen and accounts are loaded. The pipe is closed with it: whoever waits there goes away.
    pub fn ready(&mut self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)], READY_PATIENCE);
        if let Some(pipe) = self.pipe.take() {
            pipe.say_ready();
        }
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(status)], Duration::ZERO);
    }

    /// We are alive.
    pub fn feed_watchdog(&self) {
        self.tell(&[NotifyState::Watchdog], Duration::ZERO);
    }

    /// We are on our way out.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping], Duration::ZERO);
    }

    fn tell(&self, state: &[NotifyState<'_>], patience: Duration) {
        let Some(manager) = &self.manager else { return };
        if let Err(error) = manager.send(state, patience) {
            tracing::debug!(%error, "systemd's notify socket takes nothing");
        }
    }
}

impl ServiceSocket {
    /// A path, or with a leading `@` a name in the abstract namespace (`sd_notify(3)`).
    fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    fn send(&self, state: &[NotifyState<'_>], patience: Duration) -> io::Result<()> {
        let text: String = state.iter().map(|line| format!("{line}\n")).collect();
        match self.socket.send_to_addr(text.as_bytes(), &self.address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !patience.is_zero() => {
                self.socket.set_write_timeout(Some(patience))?;
                self.socket.set_nonblocking(false)?;
                let sent = self.socket.send_to_addr(text.as_bytes(), &self.address);
                self.socket.set_nonblocking(true)?;
                sent.map(drop)
            }
            sent => sent.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_that_reads_nothing_never_holds_the_daemon_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut readiness = Readiness::new(Some(path.as_os_str()), None);
        readiness.ready("up");
        // Far more than any kernel queues: a call that blocked would never come back.
        (0..5_000).for_each(|number| readiness.status(&format!("status {number}")));
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1\nSTATUS=up\n");
    }

    #[test]
    fn without_a_service_manager_there_is_nobody_to_tell() {
        let mut readiness = Readiness::new(None, None);
        readiness.ready("up");
        assert_eq!(readiness.watchdog(), None);
    }
}

//! Telling whoever started us how we are: systemd's notify socket, or the pipe of `wakeful start`.
//!
//! Never reads the environment by itself: `main` does, before any thread exists.

use sd_notify::NotifyState;
use std::fs::File;
use std::io::{self, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd as _;
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

/// Whom to tell.
#[derive(Debug, Default)]
pub struct Readiness {
    systemd: bool,
    pipe: Option<StartPipe>,
    watchdog: Option<Duration>,
}

impl Readiness {
    /// From what `main` found: whether `NOTIFY_SOCKET` is set, and the pipe of `wakeful start`.
    #[must_use]
    pub fn new(systemd: bool, pipe: Option<StartPipe>) -> Self {
        let watchdog = if systemd { sd_notify::watchdog_enabled() } else { None };
        Self { systemd, pipe, watchdog }
    }

    /// How often systemd wants to hear of us at the latest, if it does.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sockets listen and accounts are loaded. The pipe is closed with it: whoever waits there goes away.
    pub fn ready(&mut self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        if let Some(pipe) = self.pipe.take() {
            pipe.say_ready();
        }
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// We are alive.
    pub fn feed_watchdog(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// We are on our way out.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if !self.systemd {
            return;
        }
        if let Err(error) = sd_notify::notify(state) {
            tracing::debug!(%error, "systemd's notify socket does not answer");
        }
    }
}

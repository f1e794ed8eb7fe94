//! The kernel's own word that time was set or the machine woke up: a timer that is cancelled then
//! (`TFD_TIMER_CANCEL_ON_SET`, timerfd_create(2); resuming counts as setting the clock).

use super::wake::Nudge;
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

/// Nudges whenever the timer is cancelled.
pub(super) async fn run(nudge: mpsc::Sender<Nudge>) {
    if let Err(error) = follow(&nudge).await {
        tracing::debug!(%error, "the kernel does not tell when its clock is set");
    }
}

async fn follow(nudge: &mpsc::Sender<Nudge>) -> io::Result<()> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    arm(&timer)?;
    let again = timer.try_clone()?;
    // Not a pipe, but read and waited for like one.
    let reader = Receiver::from_file_unchecked(File::from(timer))?;
    loop {
        reader.readable().await?;
        let mut count = [0; 8];
        match reader.try_read(&mut count) {
            Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {
                arm(&again)?;
                nudge.try_send(Nudge::Look).ok();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(_) => arm(&again)?,
        }
    }
}

/// For a day that will not come.
fn arm(timer: &OwnedFd) -> io::Result<()> {
    let never = Timespec { tv_sec: i64::from(i32::MAX) * 4, tv_nsec: 0 };
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    match timerfd_settime(timer, flags, &Itimerspec { it_interval: none, it_value: never }) {
        // It was cancelled since the last time it was armed; it is armed now.
        Ok(_) | Err(Errno::CANCELED) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

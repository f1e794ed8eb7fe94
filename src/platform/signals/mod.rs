//! Facts about the machine as [`Signal`]s: sleep, network, power, screen lock.
//!
//! Each source may be absent, and says nothing then. None polls on a timer to notice a change; the kernel and the
//! system's bus tell. Real suspend was never tried: the gap between the clocks comes in by [`Clock::slept`].

#[cfg(target_os = "linux")]
mod bus;
#[cfg(target_os = "linux")]
mod clock_set;
#[cfg(target_os = "linux")]
mod logind;
#[cfg(target_os = "linux")]
mod netlink;
mod network;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
mod routes;
#[cfg(not(target_os = "linux"))]
mod routing_socket;
mod wake;

use crate::model::{Addressed, Signal};
use crate::world::Clock;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use wake::{Nudge, Wake};

/// Hints that wait for the one who compares the clocks; more are the same hint.
const NUDGES: usize = 16;

/// Which bus tells of sleep, lock and power.
#[derive(Clone, Debug, Default)]
pub enum Bus {
    /// The system's, where there is one.
    #[default]
    System,
    /// The one at this D-Bus address.
    At(String),
}

/// Starts every source that this machine has; each ends with `shutdown`. Must be called within a tokio runtime.
pub fn watch(signals: broadcast::Sender<Addressed>, clock: Clock, bus: Bus, shutdown: CancellationToken) {
    let (nudge, nudges) = mpsc::channel(NUDGES);
    spawn(&shutdown, compare(Wake::new(clock), nudges, Told(signals.clone())));
    #[cfg(target_os = "linux")]
    {
        spawn(&shutdown, clock_set::run(nudge.clone()));
        spawn(&shutdown, netlink::run(Told(signals.clone()), nudge.clone()));
        spawn(&shutdown, bus::run(bus, Told(signals), nudge));
    }
    #[cfg(not(target_os = "linux"))]
    {
        drop(bus);
        spawn(&shutdown, routing_socket::run(Told(signals), nudge));
    }
}

fn spawn(shutdown: &CancellationToken, source: impl Future<Output = ()> + Send + 'static) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = source => {}
        }
    });
}

/// Where the sources speak.
#[derive(Clone)]
struct Told(broadcast::Sender<Addressed>);

impl Told {
    fn tell(&self, signal: Signal) {
        tracing::debug!(?signal, "told by the machine");
        // Nobody listening is no error.
        self.0.send(Addressed { account: None, signal }).ok();
    }
}

/// The task that owns the comparison of the clocks.
async fn compare(mut wake: Wake, mut nudges: mpsc::Receiver<Nudge>, told: Told) {
    while let Some(nudge) = nudges.recv().await {
        if let Some(signal) = wake.nudged(nudge) {
            told.tell(signal);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;

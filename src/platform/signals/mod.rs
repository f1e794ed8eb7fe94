//! Facts about the machine as [`Signal`]s: sleep, network, power, screen lock. Each source may be absent.

use crate::model::Addressed;
use crate::world::Clock;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Starts every source that this machine has; each ends with `shutdown`.
pub fn watch(signals: broadcast::Sender<Addressed>, clock: Clock, shutdown: CancellationToken) {
    drop((signals, clock, shutdown));
}

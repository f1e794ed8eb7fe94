//! What counts as a change of the network: a doorbell that rings often, and a comparison that is told rarely.

use super::Told;
use super::wake::Nudge;
use crate::model::Signal;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Changes come in bursts: an interface that comes up rings a dozen times.
const SETTLE: Duration = Duration::from_millis(200);

/// A doorbell of the kernel's.
pub(super) trait Doorbell {
    /// Waits for a ring. `true`: an address that sockets may be bound to is gone.
    fn ring(&mut self) -> impl Future<Output = std::io::Result<bool>> + Send;

    /// All routes beyond this machine, as text to compare; empty: there is none.
    fn routes(&self) -> String;
}

/// Listens at the doorbell and tells what changed.
pub(super) async fn follow(mut bell: impl Doorbell, told: &Told, nudge: &mpsc::Sender<Nudge>) -> std::io::Result<()> {
    let mut known = bell.routes();
    loop {
        let mut local_gone = bell.ring().await?;
        let settled = sleep(SETTLE);
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => break,
                gone = bell.ring() => local_gone |= gone?,
            }
        }
        // Interfaces come back after sleep, often before anybody else tells of it.
        nudge.try_send(Nudge::Look).ok();
        let routes = bell.routes();
        if local_gone || routes != known {
            told.tell(Signal::Network { routed: !routes.is_empty(), local_gone });
            known = routes;
        }
    }
}

//! After a burst of work: gives back what it took, so that an idle daemon is as small after ten thousand messages as it
//! was before them. Sets no timer until a burst has happened.

use crate::platform::memory;
use crate::store::Store;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// So many changes are a burst.
const BURST: i64 = 100;
/// A burst is over when nothing has changed for so long.
const QUIET: Duration = Duration::from_secs(5);

/// Tidies up after each burst until told to stop.
pub(super) async fn tidy(store: Store, shutdown: CancellationToken) {
    let _stopped = shutdown.run_until_cancelled(after_bursts(&store)).await;
}

async fn after_bursts(store: &Store) {
    let mut feed = store.feed();
    let mut tidied = feed.borrow_and_update().0;
    while feed.changed().await.is_ok() {
        if feed.borrow_and_update().0.saturating_sub(tidied) < BURST {
            continue;
        }
        while let Ok(changed) = timeout(QUIET, feed.changed()).await {
            if changed.is_err() {
                return;
            }
        }
        tidied = feed.borrow_and_update().0;
        store.rest().await;
        memory::trim();
    }
}

//! Tells systemd that the daemon lives, when a link has just proven life anyway, and otherwise by half of its limit.

use crate::model::Statuses;
use crate::platform::ready::Readiness;
use crate::store::Store;
use crate::world::Clock;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

/// A store that does not answer for so long is taken for hung; a slow disk has its own reason and is not.
const ANSWER: Duration = Duration::from_secs(60);

/// Feeds the watchdog and keeps the status line true, until the statuses end.
pub async fn watch(readiness: &Readiness, mut statuses: watch::Receiver<Statuses>, store: &Store, clock: &Clock) {
    let Some(limit) = readiness.watchdog() else {
        return follow(readiness, statuses).await;
    };
    let mut fed = clock.now();
    loop {
        let next = tokio::time::Instant::from_std(fed + limit / 2);
        tokio::select! {
            changed = statuses.changed() => {
                if changed.is_err() {
                    return;
                }
                readiness.status(&summary(&statuses.borrow_and_update()));
                if clock.now().saturating_duration_since(fed) < limit / 4 {
                    continue;
                }
            }
            () = sleep_until(next) => {}
        }
        if !timeout(ANSWER.min(limit / 4), store.accounts()).await.is_ok_and(|answer| answer.is_ok()) {
            tracing::error!("the store does not answer: the watchdog is not fed");
        } else if !crate::mutant("watchdog-off") {
            readiness.feed_watchdog();
        }
        fed = clock.now();
    }
}

/// Without a watchdog: the status line alone.
async fn follow(readiness: &Readiness, mut statuses: watch::Receiver<Statuses>) {
    while statuses.changed().await.is_ok() {
        readiness.status(&summary(&statuses.borrow_and_update()));
    }
}

/// One line for `systemctl status`.
#[must_use]
pub fn summary(statuses: &Statuses) -> String {
    if statuses.is_empty() {
        return "no accounts: add one with `wakeful account add`".into();
    }
    let states = statuses.values().map(|status| {
        let state = format!("{:?}", status.state).to_lowercase();
        match &status.last_error {
            Some(reason) if status.state == crate::model::AccountState::Halted => {
                format!("{} {state}: {}", status.name, reason.text())
            }
            _ => format!("{} {state}", status.name),
        }
    });
    states.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::world::Entropy;
    use std::os::unix::net::UnixDatagram;

    const LIMIT: Duration = Duration::from_secs(900);

    /// Feeds within this time, by the manager's count.
    async fn fed_within(within: Duration, close_store: bool) -> usize {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let readiness = Readiness::new(Some(path.as_os_str()), None).with_watchdog(LIMIT);
        let clock = Clock::simulated(Timestamp(0));
        let store = Store::in_memory(crate::store::Settings::default(), clock.clone(), Entropy::seeded(1)).unwrap();
        if close_store {
            store.close().await;
        }
        let statuses = watch::Sender::new(Statuses::new());
        let watching = watch(&readiness, statuses.subscribe(), &store, &clock);
        assert!(timeout(within, watching).await.is_err(), "it ends with the statuses only");
        let mut buffer = [0; 64];
        let words = std::iter::from_fn(|| manager.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()));
        words.filter(|words| words.starts_with(b"WATCHDOG=1")).count()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_daemon_feeds_it_by_half_of_its_limit() {
        assert_eq!(fed_within(LIMIT / 2 - Duration::from_secs(1), false).await, 0);
        let fed = fed_within(4 * LIMIT, false).await;
        assert!((7..=8).contains(&fed), "{fed}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_whose_store_does_not_answer_does_not_feed_it() {
        assert_eq!(fed_within(4 * LIMIT, true).await, 0);
    }
}

//! An account's data goes in steps, and a process may die between any two of them.

use super::*;
use crate::db::{Disk, Fate};
use crate::model::{Span, SpanEdge};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A disk that takes so many more commits.
struct Takes(AtomicUsize);

impl Disk for Takes {
    fn next(&self) -> Fate {
        let full = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        Fate { fails: full, ..Fate::default() }
    }
}

fn whole(n: u64) -> Event {
    let edge = |order: u64| {
        Some(SpanEdge { id: order.to_string(), at: Timestamp(T0 + 1_000 * i64::try_from(order).unwrap()) })
    };
    Event::Span(Span {
        archive: "e1/c1".into(),
        conversation: Some(ConversationKey::server("c1")),
        lo: edge(1),
        hi: edge(n),
        after: None,
        before: None,
        at_start: true,
        at_end: true,
    })
}

/// A store with 2,500 messages that are whole from the beginning, one that waits, and a protocol that has come so far.
async fn full(disk: Arc<Takes>) -> (Store, AccountId) {
    let clock = Clock::simulated(Timestamp(T0));
    let store = Store::simulated(Settings::default(), clock, Entropy::seeded(1), disk).unwrap();
    let account = store.account("ann", "hub", Some("ann")).await.unwrap();
    let mut events: Vec<Event> = (1..=2_500).map(|order| came("c1", order, "text")).collect();
    events.push(whole(2_500));
    store.apply(account, Batch { events, checkpoint: progress(b"2500"), at: Timestamp(T0) }).await.unwrap();
    let conversation = store.conversations(Some(account), 1).await.unwrap()[0].id;
    let draft = Draft { account, conversation: Some(conversation), what: say("waits"), id: None, at: Timestamp(T0) };
    store.enqueue(draft).await.unwrap();
    (store, account)
}

async fn spans(store: &Store) -> i64 {
    store.read(|conn| Ok(conn.query_row("SELECT count(*) FROM span", [], |row| row.get(0))?)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_is_cut_short_leaves_a_store_that_knows_nothing_of_its_server() {
    for commits in 1..=3 {
        let disk = Arc::new(Takes(AtomicUsize::new(usize::MAX)));
        let (store, account) = full(disk.clone()).await;
        disk.0.store(commits, Ordering::Relaxed);
        assert!(store.purge_account(account).await.is_err(), "the disk is full after {commits}");
        disk.0.store(usize::MAX, Ordering::Relaxed);
        let again = store.account("ann", "hub", Some("ann")).await.unwrap();
        assert_eq!(store.checkpoint(again).await.unwrap(), [], "it catches up from nothing, after {commits}");
        assert_eq!(spans(&store).await, 0, "no range claims what is gone, after {commits}");
        assert!(
            store.take_outbox(again, 9, Timestamp(T0)).await.unwrap().is_empty(),
            "nothing is sent, after {commits}"
        );
        let left = store.count(Query::new(Scope::Account(again))).await.unwrap();
        let unread = store.unread(Some(again)).await.unwrap();
        assert_eq!(left, unread, "counts are true and nothing seems to wait, after {commits}");
        store.purge_account(again).await.unwrap();
        assert_eq!(store.accounts().await.unwrap(), []);
    }
}

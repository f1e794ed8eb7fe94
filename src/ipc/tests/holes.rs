//! Where history is not on this machine: told, or fetched as the reader gets there.

use super::*;
use crate::ipc::wire::{CursorNext, CursorOpen, Holes, Waiting};
use crate::model::{FetchHole, Order, Signal, Span, SpanEdge};
use std::time::Duration;

fn edge(n: u64) -> SpanEdge {
    SpanEdge { id: n.to_string(), at: Timestamp(T0 + i64::try_from(n).unwrap() * 1_000) }
}

/// Messages `lo..=hi`, as the server gives a page of them.
fn page(lo: u64, hi: u64, origin: Origin) -> Vec<Event> {
    let mut events: Vec<Event> = (lo..=hi).map(|n| Event::Message(Box::new(arrival("team", n, origin)))).collect();
    events.push(Event::Span(Span {
        archive: "e/team".into(),
        conversation: Some(ConversationKey::server("team")),
        lo: Some(edge(lo)),
        hi: Some(edge(hi)),
        after: lo.checked_sub(1).map(|below| below.to_string()),
        before: Some((hi + 1).to_string()),
        at_start: lo == 0,
        at_end: false,
    }));
    events
}

/// The newest ten of thirty messages are here.
async fn house() -> (House, ConversationId, Client) {
    let house = House::new().await;
    let team = house.conversation("team").await;
    house.apply(page(20, 29, Origin::Snapshot)).await;
    let client = house.client().await;
    (house, team, client)
}

async fn fetched(house: &mut House) -> FetchHole {
    loop {
        let signal = tokio::time::timeout(Duration::from_secs(10), house.signals.recv()).await.expect("a fetch");
        if let Signal::Fetch(fetch) = signal.unwrap().signal {
            return fetch;
        }
    }
}

/// Answers fetches as a link does: ten messages directly before the hole's upper end.
async fn serve_history(mut house: House) {
    loop {
        let fetch = fetched(&mut house).await;
        let above: u64 = fetch.above.unwrap().parse().unwrap();
        house.apply(page(above - 10, above - 1, Origin::History)).await;
        if above == 10 {
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test]
async fn a_hole_is_a_row_of_its_own_and_reading_ends_behind_it() {
    let (_house, team, client) = house().await;
    let rows = client.find(in_conversation(team)).batch_size(4).to_vec(99).await.unwrap();
    let mut expected = numbers((20..30).rev());
    expected.push("hole".into());
    assert_eq!(texts(&rows), expected);
    let up = client.find(in_conversation(team)).sort(Order::Asc).to_vec(99).await.unwrap();
    assert_eq!(texts(&up)[..2], ["hole", "20"]);
}

#[tokio::test]
async fn a_reader_that_wants_them_gets_missing_messages_from_the_server_in_both_directions() {
    for order in [Order::Desc, Order::Asc] {
        let (house, team, client) = house().await;
        let server = tokio::spawn(serve_history(house));
        let mut cursor = client.find(in_conversation(team)).sort(order).batch_size(7).holes(Holes::Fetch);
        let rows = cursor.to_vec(99).await.unwrap();
        let expected = if order == Order::Asc { numbers(0..30) } else { numbers((0..30).rev()) };
        assert_eq!(texts(&rows), expected);
        server.abort();
    }
}

#[tokio::test]
async fn a_batch_says_that_it_waits_for_the_network_and_the_next_one_goes_on() {
    let (mut house, team, client) = house().await;
    let ask = CursorOpen {
        find: in_conversation(team),
        batch: Some(10),
        holes: Holes::Fetch,
        wait_ms: Some(30),
        ..CursorOpen::default()
    };
    let first = client.call(ask).await.unwrap();
    let next = CursorNext { cursor: first.cursor.unwrap(), batch: None, wait_ms: None };
    let second = client.call(next.clone()).await.unwrap();
    assert!(matches!(second.waiting, Some(Waiting::Network(_))) && second.rows.is_empty());
    let fetch = fetched(&mut house).await;
    assert_eq!((fetch.above.as_deref(), fetch.below), (Some("20"), None));
    house.apply(page(10, 19, Origin::History)).await;
    let third = client.call(next).await.unwrap();
    assert_eq!(texts(&third.rows), numbers((10..20).rev()));
}

#[tokio::test]
async fn offline_the_hole_is_told_at_once_and_the_token_goes_on_from_it() {
    let (house, team, client) = house().await;
    house
        .statuses
        .send_modify(|statuses| statuses.values_mut().for_each(|status| status.state = AccountState::Waiting));
    let mut cursor = client.find(in_conversation(team)).holes(Holes::Fetch);
    let rows = cursor.to_vec(99).await.unwrap();
    assert_eq!((rows.len(), texts(&rows)[10].as_str()), (11, "hole"));
    assert!(matches!(cursor.waiting(), Some(Waiting::Offline(_))));
    house.apply(page(0, 19, Origin::History)).await;
    let token = cursor.token().unwrap().to_string();
    let rest = client.find(Find::default()).resume(token).holes(Holes::Fetch).to_vec(99).await.unwrap();
    assert_eq!(texts(&rest), numbers((0..20).rev()));
}

/// Of an old epoch, imported, or refused by the server: no answer ever comes.
#[tokio::test]
async fn a_hole_that_the_server_does_not_fill_is_told_and_reading_goes_on_behind_it() {
    for order in [Order::Desc, Order::Asc] {
        let (mut house, team, client) = house().await;
        let mut cursor = client.find(in_conversation(team)).sort(order).holes(Holes::Fetch);
        cursor = cursor.max_wait(Duration::from_millis(20));
        let rows = tokio::time::timeout(Duration::from_secs(20), cursor.to_vec(99)).await.expect("an end").unwrap();
        let mut expected = numbers(20..30);
        expected.insert(0, "hole".into());
        if order == Order::Desc {
            expected.reverse();
        }
        assert_eq!(texts(&rows), expected);
        assert!(cursor.gave_up());
        fetched(&mut house).await;
    }
}

#[tokio::test]
async fn a_reader_waits_for_a_server_that_fills_a_hole_slowly() {
    let (house, team, client) = house().await;
    let slow = tokio::spawn(async move {
        let mut house = house;
        for lo in [10, 0] {
            fetched(&mut house).await;
            tokio::time::sleep(Duration::from_millis(250)).await;
            house.apply(page(lo, lo + 9, Origin::History)).await;
        }
        house
    });
    let mut cursor = client.find(in_conversation(team)).holes(Holes::Fetch).max_wait(Duration::from_millis(100));
    let rows = cursor.to_vec(99).await.unwrap();
    assert_eq!(texts(&rows), numbers((0..30).rev()));
    assert!(!cursor.gave_up());
    slow.await.unwrap();
}

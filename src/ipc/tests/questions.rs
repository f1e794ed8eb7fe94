//! What can be asked of a cursor: searches with their matches marked, what is refused, rare rows, and what stays fixed.

use super::conformance::{asc, house, next, open, refused};
use super::*;
use crate::ipc::wire::{CursorCount, CursorOpen, FaultCode};
use crate::model::Order;

#[tokio::test]
async fn a_search_gives_its_matches_marked_newest_first_and_by_rank() {
    let (house, team, client) = house(0).await;
    let said =
        |n, text: &str| Event::Message(Box::new(Arrival { text: text.into(), ..arrival("team", n, Origin::Live) }));
    house.apply(vec![said(0, "the Café opens"), said(1, "cafe cafe"), said(2, "東京の駅")]).await;
    for (sort, text, expected) in [
        (Order::Desc, "cafe", vec!["[cafe] [cafe]", "the [Café] opens"]),
        (Order::Rank, "cafe", vec!["[cafe] [cafe]", "the [Café] opens"]),
        (Order::RankAsc, "cafe", vec!["the [Café] opens", "[cafe] [cafe]"]),
        (Order::Desc, "\"the cafe\"", vec!["[the Café] opens"]),
        (Order::Desc, "ope*", vec!["the Café [opens]"]),
        (Order::Desc, "京", vec!["東[京]の駅"]),
    ] {
        let find = Find { text: Some(text.into()), sort, ..in_conversation(team) };
        let rows = client.find(find).to_vec(9).await.unwrap();
        let shown = |row: &Row| match row {
            Row::Message(message) => message
                .snippet
                .iter()
                .flatten()
                .map(|part| if part.hit { format!("[{}]", part.text) } else { part.text.clone() })
                .collect::<String>(),
            Row::Hole(_) => "hole".into(),
        };
        assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), expected, "{text} {sort:?}");
    }
}

#[tokio::test]
async fn what_could_only_be_scanned_for_is_refused_at_the_opening_with_the_reason() {
    let (_house, team, client) = house(3).await;
    let text = |text: &str| Find { text: Some(text.into()), ..asc(team) };
    for (find, reason) in [
        (text("e*"), "almost everything"),
        (text("?!"), "no word"),
        (Find { skip: 10_001, ..asc(team) }, "`skip` reads every row"),
        (Find { sort: Order::Rank, ..asc(team) }, "only a search"),
    ] {
        let fault = refused(&client, CursorOpen { find: find.clone(), ..open(team, Some(0)) }).await;
        assert!(fault.kind() == FaultCode::BadParams && fault.message.contains(reason), "{}", fault.message);
        let fault = refused(&client, crate::ipc::wire::PageAsk { find, ..Default::default() }).await;
        assert!(fault.message.contains(reason), "{}", fault.message);
    }
}

#[tokio::test]
async fn where_rows_that_fit_are_rare_a_batch_ends_early_and_the_cursor_goes_on() {
    let (house, team, client) = house(0).await;
    let row = |n: u64| {
        let sender = if n == 1 { "carol" } else { "bob" };
        let text = format!("{n} http://x");
        Event::Message(Box::new(Arrival { sender: sender.into(), text, ..arrival("team", n, Origin::Live) }))
    };
    let all: Vec<u64> = (0..2_000).collect();
    for chunk in all.chunks(500) {
        house.apply(chunk.iter().copied().map(row).collect()).await;
    }
    let find = Find { sender: Some("carol".into()), has_link: true, ..in_conversation(team) };
    let first = client.call(CursorOpen { find: find.clone(), ..open(team, Some(5)) }).await.unwrap();
    assert!(first.rows.is_empty() && first.cursor.is_some() && first.waiting.is_none(), "1,500 rows were looked at");
    assert_eq!(texts(&client.call(next(first.cursor, 5)).await.unwrap().rows), ["1 http://x"]);
    assert_eq!(client.find(find.clone()).to_vec(9).await.unwrap().len(), 1, "the library goes on by itself");
    assert_eq!(client.call(CursorCount { find }).await.unwrap().count, 1);
}

#[tokio::test]
async fn rows_left_out_are_those_of_the_opening_however_late_they_are_asked_for() {
    let (mut house, team, client) = house(10).await;
    let find = Find { skip: 2, limit: Some(3), ..in_conversation(team) };
    let first = client.call(CursorOpen { find, ..open(team, Some(0)) }).await.unwrap();
    house.arrive("team", 10..15).await;
    assert_eq!(texts(&client.call(next(first.cursor, 9)).await.unwrap().rows), ["7", "6", "5"]);
}

#[tokio::test]
async fn a_cursor_gives_only_what_it_found_at_its_opening_when_the_feed_has_long_forgotten() {
    let (mut house, team, client) = house(10).await;
    let first = client.call(CursorOpen { find: asc(team), ..open(team, Some(4)) }).await.unwrap();
    house.arrive("team", 10..20).await;
    house.forget_changes().await;
    let rest = client.find(Find::default()).resume(first.token.unwrap()).to_vec(99).await.unwrap();
    assert_eq!(texts(&rest), numbers(4..10));
}

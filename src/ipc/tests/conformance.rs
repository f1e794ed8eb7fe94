//! What MongoDB's manual says of cursors, sentence by sentence, over the socket.

use super::*;
use crate::ipc::ClientError;
use crate::ipc::wire::{
    Batch, CursorClose, CursorCount, CursorNext, CursorOpen, FaultCode, Method, NoteKind, Subscribe, Waiting,
};
use crate::model::{Amendment, Attachment, Change, Order, Target};
use std::time::Duration;

pub(super) async fn house(messages: u64) -> (House, ConversationId, Client) {
    let mut house = House::new().await;
    let team = house.conversation("team").await;
    house.arrive("team", 0..messages).await;
    let client = house.client().await;
    (house, team, client)
}

pub(super) fn open(team: ConversationId, batch: Option<u32>) -> CursorOpen {
    CursorOpen { find: in_conversation(team), batch, ..CursorOpen::default() }
}

pub(super) fn asc(team: ConversationId) -> Find {
    Find { sort: Order::Asc, ..in_conversation(team) }
}

pub(super) fn next(cursor: Option<u64>, batch: u32) -> CursorNext {
    CursorNext { cursor: cursor.expect("open"), batch: Some(batch), wait_ms: None }
}

pub(super) async fn refused<M: Method>(client: &Client, ask: M) -> crate::ipc::wire::Fault
where
    M::Answer: std::fmt::Debug,
{
    client.call(ask).await.unwrap_err().fault().expect("a refusal").clone()
}

#[tokio::test]
async fn nothing_is_asked_before_the_first_row_is_wanted() {
    let (mut house, team, client) = house(3).await;
    let mut cursor = client.find(asc(team));
    assert_eq!(cursor.seq(), None);
    house.arrive("team", 3..5).await;
    assert_eq!(texts(&cursor.to_vec(10).await.unwrap()), numbers(0..5), "it was opened only now");
}

#[tokio::test]
async fn the_first_batch_has_101_rows_and_the_next_ones_more() {
    let (_house, team, client) = house(1_500).await;
    let first = client.call(open(team, None)).await.unwrap();
    assert_eq!(first.rows.len(), 101);
    let ask = CursorNext { cursor: first.cursor.unwrap(), batch: None, wait_ms: None };
    assert_eq!(client.call(ask).await.unwrap().rows.len(), 1_000);
}

#[tokio::test]
async fn a_batch_size_of_zero_opens_without_reading() {
    let (_house, team, client) = house(5).await;
    let first = client.call(open(team, Some(0))).await.unwrap();
    assert!(first.rows.is_empty() && first.cursor.is_some());
    assert_eq!(client.call(next(first.cursor, 9)).await.unwrap().rows.len(), 5);
}

#[tokio::test]
async fn each_batch_may_have_its_own_size_and_the_last_closes_the_cursor() {
    let (_house, team, client) = house(10).await;
    let first = client.call(open(team, Some(4))).await.unwrap();
    let second = client.call(next(first.cursor, 3)).await.unwrap();
    let third = client.call(next(first.cursor, 100)).await.unwrap();
    let all = [first.rows, second.rows, third.rows].concat();
    assert_eq!(texts(&all), numbers((0..10).rev()));
    assert_eq!((third.cursor, third.token), (None, None));
    assert_eq!(refused(&client, next(first.cursor, 1)).await.kind(), FaultCode::CursorNotFound);
}

#[tokio::test]
async fn a_batch_ends_at_its_bytes_but_always_holds_one_row() {
    let (house, team, client) = house(0).await;
    let large = |n| Arrival { text: "x".repeat(30_000), ..arrival("team", n, Origin::Live) };
    house.apply((0..8).map(|n| Event::Message(Box::new(large(n)))).collect()).await;
    let tight = CursorOpen { bytes: Some(70_000), ..open(team, Some(8)) };
    assert_eq!(client.call(tight).await.unwrap().rows.len(), 2);
    let tiny = CursorOpen { bytes: Some(1), ..open(team, Some(8)) };
    let mut batch = client.call(tiny).await.unwrap();
    for _ in 0..7 {
        assert_eq!(batch.rows.len(), 1);
        batch = client.call(next(batch.cursor, 8)).await.unwrap();
    }
}

#[tokio::test]
async fn limit_ends_the_cursor_by_itself_and_zero_means_none() {
    let (_house, team, client) = house(30).await;
    let limited = client.call(CursorOpen { find: Find { limit: Some(7), ..asc(team) }, ..open(team, Some(5)) }).await;
    let first = limited.unwrap();
    let second = client.call(next(first.cursor, 5)).await.unwrap();
    assert_eq!((texts(&second.rows), second.cursor), (numbers(5..7), None));
    let all = client.find(asc(team)).limit(0).to_vec(100).await.unwrap();
    assert_eq!(all.len(), 30);
}

#[tokio::test]
async fn skip_comes_before_limit_in_whatever_order_they_are_chained() {
    let (_house, team, client) = house(20).await;
    let one = client.find(in_conversation(team)).limit(3).skip(5).sort(Order::Asc).batch_size(2);
    let other = client.find(in_conversation(team)).sort(Order::Asc).skip(5).limit(3);
    for mut cursor in [one, other] {
        assert_eq!(texts(&cursor.to_vec(9).await.unwrap()), numbers(5..8));
    }
    assert_eq!(client.find(asc(team)).skip(20).to_vec(9).await.unwrap(), []);
}

#[tokio::test]
async fn sort_goes_both_ways() {
    let (_house, team, client) = house(250).await;
    let down = client.find(in_conversation(team)).sort(Order::Desc).to_vec(999).await.unwrap();
    let up = client.find(in_conversation(team)).sort(Order::Asc).batch_size(50).to_vec(999).await.unwrap();
    assert_eq!((texts(&down), texts(&up)), (numbers((0..250).rev()), numbers(0..250)));
}

#[tokio::test]
async fn next_has_next_for_each_and_the_stream_read_the_same_rows() {
    let (_house, team, client) = house(5).await;
    let mut cursor = client.find(asc(team)).batch_size(2);
    assert!(cursor.has_next().await.unwrap() && cursor.has_next().await.unwrap(), "asking twice takes nothing");
    assert_eq!(texts(&[cursor.next().await.unwrap().unwrap()]), ["0"]);
    let mut seen = Vec::new();
    cursor
        .for_each(|row| {
            seen.push(row);
            seen.len() < 2
        })
        .await
        .unwrap();
    assert_eq!(texts(&seen), ["1", "2"]);
    let rest: Vec<_> =
        futures_util::StreamExt::collect::<Vec<_>>(&mut cursor).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(texts(&rest), ["3", "4"]);
    assert!(!cursor.has_next().await.unwrap() && cursor.next().await.is_none(), "it stays exhausted");
}

#[tokio::test]
async fn to_vec_refuses_more_than_its_limit_rather_than_filling_memory() {
    let (_house, team, client) = house(5).await;
    assert!(matches!(client.find(asc(team)).to_vec(4).await, Err(ClientError::TooMany(4))));
    assert_eq!(client.find(asc(team)).to_vec(5).await.unwrap().len(), 5);
}

#[tokio::test]
async fn an_empty_result_is_an_exhausted_cursor() {
    let (_house, team, client) = house(0).await;
    let first = client.call(open(team, None)).await.unwrap();
    assert_eq!((first.rows.len(), first.cursor), (0, None));
}

#[tokio::test]
async fn an_idle_cursor_is_closed_and_its_error_says_where_to_reopen() {
    let idle = Duration::from_millis(120);
    let mut house = House::with(Settings { cursor_idle: idle, ..Settings::default() }).await;
    let team = house.conversation("team").await;
    house.arrive("team", 0..10).await;
    let client = house.client().await;
    let mortal = client.call(open(team, Some(4))).await.unwrap();
    let immortal = client.call(CursorOpen { no_timeout: true, ..open(team, Some(4)) }).await.unwrap();
    let mut library = client.find(asc(team)).batch_size(4);
    library.next().await.unwrap().unwrap();
    tokio::time::sleep(idle * 3).await;
    let fault = refused(&client, next(mortal.cursor, 4)).await;
    assert_eq!(fault.kind(), FaultCode::CursorNotFound);
    assert!(fault.message.contains("idle"), "{}", fault.message);
    let again = CursorOpen { token: fault.data.reopen, batch: Some(4), ..CursorOpen::default() };
    assert_eq!(texts(&client.call(again).await.unwrap().rows), numbers((2..6).rev()));
    assert_eq!(client.call(next(immortal.cursor, 4)).await.unwrap().rows.len(), 4, "no_timeout");
    assert_eq!(texts(&library.to_vec(99).await.unwrap()), numbers(1..10), "the library reopens by itself");
}

#[tokio::test]
async fn a_killed_cursor_answers_no_more_and_cannot_be_killed_twice() {
    let (_house, team, client) = house(10).await;
    let first = client.call(open(team, Some(2))).await.unwrap();
    let cursor = first.cursor.unwrap();
    client.call(CursorClose { cursor }).await.unwrap();
    let fault = refused(&client, next(first.cursor, 2)).await;
    assert!(fault.kind() == FaultCode::CursorNotFound && fault.message.contains("closed"));
    assert_eq!(refused(&client, CursorClose { cursor }).await.kind(), FaultCode::CursorNotFound);
    assert_eq!(refused(&client, CursorClose { cursor: 4_711 }).await.kind(), FaultCode::CursorNotFound);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_session_and_serves_one_request_at_a_time() {
    let (house, team, client) = house(10).await;
    let first = client.call(open(team, Some(2))).await.unwrap();
    let stranger = house.client().await;
    assert_eq!(refused(&stranger, next(first.cursor, 2)).await.kind(), FaultCode::CursorNotFound);
    let tail = CursorOpen { find: asc(team), tail: true, ..open(team, Some(100)) };
    let tail = client.call(tail).await.unwrap();
    let waiting = tokio::spawn({
        let (client, ask) = (client.clone(), next(tail.cursor, 5));
        async move { client.call(CursorNext { wait_ms: Some(2_000), ..ask }).await }
    });
    let fault = loop {
        match client.call(CursorNext { wait_ms: Some(0), ..next(tail.cursor, 5) }).await {
            Err(error) => break error.fault().unwrap().kind(),
            Ok(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(fault, FaultCode::CursorInUse);
    waiting.abort();
}

#[tokio::test]
async fn count_counts_what_fits_and_minds_skip_and_limit() {
    let (_house, team, client) = house(30).await;
    let count = async |find| client.call(CursorCount { find }).await.unwrap().count;
    assert_eq!(count(asc(team)).await, 30);
    assert_eq!(count(Find { skip: 25, limit: Some(10), ..asc(team) }).await, 5);
    assert_eq!(count(Find { limit: Some(7), ..asc(team) }).await, 7);
    assert_eq!(count(Find { sender: Some("nobody".into()), ..asc(team) }).await, 0);
}

#[tokio::test]
async fn later_messages_shift_no_page_and_none_is_given_twice() {
    let (mut house, team, client) = house(20).await;
    let (down, up) = (open(team, Some(5)), CursorOpen { find: asc(team), ..open(team, Some(5)) });
    let (mut down, mut up) = (client.call(down).await.unwrap(), client.call(up).await.unwrap());
    let (mut seen_down, mut seen_up) = (down.rows.clone(), up.rows.clone());
    for round in 20..30 {
        house.arrive("team", round..round + 1).await;
        for (batch, seen) in [(&mut down, &mut seen_down), (&mut up, &mut seen_up)] {
            if batch.cursor.is_some() {
                *batch = client.call(next(batch.cursor, 5)).await.unwrap();
                seen.extend(batch.rows.clone());
            }
        }
    }
    assert_eq!((texts(&seen_down), texts(&seen_up)), (numbers((0..20).rev()), numbers(0..20)));
}

#[tokio::test]
async fn edits_behind_the_reader_are_told_and_ahead_of_it_are_seen() {
    let (house, team, client) = house(10).await;
    let find = Find { sender: Some("bob".into()), ..in_conversation(team) };
    let first = client.call(CursorOpen { find, ..open(team, Some(5)) }).await.unwrap();
    let edit = |n: u64| {
        Event::Change(Change {
            conversation: ConversationKey::server("team"),
            target: Target::Server(format!("e/team/{n}")),
            rev: 1,
            by: "bob".into(),
            at: Timestamp(T0 + 99_000),
            what: Amendment::Edit { text: format!("{n} edited") },
        })
    };
    house.apply(vec![edit(8), edit(2)]).await;
    let second = client.call(next(first.cursor, 5)).await.unwrap();
    assert_eq!(texts(&second.rows), ["4", "3", "2 edited", "1", "0"]);
    let note = &second.notes[0];
    assert_eq!((second.notes.len(), note.kind), (1, NoteKind::Changed));
    assert_eq!(note.message.as_ref().unwrap().text, "8 edited");
}

#[tokio::test]
async fn a_row_that_leaves_the_filter_behind_the_reader_is_told() {
    let (house, team, client) = house(10).await;
    let find = Find { unread: true, ..in_conversation(team) };
    let first = client.call(CursorOpen { find, ..open(team, Some(3)) }).await.unwrap();
    house.store.mark_read(team, None, Timestamp(T0)).await.unwrap();
    let second = client.call(next(first.cursor, 9)).await.unwrap();
    assert!(second.rows.is_empty());
    let note = &second.notes[0];
    assert_eq!((note.kind, note.conversation), (NoteKind::Read, Some(team)), "{:?}", second.notes);
}

#[tokio::test]
async fn a_tailable_cursor_runs_from_history_into_what_is_new() {
    let (mut house, team, client) = house(10).await;
    let mut tail = client.find(asc(team)).tail().batch_size(4);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(tail.next().await.unwrap().unwrap());
    }
    house.arrive("team", 10..20).await;
    for _ in 6..20 {
        seen.push(tail.next().await.unwrap().unwrap());
    }
    let waiting = tokio::spawn(async move { tail.next().await.unwrap().unwrap() });
    tokio::task::yield_now().await;
    house.arrive("team", 20..21).await;
    seen.push(waiting.await.unwrap());
    assert_eq!(texts(&seen), numbers(0..21));
}

#[tokio::test]
async fn a_tailable_cursor_goes_oldest_first_and_says_when_nothing_is_new() {
    let (_house, team, client) = house(2).await;
    let wrong = CursorOpen { tail: true, ..open(team, None) };
    assert_eq!(refused(&client, wrong).await.kind(), FaultCode::BadParams);
    let tail = CursorOpen { find: asc(team), tail: true, wait_ms: Some(10), ..open(team, Some(50)) };
    let first = client.call(tail).await.unwrap();
    assert!(first.rows.len() == 2 && first.live);
    let idle = client.call(CursorNext { wait_ms: Some(10), ..next(first.cursor, 5) }).await.unwrap();
    assert_eq!((idle.rows.len(), idle.waiting), (0, Some(Waiting::Live)));
}

#[tokio::test]
async fn a_cursor_outlives_the_daemon_by_its_token() {
    let (house, team, client) = house(20).await;
    let first = client.call(CursorOpen { find: asc(team), ..open(team, Some(8)) }).await.unwrap();
    let mut house = house.restart().await;
    house.arrive("team", 20..25).await;
    let client = house.client().await;
    let mut rest = client.find(Find::default()).resume(first.token.unwrap());
    assert_eq!(texts(&rest.to_vec(99).await.unwrap()), numbers(8..20), "still as of its opening");
}

#[tokio::test]
async fn history_and_then_a_subscription_leave_no_gap_and_no_double() {
    let (mut house, team, client) = house(10).await;
    let mut cursor = client.find(asc(team)).batch_size(3);
    let mut seen = vec![cursor.next().await.unwrap().unwrap()];
    house.arrive("team", 10..13).await;
    seen.extend(cursor.to_vec(99).await.unwrap());
    let ask = Subscribe { after: cursor.seq(), conversation: Some(team.to_string()), ..Subscribe::default() };
    let mut live = client.subscribe(ask).await.unwrap();
    let mut new = Vec::new();
    while new.len() < 3 {
        if let Some(Ok(crate::ipc::wire::Notification::Event(event))) = live.next().await
            && event.kind == crate::model::FeedKind::Message
        {
            new.push(event.message.unwrap().text);
        }
    }
    assert_eq!((texts(&seen), new), (numbers(0..10), numbers(10..13)));
}

#[tokio::test]
async fn around_begins_half_a_batch_before_its_message_and_before_and_after_exclude_it() {
    let (_house, team, client) = house(50).await;
    let all = client.find(asc(team)).to_vec(99).await.unwrap();
    let Row::Message(anchor) = &all[25] else { panic!("a message") };
    let read =
        async |find, batch| -> Batch { client.call(CursorOpen { find, ..open(team, Some(batch)) }).await.unwrap() };
    let around = read(Find { around: Some(anchor.id), ..asc(team) }, 10).await;
    assert_eq!(texts(&around.rows), numbers(20..30));
    let around = read(Find { around: Some(anchor.id), ..in_conversation(team) }, 10).await;
    assert_eq!(texts(&around.rows), numbers((21..31).rev()));
    let around = read(Find { around: Some(anchor.id), ..asc(team) }, 0).await;
    assert_eq!(texts(&client.call(next(around.cursor, 2)).await.unwrap().rows), ["25", "26"]);
    let before = read(Find { before: Some(anchor.id), ..in_conversation(team) }, 2).await;
    assert_eq!(texts(&before.rows), ["24", "23"]);
    let after = read(Find { after: Some(anchor.id), ..asc(team) }, 2).await;
    assert_eq!(texts(&after.rows), ["26", "27"]);
    let both = Find { before: Some(anchor.id), after: Some(anchor.id), ..asc(team) };
    assert_eq!(refused(&client, CursorOpen { find: both, ..open(team, None) }).await.kind(), FaultCode::BadParams);
}

#[tokio::test]
async fn a_list_by_rank_is_fixed_when_it_is_opened() {
    let (house, team, client) = house(0).await;
    let said = |n: u64, text: &str| {
        let file = Attachment { url: "b".into(), mime: "text/plain".into(), size: 1, name: None };
        Event::Message(Box::new(Arrival {
            text: text.into(),
            attachments: vec![file],
            ..arrival("team", n, Origin::Live)
        }))
    };
    let long = format!("tea {}", "and other words ".repeat(20));
    house.apply(vec![said(0, &long), said(1, "tea tea tea"), said(2, "coffee"), said(3, "tea time")]).await;
    let find = Find { text: Some("tea".into()), sort: Order::Rank, has_attachment: true, ..in_conversation(team) };
    let first = client.call(CursorOpen { find: find.clone(), ..open(team, Some(1)) }).await.unwrap();
    assert_eq!(texts(&first.rows), ["tea tea tea"]);
    house.apply(vec![said(4, "tea tea tea tea")]).await;
    let rest = client.call(next(first.cursor, 9)).await.unwrap();
    assert_eq!((rest.rows.len(), rest.cursor), (2, None));
    let without = Find { text: None, ..find };
    assert_eq!(refused(&client, CursorOpen { find: without, ..open(team, None) }).await.kind(), FaultCode::BadParams);
}

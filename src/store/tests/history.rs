//! Pages, filters, searches and holes.

use super::*;
use crate::model::{Anchor, Attachment, MessageKind, Position, Span, SpanEdge};
use crate::store::StoreError;

fn edge(order: u64) -> SpanEdge {
    SpanEdge { id: order.to_string(), at: Timestamp(T0 + 1_000 * i64::try_from(order).unwrap()) }
}

fn span(lo: u64, hi: u64, at_start: bool) -> Event {
    Event::Span(Span {
        archive: "e1/c1".into(),
        conversation: Some(ConversationKey::server("c1")),
        lo: Some(edge(lo)),
        hi: Some(edge(hi)),
        after: Some((lo - 1).to_string()),
        before: None,
        at_start,
        at_end: false,
    })
}

/// Messages `lo..=hi` and the range that says so.
fn stretch(lo: u64, hi: u64, at_start: bool) -> Vec<Event> {
    let page = |order: u64| event(Arrival { origin: Origin::CatchUp, ..arrival("c1", order, &order.to_string()) });
    (lo..=hi).map(page).chain([span(lo, hi, at_start)]).collect()
}

fn shown(rows: &[PageRow]) -> String {
    let show = |row: &PageRow| match row {
        PageRow::Message(message) => message.text.clone(),
        PageRow::Hole(hole) => {
            format!("[{}-{}]", hole.below.as_deref().unwrap_or_default(), hole.above.as_deref().unwrap_or_default())
        }
    };
    rows.iter().map(show).collect::<Vec<_>>().join(" ")
}

/// Everything of `c1`, page by page.
async fn paged(f: &Fixture, order: Order, limit: usize) -> String {
    let query = Query { order, ..Query::new(Scope::Conversation(f.conversation("c1").await)) };
    let (mut rows, mut from) = (Vec::new(), None);
    loop {
        let page = f.store.page(query.clone(), from, limit).await.unwrap();
        rows.extend(page.rows);
        from = page.next;
        if from.is_none() {
            return shown(&rows);
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_show_every_message_once_with_holes_where_they_are() {
    let f = Fixture::new().await;
    f.apply(stretch(3, 5, false)).await;
    f.apply(stretch(8, 9, false)).await;
    for limit in 1..8 {
        assert_eq!(paged(&f, Order::Desc, limit).await, "9 8 [5-8] 5 4 3 [-3]", "{limit}");
        assert_eq!(paged(&f, Order::Asc, limit).await, "[-3] 3 4 5 [5-8] 8 9", "{limit}");
    }
}

#[tokio::test]
async fn a_hole_shrinks_and_closes_as_it_is_filled_and_the_beginning_is_the_beginning() {
    let f = Fixture::new().await;
    f.apply(stretch(1, 2, true)).await;
    f.apply(stretch(8, 9, false)).await;
    f.apply(stretch(6, 7, false)).await;
    assert_eq!(paged(&f, Order::Asc, 3).await, "1 2 [2-6] 6 7 8 9");
    f.apply(stretch(4, 4, false)).await;
    assert_eq!(paged(&f, Order::Asc, 3).await, "1 2 [2-4] 4 [4-6] 6 7 8 9");
    f.apply(stretch(3, 5, false)).await;
    assert_eq!(paged(&f, Order::Asc, 3).await, "1 2 3 4 5 6 7 8 9");
    let before = *f.store.feed().borrow();
    f.apply(vec![span(3, 5, false)]).await;
    assert_eq!(f.changes(before).await, []);
}

#[tokio::test]
async fn an_empty_answer_can_close_a_hole_and_find_the_beginning() {
    let f = Fixture::new().await;
    f.apply(stretch(2, 2, false)).await;
    f.apply(stretch(5, 5, false)).await;
    let nothing = |after: Option<&str>, before: &str, at_start| {
        Event::Span(Span {
            archive: "e1/c1".into(),
            conversation: Some(ConversationKey::server("c1")),
            lo: None,
            hi: None,
            after: after.map(Into::into),
            before: Some(before.into()),
            at_start,
            at_end: false,
        })
    };
    assert_eq!(paged(&f, Order::Asc, 9).await, "[-2] 2 [2-5] 5");
    f.apply(vec![nothing(Some("2"), "5", false), nothing(None, "2", true)]).await;
    assert_eq!(paged(&f, Order::Asc, 9).await, "2 5");
}

#[tokio::test]
async fn a_live_message_during_catch_up_does_not_hide_the_hole() {
    let f = Fixture::new().await;
    f.apply(stretch(1, 3, true)).await;
    f.apply(vec![came("c1", 9, "9"), span(9, 9, false)]).await;
    f.apply(stretch(4, 6, false)).await;
    assert_eq!(paged(&f, Order::Asc, 9).await, "1 2 3 4 5 6 [6-9] 9");
}

#[tokio::test]
async fn pages_begin_before_after_and_around_a_message() {
    let f = Fixture::new().await;
    f.apply((1..=9).map(|order| came("c1", order, &order.to_string())).collect()).await;
    let id = f.all().await[4].id;
    for (anchor, order, expected) in [
        (Anchor::Before(id), Order::Desc, "4 3 2"),
        (Anchor::After(id), Order::Asc, "6 7 8"),
        (Anchor::Before(id), Order::Asc, "1 2 3"),
        (Anchor::After(id), Order::Desc, "9 8 7"),
        (Anchor::Around(id), Order::Asc, "4 5 6"),
        (Anchor::Around(id), Order::Desc, "6 5 4"),
    ] {
        let query = Query { anchor: Some(anchor), order, ..Query::new(Scope::All) };
        assert_eq!(shown(&f.store.page(query, None, 3).await.unwrap().rows), expected, "{anchor:?} {order:?}");
    }
}

#[tokio::test]
async fn filters_find_what_they_say_and_count_agrees() {
    let f = Fixture::new().await;
    let file = Attachment { url: "u".into(), mime: "image/png".into(), size: 1, name: None };
    f.apply(vec![
        came("c1", 1, "plain"),
        event(Arrival { attachments: vec![file], ..arrival("c1", 2, "file") }),
        event(Arrival { sender: "carol".into(), ..arrival("c1", 3, "carol") }),
        came("c1", 4, "see https://example.org"),
        event(Arrival { kind: MessageKind::Call, ..arrival("c1", 5, "call") }),
        read_by_me("c1", 4),
        came("c2", 6, "elsewhere"),
    ])
    .await;
    let all = || Query { order: Order::Asc, ..Query::new(Scope::All) };
    for (query, expected) in [
        (Query { has_attachment: true, ..all() }, "file"),
        (Query { has_link: true, ..all() }, "see https://example.org"),
        (Query { sender: Some("carol".into()), ..all() }, "carol"),
        (Query { kind: Some(MessageKind::Call), ..all() }, "call"),
        (Query { unread: true, ..all() }, "call elsewhere"),
        (Query { since: Some(Timestamp(T0 + 2_000)), until: Some(Timestamp(T0 + 4_000)), ..all() }, "file carol"),
        (Query { skip: 4, limit: Some(1), ..all() }, "call"),
        (Query { scope: Scope::Conversation(f.conversation("c2").await), ..all() }, "elsewhere"),
        (Query { scope: Scope::Account(f.account), skip: 5, ..all() }, "elsewhere"),
    ] {
        let rows = f.store.page(query.clone(), None, 10).await.unwrap().rows;
        assert_eq!(shown(&rows), expected);
        if query.skip == 0 {
            assert_eq!(f.store.count(query).await.unwrap(), rows.len() as u64);
        }
    }
}

#[tokio::test]
async fn search_finds_words_prefixes_phrases_and_scripts_without_spaces_newest_first() {
    let f = Fixture::new().await;
    let lines = ["The quick brown fox", "Café crème", "brown quick", "明日は東京に行きます", "สวัสดีครับ", "quickly"];
    f.apply((1..).zip(lines).map(|(order, line)| came("c1", order, line)).collect()).await;
    for (typed, expected) in [
        ("quick", vec![lines[2], lines[0]]),
        ("quic*", vec![lines[5], lines[2], lines[0]]),
        ("\"quick brown\"", vec![lines[0]]),
        ("cafe", vec![lines[1]]),
        ("東京", vec![lines[3]]),
        ("สวัสดี", vec![lines[4]]),
        ("nothing", vec![]),
        ("fox) OR (quick", vec![]),
    ] {
        let query = Query { text: Some(typed.into()), ..Query::new(Scope::All) };
        let rows = messages(f.store.page(query.clone(), None, 10).await.unwrap().rows);
        assert_eq!(rows.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), expected, "{typed}");
        let ranked = messages(f.store.page(Query { order: Order::Rank, ..query }, None, 10).await.unwrap().rows);
        assert_eq!(ranked.len(), expected.len(), "{typed}");
    }
}

fn marked(message: &Message) -> String {
    let parts = message.snippet.as_ref().expect("a search has snippets");
    parts.iter().map(|part| if part.hit { format!("[{}]", part.text) } else { part.text.clone() }).collect()
}

#[tokio::test]
async fn one_or_two_characters_of_a_script_without_spaces_find_exactly_what_has_them() {
    let f = Fixture::new().await;
    let lines = ["เด็กน้อย", "วันนี้อากาศดี", "京都", "東京", "人々が来る", "ﾊﾝｶｸ", "안녕하세요", "ငါတို့", "日本 beer"];
    f.apply((1..).zip(lines).map(|(order, line)| came("c1", order, line)).collect()).await;
    for (typed, expected) in [
        ("ดี", vec![lines[1]]),
        ("ด", vec![lines[1], lines[0]]),
        ("京", vec![lines[3], lines[2]]),
        ("京*", vec![lines[3], lines[2]]),
        ("東京", vec![lines[3]]),
        ("京東", vec![]),
        ("々", vec![lines[4]]),
        ("ﾊﾝ", vec![lines[5]]),
        ("안녕", vec![lines[6]]),
        ("ငါ", vec![lines[7]]),
        ("本 bee*", vec![lines[8]]),
        ("BEER 日", vec![lines[8]]),
    ] {
        let query = Query { text: Some(typed.into()), ..Query::new(Scope::All) };
        let rows = messages(f.store.page(query, None, 10).await.unwrap().rows);
        assert_eq!(rows.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), expected, "{typed}");
        assert!(rows.iter().all(|row| marked(row).contains('[')), "{typed}: the match is marked");
    }
}

#[tokio::test]
async fn a_snippet_marks_what_was_found_as_the_index_reads_it() {
    let f = Fixture::new().await;
    let long = format!("{}the Café crème is here {}", "before ".repeat(100), "after ".repeat(100));
    f.apply(vec![came("c1", 1, &long), came("c1", 2, "creme, CAFE creme")]).await;
    let find = |typed: &str, order| Query { text: Some(typed.into()), order, ..Query::new(Scope::All) };
    for order in [Order::Desc, Order::Rank] {
        let mut rows = messages(f.store.page(find("\"cafe creme\"", order), None, 10).await.unwrap().rows);
        rows.sort_by_key(|row| -row.position.0);
        assert_eq!(marked(&rows[0]), "creme, [CAFE creme]");
        assert!(marked(&rows[1]).contains("the [Café crème] is here") && marked(&rows[1]).len() < 400);
    }
    let prefix = messages(f.store.page(find("bef*", Order::Desc), None, 10).await.unwrap().rows);
    assert!(marked(&prefix[0]).starts_with("[before] [before]"));
    assert!(f.all().await[0].snippet.is_none(), "only a search has one");
}

#[tokio::test]
async fn a_rank_goes_both_ways_over_the_same_list() {
    let f = Fixture::new().await;
    f.apply(vec![
        came("c1", 1, "tea"),
        came("c1", 2, "tea and much else that is not it"),
        came("c1", 3, "tea tea tea"),
    ])
    .await;
    let find = |order| Query { text: Some("tea".into()), order, ..Query::new(Scope::All) };
    let best = shown(&f.store.page(find(Order::Rank), None, 10).await.unwrap().rows);
    let worst = shown(&f.store.page(find(Order::RankAsc), None, 10).await.unwrap().rows);
    assert_eq!(best, "tea tea tea tea tea and much else that is not it");
    assert_eq!(worst, "tea and much else that is not it tea tea tea tea");
}

#[tokio::test]
async fn rare_rows_are_found_in_short_pages_that_say_where_to_go_on() {
    let f = Fixture::new().await;
    // Two conditions of which each alone holds for many: no index has both.
    let rare = |order: u64| order == 3 || order == 750;
    let file = || vec![Attachment { url: "u".into(), mime: "m".into(), size: 1, name: None }];
    for chunk in (1..=750).collect::<Vec<u64>>().chunks(250) {
        let row = |order: &u64| {
            let sender = if rare(*order) { "carol" } else { "bob" };
            event(Arrival { sender: sender.into(), attachments: file(), ..arrival("c1", *order, "x") })
        };
        f.apply(chunk.iter().map(row).collect()).await;
    }
    for (order, skip) in [(Order::Desc, 0), (Order::Asc, 0), (Order::Desc, 1)] {
        let mut query =
            Query { sender: Some("carol".into()), has_attachment: true, order, skip, ..Query::new(Scope::All) };
        let (mut found, mut pages, mut from) = (0, 0, None);
        loop {
            let page = f.store.page(query.clone(), from, 50).await.unwrap();
            found += page.rows.len();
            pages += 1;
            (from, query.skip) = (page.next, page.skip);
            if from.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (2 - skip as usize, 2), "{order:?} {skip}");
        assert_eq!(f.store.count(Query { skip: 0, ..query }).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn several_accounts_are_merged_by_time() {
    let f = Fixture::new().await;
    let other = f.store.account("work", "hub", Some("ann")).await.unwrap();
    for order in 1..=9_u64 {
        let link = event(Arrival { text: format!("{order} http://x"), ..arrival("c1", order, "") });
        let account = if order % 3 == 0 { other } else { f.account };
        let batch = Batch { events: vec![link], checkpoint: Checkpoint::default(), at: Timestamp(T0) };
        f.store.apply(account, batch).await.unwrap();
    }
    for query in [
        Query { has_link: true, ..Query::new(Scope::All) },
        Query { sender: Some("bob".into()), ..Query::new(Scope::All) },
        Query { unread: true, has_link: true, sender: Some("bob".into()), ..Query::new(Scope::All) },
    ] {
        for order in [Order::Asc, Order::Desc] {
            let (mut seen, mut from) = (Vec::new(), None);
            loop {
                let page = f.store.page(Query { order, ..query.clone() }, from, 2).await.unwrap();
                seen.extend(messages(page.rows).into_iter().map(|message| message.text[..1].to_owned()));
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            let expected = if order == Order::Asc { "123456789" } else { "987654321" };
            assert_eq!(seen.concat(), expected, "{query:?}");
        }
        assert_eq!(f.store.count(query).await.unwrap(), 9);
    }
}

#[tokio::test]
async fn what_came_after_a_change_can_be_left_out_and_what_was_filled_in_is_not() {
    let f = Fixture::new().await;
    f.apply((5..=7).map(|order| came("c1", order, &order.to_string())).collect()).await;
    let as_of = Some(*f.store.feed().borrow());
    let past = |order: u64| event(Arrival { origin: Origin::History, ..arrival("c1", order, &order.to_string()) });
    f.apply(vec![came("c1", 8, "8"), past(3), past(4)]).await;
    f.send(f.conversation("c1").await, "mine").await;
    let query = Query { as_of, order: Order::Asc, ..Query::new(Scope::All) };
    assert_eq!(shown(&f.store.page(query.clone(), None, 10).await.unwrap().rows), "3 4 5 6 7");
    let text = Query { text: Some("8".into()), ..query };
    assert_eq!(f.store.count(text).await.unwrap(), 0);
}

#[tokio::test]
async fn a_search_is_paged_like_history() {
    let f = Fixture::new().await;
    f.apply((1..=5).map(|order| came("c1", order, &format!("word {order}"))).collect()).await;
    let query = Query { text: Some("word".into()), ..Query::new(Scope::All) };
    let page = f.store.page(query.clone(), None, 3).await.unwrap();
    assert_eq!(shown(&page.rows), "word 5 word 4 word 3");
    let page = f.store.page(query, page.next, 3).await.unwrap();
    assert_eq!((shown(&page.rows).as_str(), page.next), ("word 2 word 1", None::<Position>));
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused() {
    let f = Fixture::new().await;
    let rank = Query { order: Order::Rank, ..Query::new(Scope::All) };
    assert!(matches!(f.store.page(rank, None, 10).await, Err(StoreError::Invalid(_))));
    let empty = Query { text: Some("  ".into()), ..Query::new(Scope::All) };
    assert!(matches!(f.store.page(empty, None, 10).await, Err(StoreError::Invalid(_))));
}

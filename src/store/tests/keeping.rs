//! How long things stay, and what is remembered of those that went.

use super::*;
use crate::model::{HoleCause, HoleFill, MessageId, Position, Span, SpanEdge};
use crate::store::{OutboxState, Retention, StoreError};
use std::time::Duration;

const DAY: i64 = 86_400_000;

fn edge(order: u64) -> SpanEdge {
    SpanEdge { id: order.to_string(), at: Timestamp(T0 + 1_000 * i64::try_from(order).unwrap()) }
}

fn span(conversation: &str, lo: u64, hi: u64) -> Event {
    Event::Span(Span {
        archive: format!("e1/{conversation}"),
        conversation: Some(ConversationKey::server(conversation)),
        lo: Some(edge(lo)),
        hi: Some(edge(hi)),
        after: (lo > 1).then(|| (lo - 1).to_string()),
        before: None,
        at_start: lo == 1,
        at_end: true,
    })
}

/// Messages `1..=n` of a conversation, whole from its beginning.
async fn full(n: u64) -> Fixture {
    let f = Fixture::new().await;
    let mut events: Vec<Event> = (1..=n).map(|order| came("c1", order, &format!("text {order}"))).collect();
    events.push(span("c1", 1, n));
    f.apply(events).await;
    f
}

async fn retain(f: &Fixture, keep: &Retention) -> usize {
    let (mut removed, mut from) = (0, None);
    let floor = f.store.floor(f.account, keep, Timestamp(T0 + DAY)).await.unwrap();
    let Some(floor) = floor else { return 0 };
    loop {
        let step = f.store.retain(f.account, floor, from, Timestamp(T0 + DAY)).await.unwrap();
        removed += step.removed;
        from = step.next;
        if from.is_none() {
            return removed;
        }
    }
}

fn newest(count: u64) -> Retention {
    Retention { count: Some(count), ..Retention::default() }
}

/// Rows of a scope, oldest first; a hole as its cause and bounds.
async fn rows(f: &Fixture, scope: Scope) -> Vec<String> {
    let query = Query { order: Order::Asc, ..Query::new(scope) };
    let row = |row| match row {
        PageRow::Message(message) => message.text.clone(),
        PageRow::Hole(hole) => format!("{:?} {:?}..{:?}", hole.cause, hole.below, hole.above),
    };
    f.store.page(query, None, 1_000).await.unwrap().rows.into_iter().map(row).collect()
}

#[tokio::test]
async fn settled_rows_go_after_a_week_and_the_same_id_still_sends_nothing_twice() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "hello")]).await;
    let conversation = f.conversation("c1").await;
    let id = MessageId(uuid::Uuid::from_u128(77));
    let draft = Draft { id: Some(id), ..f.draft(Some(conversation), say("answer")) };
    f.store.enqueue(draft.clone()).await.unwrap();
    let create = CommandKind::Create { title: "t".into(), members: vec![] };
    let create = Draft { id: Some(MessageId(uuid::Uuid::from_u128(78))), ..f.draft(None, create) };
    f.store.enqueue(create.clone()).await.unwrap();
    let waits = f.store.enqueue(f.draft(Some(conversation), say("still waits"))).await.unwrap();
    let taken = f.take(2).await;
    assert_eq!(taken.len(), 2);
    f.apply(vec![sent(&taken[0], "c1", 2), sent(&taken[1], "c9", 1)]).await;
    assert_eq!(f.store.sweep(Timestamp(T0 + 6 * DAY)).await.unwrap(), 0, "not before a week is over");
    assert_eq!(f.store.sweep(Timestamp(T0 + 8 * DAY)).await.unwrap(), 2);
    assert_eq!(f.store.requests(None, true, 9).await.unwrap().len(), 1, "the unsettled one stays");
    let again = f.store.enqueue(draft.clone()).await.unwrap();
    assert_eq!(again.message, id);
    f.store.enqueue(create.clone()).await.unwrap();
    assert_eq!(f.take(9).await.iter().map(|command| command.cid).collect::<Vec<_>>(), [waits.message]);
    assert_eq!(f.store.outbox_row(create.id.unwrap()).await.unwrap().state, OutboxState::Done);
    // Even when the message itself is gone.
    retain(&f, &Retention { age: Some(Duration::from_secs(1)), ..Retention::default() }).await;
    assert!(matches!(f.store.message(id).await, Err(StoreError::NotFound { .. })));
    f.store.enqueue(draft).await.unwrap();
    assert!(f.take(9).await.is_empty());
}

#[tokio::test]
async fn the_feed_keeps_a_week_and_no_more() {
    let f = full(3).await;
    f.store.sweep(Timestamp(T0)).await.unwrap();
    f.apply(vec![came("c1", 4, "later")]).await;
    let head = *f.store.feed().borrow();
    f.store.sweep(Timestamp(T0 + 6 * DAY)).await.unwrap();
    assert!(f.store.changes(Seq(0), 99).await.is_ok());
    while f.store.sweep(Timestamp(T0 + 8 * DAY)).await.unwrap() > 0 {}
    assert!(matches!(f.store.changes(Seq(0), 99).await, Err(StoreError::Invalid(_))), "older than a week");
    assert!(!f.store.changes(Seq(head.0 - 2), 99).await.unwrap().is_empty(), "what came since is kept");
}

#[tokio::test]
async fn the_oldest_messages_go_and_their_hole_says_why() {
    let f = full(10).await;
    assert_eq!(f.unread("c1").await, 10);
    assert_eq!(retain(&f, &newest(4)).await, 6);
    let kept = ["Retention None..Some(\"7\")", "text 7", "text 8", "text 9", "text 10"];
    assert_eq!(rows(&f, Scope::Conversation(f.conversation("c1").await)).await, kept);
    assert_eq!(rows(&f, Scope::Account(f.account)).await, kept, "over the whole account too");
    assert_eq!(f.unread("c1").await, 4);
    assert_eq!(f.store.unread(None).await.unwrap(), 4);
    let holes = f.store.holes(Some(f.account), None).await.unwrap();
    assert_eq!((holes.len(), holes[0].cause, holes[0].fill), (1, HoleCause::Retention, HoleFill::Kept));
    assert_eq!(retain(&f, &newest(4)).await, 0, "nothing more to do");
    let search = Query { text: Some("text".into()), ..Query::new(Scope::All) };
    assert_eq!(f.store.count(search).await.unwrap(), 4, "the text index follows");
    // What comes then follows on without a hole.
    f.apply(vec![came("c1", 11, "text 11"), span("c1", 11, 11)]).await;
    assert_eq!(f.store.holes(None, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn when_all_of_a_conversation_is_too_old_its_hole_stays_explained() {
    let f = full(3).await;
    let old = Retention { age: Some(Duration::from_secs(3_600)), ..Retention::default() };
    assert_eq!(retain(&f, &old).await, 3);
    let conversation = Scope::Conversation(f.conversation("c1").await);
    assert_eq!(rows(&f, conversation.clone()).await, ["Retention None..None"]);
    f.apply(vec![came("c1", 4, "text 4"), span("c1", 4, 4)]).await;
    assert_eq!(rows(&f, conversation).await, ["Retention None..Some(\"4\")", "text 4"]);
}

#[tokio::test]
async fn size_counts_texts_and_rows() {
    let f = full(10).await;
    let bytes = |bytes| Retention { bytes: Some(bytes), ..Retention::default() };
    assert_eq!(retain(&f, &bytes(10 * 307)).await, 0);
    assert_eq!(retain(&f, &bytes(5 * 307 + 1)).await, 5);
}

#[tokio::test]
async fn what_is_not_settled_stays_however_old_it_is() {
    let f = full(3).await;
    let conversation = f.conversation("c1").await;
    f.send(conversation, "waits").await;
    let first = f.all().await[0].id;
    let target = crate::model::CommandTarget { id: first, server: None, sender_ref: None, sender: String::new() };
    let react = CommandKind::React { target, key: "+".into(), on: true, all: vec![] };
    f.store.enqueue(f.draft(Some(conversation), react)).await.unwrap();
    let old = Retention { age: Some(Duration::from_secs(1)), count: Some(1), ..Retention::default() };
    assert_eq!(retain(&f, &old).await, 2);
    assert_eq!(f.texts().await, ["text 1", "waits"], "one waits in the outbox, the other is what it is about");
}

#[tokio::test]
async fn a_hole_tells_that_its_server_was_asked_and_when_that_was_answered() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 2, "text 2"), span("c1", 2, 2), came("c1", 5, "text 5"), span("c1", 5, 5)]).await;
    let holes = f.store.holes(None, None).await.unwrap();
    let seen: Vec<_> = holes.iter().map(|hole| (hole.cause, hole.fill)).collect();
    assert_eq!(seen, [(HoleCause::NotFetched, HoleFill::Open), (HoleCause::Missed, HoleFill::Open)]);
    f.store.asked(f.account, holes[1].clone()).await.unwrap();
    assert_eq!(f.store.holes(None, None).await.unwrap()[1].fill, HoleFill::Asked);
    f.apply(vec![came("c1", 4, "text 4"), span("c1", 4, 4)]).await;
    let holes = f.store.holes(None, None).await.unwrap();
    assert_eq!((holes.len(), holes[1].fill, holes[1].above.as_deref()), (2, HoleFill::Open, Some("4")));
}

#[tokio::test]
async fn a_long_history_goes_in_steps_and_a_page_of_an_account_shows_only_its_own_holes() {
    let f = full(450).await;
    let floor = f.store.floor(f.account, &newest(10), Timestamp(T0)).await.unwrap().unwrap();
    let first = f.store.retain(f.account, floor, None, Timestamp(T0)).await.unwrap();
    assert!(first.removed == 200 && first.next > Some(Position(0)));
    assert_eq!(retain(&f, &newest(10)).await, 240);
    let query = Query { order: Order::Desc, ..Query::new(Scope::All) };
    let page = f.store.page(query.clone(), None, 4).await.unwrap();
    assert_eq!(page.rows.len(), 4, "the hole lies further down");
    let page = f.store.page(query, page.next, 100).await.unwrap();
    assert!(matches!(page.rows.last(), Some(PageRow::Hole(_))) && page.rows.len() == 7);
}

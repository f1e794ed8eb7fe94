//! What failed for good and is sent again, because the user wants it.

use super::*;
use crate::model::{MessageId, MessageState, Position, SendFailure};
use crate::store::{OutboxState, StoreError};

const DAY: i64 = 86_400_000;

fn refused(command: &Command) -> Event {
    let failure = SendFailure { code: "not_found".into(), text: "there is no such user".into() };
    Event::Settled(Settled { outbox: command.outbox, outcome: Outcome::Failed(failure) })
}

/// A message that was refused, with others before and behind it.
async fn failed() -> (Fixture, ConversationId, MessageId) {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "hello")]).await;
    let conversation = f.conversation("c1").await;
    let id = f.send(conversation, "refused").await.message;
    let command = f.take(9).await.remove(0);
    f.apply(vec![refused(&command), came("c1", 2, "later")]).await;
    assert_eq!(f.store.message(id).await.unwrap().state, MessageState::Failed);
    (f, conversation, id)
}

/// A message of the other's.
async fn theirs(f: &Fixture) -> MessageId {
    f.all().await.into_iter().find(|message| !message.outgoing).unwrap().id
}

fn ids(commands: &[Command]) -> Vec<MessageId> {
    commands.iter().map(|command| command.cid).collect()
}

#[tokio::test]
async fn a_message_that_failed_goes_out_once_more_last_in_its_conversation_and_under_its_id() {
    let (mut f, conversation, id) = failed().await;
    let waits = f.send(conversation, "waits").await.message;
    assert!(f.store.retry(id).await.unwrap());
    assert!(!f.store.retry(id).await.unwrap(), "it waits already");
    let message = f.store.message(id).await.unwrap();
    assert_eq!((message.state, message.error), (MessageState::Pending, None));
    assert_eq!(f.texts().await, ["hello", "later", "waits", "refused"]);
    let search = Query { text: Some("refused".into()), ..Query::new(Scope::All) };
    assert_eq!(f.store.count(search.clone()).await.unwrap(), 1, "the text index follows");
    f.restart().await;
    let taken = f.take(9).await;
    assert_eq!(ids(&taken), [waits, id], "in the order in which they were wanted");
    assert!(!taken[1].maybe_sent, "the server said that it has not got it");
    assert!(!f.store.retry(id).await.unwrap(), "it is on its way");
    f.apply(vec![sent(&taken[0], "c1", 3), sent(&taken[1], "c1", 4)]).await;
    assert!(!f.store.retry(id).await.unwrap(), "the server has it");
    assert!(f.take(9).await.is_empty());
    assert_eq!(f.texts().await, ["hello", "later", "waits", "refused"]);
    assert_eq!(f.store.count(search).await.unwrap(), 1);
    assert_eq!(f.store.outbox_row(id).await.unwrap().state, OutboxState::Done);
}

#[tokio::test]
async fn a_message_may_fail_again_and_a_week_later_its_own_text_is_sent() {
    let (f, _, id) = failed().await;
    assert!(f.store.retry(id).await.unwrap());
    let taken = f.take(9).await;
    f.apply(vec![refused(&taken[0])]).await;
    assert_eq!(f.store.message(id).await.unwrap().state, MessageState::Failed);
    assert!(f.store.message(id).await.unwrap().position < Position::of_ms(T0 * 2), "it has a place in history again");
    while f.store.sweep(Timestamp(T0 + 8 * DAY)).await.unwrap() > 0 {}
    assert!(f.store.requests(None, true, 9).await.unwrap().is_empty());
    assert!(f.store.retry(id).await.unwrap());
    let taken = f.take(9).await;
    assert_eq!(ids(&taken), [id]);
    assert!(matches!(&taken[0].what, CommandKind::Send { text, .. } if text == "refused"));
    assert!(!taken[0].maybe_sent);
    f.apply(vec![sent(&taken[0], "c1", 3)]).await;
    assert_eq!(f.store.message(id).await.unwrap().state, MessageState::Sent);
}

#[tokio::test]
async fn a_request_that_is_no_message_is_carried_out_too() {
    let (f, conversation, _) = failed().await;
    let target = theirs(&f).await;
    let target = crate::model::CommandTarget { id: target, server: None, sender_ref: None, sender: String::new() };
    let react = CommandKind::React { target, key: "+".into(), on: true, all: vec![] };
    let id = f.store.enqueue(f.draft(Some(conversation), react)).await.unwrap().message;
    let taken = f.take(9).await;
    f.apply(vec![refused(&taken[0])]).await;
    assert!(f.store.retry(id).await.unwrap());
    assert_eq!(ids(&f.take(9).await), [id]);
}

#[tokio::test]
async fn what_was_taken_back_delivered_or_is_not_ones_own_is_not_sent_again() {
    let (f, conversation, _) = failed().await;
    let gone = f.send(conversation, "taken back").await.message;
    assert!(f.store.cancel(gone).await.unwrap());
    assert!(matches!(f.store.retry(gone).await, Err(StoreError::Invalid(_))));
    assert!(matches!(f.store.retry(theirs(&f).await).await, Err(StoreError::Invalid(_))));
    let unknown = MessageId(uuid::Uuid::from_u128(5));
    assert!(matches!(f.store.retry(unknown).await, Err(StoreError::NotFound { .. })));
    assert!(f.take(9).await.is_empty());
}

#[tokio::test]
async fn a_message_that_was_imported_unsent_may_be_sent_and_its_server_is_asked_whether_it_has_it() {
    let (f, conversation, _) = failed().await;
    let id = f.send(conversation, "not sent").await.message;
    let lines = copies::lines(f.dir.path());
    let other = Fixture::new().await;
    let count = u64::try_from(lines.len()).unwrap();
    other.store.import("x".into(), count, lines).await.unwrap();
    assert!(other.take(9).await.is_empty(), "nothing imported is sent by itself");
    assert!(other.store.retry(id).await.unwrap());
    let taken = other.take(9).await;
    assert_eq!(ids(&taken), [id]);
    assert!(taken[0].maybe_sent);
}

/// What retention does when only the newest messages are kept.
async fn keep(f: &Fixture, count: u64) -> usize {
    let keep = crate::store::Retention { count: Some(count), ..crate::store::Retention::default() };
    let floor = f.store.floor(f.account, &keep, Timestamp(T0 + DAY)).await.unwrap().unwrap();
    f.store.retain(f.account, floor, None, Timestamp(T0 + DAY)).await.unwrap().removed
}

#[tokio::test]
async fn what_failed_is_kept_as_long_as_its_request_and_is_never_called_done() {
    let (f, _, id) = failed().await;
    assert_eq!(keep(&f, 1).await, 1, "what the user wrote is nowhere else");
    assert!(f.store.retry(id).await.unwrap());
    f.apply(vec![refused(&f.take(9).await[0])]).await;
    assert_eq!(f.texts().await, ["refused", "later"]);
    f.apply(vec![came("c1", 3, "latest")]).await;
    assert_eq!(keep(&f, 1).await, 1);
    while f.store.sweep(Timestamp(T0 + 8 * DAY)).await.unwrap() > 0 {}
    assert_eq!(keep(&f, 1).await, 1, "its week is over");
    assert_eq!(f.texts().await, ["latest"]);
    assert!(matches!(f.store.outbox_row(id).await.unwrap().state, OutboxState::Failed { .. }), "it was never sent");
    assert!(matches!(f.store.retry(id).await, Err(StoreError::Invalid(text)) if text.contains("no longer kept")));
}

#[tokio::test]
async fn what_was_imported_unsent_and_thrown_away_is_not_called_done() {
    let (f, conversation, _) = failed().await;
    let id = f.send(conversation, "not sent").await.message;
    let other = Fixture::new().await;
    other.store.import("x".into(), 9, copies::lines(f.dir.path())).await.unwrap();
    other.apply(vec![came("c1", 9, "latest")]).await;
    assert!(keep(&other, 1).await > 0);
    assert!(matches!(other.store.outbox_row(id).await.unwrap().state, OutboxState::Failed { .. }));
}

#[tokio::test]
async fn a_request_whose_message_is_gone_is_not_sent_again_without_it() {
    let (f, _, id) = failed().await;
    // As a version did that let messages go before their requests.
    let conn = rusqlite::Connection::open(f.dir.path().join("wakeful.db")).unwrap();
    conn.execute("DELETE FROM message WHERE text = 'refused'", []).unwrap();
    assert!(matches!(f.store.retry(id).await, Err(StoreError::Invalid(text)) if text.contains("no longer kept")));
    assert!(f.take(9).await.is_empty());
}

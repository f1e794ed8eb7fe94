//! Who has read what: counts, states, marks that never move backwards.

use super::*;
use crate::model::{ConversationKind, ConversationUpdate, DeliveryMark, FeedKind, MessageState, Target};

fn ours(order: u64) -> Event {
    event(Arrival { outgoing: true, sender: "ann".into(), ..arrival("c1", order, "ours") })
}

async fn states(f: &Fixture) -> Vec<MessageState> {
    f.all().await.into_iter().map(|message| message.state).collect()
}

#[tokio::test]
async fn unread_counts_what_came_and_was_not_read() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "1"), came("c1", 2, "2"), ours(3), came("c2", 1, "3")]).await;
    assert_eq!((f.unread("c1").await, f.unread("c2").await), (2, 1));
    assert_eq!(f.store.unread(None).await.unwrap(), 3);
    f.apply(vec![read_by_me("c1", 1)]).await;
    assert_eq!(f.unread("c1").await, 1);
    assert_eq!(f.store.unread(Some(f.account)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_read_mark_never_moves_backwards() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "1"), came("c1", 2, "2"), read_by_me("c1", 2)]).await;
    f.apply(vec![read_by_me("c1", 1)]).await;
    assert_eq!(f.unread("c1").await, 0);
    assert_eq!(states(&f).await, [MessageState::Read, MessageState::Read]);
    f.apply(vec![came("c1", 3, "3")]).await;
    assert_eq!(f.unread("c1").await, 1);
}

#[tokio::test]
async fn a_mark_that_comes_before_its_message_counts_when_the_message_comes() {
    let f = Fixture::new().await;
    let mark = ReadMark {
        conversation: ConversationKey::server("c1"),
        by: Reader::Me,
        upto: Upto::Message(Target::Server(server_ref("c1", 2).id)),
        at: Timestamp(T0),
    };
    f.apply(vec![Event::Read(mark), came("c1", 1, "1")]).await;
    assert_eq!(f.unread("c1").await, 1);
    f.apply(vec![came("c1", 2, "2"), came("c1", 3, "3")]).await;
    assert_eq!(f.unread("c1").await, 1);
    assert_eq!(states(&f).await, [MessageState::Read, MessageState::Read, MessageState::Received]);
}

#[tokio::test]
async fn a_message_filled_in_below_the_mark_is_read_already() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 9, "9"), read_by_me("c1", 9)]).await;
    f.apply(vec![event(Arrival { origin: Origin::CatchUp, ..arrival("c1", 4, "4") })]).await;
    assert_eq!(f.unread("c1").await, 0);
    assert!(f.store.banners().await.unwrap().is_empty());
}

#[tokio::test]
async fn old_history_is_no_news_until_a_mark_says_what_was_read() {
    let f = Fixture::new().await;
    let old = |order| event(Arrival { origin: Origin::Snapshot, ..arrival("c1", order, "old") });
    f.apply(vec![old(1), old(2), old(3)]).await;
    assert_eq!(f.unread("c1").await, 0);
    f.apply(vec![read_by_me("c1", 1)]).await;
    assert_eq!(f.unread("c1").await, 2);
    assert!(f.store.banners().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_others_had_said_before_ones_own_words_and_comes_after_the_reading_is_unread() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "1"), ours(3)]).await;
    let conversation = f.conversation("c1").await;
    f.store.mark_read(conversation, None, Timestamp(T0)).await.unwrap();
    assert_eq!(f.unread("c1").await, 0);
    f.apply(vec![came("c1", 2, "2")]).await;
    assert_eq!(f.unread("c1").await, 1);
    f.store.mark_read(conversation, None, Timestamp(T0)).await.unwrap();
    assert_eq!(f.unread("c1").await, 0);
}

#[tokio::test]
async fn what_the_server_counts_below_our_history_is_counted_until_it_is_here_or_read() {
    let f = Fixture::new().await;
    let news = ConversationUpdate {
        key: ConversationKey::server("c1"),
        kind: ConversationKind::Group,
        title: None,
        members: None,
        unread_below: Some(3),
    };
    let page = |order, origin| event(Arrival { origin, ..arrival("c1", order, "x") });
    f.apply(vec![Event::Conversation(news), read_by_me("c1", 5), page(9, Origin::Snapshot)]).await;
    assert_eq!(f.unread("c1").await, 4);
    f.apply(vec![page(8, Origin::History)]).await;
    assert_eq!(f.unread("c1").await, 4);
    f.apply(vec![read_by_me("c1", 9)]).await;
    assert_eq!(f.unread("c1").await, 0);
}

#[tokio::test]
async fn others_marks_make_our_messages_delivered_and_read_and_never_less() {
    let f = Fixture::new().await;
    let bob = || Reader::User("bob".into());
    let delivered = |order| {
        let conversation = ConversationKey::server("c1");
        Event::Delivered(DeliveryMark { conversation, by: "bob".into(), upto: Upto::Order(order) })
    };
    f.apply(vec![ours(1), ours(2), ours(3), delivered(2), read_by("c1", bob(), 1)]).await;
    assert_eq!(states(&f).await, [MessageState::Read, MessageState::Delivered, MessageState::Sent]);
    f.apply(vec![delivered(1), read_by("c1", bob(), 1)]).await;
    assert_eq!(states(&f).await, [MessageState::Read, MessageState::Delivered, MessageState::Sent]);
    let before = *f.store.feed().borrow();
    f.apply(vec![read_by("c1", bob(), 3)]).await;
    assert_eq!(states(&f).await, [MessageState::Read; 3]);
    let told = f.changes(before).await.iter().filter(|item| item.kind == FeedKind::Changed).count();
    assert_eq!(told, 2);
}

#[tokio::test]
async fn a_mark_that_overtakes_the_servers_answer_counts_for_the_message_it_answers() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "hello")]).await;
    let conversation = f.conversation("c1").await;
    let sending = f.send(conversation, "answer").await;
    let command = f.take(1).await.remove(0);
    f.apply(vec![read_by("c1", Reader::User("bob".into()), 2), sent(&command, "c1", 2)]).await;
    assert_eq!(f.store.message(sending.message).await.unwrap().state, MessageState::Read);
}

#[tokio::test]
async fn reading_here_is_one_step_with_one_waiting_mark_a_conversation_the_highest() {
    let mut f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "1"), came("c1", 2, "2"), came("c1", 3, "3")]).await;
    let conversation = f.conversation("c1").await;
    let all = f.all().await;
    f.store.mark_read(conversation, Some(all[0].id), Timestamp(T0)).await.unwrap();
    assert_eq!(f.unread("c1").await, 2);
    f.store.mark_read(conversation, Some(all[1].id), Timestamp(T0)).await.unwrap();
    f.store.mark_read(conversation, Some(all[0].id), Timestamp(T0)).await.unwrap();
    f.restart().await;
    assert_eq!(f.unread("c1").await, 1);
    let taken = f.take(10).await;
    let CommandKind::Mark { upto } = &taken[0].what else { panic!("{taken:?}") };
    assert_eq!((taken.len(), upto.id), (1, all[1].id));
    assert_eq!(upto.server, Some(server_ref("c1", 2)));
    f.store.mark_read(conversation, None, Timestamp(T0)).await.unwrap();
    f.store.mark_read(conversation, None, Timestamp(T0)).await.unwrap();
    assert_eq!(f.unread("c1").await, 0);
    assert_eq!(f.take(10).await.len(), 1);
}

//! Conversations by their names.

use super::*;
use crate::model::{
    ConversationKind, ConversationUpdate, Member, MemberUpdate, MessageState, Role, Span, SpanEdge, UserUpdate,
};
use crate::store::{Named, StoreError};

fn update(server: Option<&str>, peer: Option<&str>, title: Option<&str>) -> Event {
    Event::Conversation(ConversationUpdate {
        key: ConversationKey { server: server.map(Into::into), peer: peer.map(Into::into) },
        kind: if peer.is_some() { ConversationKind::Direct } else { ConversationKind::Group },
        title: title.map(Into::into),
        members: None,
        unread_below: None,
    })
}

#[tokio::test]
async fn a_direct_conversation_opened_here_is_the_one_that_the_server_names_later() {
    let f = Fixture::new().await;
    let ours = f.store.direct(f.account, "bob").await.unwrap();
    let sending = f.send(ours, "hello").await;
    let command = f.take(1).await.remove(0);
    assert_eq!(command.conversation, Some(ConversationKey::peer("bob")));
    f.apply(vec![update(Some("c1"), Some("bob"), None), sent(&command, "c1", 1)]).await;
    f.apply(vec![came("c1", 2, "hi")]).await;
    assert_eq!(f.conversation("c1").await, ours);
    assert_eq!(f.store.direct(f.account, "bob").await.unwrap(), ours);
    assert_eq!(f.store.conversations(None, 10).await.unwrap().len(), 1);
    assert_eq!(f.store.message(sending.message).await.unwrap().conversation.id, ours);
}

#[tokio::test]
async fn two_rows_that_turn_out_to_be_one_conversation_become_one_with_everything_in_it() {
    let f = Fixture::new().await;
    let ours = f.store.direct(f.account, "bob").await.unwrap();
    f.send(ours, "mine").await;
    f.apply(vec![came("c1", 1, "theirs")]).await;
    assert_eq!(f.store.conversations(None, 10).await.unwrap().len(), 2);
    f.apply(vec![update(Some("c1"), Some("bob"), None), came("c1", 2, "more")]).await;
    let all = f.store.conversations(None, 10).await.unwrap();
    assert_eq!((all.len(), all[0].id, all[0].unread), (1, ours, 2));
    let query = Query { order: Order::Asc, ..Query::new(Scope::Conversation(ours)) };
    let rows = messages(f.store.page(query, None, 10).await.unwrap().rows);
    assert_eq!(rows.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["theirs", "more", "mine"]);
}

#[tokio::test]
async fn a_name_is_a_local_id_a_server_id_a_title_or_a_user_in_this_order() {
    let f = Fixture::new().await;
    f.apply(vec![update(Some("g1"), None, Some("Friends")), update(Some("d1"), Some("bob"), None)]).await;
    let group = f.conversation("g1").await;
    assert_eq!(f.store.resolve(f.account, &group.to_string()).await.unwrap(), Named::Known(group));
    assert_eq!(f.store.resolve(f.account, "Friends").await.unwrap(), Named::Known(group));
    assert_eq!(f.store.resolve(f.account, "bob").await.unwrap(), Named::Known(f.conversation("d1").await));
    assert_eq!(f.store.resolve(f.account, "carol").await.unwrap(), Named::User("carol".into()));
    f.apply(vec![update(Some("g2"), None, Some("Friends"))]).await;
    assert!(matches!(f.store.resolve(f.account, "Friends").await, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn members_and_names_are_kept_and_a_person_is_called_by_theirs() {
    let f = Fixture::new().await;
    let bob = |role| MemberUpdate { conversation: ConversationKey::server("g1"), user: "bob".into(), role };
    f.apply(vec![
        update(Some("g1"), None, Some("Friends")),
        Event::Member(bob(Some(Role::Admin))),
        Event::User(UserUpdate { user: "bob".into(), name: "Bob B.".into() }),
        update(Some("d1"), Some("bob"), None),
    ])
    .await;
    let group = f.conversation("g1").await;
    let expected = Member { user: "bob".into(), name: Some("Bob B.".into()), role: Role::Admin };
    assert_eq!(f.store.members(group).await.unwrap(), [expected]);
    let direct = f.conversation("d1").await;
    assert_eq!(f.store.conversation(direct).await.unwrap().name, "Bob B.");
    f.apply(vec![Event::Member(bob(None))]).await;
    assert_eq!(f.store.members(group).await.unwrap(), []);
}

#[tokio::test]
async fn conversations_come_newest_activity_first_and_those_we_left_stay_readable() {
    let f = Fixture::new().await;
    f.apply(vec![came("old", 1, "x"), came("new", 5, "y"), Event::Gone(ConversationKey::server("old"))]).await;
    let all = f.store.conversations(Some(f.account), 10).await.unwrap();
    let seen: Vec<_> = all.iter().map(|found| (found.name.as_str(), found.gone)).collect();
    assert_eq!(seen, [("new", false), ("old", true)]);
    assert_eq!(f.texts().await.len(), 2);
}

#[tokio::test]
async fn a_server_set_up_anew_goes_on_with_a_person_behind_what_is_here_and_its_numbers_are_new_ones() {
    let f = Fixture::new().await;
    let bob = |server: &str| ConversationKey { server: Some(server.into()), peer: Some("bob".into()) };
    let said = |server: &str, epoch: &str, order: u64, text: &str, outgoing: bool| {
        let mut arrival = arrival(server, order, text);
        arrival.conversation = bob(server);
        arrival.server = Some(ServerRef { id: format!("{epoch}/{server}/{order}"), order: Some(order) });
        arrival.outgoing = outgoing;
        arrival.sender = if outgoing { "ann" } else { "bob" }.into();
        if epoch == "e2" {
            arrival.sent_at = Timestamp(T0 + 1_000_000 + 1_000 * i64::try_from(order).unwrap());
        }
        event(arrival)
    };
    f.apply((1..=6).map(|order| said("c1", "e1", order, &format!("old {order}"), order % 2 == 0)).collect()).await;
    let edge = |order: u64| Some(SpanEdge { id: order.to_string(), at: Timestamp(T0) });
    let whole = Span {
        archive: "e1/c1".into(),
        conversation: Some(bob("c1")),
        lo: edge(1),
        hi: edge(6),
        after: None,
        before: None,
        at_start: true,
        at_end: true,
    };
    f.apply(vec![Event::Span(whole), read_by_me("c1", 6), read_by("c1", Reader::User("bob".into()), 6)]).await;
    f.apply(vec![said("c9", "e2", 1, "new 1", false), said("c9", "e2", 2, "new 2", true)]).await;
    let all = f.all().await;
    let tail: Vec<_> = all.iter().rev().take(2).rev().map(|message| (message.text.as_str(), message.state)).collect();
    assert_eq!(tail, [("new 1", MessageState::Received), ("new 2", MessageState::Sent)], "{:?}", f.texts().await);
    assert_eq!((all.len(), f.unread("c9").await), (8, 1));
    f.apply(vec![read_by("c9", Reader::Me, 1), read_by("c9", Reader::User("bob".into()), 2)]).await;
    assert_eq!(f.unread("c9").await, 0);
    assert_eq!(f.all().await[7].state, MessageState::Read);
    let ranges = crate::store::Viewer::open(f.dir.path()).unwrap().ranges().unwrap();
    assert!(ranges.is_empty(), "nothing is claimed of numbers that are gone: {ranges:?}");
}

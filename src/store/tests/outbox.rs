//! What the user wants sent: kept, in order, once, and never silent about its fate.

use super::*;
use crate::model::{Amendment, Change, CommandTarget, DeliveryMark, Target};
use crate::model::{
    ConversationKind, ConversationUpdate, FeedKind, MessageId, MessageState, OutboxId, Position, SendFailure,
};
use crate::store::{OutboxState, StoreError};
use std::time::Duration;

fn settled(outbox: OutboxId, outcome: Outcome) -> Event {
    Event::Settled(Settled { outbox, outcome })
}

fn failed(code: &str) -> Outcome {
    Outcome::Failed(SendFailure { code: code.into(), text: format!("{code}, says the server") })
}

fn echo(order: u64, id: MessageId, text: &str) -> Event {
    event(Arrival { outgoing: true, sender: "ann".into(), own_id: Some(id), ..arrival("c1", order, text) })
}

async fn with_conversation() -> (Fixture, ConversationId) {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "hello")]).await;
    let conversation = f.conversation("c1").await;
    (f, conversation)
}

fn texts(commands: &[Command]) -> Vec<String> {
    let text = |command: &Command| match &command.what {
        CommandKind::Send { text, .. } | CommandKind::Edit { text, .. } => text.clone(),
        other => format!("{other:?}"),
    };
    commands.iter().map(text).collect()
}

#[tokio::test]
async fn a_pending_message_stands_last_and_moves_once_to_its_real_place_when_it_is_sent() {
    let (f, conversation) = with_conversation().await;
    let first = f.send(conversation, "answer").await;
    f.apply(vec![came("c1", 2, "meanwhile")]).await;
    assert_eq!(f.texts().await, ["hello", "meanwhile", "answer"]);
    assert!(f.store.message(first.message).await.unwrap().position > Position::of_ms(T0 * 2));
    let command = f.take(10).await.remove(0);
    f.apply(vec![sent(&command, "c1", 3), came("c1", 4, "later")]).await;
    assert_eq!(f.texts().await, ["hello", "meanwhile", "answer", "later"]);
    let message = f.store.message(first.message).await.unwrap();
    assert_eq!((message.state, message.sent_at), (MessageState::Sent, Timestamp(T0 + 3_000)));
    assert_eq!(message.server_id.as_deref(), Some("e1/c1/3"));
    assert_eq!(f.store.outbox_row(first.message).await.unwrap().state, OutboxState::Done);
}

#[tokio::test]
async fn ones_own_send_and_its_echo_are_one_message_whichever_comes_first() {
    for echo_first in [true, false] {
        let (f, conversation) = with_conversation().await;
        let ours = f.send(conversation, "answer").await;
        let command = f.take(10).await.remove(0);
        let (one, two) = (sent(&command, "c1", 2), echo(2, ours.message, "answer"));
        let events = if echo_first { vec![two, one] } else { vec![one, two] };
        for event in events {
            f.apply(vec![event]).await;
        }
        f.apply(vec![sent(&command, "c1", 2), echo(2, ours.message, "answer")]).await;
        assert_eq!(f.texts().await, ["hello", "answer"], "echo first: {echo_first}");
        assert_eq!(f.store.message(ours.message).await.unwrap().state, MessageState::Sent);
        assert_eq!(f.store.outbox_row(ours.message).await.unwrap().state, OutboxState::Done);
        assert!(f.take(10).await.is_empty());
    }
}

#[tokio::test]
async fn an_echo_that_did_not_name_our_id_gives_way_when_the_server_says_it_was_ours() {
    let (f, conversation) = with_conversation().await;
    let ours = f.send(conversation, "answer").await;
    let command = f.take(10).await.remove(0);
    f.apply(vec![event(Arrival { outgoing: true, sender: "ann".into(), ..arrival("c1", 2, "answer") })]).await;
    assert_eq!(f.texts().await, ["hello", "answer", "answer"]);
    f.apply(vec![sent(&command, "c1", 2)]).await;
    assert_eq!(f.texts().await, ["hello", "answer"]);
    assert_eq!(f.all().await[1].id, ours.message);
}

#[tokio::test]
async fn a_message_from_another_device_of_ours_is_kept_once_under_the_id_that_device_gave() {
    let f = Fixture::new().await;
    let id = Entropy::seeded(99).message_id(Timestamp(T0));
    f.apply(vec![echo(1, id, "from my phone"), echo(1, id, "from my phone")]).await;
    let all = f.all().await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].id, all[0].outgoing, all[0].state), (id, true, MessageState::Sent));
    assert_eq!(f.unread("c1").await, 0);
}

#[tokio::test]
async fn the_same_draft_id_enqueues_once() {
    let (mut f, conversation) = with_conversation().await;
    let id = Entropy::seeded(99).message_id(Timestamp(T0));
    let draft = || Draft { id: Some(id), ..f.draft(Some(conversation), say("once")) };
    let first = f.store.enqueue(draft()).await.unwrap();
    assert_eq!(f.store.enqueue(draft()).await.unwrap(), first);
    let draft = draft();
    f.restart().await;
    assert_eq!(f.store.enqueue(draft).await.unwrap(), first);
    assert_eq!(f.take(10).await.len(), 1);
}

#[tokio::test]
async fn rows_come_out_in_their_order_and_a_deferred_one_holds_back_its_conversation_alone() {
    let (f, one) = with_conversation().await;
    f.apply(vec![came("c2", 1, "hello")]).await;
    let two = f.conversation("c2").await;
    for (conversation, text) in [(one, "a1"), (two, "b1"), (one, "a2"), (two, "b2")] {
        f.send(conversation, text).await;
    }
    let taken = f.take(2).await;
    assert_eq!(texts(&taken), ["a1", "b1"]);
    f.apply(vec![settled(taken[0].outbox, Outcome::Later(Duration::from_secs(60)))]).await;
    assert_eq!(texts(&f.take(10).await), ["b2"]);
    assert_eq!(f.store.outbox_due(f.account, Timestamp(T0)).await.unwrap(), Some(Timestamp(T0 + 60_000)));
    let later = f.store.take_outbox(f.account, 10, Timestamp(T0 + 60_000)).await.unwrap();
    assert_eq!(texts(&later), ["a1", "a2"]);
}

#[tokio::test]
async fn a_refused_message_says_why_and_what_follows_it_goes_on() {
    let (f, conversation) = with_conversation().await;
    let bad = f.send(conversation, "bad").await;
    f.send(conversation, "good").await;
    let taken = f.take(1).await;
    f.apply(vec![settled(taken[0].outbox, failed("forbidden"))]).await;
    let message = f.store.message(bad.message).await.unwrap();
    assert_eq!((message.state, message.error.as_deref()), (MessageState::Failed, Some("forbidden, says the server")));
    let code = |state| if let OutboxState::Failed { code, .. } = state { code } else { String::new() };
    assert_eq!(code(f.store.outbox_row(bad.message).await.unwrap().state), "forbidden");
    assert_eq!(texts(&f.take(10).await), ["good"]);
}

#[tokio::test]
async fn after_a_lost_connection_or_a_kill_rows_are_offered_again_and_say_that_they_may_have_been_sent() {
    let (mut f, conversation) = with_conversation().await;
    let ours = f.send(conversation, "answer").await;
    assert!(!f.take(10).await[0].maybe_sent);
    assert!(f.take(10).await.is_empty());
    f.store.requeue_outbox(f.account).await.unwrap();
    let again = f.take(10).await;
    assert!(again[0].maybe_sent && again[0].cid == ours.message);
    f.restart().await;
    let again = f.take(10).await;
    assert!(again[0].maybe_sent && again[0].cid == ours.message);
    assert_eq!(f.store.message(ours.message).await.unwrap().state, MessageState::InFlight);
}

#[tokio::test]
async fn a_row_that_was_called_sent_can_become_uncertain_again_unless_the_other_side_has_it() {
    let (f, conversation) = with_conversation().await;
    let (one, two) = (f.send(conversation, "one").await, f.send(conversation, "two").await);
    let three = f.send(conversation, "three").await;
    f.take(10).await;
    let at = Timestamp(T0 + 2_000);
    let unnamed = Outcome::Sent { conversation: None, server: None, at };
    let named = |id: &str, n| Outcome::Sent { conversation: None, server: Some(server_ref(id, n)), at };
    let settle = [(&one, named("c1", 3)), (&two, unnamed.clone()), (&three, named("c1", 4))];
    f.apply(settle.into_iter().map(|(row, outcome)| settled(row.outbox, outcome)).collect()).await;
    let key = ConversationKey::server("c1");
    let upto = Upto::Message(Target::Server(server_ref("c1", 3).id));
    f.apply(vec![Event::Delivered(DeliveryMark { conversation: key, by: "bob".into(), upto })]).await;
    let place = f.store.message(two.message).await.unwrap().position;
    f.apply([&one, &two, &three].map(|row| Event::Unconfirmed(row.outbox)).to_vec()).await;
    let again = f.take(10).await;
    assert_eq!(texts(&again), ["two", "three"]);
    assert!(again.iter().all(|row| row.maybe_sent));
    f.apply(vec![settled(two.outbox, unnamed), settled(three.outbox, named("c1", 9))]).await;
    let message = f.store.message(two.message).await.unwrap();
    assert_eq!((message.state, message.position), (MessageState::Sent, place));
    let message = f.store.message(three.message).await.unwrap();
    assert_eq!((message.state, message.server_id), (MessageState::Sent, Some(server_ref("c1", 9).id)));
}

#[tokio::test]
async fn a_row_is_taken_back_only_before_it_was_ever_handed_out() {
    let (f, conversation) = with_conversation().await;
    let (one, two) = (f.send(conversation, "one").await, f.send(conversation, "two").await);
    f.take(1).await;
    f.store.requeue_outbox(f.account).await.unwrap();
    assert!(!f.store.cancel(one.message).await.unwrap());
    assert!(f.store.cancel(two.message).await.unwrap());
    assert_eq!(f.texts().await, ["hello", "one"]);
    assert_eq!(texts(&f.take(10).await), ["one"]);
    let unknown = Entropy::seeded(5).message_id(Timestamp(T0));
    assert!(matches!(f.store.cancel(unknown).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_created_group_is_found_by_its_request() {
    let f = Fixture::new().await;
    let what = CommandKind::Create { title: "friends".into(), members: vec!["bob".into()] };
    let request = f.store.enqueue(f.draft(None, what)).await.unwrap();
    assert_eq!(f.store.outbox_row(request.message).await.unwrap().conversation, None);
    let command = f.take(10).await.remove(0);
    assert_eq!(command.conversation, None);
    let key = ConversationKey::server("g1");
    let before = *f.store.feed().borrow();
    let at = Timestamp(T0);
    f.apply(vec![
        Event::Conversation(ConversationUpdate {
            key: key.clone(),
            kind: ConversationKind::Group,
            title: Some("friends".into()),
            members: None,
            unread_below: None,
        }),
        settled(command.outbox, Outcome::Sent { conversation: Some(key), server: None, at }),
    ])
    .await;
    let row = f.store.outbox_row(request.message).await.unwrap();
    assert_eq!((row.state, row.conversation), (OutboxState::Done, Some(f.conversation("friends").await)));
    assert!(f.changes(before).await.iter().any(|c| c.kind == FeedKind::Changed && c.message == Some(request.message)));
}

#[tokio::test]
async fn a_change_waits_for_its_message_to_be_sent_and_then_knows_the_servers_name_for_it() {
    let (f, conversation) = with_conversation().await;
    let ours = f.send(conversation, "one").await;
    let target = CommandTarget { id: ours.message, server: None, sender_ref: None, sender: String::new() };
    let edit = CommandKind::Edit { target, text: "two".into() };
    f.store.enqueue(f.draft(Some(conversation), edit)).await.unwrap();
    let taken = f.take(10).await;
    assert_eq!(texts(&taken), ["one"]);
    f.apply(vec![sent(&taken[0], "c1", 2)]).await;
    let taken = f.take(10).await;
    let CommandKind::Edit { target, .. } = &taken[0].what else { panic!("{taken:?}") };
    assert_eq!(target.server, Some(server_ref("c1", 2)));
    assert_eq!((target.sender.as_str(), target.sender_ref.clone()), ("ann", Some(ours.message.to_string())));
    let at = Timestamp(T0 + 7_000);
    f.apply(vec![settled(taken[0].outbox, Outcome::Sent { conversation: None, server: None, at })]).await;
    assert_eq!(f.store.message(ours.message).await.unwrap().text, "two");
}

#[tokio::test]
async fn a_change_to_a_message_that_was_refused_is_refused_too() {
    let (f, conversation) = with_conversation().await;
    let ours = f.send(conversation, "one").await;
    let target = CommandTarget { id: ours.message, server: None, sender_ref: None, sender: String::new() };
    let request = f.store.enqueue(f.draft(Some(conversation), CommandKind::Retract { target })).await.unwrap();
    let taken = f.take(10).await;
    f.apply(vec![settled(taken[0].outbox, failed("forbidden"))]).await;
    assert!(f.take(10).await.is_empty());
    assert!(matches!(f.store.outbox_row(request.message).await.unwrap().state, OutboxState::Failed { .. }));
}

#[tokio::test]
async fn a_reaction_carries_the_whole_set_as_it_will_be() {
    let (f, conversation) = with_conversation().await;
    let hello = f.all().await[0].id;
    let react = |key: &str, on| {
        let target = CommandTarget { id: hello, server: None, sender_ref: None, sender: String::new() };
        CommandKind::React { target, key: key.into(), on, all: Vec::new() }
    };
    let standing = Change {
        conversation: ConversationKey::server("c1"),
        target: Target::Server(server_ref("c1", 1).id),
        rev: 2,
        by: "ann".into(),
        at: Timestamp(T0),
        what: Amendment::React { key: "a".into(), on: true },
    };
    f.apply(vec![Event::Change(standing)]).await;
    for what in [react("b", true), react("a", false)] {
        f.store.enqueue(f.draft(Some(conversation), what)).await.unwrap();
    }
    let all =
        |command: &Command| if let CommandKind::React { all, .. } = &command.what { all.clone() } else { Vec::new() };
    let taken = f.take(10).await;
    assert_eq!(taken.iter().map(all).collect::<Vec<_>>(), [vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]]);
}

#[tokio::test]
async fn the_bell_rings_for_the_account_whose_outbox_changed() {
    let (f, conversation) = with_conversation().await;
    let other = f.store.account("other", "hub", None).await.unwrap();
    let (mut ours, theirs) = (f.store.outbox_bell(f.account), f.store.outbox_bell(other));
    ours.mark_unchanged();
    f.send(conversation, "one").await;
    assert!(ours.has_changed().unwrap() && !theirs.has_changed().unwrap());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_it_is_kept() {
    let (f, conversation) = with_conversation().await;
    let unknown = Entropy::seeded(5).message_id(Timestamp(T0));
    let target = |id| CommandTarget { id, server: None, sender_ref: None, sender: String::new() };
    let hello = f.all().await[0].id;
    f.apply(vec![came("gone", 1, "bye"), Event::Gone(ConversationKey::server("gone"))]).await;
    let gone = f.conversation("gone").await;
    for (place, what) in [
        (Some(conversation), say("")),
        (None, say("nowhere")),
        (Some(gone), say("too late")),
        (Some(conversation), say(&"x".repeat(crate::store::LONGEST_TEXT + 1))),
        (Some(conversation), CommandKind::Edit { target: target(hello), text: "not mine".into() }),
        (Some(conversation), CommandKind::Retract { target: target(unknown) }),
    ] {
        assert!(f.store.enqueue(f.draft(place, what)).await.is_err());
    }
    assert!(f.take(10).await.is_empty());
}

#[tokio::test]
async fn a_row_whose_time_has_come_behind_one_whose_time_has_not_is_nothing_to_wake_up_for() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "hello")]).await;
    let conversation = f.conversation("c1").await;
    f.send(conversation, "first").await;
    f.send(conversation, "behind it").await;
    let taken = f.take(9).await;
    let later = |command: &Command, s: u64| {
        let outcome = Outcome::Later(std::time::Duration::from_secs(s));
        Event::Settled(Settled { outbox: command.outbox, outcome })
    };
    f.apply(vec![later(&taken[0], 10), later(&taken[1], 5)]).await;
    let due = f.store.outbox_due(f.account, Timestamp(T0)).await.unwrap().unwrap();
    let now = Timestamp(due.ms() + 1_000);
    assert!(f.store.take_outbox(f.account, 9, now).await.unwrap().is_empty(), "never past the first");
    let next = f.store.outbox_due(f.account, now).await.unwrap();
    assert_eq!(next, Some(Timestamp(due.ms() + 5_000)), "the first one's time");
}

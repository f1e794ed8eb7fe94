//! What comes from the server: order, repeats, changes, checkpoints.

use super::*;
use crate::model::{Amendment, Change, FeedKind, MessageState, Reaction, Target};
use crate::store::StoreError;

#[tokio::test]
async fn messages_and_their_checkpoint_are_there_together_after_a_restart() {
    let mut f = Fixture::new().await;
    let batch = Batch {
        events: vec![came("c1", 1, "one"), came("c1", 2, "two")],
        checkpoint: progress(b"2"),
        at: Timestamp(T0),
    };
    f.store.apply(f.account, batch).await.unwrap();
    f.restart().await;
    assert_eq!(f.texts().await, ["one", "two"]);
    assert_eq!(f.store.checkpoint(f.account).await.unwrap(), progress(b"2").rows);
}

#[tokio::test]
async fn a_batch_that_fails_leaves_neither_message_nor_checkpoint() {
    let f = Fixture::new().await;
    let poison = "CREATE TRIGGER poison BEFORE INSERT ON message WHEN new.text = 'two' BEGIN SELECT RAISE(FAIL, 'on purpose'); END";
    rusqlite::Connection::open(f.dir.path().join("wakeful.db")).unwrap().execute_batch(poison).unwrap();
    let batch = Batch {
        events: vec![came("c1", 1, "one"), came("c1", 2, "two")],
        checkpoint: progress(b"2"),
        at: Timestamp(T0),
    };
    assert!(f.store.apply(f.account, batch).await.is_err());
    assert_eq!(f.texts().await, Vec::<String>::new());
    assert_eq!(f.store.checkpoint(f.account).await.unwrap(), []);
    f.apply(vec![came("c1", 3, "three")]).await;
    assert_eq!(f.texts().await, ["three"]);
}

#[tokio::test]
async fn a_message_that_comes_twice_is_kept_once() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "one"), came("c1", 1, "one")]).await;
    f.apply(vec![came("c1", 1, "one"), came("c1", 2, "two")]).await;
    assert_eq!(f.texts().await, ["one", "two"]);
    assert_eq!(f.unread("c1").await, 2);
}

#[tokio::test]
async fn two_messages_with_the_same_sender_chosen_id_are_both_kept() {
    let f = Fixture::new().await;
    let with = |order, text| event(Arrival { sender_ref: Some("same".into()), ..arrival("c1", order, text) });
    f.apply(vec![with(1, "one"), with(2, "two")]).await;
    let nameless = || event(Arrival { server: None, sender_ref: Some("same".into()), ..arrival("c1", 3, "three") });
    f.apply(vec![nameless(), nameless()]).await;
    assert_eq!(f.texts().await, ["one", "two", "three", "three"]);
}

#[tokio::test]
async fn a_message_of_another_that_claims_our_id_is_a_message_of_its_own() {
    let f = Fixture::new().await;
    let conversation = f.store.direct(f.account, "bob").await.unwrap();
    let ours = f.send(conversation, "mine").await;
    let forged = Arrival { own_id: Some(ours.message), ..arrival("c1", 1, "forged") };
    f.apply(vec![event(Arrival { conversation: ConversationKey::peer("bob"), ..forged })]).await;
    assert_eq!(f.texts().await, ["forged", "mine"]);
    assert_eq!(f.store.message(ours.message).await.unwrap().state, MessageState::Pending);
}

#[tokio::test]
async fn the_servers_order_holds_whatever_the_times_say() {
    let f = Fixture::new().await;
    let at = |order, ms| event(Arrival { sent_at: Timestamp(ms), ..arrival("c1", order, &order.to_string()) });
    f.apply(vec![at(1, T0), at(2, T0 - 60_000), at(3, T0), at(4, T0 - 1)]).await;
    assert_eq!(f.texts().await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn messages_filled_in_later_stand_between_their_neighbours_even_within_one_millisecond() {
    let f = Fixture::new().await;
    let at = |order| event(Arrival { sent_at: Timestamp(T0), ..arrival("c1", order, &order.to_string()) });
    f.apply(vec![at(1), at(9), at(10)]).await;
    f.apply(vec![at(8), at(5)]).await;
    f.apply(vec![at(2), at(3), at(4), at(6), at(7)]).await;
    assert_eq!(f.texts().await, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
}

#[tokio::test]
async fn the_feed_tells_every_message_once_and_in_order() {
    let f = Fixture::new().await;
    let before = *f.store.feed().borrow();
    let seq = f.apply(vec![came("c1", 1, "one"), came("c1", 1, "one"), came("c1", 2, "two")]).await;
    let changes = f.changes(before).await;
    let told: Vec<_> =
        changes.iter().filter(|item| item.kind == FeedKind::Message).filter_map(|item| item.message).collect();
    let kept: Vec<_> = f.all().await.into_iter().map(|message| message.id).collect();
    assert_eq!(told, kept);
    assert_eq!(changes.last().unwrap().seq, seq);
    assert_eq!(*f.store.feed().borrow(), seq);
}

#[tokio::test]
async fn a_reader_who_was_away_too_long_is_told_to_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { feed_rows: 300, full_sync: false, ..Settings::default() };
    let store = Store::open(dir.path(), settings, Clock::simulated(Timestamp(T0)), Entropy::seeded(7)).unwrap();
    let account = store.account("ann", "hub", None).await.unwrap();
    for page in 0..10 {
        let events = (0..100).map(|n| came("c1", page * 100 + n + 1, "x")).collect();
        store.apply(account, Batch { events, ..Batch::default() }).await.unwrap();
    }
    let newest = *store.feed().borrow();
    assert!(matches!(store.changes(Seq(1), 10).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.changes(Seq(newest.0 + 1), 10).await, Err(StoreError::Invalid(_))));
    assert_eq!(store.changes(Seq(newest.0 - 200), 1_000).await.unwrap().len(), 200);
    assert_eq!(store.changes(newest, 10).await.unwrap(), []);
}

fn change(target: Target, rev: u64, what: Amendment) -> Event {
    let conversation = ConversationKey::server("c1");
    Event::Change(Change { conversation, target, rev, by: "bob".into(), at: Timestamp(T0 + 9_000), what })
}

fn edit(order: u64, rev: u64, text: &str) -> Event {
    change(Target::Server(server_ref("c1", order).id), rev, Amendment::Edit { text: text.into() })
}

#[tokio::test]
async fn an_edit_replaces_the_text_and_an_older_one_loses() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "one"), edit(1, 3, "newest"), edit(1, 2, "older"), edit(1, 3, "repeat")]).await;
    let message = f.all().await.remove(0);
    assert_eq!((message.text.as_str(), message.edited_at), ("newest", Some(Timestamp(T0 + 9_000))));
    let found = Query { text: Some("newest".into()), ..Query::new(Scope::All) };
    assert_eq!(f.store.count(found).await.unwrap(), 1);
    let gone = Query { text: Some("one".into()), ..Query::new(Scope::All) };
    assert_eq!(f.store.count(gone).await.unwrap(), 0);
}

#[tokio::test]
async fn changes_that_come_before_their_message_wait_for_it() {
    let mut f = Fixture::new().await;
    let react = Amendment::React { key: "+1".into(), on: true };
    f.apply(vec![edit(1, 3, "third"), edit(1, 2, "second"), change(Target::Server(server_ref("c1", 1).id), 4, react)])
        .await;
    f.restart().await;
    f.apply(vec![came("c1", 1, "one")]).await;
    let message = f.all().await.remove(0);
    assert_eq!(message.text, "third");
    assert_eq!(message.reactions, [Reaction { key: "+1".into(), by: "bob".into() }]);
}

#[tokio::test]
async fn a_retraction_takes_text_files_and_search_hits_away_for_good() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "secret"), change(Target::Server(server_ref("c1", 1).id), 2, Amendment::Retract)]).await;
    f.apply(vec![edit(1, 3, "back again"), came("c1", 1, "secret")]).await;
    let message = f.all().await.remove(0);
    assert!(message.retracted && message.text.is_empty());
    let gone = Query { text: Some("secret".into()), ..Query::new(Scope::All) };
    assert_eq!(f.store.count(gone).await.unwrap(), 0);
}

#[tokio::test]
async fn a_correction_by_sender_chosen_id_counts_only_from_that_sender() {
    let f = Fixture::new().await;
    f.apply(vec![event(Arrival { sender_ref: Some("m1".into()), rev: 0, ..arrival("c1", 1, "one") })]).await;
    let by = |sender: &str, text: &str| {
        let target = Target::Sender { sender: sender.into(), id: "m1".into() };
        change(target, 0, Amendment::Edit { text: text.into() })
    };
    f.apply(vec![by("mallory", "forged")]).await;
    assert_eq!(f.texts().await, ["one"]);
    f.apply(vec![by("bob", "corrected")]).await;
    assert_eq!(f.texts().await, ["corrected"]);
}

#[tokio::test]
async fn a_whole_set_of_reactions_replaces_the_persons_earlier_one_unless_it_is_older() {
    let f = Fixture::new().await;
    f.apply(vec![event(Arrival { rev: 0, ..arrival("c1", 1, "one") })]).await;
    let set = |at: i64, keys: &[&str]| {
        let what = Amendment::Reactions { keys: keys.iter().map(|key| (*key).to_owned()).collect() };
        let target = Target::Server(server_ref("c1", 1).id);
        let conversation = ConversationKey::server("c1");
        Event::Change(Change { conversation, target, rev: 0, by: "bob".into(), at: Timestamp(T0 + at), what })
    };
    f.apply(vec![set(10, &["a", "b"]), set(20, &["b", "c"]), set(5, &["z"])]).await;
    let keys: Vec<_> = f.all().await.remove(0).reactions.into_iter().map(|reaction| reaction.key).collect();
    assert_eq!(keys, ["b", "c"]);
    f.apply(vec![set(30, &[]), set(25, &["late"])]).await;
    assert_eq!(f.all().await.remove(0).reactions, []);
}

#[tokio::test]
async fn an_answer_finds_what_it_answers_even_if_that_comes_later() {
    let f = Fixture::new().await;
    let answer = Arrival { reply_to: Some(Target::Server(server_ref("c1", 1).id)), ..arrival("c1", 2, "answer") };
    f.apply(vec![event(answer)]).await;
    assert_eq!(f.all().await[0].reply_to, None);
    f.apply(vec![came("c1", 1, "question")]).await;
    let all = f.all().await;
    assert_eq!(all[1].reply_to, Some(all[0].id));
}

#[tokio::test]
async fn one_accounts_ids_mean_nothing_to_another() {
    let f = Fixture::new().await;
    let other = f.store.account("other", "hub", Some("ann")).await.unwrap();
    f.apply(vec![came("c1", 1, "one")]).await;
    let batch = Batch { events: vec![came("c1", 1, "one of the other's"), edit(1, 2, "edited")], ..Batch::default() };
    f.store.apply(other, batch).await.unwrap();
    assert_eq!(f.texts().await, ["one", "edited"]);
    f.store.purge_account(other).await.unwrap();
    assert_eq!(f.texts().await, ["one"]);
    assert_eq!(f.store.accounts().await.unwrap(), [(f.account, "ann".to_owned())]);
}

#[tokio::test]
async fn an_edited_message_is_found_by_the_words_that_it_kept_and_by_no_others() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "the red garden"), edit(1, 2, "the green garden")]).await;
    for (word, found) in [("garden", 1), ("green", 1), ("red", 0)] {
        let query = Query { text: Some(word.into()), ..Query::new(Scope::All) };
        assert_eq!(f.store.count(query).await.unwrap(), found, "{word}");
    }
}

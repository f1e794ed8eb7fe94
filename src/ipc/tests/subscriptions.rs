//! Subscriptions lose nothing and double nothing, however the client or the daemon behaves.

use super::*;
use crate::ipc::Subscription;
use crate::ipc::wire::{Notification, Subscribe};
use crate::model::FeedKind;

fn messages_after(after: Option<Seq>) -> Subscribe {
    Subscribe { after, kinds: vec![FeedKind::Message], ..Subscribe::default() }
}

async fn next(subscription: &mut Subscription) -> Notification {
    let next = tokio::time::timeout(std::time::Duration::from_secs(20), subscription.next());
    next.await.expect("in time").expect("not the end").unwrap()
}

async fn texts_of(subscription: &mut Subscription, count: usize) -> (Vec<String>, Seq) {
    let (mut texts, mut last) = (Vec::new(), Seq(0));
    while texts.len() < count {
        let Notification::Event(event) = next(subscription).await else { panic!("not an event") };
        assert!(event.seq > last, "in order");
        last = event.seq;
        texts.push(event.message.unwrap().text);
    }
    (texts, last)
}

#[tokio::test]
async fn a_subscription_goes_on_where_it_stopped_across_restarts() {
    let mut house = House::new().await;
    house.conversation("team").await;
    house.arrive("team", 0..10).await;
    let mut first = house.client().await.subscribe(messages_after(Some(Seq(0)))).await.unwrap();
    let (texts, last) = texts_of(&mut first, 7).await;
    assert_eq!(texts, numbers(0..7));
    let mut house = house.restart().await;
    assert!(loop {
        match first.next().await {
            None => break true,
            Some(Ok(_)) => {}
            Some(Err(_)) => break false,
        }
    });
    house.arrive("team", 10..15).await;
    let mut second = house.client().await.subscribe(messages_after(Some(last))).await.unwrap();
    assert_eq!(texts_of(&mut second, 8).await.0, numbers(7..15));
    house.arrive("team", 15..16).await;
    assert_eq!(texts_of(&mut second, 1).await.0, ["15"]);
}

#[tokio::test]
async fn without_after_only_what_is_new_is_told() {
    let mut house = House::new().await;
    house.conversation("team").await;
    house.conversation("pub").await;
    house.arrive("team", 0..5).await;
    let client = house.client().await;
    let ask = Subscribe { conversation: Some("team".into()), account: Some("ann".into()), ..messages_after(None) };
    let mut subscription = client.subscribe(ask).await.unwrap();
    house.arrive("pub", 0..3).await;
    house.arrive("team", 5..7).await;
    assert_eq!(texts_of(&mut subscription, 2).await.0, ["5", "6"]);
}

#[tokio::test]
async fn a_slow_reader_gets_every_change_later_rather_than_costing_memory() {
    let mut house = House::with(Settings { queue_bytes: 4_096, ..Settings::default() }).await;
    house.conversation("team").await;
    let mut slow = house.client().await.subscribe(messages_after(None)).await.unwrap();
    house.arrive("team", 0..5_000).await;
    house.client().await.status().await.unwrap();
    assert_eq!(texts_of(&mut slow, 5_000).await.0, numbers(0..5_000));
}

#[tokio::test]
async fn a_reader_too_far_behind_or_of_another_database_is_told_to_resync() {
    let dir = tempfile::tempdir().unwrap();
    let settings = crate::store::Settings { full_sync: false, feed_rows: 100, ..crate::store::Settings::default() };
    let store = Store::open(dir.path(), settings, Clock::system(), Entropy::seeded(7)).unwrap();
    let account = store.account("ann", "hub", Some("ann")).await.unwrap();
    let mut house = House::build(dir, store, account, Settings::default(), 0);
    house.conversation("team").await;
    house.arrive("team", 0..2_000).await;
    let head = *house.store.feed().borrow();
    for after in [Seq(1), Seq(head.0 + 1_000)] {
        let mut subscription = house.client().await.subscribe(messages_after(Some(after))).await.unwrap();
        let Notification::Resync(resync) = next(&mut subscription).await else { panic!("not a resync") };
        assert_eq!(resync.seq, head);
    }
    let mut subscription = house.client().await.subscribe(messages_after(Some(Seq(1)))).await.unwrap();
    next(&mut subscription).await;
    house.arrive("team", 2_000..2_001).await;
    assert_eq!(texts_of(&mut subscription, 1).await.0, ["2000"], "events go on after the resync");
}

#[tokio::test]
async fn states_are_told_when_they_change() {
    let house = House::new().await;
    let mut watching = house.client().await.watch_status().await.unwrap();
    let Notification::Status(now) = next(&mut watching).await else { panic!("not a status") };
    assert_eq!(now.accounts[0].state, AccountState::Online);
    assert!(now.accounts[0].last_round_trip_ms_ago.is_some());
    house.statuses.send_modify(|statuses| {
        let status = statuses.values_mut().next().unwrap();
        status.state = AccountState::Waiting;
        status.last_error = Some(crate::model::Reason::Portal { status: 302 });
    });
    let Notification::Status(then) = next(&mut watching).await else { panic!("not a status") };
    let error = then.accounts[0].last_error.clone().unwrap();
    assert_eq!(then.accounts[0].state, AccountState::Waiting);
    assert!(error.remedy.unwrap().contains("sign in"));
}

#[tokio::test]
async fn typing_is_told_to_those_who_asked_for_it() {
    let house = House::new().await;
    house.conversation("team").await;
    let client = house.client().await;
    let mut curious = client.subscribe(Subscribe { fleeting: true, ..Subscribe::default() }).await.unwrap();
    let what = Perishable::Typing { conversation: "team".into(), by: "bob".into(), on: true, ttl_ms: 5_000 };
    house.perishables.send((house.account, what.clone())).unwrap();
    let Notification::Fleeting(told) = next(&mut curious).await else { panic!("not typing") };
    assert_eq!((told.account.as_str(), told.what), ("ann", what));
    assert_eq!(told.conversation.unwrap().name, "team");
}

/// What is on disk can be read before it is announced: a subscriber that is as fast as the writer stands there often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_as_fast_as_the_writer_gets_each_change_once_and_is_never_sent_back() {
    const MESSAGES: u64 = 600;
    let mut house = House::new().await;
    let client = house.client().await;
    let ask = Subscribe { after: Some(Seq(0)), kinds: vec![FeedKind::Message], ..Subscribe::default() };
    let mut subscription = client.subscribe(ask).await.unwrap();
    let writing = async {
        for number in 1..=MESSAGES {
            house.arrive("c", number..number + 1).await;
        }
    };
    let reading = async {
        let mut seen = Vec::new();
        while seen.len() < usize::try_from(MESSAGES).unwrap() {
            match subscription.next().await.unwrap().unwrap() {
                Notification::Event(event) => seen.push(event.seq),
                other => panic!("{other:?}"),
            }
        }
        seen
    };
    let ((), seen) = tokio::time::timeout(std::time::Duration::from_secs(60), async { tokio::join!(writing, reading) })
        .await
        .expect("every change comes");
    assert!(seen.is_sorted_by(|a, b| a < b), "a change came twice or out of order");
}

//! Candidates for banners are written with their message and go when it is read.

use super::*;
use crate::model::{Amendment, Change, FeedKind, Target};
use crate::store::BannerState;

#[tokio::test]
async fn only_unread_news_from_others_is_due_and_silence_is_kept() {
    let f = Fixture::new().await;
    let kind = |order, origin| event(Arrival { origin, ..arrival("c1", order, "x") });
    f.apply(vec![
        kind(1, Origin::History),
        kind(2, Origin::Snapshot),
        kind(3, Origin::CatchUp),
        kind(4, Origin::Live),
        event(Arrival { silent: true, ..arrival("c1", 5, "quiet") }),
        event(Arrival { outgoing: true, ..arrival("c1", 6, "mine") }),
        kind(4, Origin::Live),
    ])
    .await;
    let banners = f.store.banners().await.unwrap();
    let due: Vec<_> = banners.iter().map(|banner| (banner.state.clone(), banner.catch_up, banner.silent)).collect();
    assert_eq!(
        due,
        [(BannerState::Due, true, false), (BannerState::Due, false, false), (BannerState::Due, false, true)]
    );
}

#[tokio::test]
async fn a_banner_is_there_with_its_message_after_a_kill() {
    let (dir, entropy) = (tempfile::tempdir().unwrap(), Entropy::seeded(7));
    {
        let store = open(dir.path(), &entropy);
        let account = store.account("ann", "hub", None).await.unwrap();
        store.apply(account, Batch { events: vec![came("c1", 1, "x")], ..Batch::default() }).await.unwrap();
        // No close: the process is killed here.
    }
    assert_eq!(open(dir.path(), &entropy).banners().await.unwrap().len(), 1);
}

#[tokio::test]
async fn judged_banners_keep_their_state_and_dropped_ones_do_not_come_back() {
    let mut f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "1"), came("c1", 2, "2"), came("c1", 3, "3")]).await;
    let ids: Vec<_> = f.all().await.into_iter().map(|message| message.id).collect();
    let shown = BannerState::Shown { server: ":1.5".into(), id: 9 };
    let held = BannerState::Held("looking".into());
    let states = vec![(ids[0], shown.clone()), (ids[1], held.clone()), (ids[2], BannerState::Dropped("muted".into()))];
    f.store.set_banners(states).await.unwrap();
    f.restart().await;
    let found = f.store.banners_of(ids.clone()).await.unwrap();
    assert_eq!(found.iter().map(|banner| banner.state.clone()).collect::<Vec<_>>(), [shown, held]);
    f.apply(vec![came("c1", 3, "3")]).await;
    assert_eq!(f.store.banners().await.unwrap().len(), 2);
}

#[tokio::test]
async fn reading_anywhere_takes_waiting_banners_away_and_marks_shown_ones_for_closing() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "1"), came("c1", 2, "2"), came("c1", 3, "3")]).await;
    let ids: Vec<_> = f.all().await.into_iter().map(|message| message.id).collect();
    f.store.set_banners(vec![(ids[0], BannerState::Shown { server: ":1.5".into(), id: 9 })]).await.unwrap();
    let before = *f.store.feed().borrow();
    f.apply(vec![read_by_me("c1", 2)]).await;
    let left: Vec<_> =
        f.store.banners().await.unwrap().into_iter().map(|banner| (banner.message, banner.state)).collect();
    assert_eq!(left.len(), 2);
    assert!(left.contains(&(ids[0], BannerState::Withdrawn { server: ":1.5".into(), id: 9 })));
    assert!(left.contains(&(ids[2], BannerState::Due)));
    let told: Vec<_> = f
        .changes(before)
        .await
        .iter()
        .filter(|item| item.kind == FeedKind::Banner)
        .filter_map(|item| item.message)
        .collect();
    assert_eq!(told, ids[..2]);
    f.store.set_banners(vec![(ids[0], BannerState::Dropped("read".into()))]).await.unwrap();
    assert_eq!(f.store.banners().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_banner_put_up_while_its_message_was_being_read_is_withdrawn() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "1"), read_by_me("c1", 1)]).await;
    let id = f.all().await[0].id;
    f.store.set_banners(vec![(id, BannerState::Shown { server: ":1.5".into(), id: 9 })]).await.unwrap();
    let state = f.store.banners().await.unwrap().remove(0).state;
    assert_eq!(state, BannerState::Withdrawn { server: ":1.5".into(), id: 9 });
}

#[tokio::test]
async fn a_message_taken_back_takes_its_banner_with_it() {
    let f = Fixture::new().await;
    let retract = Change {
        conversation: ConversationKey::server("c1"),
        target: Target::Server(server_ref("c1", 1).id),
        rev: 2,
        by: "bob".into(),
        at: Timestamp(T0),
        what: Amendment::Retract,
    };
    f.apply(vec![came("c1", 1, "oops"), Event::Change(retract)]).await;
    assert!(f.store.banners().await.unwrap().is_empty());
}

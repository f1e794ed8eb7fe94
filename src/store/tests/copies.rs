//! Out of one store and into another: everything, once, whatever was there before.

use super::*;
use crate::model::{Hole, MessageState, Record, Span, SpanEdge};
use crate::store::Viewer;

/// All lines of a store but the first and the last.
pub(super) fn lines(dir: &std::path::Path) -> Vec<Record> {
    let viewer = Viewer::open(dir).unwrap();
    let mut lines = Vec::new();
    for (id, account) in viewer.accounts().unwrap() {
        lines.push(Record::Account(account));
        lines.extend(viewer.conversations(id, None).unwrap().into_iter().map(Record::Conversation));
        let mut after = crate::model::Position(i64::MIN);
        loop {
            let page = viewer.messages(id, None, after, 2).unwrap();
            let Some(last) = page.last() else { break };
            after = last.message.position;
            lines.extend(page.into_iter().map(|row| Record::Message(Box::new(row))));
        }
        lines.extend(viewer.spans(id, None).unwrap().into_iter().map(Record::Span));
    }
    lines
}

fn whole(lo: u64, hi: u64) -> Event {
    let edge = |order: u64| {
        Some(SpanEdge { id: order.to_string(), at: Timestamp(T0 + 1_000 * i64::try_from(order).unwrap()) })
    };
    Event::Span(Span {
        archive: "e1/c1".into(),
        conversation: Some(ConversationKey::server("c1")),
        lo: edge(lo),
        hi: edge(hi),
        after: Some((lo - 1).to_string()),
        before: None,
        at_start: lo == 1,
        at_end: false,
    })
}

async fn source() -> Fixture {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 3, "three"), came("c1", 4, "four <b>"), whole(3, 4), came("c2", 1, "elsewhere")]).await;
    let conversation = f.conversation("c1").await;
    f.send(conversation, "not sent").await;
    f.store.mark_read(f.conversation("c2").await, None, Timestamp(T0)).await.unwrap();
    f
}

/// What of a message must be the same afterwards.
fn gist(messages: &[Message]) -> Vec<String> {
    let gist =
        |m: &Message| format!("{} {} {:?} {} {:?} {}", m.id, m.text, m.server_id, m.sender, m.state, m.position.0);
    messages.iter().map(gist).collect()
}

#[tokio::test]
async fn everything_comes_back_once_and_is_never_sent() {
    let f = source().await;
    let lines = lines(f.dir.path());
    let (dir, entropy) = (tempfile::tempdir().unwrap(), Entropy::seeded(8));
    let store = open(dir.path(), &entropy);
    let head = *store.feed().borrow();
    for round in 0..2 {
        for (n, line) in lines.iter().enumerate() {
            let done = store.import("x".into(), n as u64 + 1, vec![line.clone()]).await.unwrap();
            let message = matches!(line, Record::Message(_));
            assert_eq!(
                (done.added, done.known),
                if round == 0 { (u64::from(message), 0) } else { (0, u64::from(message)) }
            );
        }
    }
    let query = Query { order: Order::Asc, ..Query::new(Scope::All) };
    let (before, after) = (f.all().await, messages(store.page(query, None, 99).await.unwrap().rows));
    assert_eq!(gist(&after)[1..], gist(&before)[..3]);
    assert_eq!(
        (after.len(), after[0].id, after[0].state),
        (4, before[3].id, MessageState::Failed),
        "nobody sends it again"
    );
    let account = store.accounts().await.unwrap()[0].0;
    assert!(store.take_outbox(account, 9, Timestamp(T0 + 9_000)).await.unwrap().is_empty());
    assert_eq!(store.unread(None).await.unwrap(), 2, "read states come along");
    assert!(store.banners().await.unwrap().is_empty(), "nothing raises a banner");
    assert!(store.changes(head, 99).await.unwrap().len() > 4, "readers hear of it");
    let holes: Vec<Hole> = store.holes(None, None).await.unwrap();
    assert_eq!(holes, f.store.holes(None, None).await.unwrap(), "and so does what is missing");
    assert_eq!(store.import("x".into(), 0, vec![]).await.unwrap().line, lines.len() as u64);
}

#[tokio::test]
async fn an_import_that_has_ended_or_whose_account_is_purged_begins_anew_and_an_interrupted_one_does_not() {
    let f = source().await;
    let mut lines = lines(f.dir.path());
    let (dir, entropy) = (tempfile::tempdir().unwrap(), Entropy::seeded(8));
    let store = open(dir.path(), &entropy);
    let progress = async || store.import("x".into(), 0, vec![]).await.unwrap().line;
    store.import("x".into(), 7, lines.clone()).await.unwrap();
    assert_eq!(progress().await, 7, "it was interrupted and may go on there");
    let account = store.accounts().await.unwrap()[0].0;
    store.purge_account(account).await.unwrap();
    assert_eq!(progress().await, 0, "what was in is gone");
    lines.push(Record::End(crate::model::ExportEnd::default()));
    let done = store.import("x".into(), 8, lines.clone()).await.unwrap();
    assert_eq!((done.added, done.line), (4, 8));
    assert_eq!(progress().await, 0, "it has ended");
    let again = store.import("x".into(), 8, lines.clone()).await.unwrap();
    assert_eq!((again.added, again.known), (0, 4));
    let account = store.accounts().await.unwrap()[0].0;
    let keep = crate::store::Retention { count: Some(1), ..crate::store::Retention::default() };
    let floor = store.floor(account, &keep, Timestamp(T0)).await.unwrap().unwrap();
    assert_eq!(store.retain(account, floor, None, Timestamp(T0)).await.unwrap().removed, 3);
    assert_eq!(store.import("x".into(), 8, lines).await.unwrap().added, 3, "what was missing");
}

#[tokio::test]
async fn what_the_server_gave_already_is_the_same_message_and_the_old_history_joins_on() {
    let f = source().await;
    let lines = lines(f.dir.path());
    let (dir, entropy) = (tempfile::tempdir().unwrap(), Entropy::seeded(8));
    let store = open(dir.path(), &entropy);
    let account = store.account("ann", "hub", Some("ann")).await.unwrap();
    let events = vec![came("c1", 4, "four <b>"), came("c1", 5, "five"), whole(4, 5)];
    store.apply(account, Batch { events, ..Batch::default() }).await.unwrap();
    let done = store.import("x".into(), 9, lines).await.unwrap();
    assert_eq!((done.added, done.known), (3, 1));
    let query = Query { order: Order::Asc, ..Query::new(Scope::All) };
    let texts: Vec<_> = messages(store.page(query, None, 99).await.unwrap().rows).into_iter().map(|m| m.text).collect();
    assert_eq!(texts.iter().filter(|text| *text == "four <b>").count(), 1);
    let of_c1: Vec<_> = texts.iter().filter(|text| ["three", "four <b>", "five"].contains(&text.as_str())).collect();
    assert_eq!(of_c1, ["three", "four <b>", "five"]);
    let holes = store.holes(None, None).await.unwrap();
    assert_eq!(
        holes.iter().map(|hole| hole.above.clone().unwrap()).collect::<Vec<_>>(),
        ["3"],
        "the ranges were joined"
    );
    let refused = store.import(
        "y".into(),
        1,
        vec![Record::Account(crate::model::AccountRecord { name: "ann".into(), protocol: "xmpp".into(), me: None })],
    );
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn a_look_from_beside_proves_that_everything_agrees_and_notices_when_it_does_not() {
    let f = source().await;
    let viewer = Viewer::open(f.dir.path()).unwrap();
    viewer.integrity(true).unwrap();
    assert_eq!(viewer.findings().unwrap(), crate::store::Findings::default());
    assert_eq!(viewer.newest_message().unwrap(), Some(Timestamp(T0 + 4_000)));
    let conn = rusqlite::Connection::open(f.dir.path().join("wakeful.db")).unwrap();
    conn.execute_batch(
        "UPDATE conversation SET unread = 7 WHERE server = 'c1'; DELETE FROM outbox;
         DELETE FROM message WHERE text = 'three';",
    )
    .unwrap();
    let found = viewer.findings().unwrap();
    assert!(found.counts[0].contains("says 7 unread, 1 are"), "{found:?}");
    assert!(found.ranges[0].contains("from 3 to 4, which is 2 messages; 1 are here"), "{found:?}");
    assert!(found.outbox[0].contains("1 messages are shown as waiting"), "{found:?}");
}

/// Two counts of one moment: a daemon that writes meanwhile is no disagreement.
#[tokio::test]
async fn a_commit_while_it_is_counted_is_no_disagreement() {
    use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
    let f = source().await;
    let viewer = Viewer::open(f.dir.path()).unwrap();
    let mut daemon = Some(super::damage::raw(&f.dir.path().join("wakeful.db")));
    let commit = move |context: AuthContext<'_>| {
        if matches!(context.action, AuthAction::Read { table_name: "message_text_docsize", .. })
            && let Some(daemon) = daemon.take()
        {
            daemon.execute("UPDATE message SET text = '' WHERE text = 'three'", []).unwrap();
        }
        Authorization::Allow
    };
    viewer.conn.authorizer(Some(commit)).unwrap();
    assert_eq!(viewer.counts().unwrap(), [] as [String; 0]);
    assert_eq!(f.all().await.iter().filter(|message| message.text.is_empty()).count(), 1, "it was committed");
}

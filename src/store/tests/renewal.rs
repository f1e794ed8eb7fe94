//! An export beside a running daemon holds a message twice where it changed meanwhile: the later line counts, and no line
//! makes what is here older.

use super::*;
use crate::model::{Amendment, Change, MessageRecord, MessageState, Record, Target};

fn change(order: u64, rev: u64, at: i64, what: Amendment) -> Event {
    let conversation = ConversationKey::server("c1");
    let target = Target::Server(server_ref("c1", order).id);
    Event::Change(Change { conversation, target, rev, by: "bob".into(), at: Timestamp(T0 + at), what })
}

fn edit(order: u64, rev: u64, at: i64, text: &str) -> Event {
    change(order, rev, at, Amendment::Edit { text: text.into() })
}

fn react(order: u64, rev: u64, at: i64, on: bool) -> Event {
    change(order, rev, at, Amendment::React { key: "+".into(), on })
}

/// A message of a protocol that counts no changes.
fn plain(order: u64, text: &str) -> Event {
    event(Arrival { rev: 0, ..arrival("c1", order, text) })
}

/// Messages as they stand in the file now.
fn rows(f: &Fixture) -> Vec<Record> {
    copies::lines(f.dir.path()).into_iter().filter(|line| matches!(line, Record::Message(_))).collect()
}

/// Takes lines in, one at a time.
async fn import(store: &Store, export: &str, lines: &[Record]) {
    for (n, line) in lines.iter().enumerate() {
        store.import(export.into(), n as u64 + 2, vec![line.clone()]).await.unwrap();
    }
}

/// What of a message must be the same.
fn gist(rows: &[Record]) -> Vec<String> {
    let gist = |row: &MessageRecord| {
        let m = &row.message;
        let place = (m.position, m.sent_at, row.order, row.rev);
        let form = (&m.text, m.state, &m.server_id, m.edited_at, m.retracted, &m.reactions, &m.error);
        format!("{place:?} {form:?}")
    };
    let message = |line: &Record| match line {
        Record::Message(row) => Some(gist(row)),
        _ => None,
    };
    rows.iter().filter_map(message).collect()
}

async fn found(store: &Store, word: &str) -> u64 {
    store.count(Query { text: Some(word.into()), ..Query::new(Scope::All) }).await.unwrap()
}

/// An export of `events`, during which `later` came; what stands in the source at its end.
async fn exported(events: Vec<Event>, later: Vec<Event>) -> (Vec<Record>, Vec<Record>) {
    let f = Fixture::new().await;
    f.apply(events).await;
    let mut lines = copies::lines(f.dir.path());
    f.apply(later).await;
    let rows = rows(&f);
    lines.extend(rows.clone());
    (lines, rows)
}

#[tokio::test]
async fn a_message_that_changed_during_its_export_comes_back_in_its_later_form() {
    let before = vec![came("c1", 1, "one"), came("c1", 2, "two"), react(2, 2, 1, true), came("c1", 3, "three")];
    let later = vec![edit(1, 2, 9_000, "eins"), react(2, 3, 2, false), change(3, 2, 9_000, Amendment::Retract)];
    let counted = exported(before, later).await;
    let before = vec![plain(1, "one"), plain(2, "two"), react(2, 0, 1, true), plain(3, "three")];
    let later = vec![edit(1, 0, 9_000, "eins"), react(2, 0, 2, false), change(3, 0, 9_000, Amendment::Retract)];
    let uncounted = exported(before, later).await;
    for (lines, rows_there) in [counted, uncounted] {
        let other = Fixture::new().await;
        for round in ["x", "y"] {
            import(&other.store, round, &lines).await;
            assert_eq!(gist(&rows(&other)), gist(&rows_there), "{round}");
            let texts = [found(&other.store, "eins").await, found(&other.store, "one").await];
            assert_eq!((texts, found(&other.store, "three").await), ([1, 0], 0), "the text index follows");
            assert_eq!((other.unread("c1").await, other.all().await.len()), (3, 3));
        }
    }
}

#[tokio::test]
async fn a_message_that_was_sent_during_its_export_comes_back_as_sent_and_at_its_place() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "hello")]).await;
    let conversation = f.conversation("c1").await;
    let id = f.send(conversation, "answer").await.message;
    let mut lines = copies::lines(f.dir.path());
    let command = f.take(9).await.remove(0);
    f.apply(vec![came("c1", 2, "meanwhile"), sent(&command, "c1", 3)]).await;
    lines.extend(rows(&f));
    let other = Fixture::new().await;
    import(&other.store, "x", &lines).await;
    assert_eq!(other.texts().await, ["hello", "meanwhile", "answer"]);
    assert_eq!(gist(&rows(&other)), gist(&rows(&f)));
    assert_eq!(other.store.message(id).await.unwrap().state, MessageState::Sent);
    assert!(!other.store.retry(id).await.unwrap(), "the server has it");
    assert_eq!(found(&other.store, "answer").await, 1);
    // The server tells of it too: it is the same.
    let echo = Arrival { outgoing: true, sender: "ann".into(), own_id: Some(id), ..arrival("c1", 3, "answer") };
    other.apply(vec![event(echo)]).await;
    assert_eq!(other.all().await.len(), 3);
}

#[tokio::test]
async fn nothing_here_becomes_older_whatever_an_export_says() {
    // By revisions, by times, and what only ever goes one way.
    let before = vec![came("c1", 1, "one"), plain(2, "two"), plain(3, "three"), plain(4, "four"), react(4, 0, 1, true)];
    let later = vec![edit(1, 2, 9_000, "eins"), edit(2, 0, 9_000, "zwei"), edit(3, 0, 9_000, "drei")];
    let (lines, _) = exported(before.clone(), later.clone()).await;
    let other = Fixture::new().await;
    other.apply(vec![came("c9", 1, "so that ids differ")]).await;
    other.apply(before).await;
    other.apply(later).await;
    let newer = vec![edit(1, 3, 9_500, "uno"), edit(2, 0, 9_500, "due"), change(3, 0, 9_500, Amendment::Retract)];
    other.apply(newer).await;
    other.apply(vec![react(4, 0, 9_500, false), read_by_me("c1", 4)]).await;
    let stood = gist(&rows(&other));
    import(&other.store, "x", &lines).await;
    assert_eq!(gist(&rows(&other)), stood);
    assert_eq!(other.unread("c1").await, 0);
}

#[tokio::test]
async fn an_older_export_after_a_newer_one_changes_nothing() {
    let f = Fixture::new().await;
    f.apply(vec![plain(1, "one"), plain(2, "two")]).await;
    let conversation = f.conversation("c1").await;
    f.send(conversation, "answer").await;
    let older = copies::lines(f.dir.path());
    let command = f.take(9).await.remove(0);
    f.apply(vec![sent(&command, "c1", 3), edit(1, 0, 9_000, "eins"), react(2, 0, 9_000, true)]).await;
    let newer = copies::lines(f.dir.path());
    let other = Fixture::new().await;
    import(&other.store, "newer", &newer).await;
    let stood = gist(&rows(&other));
    assert_eq!(stood, gist(&newer));
    import(&other.store, "older", &older).await;
    assert_eq!(gist(&rows(&other)), stood);
}

#[tokio::test]
async fn a_copy_that_was_not_sent_gives_way_to_the_message_that_its_server_has() {
    let f = Fixture::new().await;
    f.apply(vec![came("c1", 1, "hello")]).await;
    let id = f.send(f.conversation("c1").await, "answer").await.message;
    let mut lines = copies::lines(f.dir.path());
    f.apply(vec![sent(&f.take(9).await[0], "c1", 2)]).await;
    let other = Fixture::new().await;
    import(&other.store, "x", &lines).await;
    let stranger = Arrival { outgoing: true, sender: "ann".into(), rev: 5, ..arrival("c1", 2, "newest") };
    other.apply(vec![event(stranger)]).await;
    assert_eq!(other.all().await.len(), 3, "nobody can tell yet");
    lines.extend(rows(&f));
    import(&other.store, "x", &lines).await;
    assert_eq!(other.texts().await, ["hello", "newest"]);
    assert!(other.store.message(id).await.is_err());
}

/// Something happens to one of four messages; `order` 4 is one's own, which may still wait.
async fn happens(f: &Fixture, dice: u32, rev: u64, at: i64) {
    let order = u64::from(dice % 3) + 1;
    let events = match dice / 3 % 6 {
        0 | 1 => vec![edit(order, rev, at, &format!("text {at}"))],
        2 => vec![react(order, rev, at, true)],
        3 => vec![react(order, rev, at, false)],
        4 if dice > 200 => vec![change(order, rev, at, Amendment::Retract)],
        4 => vec![read_by("c1", crate::model::Reader::User("bob".into()), 4)],
        _ => f.take(1).await.iter().map(|command| sent(command, "c1", 4)).collect(),
    };
    f.apply(events).await;
}

#[tokio::test]
async fn whatever_happens_during_an_export_its_import_ends_as_its_source_does() {
    for seed in 0..40 {
        let (f, dice) = (Fixture::new().await, Entropy::seeded(seed));
        let counted = seed % 2 == 0;
        let first = if counted { came } else { |_: &str, order, text: &str| plain(order, text) };
        f.apply((1..=3).map(|order| first("c1", order, "text")).collect()).await;
        f.send(f.conversation("c1").await, "answer").await;
        let (mut lines, mut throws) = (copies::lines(f.dir.path()), [0_u8; 12]);
        dice.fill(&mut throws);
        for (n, throw) in (2_u64..).zip(throws) {
            let rev = if counted { n } else { 0 };
            happens(&f, u32::from(throw), rev, 10_000 + 1_000 * i64::try_from(n).unwrap()).await;
            if throw % 4 == 0 {
                lines.extend(rows(&f));
            }
        }
        lines.extend(rows(&f));
        let other = Fixture::new().await;
        for export in ["x", "y"] {
            import(&other.store, export, &lines).await;
            let waits = |row: &String| row.contains("Pending") || row.contains("InFlight");
            let (here, there) = (gist(&rows(&other)), gist(&rows(&f)));
            let there: Vec<_> = there.into_iter().filter(|row| !waits(row)).collect();
            let missing: Vec<_> = there.iter().filter(|row| !here.contains(row)).collect();
            assert!(missing.is_empty() && here.len() == 4, "seed {seed}, {export}: {missing:#?} {here:#?}");
        }
    }
}

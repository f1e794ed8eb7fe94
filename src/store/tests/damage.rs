//! A file that was left by a killed process, and one that is damaged.

use super::*;
use crate::model::StoreState;
use crate::store::StoreError;
use std::io::{Seek as _, Write as _};
use std::path::Path;

fn reopen(f: &Fixture) -> Result<Store, StoreError> {
    let settings = Settings { full_sync: false, ..Settings::default() };
    Store::open_or_rebuild(f.dir.path(), settings, Clock::simulated(Timestamp(T0)), f.entropy.clone())
}

/// Overwrites pages of the closed file, from this one on, but for the first.
fn spoil(path: &Path, from: u64, pages: u64) {
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(std::io::SeekFrom::Start(from * 4096)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(pages * 4096).unwrap()]).unwrap();
}

/// The page on which a table or index begins.
fn root(path: &Path, name: &str) -> u64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    u64::try_from(conn.query_row(sql, [name], |row| row.get::<_, i64>(0)).unwrap()).unwrap()
}

/// As the store itself opens it: pages that others write have no checksum.
pub(super) fn raw(path: &Path) -> rusqlite::Connection {
    crate::db::open(path, &crate::db::Settings::default(), &super::super::schema::migrations()).unwrap()
}

fn set_running(path: &Path) {
    let conn = raw(path);
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('store:running', 'x')", []).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

async fn with_messages() -> Fixture {
    let f = Fixture::new().await;
    f.apply((1..=400).map(|order| came("c1", order, &"word ".repeat(100))).collect()).await;
    let conversation = f.conversation("c1").await;
    f.send(conversation, "not sent yet").await;
    f.store.set_setting("notify", Some("choices".into())).await.unwrap();
    f
}

#[tokio::test]
async fn after_an_orderly_end_nothing_is_checked_and_after_a_kill_the_file_is_read_through() {
    let f = with_messages().await;
    assert_eq!(f.store.health().borrow().state, StoreState::Sound);
    f.store.close().await;
    let path = f.dir.path().join("wakeful.db");
    spoil(&path, root(&path, "message_kind") - 1, 1);
    let store = open(f.dir.path(), &f.entropy);
    drop(store);
    let settings = Settings { full_sync: false, ..Settings::default() };
    let killed = Store::open(f.dir.path(), settings, Clock::simulated(Timestamp(T0)), f.entropy.clone());
    assert!(matches!(killed, Err(StoreError::Corrupt { .. })), "nobody said that the process before had ended");
}

#[tokio::test]
async fn a_large_file_is_read_through_beside_the_work() {
    let f = Fixture::new().await;
    for n in 0..12_u64 {
        let large = |order: u64| came("c1", n * 100 + order, &"word ".repeat(2_000));
        f.apply((1..=100).map(large).collect()).await;
    }
    f.store.close().await;
    let path = f.dir.path().join("wakeful.db");
    assert!(std::fs::metadata(&path).unwrap().len() > 4 << 20);
    set_running(&path);
    spoil(&path, root(&path, "message_kind") - 1, 1);
    let store = reopen(&f).unwrap();
    assert_eq!(store.health().borrow().state, StoreState::Checking);
    assert_eq!(store.unread(None).await.unwrap(), 1_200, "readers are served meanwhile");
    store.check(false).await;
    assert_eq!(store.health().borrow().state, StoreState::Damaged);
    store.close().await;
    let store = reopen(&f).unwrap();
    let status = store.health().borrow().clone();
    assert_eq!(status.state, StoreState::Sound);
    assert!(status.quarantined.is_some(), "the next start moves it aside");
}

#[tokio::test]
async fn a_damaged_file_is_kept_under_another_name_and_what_was_not_sent_is_carried_over() {
    let f = with_messages().await;
    f.store.apply(f.account, Batch { checkpoint: progress(b"far"), ..Batch::default() }).await.unwrap();
    f.store.close().await;
    let path = f.dir.path().join("wakeful.db");
    let pages = std::fs::metadata(&path).unwrap().len() / 4096;
    spoil(&path, root(&path, "message") - 1, 1);
    spoil(&path, pages - 3, 3);
    let before = std::fs::read(&path).unwrap();
    set_running(&path);
    let store = reopen(&f).unwrap();
    let told = store.health().borrow().quarantined.clone().unwrap();
    assert_eq!((told.carried, told.incomplete), (1, false), "{told:?}");
    assert!(told.file.contains("wakeful.db.damaged-20231114T221320"), "{}", told.file);
    assert_eq!(std::fs::read(&told.file).unwrap().len(), before.len(), "it is kept whole");
    let (account, name) = store.accounts().await.unwrap().remove(0);
    assert_eq!(name, "ann");
    assert!(store.checkpoint(account).await.unwrap().is_empty(), "everything is fetched anew");
    assert_eq!(store.setting("notify").await.unwrap().as_deref(), Some("choices"));
    let texts = messages(store.page(Query::new(Scope::All), None, 9).await.unwrap().rows);
    assert_eq!(texts.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["not sent yet"]);
    let taken = store.take_outbox(account, 9, Timestamp(T0 + 1_000)).await.unwrap();
    assert_eq!((taken.len(), taken[0].cid), (1, texts[0].id), "under the id that it had");
    store.close().await;
    std::fs::remove_file(&told.file).unwrap();
    assert_eq!(reopen(&f).unwrap().health().borrow().quarantined, None, "told until the file is deleted");
}

#[tokio::test]
async fn a_file_that_is_no_database_at_all_is_moved_aside_too() {
    let f = Fixture::new().await;
    f.store.close().await;
    std::fs::write(f.dir.path().join("wakeful.db"), vec![0x5a; 9_000]).unwrap();
    let store = reopen(&f).unwrap();
    let told = store.health().borrow().quarantined.clone().unwrap();
    assert!(told.incomplete && told.carried == 0, "{told:?}");
    assert_eq!(std::fs::read(&told.file).unwrap(), vec![0x5a; 9_000]);
    assert!(store.accounts().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_stays_where_it_is() {
    let f = Fixture::new().await;
    f.store.close().await;
    let path = f.dir.path().join("wakeful.db");
    let conn = raw(&path);
    conn.pragma_update(None, "user_version", 99).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(conn);
    let before = std::fs::read(&path).unwrap();
    let Err(error) = reopen(&f) else { panic!("it opened") };
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let names = std::fs::read_dir(f.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("damaged")));
}

#[tokio::test]
async fn what_a_reader_cannot_read_has_the_file_read_through() {
    let mut f = with_messages().await;
    f.restart().await;
    f.store.close().await;
    let path = f.dir.path().join("wakeful.db");
    spoil(&path, root(&path, "reaction") - 1, 1);
    spoil(&path, root(&path, "message_account") - 1, 1);
    f.store = reopen(&f).unwrap();
    assert_eq!(f.store.health().borrow().state, StoreState::Sound, "nothing was amiss");
    let page = f.store.page(Query::new(Scope::Account(f.account)), None, 9).await;
    assert!(matches!(page, Err(StoreError::Corrupt { .. })), "{page:?}");
    assert_eq!(f.store.health().borrow().state, StoreState::Checking);
    f.store.check(true).await;
    assert_eq!(f.store.health().borrow().state, StoreState::Damaged);
}

#[tokio::test]
async fn what_failed_and_what_is_about_a_message_of_the_damaged_file_is_carried_over_too() {
    let f = with_messages().await;
    let conversation = f.conversation("c1").await;
    let failed = f.send(conversation, "nobody took it").await.message;
    let taken = f.take(9).await;
    let failure = crate::model::SendFailure { code: "forbidden".into(), text: "not to this one".into() };
    f.apply(vec![Event::Settled(Settled { outbox: taken[1].outbox, outcome: Outcome::Failed(failure) })]).await;
    let about = f.all().await.into_iter().find(|message| !message.outgoing).unwrap();
    let target = crate::model::CommandTarget { id: about.id, server: None, sender_ref: None, sender: String::new() };
    let react = CommandKind::React { target, key: "+".into(), on: true, all: vec![] };
    let reaction = f.store.enqueue(f.draft(Some(conversation), react)).await.unwrap().message;
    f.store.close().await;
    let path = f.dir.path().join("wakeful.db");
    spoil(&path, root(&path, "message_kind") - 1, 1);
    set_running(&path);
    let store = reopen(&f).unwrap();
    let told = store.health().borrow().quarantined.clone().unwrap();
    assert_eq!((told.carried, told.incomplete), (3, false), "{told:?}");
    let account = store.accounts().await.unwrap().remove(0).0;
    let handed: Vec<_> = store.take_outbox(account, 9, Timestamp(T0 + 1_000)).await.unwrap();
    assert_eq!(handed.iter().map(|command| command.cid).collect::<Vec<_>>(), [taken[0].cid, reaction]);
    let CommandKind::React { target, .. } = &handed[1].what else { panic!("{:?}", handed[1]) };
    assert_eq!(target.server.as_ref().map(|server| &server.id), about.server_id.as_ref(), "as the server calls it");
    let kept = store.message(failed).await.unwrap();
    assert_eq!((kept.state, kept.error.as_deref()), (crate::model::MessageState::Failed, Some("not to this one")));
    assert!(store.retry(failed).await.unwrap(), "its text is here still");
}

//! The schema and its versions. A version that was released never changes; the next one is a further step.

use rusqlite_migration::{M, Migrations};

const STEPS: [&str; 4] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_silent.sql"),
    include_str!("migrations/0003_keeping.sql"),
    include_str!("migrations/0004_edits_found.sql"),
];

/// All steps, oldest first.
pub(super) fn migrations() -> Migrations<'static> {
    Migrations::new(STEPS.iter().map(|step| M::up(step)).collect())
}

/// The newest version that is known.
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MessageState, OutboxId, Timestamp};
    use crate::store::{OutboxState, Settings, Store};
    use crate::world::{Clock, Entropy};
    use rusqlite::Connection;
    use sha2::{Digest as _, Sha256};

    /// SHA-256 of each released step, its first eight bytes: a released step is never edited.
    const RELEASED: [&str; 4] = ["023c74157134fd43", "a1bd06621cf0dab3", "3df6210e08a996b4", "15535277afe38852"];

    /// What a program of that version left behind, as statements on its schema.
    const LEFT: [&str; 4] = [
        include_str!("tests/fixtures/v1.sql"),
        include_str!("tests/fixtures/v2.sql"),
        include_str!("tests/fixtures/v3.sql"),
        include_str!("tests/fixtures/v4.sql"),
    ];

    fn old(path: &std::path::Path, version: usize) {
        let conn = Connection::open(path).unwrap();
        conn.pragma_update(None, "journal_mode", "wal").unwrap();
        STEPS[..version].iter().for_each(|step| conn.execute_batch(step).unwrap());
        conn.execute_batch(LEFT[version - 1]).unwrap();
        conn.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
    }

    #[test]
    fn a_released_step_is_never_changed() {
        let digest = |step: &&str| format!("{:x}", Sha256::digest(step)).chars().take(16).collect::<String>();
        assert_eq!(STEPS.iter().map(digest).collect::<Vec<_>>(), RELEASED, "append a further step instead");
    }

    #[tokio::test]
    async fn a_file_of_every_released_version_opens_with_all_that_was_in_it() {
        for version in 1..=STEPS.len() {
            let dir = tempfile::tempdir().unwrap();
            old(&dir.path().join("wakeful.db"), version);
            let clock = Clock::simulated(Timestamp(1_700_000_100_000));
            let store = Store::open(dir.path(), Settings::default(), clock, Entropy::seeded(1)).unwrap();
            let (account, name) = store.accounts().await.unwrap().remove(0);
            assert_eq!(name, "work", "version {version}");
            let list = store.conversations(Some(account), 10).await.unwrap();
            assert_eq!((list.len(), list[0].name.as_str(), list[0].unread), (1, "Robert", 1));
            let found = store.page(crate::model::Query::new(crate::model::Scope::All), None, 10).await.unwrap();
            let found = crate::store::tests::messages(found.rows);
            let texts: Vec<_> = found.iter().map(|message| (message.text.as_str(), message.state)).collect();
            assert_eq!(texts, [("not sent yet", MessageState::Pending), ("hello", MessageState::Received)]);
            let row = store.outbox_row(found[0].id).await.unwrap();
            assert_eq!((row.id, row.state), (OutboxId(3), OutboxState::Pending));
            let query = crate::model::Query {
                text: Some("hello".into()),
                ..crate::model::Query::new(crate::model::Scope::All)
            };
            assert_eq!(store.count(query).await.unwrap(), 1, "full text");
            assert_eq!(store.checkpoint(account).await.unwrap()[0].key, "cursor");
            store.close().await;
            let conn = Connection::open(dir.path().join("wakeful.db")).unwrap();
            let now: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
            assert_eq!(now, i64::try_from(STEPS.len()).unwrap());
        }
    }

    #[test]
    fn every_table_is_strict_but_those_of_the_full_text_index() {
        let conn = crate::db::open_memory(&crate::db::Settings::default(), &migrations()).unwrap();
        let sql = "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
                   AND name NOT LIKE 'sqlite_%'";
        let tables = crate::store::tx::all(&conn, sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let lax: Vec<String> =
            tables.iter().filter(|(_, strict): &&(String, bool)| !strict).map(|t| t.0.clone()).collect();
        assert!(tables.len() > 15 && lax.is_empty(), "{lax:?}");
    }
}

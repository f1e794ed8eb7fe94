//! The schema and its versions. A version that was released never changes; the next one is a further step.

use super::search;
use rusqlite_migration::{HookResult, M, Migrations};

const STEPS: [&str; 5] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_silent.sql"),
    include_str!("migrations/0003_keeping.sql"),
    include_str!("migrations/0004_edits_found.sql"),
    include_str!("migrations/0005_cursors.sql"),
];

/// The step that makes the index of single characters anew.
const GLYPHS: usize = 4;

/// All steps, oldest first.
pub(super) fn migrations() -> Migrations<'static> {
    let step = |(index, sql): (usize, &&'static str)| match index {
        GLYPHS => {
            M::up_with_hook(sql, |tx: &rusqlite::Transaction<'_>| -> HookResult { Ok(search::index_glyphs(tx)?) })
        }
        _ => M::up(sql),
    };
    Migrations::new(STEPS.iter().enumerate().map(step).collect())
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
    const RELEASED: [&str; 5] =
        ["023c74157134fd43", "a1bd06621cf0dab3", "3df6210e08a996b4", "15535277afe38852", "5578f992c93d0470"];

    /// What a program of that version left behind, as statements on its schema.
    const LEFT: [&str; 5] = [
        include_str!("tests/fixtures/v1.sql"),
        include_str!("tests/fixtures/v2.sql"),
        include_str!("tests/fixtures/v3.sql"),
        include_str!("tests/fixtures/v4.sql"),
        include_str!("tests/fixtures/v5.sql"),
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
    fn messages_of_the_first_version_are_found_by_their_glyphs_after_the_step() {
        let mut conn = rusqlite::Connection::open_in_memory().unwrap();
        migrations().to_version(&mut conn, 1).unwrap();
        let rows = "INSERT INTO account(id, name, protocol) VALUES (1, 'a', 'hub');
            INSERT INTO user(key, account, user) VALUES (1, 1, 'bob');
            INSERT INTO conversation(key, id, account, kind) VALUES (1, x'01', 1, 0);
            INSERT INTO message(position, id, account, conversation, sender, outgoing, state, kind, sent_at, seq, rev, text)
            VALUES (1, x'01', 1, 1, 1, 0, 0, 0, 1, 1, 0, 'เด็กดี'), (2, x'02', 1, 1, 1, 0, 0, 0, 1, 1, 0, 'plain');";
        conn.execute_batch(rows).unwrap();
        migrations().to_latest(&mut conn).unwrap();
        let found = "SELECT group_concat(rowid) FROM message_glyph WHERE message_glyph MATCH ?1";
        let typed = search::parse("ดี").unwrap().query;
        let found: Option<String> = conn.query_row(found, [typed], |row| row.get(0)).unwrap();
        assert_eq!(found.as_deref(), Some("1"));
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

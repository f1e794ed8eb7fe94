//! What SQLite makes of every question: nothing is scanned, nothing sorted, and what could only be scanned is refused.

use super::*;
use crate::model::{ConversationId, Order, Seq, Timestamp};

fn database() -> Connection {
    let settings = crate::db::Settings::default();
    let conn = crate::db::open_memory(&settings, &super::super::schema::migrations()).unwrap();
    let rows = "INSERT INTO account(id, name, protocol) VALUES (1, 'a', 'hub'), (2, 'b', 'xmpp');
        INSERT INTO user(account, user) VALUES (1, 'bob'), (2, 'bob'), (1, 'carol');
        INSERT INTO conversation(id, account, kind) VALUES (zeroblob(16), 1, 0);";
    conn.execute_batch(rows).unwrap();
    conn
}

fn explained(conn: &Connection, sql: &str, values: &[Value]) -> String {
    let values = rusqlite::params_from_iter(values);
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    super::super::tx::all(conn, &sql, values, |row| row.get::<_, String>(3)).unwrap().join("; ")
}

/// Every question there is: scopes, filters, both directions, bounds.
fn questions() -> Vec<Query> {
    let scopes = [Scope::All, Scope::Account(AccountId(1)), Scope::Conversation(ConversationId(uuid::Uuid::nil()))];
    let kinds = [None, Some(MessageKind::Text), Some(MessageKind::Call)];
    let mut all = Vec::new();
    for (scope, kind) in scopes.iter().flat_map(|scope| kinds.map(|kind| (scope, kind))) {
        for bits in 0_u32..128 {
            let on = |bit: u32| bits & (1 << bit) != 0;
            all.push(Query {
                kind,
                unread: on(0),
                has_attachment: on(1),
                has_link: on(2),
                sender: on(3).then(|| "bob".into()),
                text: on(4).then(|| if on(5) { "word".into() } else { "東".into() }),
                since: on(5).then_some(Timestamp(1_000)),
                until: on(5).then_some(Timestamp(9_000)),
                as_of: on(6).then_some(Seq(7)),
                order: if on(6) { Order::Asc } else { Order::Desc },
                ..Query::new(scope.clone())
            });
        }
    }
    all
}

#[test]
fn no_question_scans_the_messages_or_sorts_them() {
    let conn = database();
    let mut looked_at = 0;
    for query in questions() {
        let descending = query.order == Order::Desc;
        let plan = plan(&conn, &query, descending, Some(Position(5_000 << Position::TIE_BITS))).unwrap();
        for stream in &plan.streams {
            let (rows, mut values) = stream.rows(descending, 51, 3);
            let rows = explained(&conn, &rows, &values);
            values.truncate(values.len() - 2);
            let places = explained(&conn, &stream.places(descending), &values);
            for plan in [rows, places] {
                let sorts = plan.contains("TEMP B-TREE") || plan.contains("SCAN m");
                assert!(!sorts && plan.contains("SEARCH m"), "{query:?}: {plan}");
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 1_152, "{looked_at}");
}

/// Statistics say what once was, or nothing at all; an index that looks useless must still be the one that is used.
#[test]
fn misleading_statistics_change_no_plan() {
    let (honest, misled) = (database(), database());
    let lies = "ANALYZE; DELETE FROM sqlite_stat1;
        INSERT INTO sqlite_stat1 SELECT 'message', name, '9000000 9000000 9000000 9000000' FROM sqlite_schema
            WHERE type = 'index' AND tbl_name = 'message';
        ANALYZE sqlite_schema;";
    misled.execute_batch(lies).unwrap();
    for query in questions() {
        let plan = plan(&honest, &query, true, Some(Position(5))).unwrap();
        for stream in &plan.streams {
            let sql = stream.places(true);
            let plans = [&honest, &misled].map(|conn| explained(conn, &sql, &stream.values));
            assert_eq!(plans[0], plans[1], "{query:?}");
        }
    }
}

#[test]
fn a_page_is_sought_where_the_one_before_ended() {
    let conn = database();
    for query in questions().into_iter().filter(|query| query.text.is_none()) {
        let plan = plan(&conn, &query, true, Some(Position(5))).unwrap();
        for stream in &plan.streams {
            let found = explained(&conn, &stream.places(true), &stream.values);
            let sought = found.contains("position>? AND position<?") || found.contains("rowid>? AND rowid<?");
            assert!(sought, "{query:?}: {found}");
        }
    }
}

#[test]
fn one_condition_alone_is_answered_by_its_index_and_nothing_is_looked_at_in_vain() {
    let conn = database();
    for query in questions() {
        let scoped = query.text.is_some() && query.scope != Scope::All;
        let text = query.kind == Some(MessageKind::Text);
        let filters = [query.unread, query.has_attachment, query.has_link, query.sender.is_some()];
        let asked = filters.iter().filter(|on| **on).count()
            + usize::from(query.kind.is_some())
            + usize::from(query.text.is_some())
            + usize::from(scoped);
        if asked == 1 && !text {
            let plan = plan(&conn, &query, true, None).unwrap();
            assert!(plan.streams.iter().all(Stream::is_exact), "{query:?}");
        }
    }
}

#[test]
fn a_rank_is_bounded_and_sorts_only_what_it_lists() {
    let conn = database();
    let query = Query { order: Order::Rank, text: Some("word".into()), ..Query::new(Scope::Account(AccountId(1))) };
    let plan = plan(&conn, &query, true, None).unwrap();
    let stream = &plan.streams[0];
    let found = explained(&conn, &stream.ranked("message_text", 100_000, 1_000, 0), &stream.values);
    assert!(found.contains("SEARCH m USING INTEGER PRIMARY KEY (rowid=?)") && !found.contains("SCAN m"), "{found}");
}

#[test]
fn what_could_only_be_answered_by_reading_everything_is_refused_with_the_reason() {
    let all = || Query::new(Scope::All);
    for (query, reason) in [
        (Query { skip: MOST_SKIPPED + 1, ..all() }, "`skip` reads every row"),
        (Query { order: Order::Rank, ..all() }, "only a search"),
        (Query { order: Order::RankAsc, ..all() }, "only a search"),
        (Query { text: Some("e*".into()), ..all() }, "almost everything"),
        (Query { text: Some("!?".into()), ..all() }, "no word to search for"),
    ] {
        let refused = check(&query).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    let anchor = Some(Anchor::After(MessageId(uuid::Uuid::nil())));
    let ranked = Query { order: Order::Rank, text: Some("word".into()), anchor, ..all() };
    assert!(check(&ranked).is_err());
    assert!(check(&Query { skip: MOST_SKIPPED, ..all() }).is_ok());
}

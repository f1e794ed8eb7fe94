//! A damaged file gives its place to a new one: wherever that is cut off, what was not sent is carried over in the end, and
//! the file that is named as damaged is the damaged one.

use crate::support::{PATIENCE, Pair, texts};
use std::path::Path;

/// Every step of it that has a name (`wakeful::failpoint`).
const STEPS: [&str; 4] = ["damage-noted", "damage-kept", "damage-rebuilt", "damage-replaced"];

/// Spoils the page on which the table of reactions begins, which nothing in the log replaces.
fn spoil(database: &Path) -> Vec<u8> {
    let uri = format!("file:{}?mode=ro&immutable=1", database.display());
    let as_it_is = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let conn = rusqlite::Connection::open_with_flags(uri, as_it_is).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'reaction'";
    let page = usize::try_from(conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()).unwrap();
    let mut bytes = std::fs::read(database).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    std::fs::write(database, &bytes).unwrap();
    bytes
}

#[test]
fn a_death_while_a_damaged_file_is_replaced_costs_nothing_that_was_not_sent() {
    let mut pair = Pair::new();
    let alice = &pair.alice;
    let mut daemon = alice.daemon();
    alice.wait_state("home", "online");
    pair.hub.kill9();
    let mut written = Vec::new();
    for (n, step) in STEPS.into_iter().enumerate() {
        // Some of it in the file, some in the log of a killed process.
        for text in [format!("{n} in the file"), format!("{n} in the log")] {
            alice.run(&["send", "home", "bob", &text]).ok();
            let in_the_file = text.ends_with("file");
            written.push(text);
            if in_the_file {
                assert!(daemon.stop().success());
                daemon = alice.daemon();
            }
        }
        daemon.kill9();
        let damaged = spoil(&alice.path().join("state/wakeful.db"));
        let mut dying = alice.start(|command| {
            command.env("WAKEFUL_FAILPOINT", format!("{step}:1"));
        });
        assert!(!dying.wait(PATIENCE).success(), "{step}");
        daemon = alice.daemon();
        let status = alice.run(&["status", "--json"]).json();
        let told = &status["store"]["quarantined"];
        assert_eq!((&told["carried"], &told["incomplete"]), (&written.len().into(), &false.into()), "{step}: {status}");
        assert_eq!(std::fs::read(told["file"].as_str().unwrap()).unwrap().len(), damaged.len(), "{step}: {status}");
        assert!(told["file"].as_str().unwrap().contains(".damaged-"), "{step}: {status}");
        assert_eq!(texts(&alice.history("home")), written, "{step}");
    }
    let left = alice.files().into_iter().filter(|file| file.display().to_string().contains("wakeful.db.new")).count();
    assert_eq!(left, 0, "nothing half made is left");
}

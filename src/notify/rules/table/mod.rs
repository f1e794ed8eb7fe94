//! The table of situations: what happens, second by second, and exactly which calls reach the notification server.
//!
//! A script is a line a step; see [`Stage::step`]. A call is written as `SECOND new ID TITLE | LINE / LINE`, `put ID` when
//! it replaces, `close ID`; `♪` marks one with a sound. A verdict is `NUMBER VERDICT REASON` for the messages in the
//! order in which they came.

mod any;
mod arrival;
mod disturb;
mod flood;
mod restart;
mod server;
mod stage;

use stage::Stage;

/// (what it is, what happens, the calls, the last verdict on each message)
type Situation = (&'static str, &'static str, &'static str, &'static str);

fn check(table: &[Situation]) {
    let mut wrong = String::new();
    for (name, script, calls, verdicts) in table {
        let mut stage = Stage::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            stage.step(line);
        }
        for (what, expected, found) in [("calls", *calls, stage.calls()), ("verdicts", *verdicts, stage.verdicts())] {
            let expected: Vec<String> =
                expected.lines().map(str::trim).filter(|l| !l.is_empty()).map(Into::into).collect();
            if expected != found {
                wrong += &format!("\n{name}: {what}\n  expected {expected:#?}\n  found {found:#?}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_table_has_at_least_sixty_situations_and_no_name_twice() {
    let tables = [arrival::TABLE, disturb::TABLE, flood::TABLE, restart::TABLE, server::TABLE];
    let names: std::collections::BTreeSet<&str> = tables.iter().flat_map(|table| table.iter().map(|s| s.0)).collect();
    let count: usize = tables.iter().map(|table| table.len()).sum();
    assert!(count >= 60, "{count}");
    assert_eq!(names.len(), count);
}

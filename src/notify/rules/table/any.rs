//! Whatever happens, in whatever order: what must hold all the same.

use super::stage::Stage;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Steps that leave the notification server and its ids as they are.
const STEPS: &[&str] = &[
    "ann: hi",
    "ann: hi ...",
    "bob: ho",
    "cid: hm",
    "quietly dan: psst",
    "team/eve: all",
    "team/eve@: you",
    "catchup ann: late",
    "catchup eva: late ...",
    "own ann: me",
    "old bob: long ago",
    "read ann: seen",
    "home.ann: other",
    "wait 0.5",
    "wait 4",
    "wait 11",
    "caughtup",
    "looking ann",
    "idle",
    "detached",
    "read 1",
    "read 2-4",
    "read 5",
    "retract 3",
    "edit 2 changed",
    "edit 4 changed",
    "mute bob 1m",
    "unmute bob",
    "dnd on 1m",
    "dnd off",
    "lock",
    "unlock",
    "inhibit on",
    "inhibit off",
    "elsewhere",
    "down",
    "up s1",
    "answers silent",
    "answers refused",
    "dismiss 1",
    "expire 2",
    "restart",
];

/// Ids that are still on screen after these calls and what the user did.
fn open(calls: &[String], script: &[&str]) -> BTreeSet<String> {
    let word = |line: &str, at: usize| line.split(' ').nth(at).unwrap_or_default().to_owned();
    let mut open: BTreeSet<String> =
        calls.iter().filter(|call| word(call, 1) == "new").map(|call| word(call, 2)).collect();
    for call in calls.iter().filter(|call| word(call, 1) == "close") {
        open.remove(&word(call, 2));
    }
    for step in script.iter().filter(|step| step.starts_with("dismiss") || step.starts_with("expire")) {
        open.remove(&word(step, 1));
    }
    open
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn nothing_is_forgotten_nothing_floods_and_nothing_stays_on_screen(
        steps in prop::collection::vec(prop::sample::select(STEPS), 1..60)
    ) {
        let mut stage = Stage::new();
        for number in 1..=5 {
            stage.step(&format!("ann: first {number}"));
        }
        for step in &steps {
            stage.step(step);
        }
        for step in ["healthy", "up s1", "detached", "dnd off", "inhibit off", "unlock", "caughtup", "caughtup home", "wait 2h"] {
            stage.step(step);
        }
        let held: Vec<String> = stage.verdicts().into_iter().filter(|verdict| verdict.contains("held")).collect();
        prop_assert!(held.is_empty(), "still held: {:?}", held);

        let loud = stage.calls().into_iter().filter(|call| call.ends_with('♪') && !call.contains("failed"));
        let times: Vec<f64> = loud.map(|call| call.split(' ').next().unwrap().parse().unwrap()).collect();
        if !steps.contains(&"restart") {
            prop_assert!(times.windows(4).all(|four| four[3] - four[0] > 9.99), "{:?}", times);
        }

        let count = stage.verdicts().len();
        stage.step(&format!("read 1-{count}"));
        stage.step("wait 1m");
        let open = open(&stage.calls(), &steps);
        prop_assert!(open.is_empty(), "still on screen: {:?} after {:#?}", open, stage.calls());
    }
}

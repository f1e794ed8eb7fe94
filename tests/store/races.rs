//! Daemons that are started at the same moment: one owner, and every other one says so.

use crate::support::{Home, Process, eventually, number};
use std::time::Duration;

#[test]
fn of_daemons_that_race_to_start_one_owns_the_state_and_the_others_say_so() {
    let rounds = number("WAKEFUL_RACES", 10);
    for round in 0..rounds {
        let home = Home::new();
        let mut racers: Vec<Process> =
            (0..4).map(|n| Process::start(&format!("racer {n}"), &mut home.command(&["run"]))).collect();
        let mut losers = 0;
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while losers < 3 && std::time::Instant::now() < end {
            racers.retain_mut(|racer| match racer.ended() {
                Some(status) => {
                    losers += 1;
                    assert_eq!(status.code(), Some(1), "round {round}: {}", racer.log());
                    assert!(!racer.log().contains("panicked"), "round {round}: {}", racer.log());
                    false
                }
                None => true,
            });
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(racers.len(), 1, "round {round}: exactly one goes on");
        eventually("the owner answers", || (home.run(&["status"]).code == 0).then_some(()));
        assert!(racers[0].stop().success(), "round {round}: {}", racers[0].log());
    }
    eprintln!("races={rounds} double=0");
}

//! Random storms: messages both ways, broken connections, killed daemons and servers, failed commits. The oracle is the
//! server's archive: each of its messages stands once here, each row called sent stands once there.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Act {
    Frames(u8),
    Bob,
    Say,
    Cut,
    Commit,
    Lose,
    Crash,
    /// It forgets so many of its last messages.
    KillServer(u8),
    Wait(u8),
    Connect,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1..12u8).prop_map(Act::Frames),
        6 => Just(Act::Bob),
        4 => Just(Act::Say),
        5 => Just(Act::Cut),
        5 => Just(Act::Commit),
        2 => Just(Act::Lose),
        1 => Just(Act::Crash),
        1 => (0..4u8).prop_map(Act::KillServer),
        1 => (0..5u8).prop_map(Act::Wait),
        4 => Just(Act::Connect),
    ]
}

fn play(rig: &mut Rig, acts: &[Act]) {
    let mut n = 0;
    for act in acts {
        match act {
            Act::Frames(count) => {
                for _ in 0..*count {
                    rig.frame();
                }
            }
            Act::Bob => {
                n += 1;
                rig.server.bob_says(&format!("bob {n}"));
            }
            Act::Say => {
                n += 1;
                rig.say(&format!("alice {n}"));
            }
            Act::Cut => rig.cut(),
            Act::Commit => rig.commit(),
            Act::Lose => rig.lose(),
            Act::Crash => rig.crash(),
            Act::KillServer(forgets) => {
                rig.lose();
                rig.server.killed(usize::from(*forgets));
            }
            Act::Wait(seconds) => rig.pass(u64::from(*seconds)),
            Act::Connect => {
                if !rig.connected {
                    rig.connect();
                }
            }
        }
    }
}

fn judge(rig: &Rig) {
    // What a killed server forgot may be here, at most once.
    let forgotten = |text: &str| rig.server.forgotten.iter().any(|kept| kept.text == text);
    let mut all: Vec<&str> = rig.disk.messages.iter().filter(|m| !m.outgoing).map(|m| m.text.as_str()).collect();
    all.sort_unstable();
    let mut here = all.clone();
    here.retain(|text| !forgotten(text));
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "no message stands twice here");
    let mut there: Vec<&str> =
        rig.server.archive.iter().filter(|kept| kept.text.starts_with("bob")).map(|kept| kept.text.as_str()).collect();
    here.sort_unstable();
    there.sort_unstable();
    assert_eq!(here, there, "each archived message stands once here");
    for row in rig.disk.outbox.values() {
        assert_eq!(row.state, RowState::Sent);
        let cid = row.command.cid.to_string();
        assert_eq!(rig.server.archive.iter().filter(|kept| kept.own == cid).count(), 1, "sent once");
    }
    let sent: Vec<&str> = rig
        .server
        .archive
        .iter()
        .filter(|kept| kept.text.starts_with("alice"))
        .map(|kept| kept.text.as_str())
        .collect();
    let number = |text: &str| text.split(' ').nth(1).unwrap().parse::<u32>().unwrap();
    assert!(sent.is_sorted_by_key(|text| number(text)), "own messages keep their order: {sent:?}");
    assert_eq!(rig.refused(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn after_any_storm_the_archive_and_the_store_agree(acts in proptest::collection::vec(act(), 1..120)) {
        let mut rig = Rig::online();
        rig.server.bob_says("bob 0");
        rig.flow();
        play(&mut rig, &acts);
        rig.commit();
        for _ in 0..3 {
            if !rig.connected {
                rig.connect();
            }
            rig.run();
        }
        judge(&rig);
    }
}

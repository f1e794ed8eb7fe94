//! The notification server is absent, hangs, restarts, refuses.

use super::{Situation, check};

pub(super) const TABLE: &[Situation] = &[
    (
        "no server: it is asked for and waited for",
        "down\nann: hi\nwait 5\nup s1",
        "0 wake\n5 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    (
        "no server for long: asked for at most every 30 s",
        "down\nann: 1\nwait 10\nann: 2\nwait 25\nann: 3\nup s1",
        "0 wake\n35 wake\n35 new 1 ann | 1 / 2 / 3 ♪",
        "1 shown wanted\n2 shown wanted\n3 shown wanted",
    ),
    ("read while there was no server", "down\nann: hi\nread 1\nup s1", "0 wake", "1 dropped read"),
    (
        "it hangs, and answers again: shown once",
        "answers silent\nann: hi\nwait 5\nup s1",
        "0 failed ann | hi ♪\n0 wake\n5 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    (
        "it restarts: what is unread comes back without a sound",
        "ann: hi\nwait 5\ndown\nwait 1\nup s2",
        "0 new 1 ann | hi ♪\n6 new 2 ann | hi",
        "1 shown again",
    ),
    (
        "it hung and is the same: nothing is repeated",
        "ann: hi\nwait 5\ndown\nwait 5\nup s1",
        "0 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    (
        "it restarts with five on screen: within the rate",
        "ann: 1\nbob: 2\nwait 20\ncid: 3\ndan: 4\nwait 20\ndown\nup s2",
        "0 new 1 ann | 1 ♪
         0 new 2 bob | 2 ♪
         20 new 3 cid | 3 ♪
         20 new 4 dan | 4 ♪
         40 new 5 dan | 4
         40 new 6 cid | 3
         40 new 7 2 new messages in 2 conversations | bob: 1 / ann: 1",
        "1 shown again\n2 shown again\n3 shown again\n4 shown again",
    ),
    ("it refuses", "answers refused\nann: hi\nwait 1m", "0 failed ann | hi ♪", "1 dropped refused"),
    (
        "it is gone when a message is to be appended",
        "ann: one\nwait 1\nanswers absent\nann: two\nwait 1\nup s2",
        "0 new 1 ann | one ♪
         1 failed ann | one / two ♪
         1 wake
         2 new 2 ann | one / two ♪",
        "1 shown again\n2 shown wanted",
    ),
    (
        "a click on a notice of before is nothing",
        "ann: hi\ndismiss 7\nexpire 9",
        "0 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    (
        "read while it is on another server's screen",
        "ann: hi\ndown\nread 1\nup s2",
        "0 new 1 ann | hi ♪\n0 close 1",
        "1 withdrawn read",
    ),
];

#[test]
fn a_server_that_fails_loses_nothing() {
    check(TABLE);
}

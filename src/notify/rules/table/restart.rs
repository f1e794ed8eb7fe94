//! The daemon stops or is killed, and comes back.

use super::{Situation, check};

pub(super) const TABLE: &[Situation] = &[
    (
        "still on the same server's screen: in its place, without a sound",
        "ann: hi\nwait 5\nrestart",
        "0 new 1 ann | hi ♪
         5 put 1 ann | hi",
        "1 shown again",
    ),
    (
        "killed between the call and its record: one repeat, without a sound",
        "ann: hi\nwait 5\nrestart lost",
        "0 new 1 ann | hi ♪
         5 new 2 ann | hi",
        "1 shown again",
    ),
    ("killed before the call", "down\nann: hi\nrestart", "0 wake\n0 new 1 ann | hi ♪", "1 shown wanted"),
    (
        "the server is another one now: shown again without a sound",
        "ann: hi\nrestart s2",
        "0 new 1 ann | hi ♪
         0 new 2 ann | hi",
        "1 shown again",
    ),
    ("dismissed before the restart", "ann: hi\ndismiss 1\nrestart", "0 new 1 ann | hi ♪", "1 withdrawn dismissed"),
    ("expired before the restart", "ann: hi\nexpire 1\nrestart s2", "0 new 1 ann | hi ♪", "1 withdrawn expired"),
    (
        "two messages on one notification",
        "ann: one\nann: two\nrestart",
        "0 new 1 ann | one ♪
         0 put 1 ann | one / two ♪
         0 put 1 ann | one / two",
        "1 shown again\n2 shown again",
    ),
    (
        "the next message after a restart is appended",
        "ann: one\nrestart\nwait 3\nann: two",
        "0 new 1 ann | one ♪
         0 put 1 ann | one
         3 put 1 ann | one / two ♪",
        "1 shown again\n2 shown wanted",
    ),
    (
        "read after a restart",
        "ann: one\nrestart\nread 1",
        "0 new 1 ann | one ♪
         0 put 1 ann | one
         0 close 1",
        "1 withdrawn read",
    ),
    ("muted meanwhile", "ann: hi\nset mute ann\nrestart", "0 new 1 ann | hi ♪\n0 close 1", "1 withdrawn muted"),
    (
        "held by do not disturb over a restart",
        "dnd on\nann: hi\nrestart\nwait 5\ndnd off",
        "5 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    (
        "a summary is still one afterwards",
        "ann: 1 ...\nbob: 2 ...\ncid: 3 ...\ndan: 4\nwait 20\nrestart",
        "0 new 1 dan | 4 ♪
         0 new 2 cid | 3 ♪
         0 new 3 2 new messages in 2 conversations | bob: 1 / ann: 1 ♪
         20 put 2 cid | 3
         20 put 1 dan | 4
         20 put 3 2 new messages in 2 conversations | bob: 1 / ann: 1",
        "1 shown again\n2 shown again\n3 shown again\n4 shown again",
    ),
];

#[test]
fn a_restart_repeats_at_most_once_and_misses_nothing() {
    check(TABLE);
}

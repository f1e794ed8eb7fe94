//! One message, and who sees it.

use super::{Situation, check};

pub(super) const TABLE: &[Situation] = &[
    ("somebody writes and no app is attached", "ann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    ("a group says who wrote", "team/eve: lunch?", "0 new 1 team | eve: lunch? ♪", "1 shown wanted"),
    ("our own message from another device", "own ann: hi", "", "1 dropped own"),
    ("already read elsewhere when it arrives", "read ann: hi", "", "1 dropped read"),
    ("older than a week", "old ann: hi", "", "1 dropped old"),
    ("notifications are off", "set off\nann: hi", "", "1 dropped off"),
    ("an app has the conversation on screen", "looking ann\nann: hi", "", "1 dropped on_screen"),
    (
        "an app has another conversation on screen: no sound",
        "looking bob\nann: hi",
        "0 new 1 ann | hi",
        "1 shown wanted",
    ),
    ("an app is attached but looks at nothing", "idle\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    ("the app looked away before it came", "looking ann\nidle\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    ("the app left", "looking ann\ndetached\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    (
        "a second message is appended to the first",
        "ann: one\nwait 2\nann: two",
        "0 new 1 ann | one ♪
         2 put 1 ann | one / two ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    (
        "two that come at once make one call",
        "ann: one ...\nann: two",
        "0 new 1 ann | one / two ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    (
        "two conversations have a notification each",
        "ann: hi\nwait 1\nbob: ho",
        "0 new 1 ann | hi ♪
         1 new 2 bob | ho ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    ("read here or on any device", "ann: hi\nwait 3\nread 1", "0 new 1 ann | hi ♪\n3 close 1", "1 withdrawn read"),
    (
        "the older of two is read",
        "ann: one\nwait 1\nann: two\nwait 5\nread 1",
        "0 new 1 ann | one ♪
         1 put 1 ann | one / two ♪
         6 put 1 ann | two",
        "1 withdrawn read\n2 shown wanted",
    ),
    (
        "both are read: one withdrawal",
        "ann: one\nwait 1\nann: two\nread 1-2",
        "0 new 1 ann | one ♪
         1 put 1 ann | one / two ♪
         1 close 1",
        "1 withdrawn read\n2 withdrawn read",
    ),
    (
        "taken back by its sender",
        "ann: oops\nwait 1\nretract 1",
        "0 new 1 ann | oops ♪\n1 close 1",
        "1 withdrawn retracted",
    ),
    (
        "edited while on screen: written again without a sound",
        "ann: helo\nwait 5\nedit 1 hello",
        "0 new 1 ann | helo ♪
         5 put 1 ann | hello",
        "1 shown wanted",
    ),
    (
        "edited a hundred times in a second: written twice",
        "ann: a\nedit 1 b\nedit 1 c\nedit 1 d\nwait 10",
        "0 new 1 ann | a ♪
         2 put 1 ann | d",
        "1 shown wanted",
    ),
    (
        "dismissed: the next message starts anew",
        "ann: one\nwait 1\ndismiss 1\nwait 1\nann: two",
        "0 new 1 ann | one ♪
         2 new 2 ann | two ♪",
        "1 withdrawn dismissed\n2 shown wanted",
    ),
    (
        "its time on screen was over: the next message starts anew",
        "ann: one\nwait 20\nexpire 1\nann: two",
        "0 new 1 ann | one ♪
         20 new 2 ann | two ♪",
        "1 withdrawn expired\n2 shown wanted",
    ),
    ("read after it was dismissed", "ann: one\ndismiss 1\nread 1", "0 new 1 ann | one ♪", "1 withdrawn dismissed"),
    ("the sender asked for no noise", "quietly ann: psst", "0 new 1 ann | psst", "1 shown wanted"),
    (
        "two accounts: the title says which",
        "ann: hi\nwait 1\nhome.ann: ho",
        "0 new 1 ann | hi ♪
         1 new 2 ann (home) | ho ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    (
        "two accounts, the same person: read in one",
        "ann: hi\nhome.ann: ho\nread 1",
        "0 new 1 ann | hi ♪
         0 new 2 ann (home) | ho ♪
         0 close 1",
        "1 withdrawn read\n2 shown wanted",
    ),
    (
        "six messages: the oldest is counted",
        "ann: 1 ...\nann: 2 ...\nann: 3 ...\nann: 4 ...\nann: 5 ...\nann: 6",
        "0 new 1 ann | 1 earlier message / 2 / 3 / 4 / 5 / 6 ♪",
        "1 shown wanted\n2 shown wanted\n3 shown wanted\n4 shown wanted\n5 shown wanted\n6 shown wanted",
    ),
];

#[test]
fn one_message_and_who_sees_it() {
    check(TABLE);
}

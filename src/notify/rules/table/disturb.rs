//! Mutes, mentions, quiet hours, do not disturb, the locked screen, another device.

use super::{Situation, check};

pub(super) const TABLE: &[Situation] = &[
    ("a muted conversation", "mute ann\nann: hi", "", "1 dropped muted"),
    (
        "muted for an hour, and then no more",
        "mute ann 1h\nann: one\nwait 1h\nann: two",
        "3600 new 1 ann | two ♪",
        "1 dropped muted\n2 shown wanted",
    ),
    ("a mute is lifted", "mute ann\nunmute ann\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    ("another conversation is muted", "mute bob\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    (
        "a muted account",
        "mute *work\nann: hi\nhome.bob: ho",
        "0 new 1 bob (home) | ho ♪",
        "1 dropped muted\n2 shown wanted",
    ),
    ("muted in the configuration, by the peer", "set mute ann@example.org\nann: hi", "", "1 dropped muted"),
    ("an account muted in the configuration", "set mute-account work\nann: hi", "", "1 dropped muted"),
    ("muted while on screen", "ann: hi\nwait 1\nmute ann", "0 new 1 ann | hi ♪\n1 close 1", "1 withdrawn muted"),
    ("muted while it is held", "dnd on\nann: hi\nmute ann\ndnd off", "", "1 dropped muted"),
    ("a group, mentions only", "set mentions\nteam/eve: hi", "", "1 dropped no_mention"),
    (
        "a group, mentions only, and it names us",
        "set mentions\nteam/eve@: hi",
        "0 new 1 team | eve: hi ♪",
        "1 shown wanted",
    ),
    (
        "a direct message where groups are mentions only",
        "set mentions\nann: hi",
        "0 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    (
        "one group is excepted from mentions only",
        "set mentions\nset all team\nteam/eve: hi",
        "0 new 1 team | eve: hi ♪",
        "1 shown wanted",
    ),
    ("one direct conversation is mentions only", "set mentions ann\nann: hi", "", "1 dropped no_mention"),
    ("a mention does not break a mute", "mute team\nteam/eve@: hi", "", "1 dropped muted"),
    (
        "quiet hours hold, and one notification follows",
        "quiet 11:00-12:10\nann: one\nwait 1m\nann: two\nwait 10m",
        "600 new 1 ann | one / two ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    (
        "quiet hours over midnight",
        "set quiet 22:00-07:00\nwait 11h\nann: hi\nwait 9h",
        "68400 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    ("outside quiet hours", "set quiet 22:00-07:00\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    (
        "quiet hours switched off by hand",
        "set quiet 11:00-13:00\nquiet never\nann: hi",
        "0 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    ("read during quiet hours", "quiet 11:00-12:10\nann: hi\nread 1\nwait 1h", "", "1 dropped read"),
    ("do not disturb", "dnd on\nann: hi\nwait 1h", "", "1 held dnd"),
    ("do not disturb, then off", "dnd on\nann: hi\nwait 5\ndnd off", "5 new 1 ann | hi ♪", "1 shown wanted"),
    ("do not disturb for ten minutes", "dnd on 10m\nann: hi\nwait 10m", "600 new 1 ann | hi ♪", "1 shown wanted"),
    (
        "the desktop's do not disturb",
        "inhibit on\nann: hi\nwait 9\ninhibit off",
        "9 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    ("looked at before do not disturb ends", "dnd on\nann: hi\nlooking ann\ndnd off", "", "1 dropped on_screen"),
    ("what is on screen stays there under do not disturb", "ann: hi\ndnd on", "0 new 1 ann | hi ♪", "1 shown wanted"),
    ("the screen is locked", "lock\nann: secret", "0 new 1 New message ♪", "1 shown wanted"),
    (
        "locked, two messages, unlocked",
        "lock\nann: one\nwait 1\nann: two\nwait 5\nunlock",
        "0 new 1 New message ♪
         1 put 1 2 new messages ♪
         6 put 1 ann | one / two",
        "1 shown wanted\n2 shown wanted",
    ),
    (
        "locked while it is on screen: hidden at once",
        "ann: secret\nlock",
        "0 new 1 ann | secret ♪
         0 put 1 New message",
        "1 shown wanted",
    ),
    ("always hidden", "set hide\nann: secret", "0 new 1 New message ♪", "1 shown wanted"),
    (
        "one conversation is always hidden",
        "set hide ann\nann: secret\nbob: ho",
        "0 new 1 New message ♪\n0 new 2 bob | ho ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    ("shown in spite of the lock", "set show\nlock\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
    (
        "another device is in use: ten seconds later",
        "elsewhere\nwait 30\nann: hi\nwait 60",
        "40 new 1 ann | hi ♪",
        "1 shown wanted",
    ),
    (
        "another device is in use, and it is read there",
        "elsewhere\nann: hi\nwait 5\nread 1\nwait 60",
        "",
        "1 dropped read",
    ),
    ("another device was in use long ago", "elsewhere\nwait 5m\nann: hi", "300 new 1 ann | hi ♪", "1 shown wanted"),
    ("another account's device is in use", "elsewhere home\nann: hi", "0 new 1 ann | hi ♪", "1 shown wanted"),
];

#[test]
fn what_must_not_disturb_does_not() {
    check(TABLE);
}

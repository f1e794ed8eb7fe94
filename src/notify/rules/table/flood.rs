//! Many messages: after a gap, in a flood, over several conversations.

use super::stage::Stage;
use super::{Situation, check};

pub(super) const TABLE: &[Situation] = &[
    (
        "what was missed waits until all of it is here",
        "catchup ann: one\nwait 3\ncatchup ann: two\nwait 2\ncaughtup",
        "5 new 1 ann | one / two ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    ("a minute is long enough", "catchup ann: one\nwait 2m", "60 new 1 ann | one ♪", "1 shown wanted"),
    (
        "a live message waits with those that were missed",
        "catchup ann: one\nwait 1\nann: two\nwait 1\ncaughtup",
        "2 new 1 ann | one / two ♪",
        "1 shown wanted\n2 shown wanted",
    ),
    (
        "another account does not wait",
        "catchup ann: one\nhome.bob: hi",
        "0 new 1 bob (home) | hi ♪",
        "1 held catch_up\n2 shown wanted",
    ),
    (
        "missed and read on another device meanwhile",
        "catchup ann: one\ncatchup ann: two\nread 1\ncaughtup",
        "0 new 1 ann | two ♪",
        "1 dropped read\n2 shown wanted",
    ),
    (
        "the fourth within ten seconds waits",
        "ann: 1\nwait 1\nann: 2\nwait 1\nann: 3\nwait 1\nann: 4\nwait 1\nann: 5\nwait 20",
        "0 new 1 ann | 1 ♪
         1 put 1 ann | 1 / 2 ♪
         2 put 1 ann | 1 / 2 / 3 ♪
         10 put 1 ann | 1 / 2 / 3 / 4 / 5 ♪",
        "1 shown wanted\n2 shown wanted\n3 shown wanted\n4 shown wanted\n5 shown wanted",
    ),
    (
        "five people at once: two notifications and a summary",
        "ann: 1 ...\nbob: 2 ...\ncid: 3 ...\ndan: 4 ...\neve: 5",
        "0 new 1 eve | 5 ♪
         0 new 2 dan | 4 ♪
         0 new 3 3 new messages in 3 conversations | cid: 1 / bob: 1 / ann: 1 ♪",
        "1 shown summary\n2 shown summary\n3 shown summary\n4 shown wanted\n5 shown wanted",
    ),
    (
        "one after the other: three, and then a summary",
        "ann: 1\nwait 1\nbob: 2\nwait 1\ncid: 3\nwait 1\ndan: 4\nwait 1\neve: 5\nwait 10",
        "0 new 1 ann | 1 ♪
         1 new 2 bob | 2 ♪
         2 new 3 cid | 3 ♪
         10 new 4 2 new messages in 2 conversations | eve: 1 / dan: 1 ♪",
        "1 shown wanted\n2 shown wanted\n3 shown wanted\n4 shown summary\n5 shown summary",
    ),
    (
        "people go before mentions, mentions before groups",
        "team/eve: 1 ...\nchat/dan@: 2 ...\nann: 3 ...\nnews/bob: 4",
        "0 new 1 ann | 3 ♪
         0 new 2 chat | dan: 2 ♪
         0 new 3 2 new messages in 2 conversations | news: 1 / team: 1 ♪",
        "1 shown summary\n2 shown wanted\n3 shown wanted\n4 shown summary",
    ),
    (
        "a summary shrinks as it is read, and goes with the last",
        "ann: 1 ...\nbob: 2 ...\ncid: 3 ...\ndan: 4\nwait 5\nread 1\nwait 5\nread 2",
        "0 new 1 dan | 4 ♪
         0 new 2 cid | 3 ♪
         0 new 3 2 new messages in 2 conversations | bob: 1 / ann: 1 ♪
         5 put 3 1 new message in 1 conversation | bob: 1
         10 close 3",
        "1 withdrawn read\n2 withdrawn read\n3 shown wanted\n4 shown wanted",
    ),
    (
        "a flood that is read before its turn comes",
        "ann: 1\nbob: 2\ncid: 3\ndan: 4\nread 4\nwait 20",
        "0 new 1 ann | 1 ♪
         0 new 2 bob | 2 ♪
         0 new 3 cid | 3 ♪",
        "1 shown wanted\n2 shown wanted\n3 shown wanted\n4 dropped read",
    ),
    (
        "a summary while the screen is locked names nobody",
        "lock\nann: 1 ...\nbob: 2 ...\ncid: 3 ...\ndan: 4",
        "0 new 1 New message ♪
         0 new 2 New message ♪
         0 new 3 2 new messages in 2 conversations ♪",
        "1 shown summary\n2 shown summary\n3 shown wanted\n4 shown wanted",
    ),
];

#[test]
fn many_messages_make_few_notifications() {
    check(TABLE);
}

#[test]
fn ten_thousand_missed_messages_make_one_notification_a_conversation_and_three_in_ten_seconds() {
    let mut stage = Stage::new();
    for number in 0..10_000 {
        stage.step(&format!("catchup c{}: {number} ...", number % 100));
    }
    stage.step("wait 1");
    stage.step("caughtup");
    stage.step("wait 1h");
    let calls = stage.calls();
    assert_eq!(calls.len(), 3, "{calls:#?}");
    assert!(calls[0].starts_with("1 new 1 c99 | 95 earlier messages / "), "{calls:#?}");
    assert!(calls[2].starts_with("1 new 3 9800 new messages in 98 conversations | "), "{calls:#?}");
}

#[test]
fn ten_thousand_unread_messages_of_one_conversation_are_counted_and_not_kept() {
    let mut stage = Stage::new();
    stage.step("down");
    for number in 1..=10_000 {
        stage.step(&format!("ann: {number} ..."));
    }
    stage.step("bob: hi");
    assert!(stage.kept() <= 40, "{} are kept one by one", stage.kept());
    stage.step("up s1");
    let calls = stage.calls();
    let lines = "9995 earlier messages / 9996 / 9997 / 9998 / 9999 / 10000";
    assert!(calls.iter().any(|call| call.contains(&format!("ann | {lines} ♪"))), "{calls:#?}");
    // On screen it stays as small, and what is read is counted off.
    for number in 10_002..=10_100 {
        stage.step(&format!("ann: {number} ..."));
    }
    stage.step("ann: 10101");
    stage.step("wait 20");
    assert!(stage.kept() <= 40, "{} are kept one by one", stage.kept());
    assert!(stage.calls().iter().any(|call| call.contains("ann | 10095 earlier messages / ")), "{:#?}", stage.calls());
    stage.step("read 1-9000");
    stage.step("wait 20");
    let last = stage.calls().pop().unwrap();
    assert!(last.contains(" ann | 1095 earlier messages "), "{last}");
    stage.step("restart");
    stage.step("wait 20");
    let last = stage.calls().into_iter().rfind(|call| call.contains(" ann ")).unwrap();
    assert!(last.contains("1095 earlier messages"), "{last}");
    // Dismissed is dismissed: the next one starts anew.
    let id = last.split(' ').nth(2).unwrap().to_owned();
    stage.step(&format!("dismiss {id}"));
    stage.step("ann: anew");
    stage.step("wait 20");
    let last = stage.calls().pop().unwrap();
    assert!(last.ends_with("ann | anew ♪"), "{last}");
}

#[test]
fn a_thousand_people_over_an_hour_never_make_more_than_three_in_ten_seconds() {
    let mut stage = Stage::new();
    for number in 0..1_000 {
        stage.step(&format!("p{}: hello", (number * 7919) % 211));
        stage.step(&format!("wait 0.{}", number % 7));
    }
    stage.step("wait 1m");
    let times: Vec<f64> = stage.calls().iter().map(|call| call.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(times.len() > 30);
    for window in times.windows(4) {
        assert!(window[3] - window[0] >= 9.999, "four within {window:?}");
    }
    assert!(stage.verdicts().iter().all(|verdict| verdict.contains("shown")));
}

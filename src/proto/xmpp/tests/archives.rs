//! Catching up: all once, in order, whatever breaks; the newest page alone at first sight; holes on demand.

use super::*;
use crate::model::{FetchHole, Signal, Span};

fn spans(rig: &Rig) -> Vec<&Span> {
    rig.disk.events.iter().filter_map(|e| if let Event::Span(span) = e { Some(span) } else { None }).collect()
}

fn filled(count: usize) -> Rig {
    let mut rig = Rig::new();
    for n in 0..count {
        rig.server.bob_says(&format!("t{n}"));
    }
    rig
}

/// Online once, with one message; then so many were missed in a session that the server has forgotten, and a new one
/// begins.
fn behind(missed: usize) -> Rig {
    let mut rig = Rig::online();
    rig.server.bob_says("t0");
    rig.flow();
    rig.lose();
    rig.server.killed(0);
    for n in 1..=missed {
        rig.server.bob_says(&format!("t{n}"));
    }
    rig.connect();
    rig
}

/// The texts up to this one.
fn numbered(last: usize) -> Vec<String> {
    (0..=last).map(|n| format!("t{n}")).collect()
}

/// What is on disk, by number.
fn sorted(rig: &Rig) -> Vec<String> {
    let mut texts: Vec<String> = rig.disk.texts().iter().map(|t| (*t).to_owned()).collect();
    texts.sort_by_key(|t| t[1..].parse::<u32>().unwrap());
    texts
}

#[test]
fn at_first_sight_only_the_newest_page_comes_and_raises_no_banner() {
    let mut rig = filled(25);
    rig.connect();
    rig.run();
    assert_eq!(rig.disk.texts().len(), 10);
    assert!(rig.origins().iter().all(|origin| *origin == Origin::Snapshot));
    let span = spans(&rig)[0].clone();
    assert!(!span.at_start && span.at_end);
    rig.server.bob_says("live");
    rig.flow();
    assert_eq!(rig.disk.messages.last().unwrap().origin, Origin::Live);
    assert_eq!(spans(&rig).last().unwrap().after, span.hi.as_ref().map(|hi| hi.id.clone()));
}

#[test]
fn an_outage_is_filled_page_by_page_in_order_and_once() {
    let mut rig = behind(57);
    rig.run();
    assert_eq!(rig.disk.texts(), numbered(57));
    assert!(spans(&rig).last().unwrap().at_end);
}

#[test]
fn a_live_message_during_catch_up_stands_once_and_the_next_catch_up_misses_nothing() {
    let mut rig = behind(30);
    let mut n = 31;
    for step in 0..60 {
        rig.frame();
        rig.cut();
        rig.commit();
        if step % 5 == 0 {
            rig.server.bob_says(&format!("t{n}"));
            n += 1;
        }
    }
    rig.run();
    rig.lose();
    rig.server.killed(0);
    rig.server.bob_says(&format!("t{n}"));
    rig.connect();
    rig.run();
    assert_eq!(sorted(&rig), numbered(n));
}

#[test]
fn a_catch_up_that_was_cut_off_is_not_taken_for_one_that_had_everything() {
    let mut rig = Rig::online();
    rig.server.bob_says("t0");
    rig.flow();
    rig.lose();
    // The session goes on, but not all that was archived meanwhile is replayed in it.
    for n in 1..=35 {
        rig.server.archives(&format!("t{n}"));
    }
    rig.connect();
    rig.flow();
    rig.pass(2);
    while !rig.disk.texts().contains(&"t3") {
        assert!(rig.frame());
        rig.cut();
        rig.commit();
    }
    rig.lose();
    rig.server.bob_says("t36");
    rig.connect();
    rig.run();
    assert_eq!(rig.sent("<resume "), 2);
    assert_eq!(sorted(&rig), numbered(36));
}

#[test]
fn every_batch_of_a_page_says_what_it_follows_on() {
    let mut rig = behind(35);
    let before = rig.disk.batches.len();
    for step in 0..200 {
        rig.frame();
        if step % 3 == 0 {
            rig.cut();
            rig.commit();
        }
    }
    rig.run();
    let mut last = rig.server.archive[0].id.clone();
    for batch in &rig.disk.batches[before..] {
        let id = |m: &Arrival| m.server.as_ref().unwrap().id.rsplit('/').next().unwrap().to_owned();
        let ids: Vec<String> =
            batch.iter().filter_map(|e| if let Event::Message(m) = e { Some(id(m)) } else { None }).collect();
        let Some(first) = ids.first() else { continue };
        let span = batch.iter().find_map(|e| if let Event::Span(span) = e { Some(span) } else { None }).unwrap();
        assert_eq!((&span.lo.as_ref().unwrap().id, span.after.as_ref()), (first, Some(&last)));
        last = ids.last().unwrap().clone();
    }
    assert_eq!(last, rig.server.archive.last().unwrap().id);
}

#[test]
fn a_pruned_id_is_made_up_for_by_its_time() {
    let mut rig = filled(3);
    rig.connect();
    rig.run();
    rig.lose();
    rig.server.killed(0);
    for n in 3..9 {
        rig.server.bob_says(&format!("t{n}"));
    }
    rig.server.pruned = 4;
    rig.connect();
    rig.run();
    assert!(rig.sent("<field var='start'>") == 1);
    assert_eq!(rig.disk.texts(), ["t0", "t1", "t2", "t4", "t5", "t6", "t7", "t8"]);
}

#[test]
fn a_hole_is_filled_backwards_on_demand() {
    let mut rig = filled(25);
    rig.connect();
    rig.run();
    let above = spans(&rig)[0].lo.as_ref().map(|lo| lo.id.clone());
    let hole = FetchHole { archive: ME.into(), conversation: None, below: None, above: above.clone(), limit: 10 };
    rig.input(Input::Signal(Signal::Fetch(hole.clone())));
    rig.input(Input::Signal(Signal::Fetch(hole)));
    rig.flow();
    assert_eq!(rig.disk.texts().len(), 20);
    assert_eq!(rig.disk.messages.last().unwrap().origin, Origin::History);
    let span = *spans(&rig).last().unwrap();
    assert_eq!((&span.before, span.at_start), (&above, false));
    let above = span.lo.as_ref().map(|lo| lo.id.clone());
    let hole = FetchHole { archive: ME.into(), conversation: None, below: None, above, limit: 10 };
    rig.input(Input::Signal(Signal::Fetch(hole)));
    rig.flow();
    assert_eq!(rig.disk.texts().len(), 25);
    assert!(spans(&rig).last().unwrap().at_start);
}

#[test]
fn an_account_without_an_archive_still_catches_up() {
    let mut rig = Rig::new();
    rig.server.no_mam = true;
    rig.connect();
    rig.run();
    assert!(rig.disk.events.contains(&Event::CaughtUp));
    let row = rig.say("hello");
    rig.run();
    assert_eq!(rig.state(row), RowState::Sent);
}

#[test]
fn cut_at_any_point_of_a_catch_up_everything_stands_once() {
    for cut in 0..90 {
        let mut rig = behind(35);
        for step in 0..cut {
            rig.frame();
            if step % 3 == 0 {
                rig.cut();
            }
            if step % 7 == 0 {
                rig.commit();
            }
        }
        if cut % 2 == 0 {
            rig.lose()
        } else {
            rig.crash()
        }
        if cut % 5 == 0 {
            rig.server.killed(0);
        }
        rig.connect();
        rig.run();
        assert_eq!(rig.disk.texts(), numbered(35), "cut after {cut} frames");
    }
}

/// On a link too slow for a page a connection, only so many frames come before it breaks. As the driver does it, a batch is
/// cut once there is something in it.
fn carry(rig: &mut Rig, frames: usize) {
    for _ in 0..frames {
        rig.frame();
        if !rig.filling.is_empty() {
            rig.cut();
        }
        rig.commit();
    }
    rig.lose();
}

#[test]
fn a_link_that_never_lives_for_a_whole_page_still_catches_up() {
    for frames in 20..28 {
        let mut rig = behind(150);
        rig.server.page_cap = 40;
        for _ in 0..60 {
            carry(&mut rig, frames);
            rig.connect();
        }
        assert_eq!(rig.disk.texts(), numbered(150), "{frames} frames a connection");
        rig.run();
        rig.server.bob_says("t151");
        rig.run();
        assert_eq!(rig.disk.texts(), numbered(151));
        assert_eq!(rig.refused(), 0);
    }
}

#[test]
fn a_page_from_before_the_break_says_nothing_about_what_was_sent_after_it() {
    let mut rig = behind(5);
    while !rig.disk.texts().contains(&"t2") {
        assert!(rig.frame());
        rig.cut();
        rig.commit();
    }
    // The server has it, behind the page, and says so; but neither is on disk when the connection breaks.
    let row = rig.say("once");
    while rig.frame() {}
    rig.lose();
    assert_eq!(rig.state(row), RowState::Open);
    rig.connect();
    rig.run();
    assert_eq!((rig.state(row), rig.sent("<resume "), rig.sent("<body>once")), (RowState::Sent, 2, 1));
}

#[test]
fn what_came_live_in_a_later_catch_up_that_is_forgotten_is_not_said_to_follow_on_the_page_before_it() {
    let mut rig = Rig::online();
    rig.server.bob_says("t1");
    rig.flow();
    // A new session, and the page of its catch-up on its way when the last batch is cut.
    rig.lose();
    rig.server.killed(0);
    rig.connect();
    rig.until(|rig| rig.sent("<after>") != 0);
    let row = rig.say("once");
    rig.cut();
    // That the server has the row is told and not on disk when this breaks.
    for _ in 0..2 {
        rig.lose();
        rig.connect();
        rig.until(|rig| rig.xmpp.session.ready);
    }
    // The page comes, the row is looked for anew, a message comes live: and nothing of it reaches the disk.
    rig.server.bob_says("t2");
    let looked = rig.sent("<after>");
    let here = |event: &Event| matches!(event, Event::Message(arrival) if arrival.text == "t2");
    rig.until(|rig| rig.filling.iter().any(here));
    assert!(rig.sent("<after>") > looked);
    rig.lose();
    rig.connect();
    rig.run();
    assert_eq!((rig.state(row), rig.sent("<body>once")), (RowState::Sent, 1));
    assert_eq!(rig.disk.messages.len(), 3);
}

#[test]
fn a_page_that_never_comes_is_asked_for_anew() {
    let mut rig = behind(5);
    rig.server.mam_silent = 1;
    rig.run();
    assert!(rig.disk.texts().len() < 6);
    for _ in 0..4 {
        rig.lose();
        rig.connect();
        rig.run();
    }
    assert_eq!(rig.disk.texts(), numbered(5));
}

#[test]
fn while_its_archive_fails_an_account_does_not_count_as_caught_up_and_afterwards_nothing_is_missing() {
    let mut rig = behind(3);
    rig.server.mam_fails = 15;
    for _ in 0..5 {
        rig.run();
    }
    rig.server.bob_says("t4");
    rig.run();
    assert!(rig.xmpp.session.ready && !rig.xmpp.session.caught_up);
    for _ in 0..6 {
        rig.pass(60);
        rig.run();
    }
    assert!(rig.xmpp.session.caught_up);
    assert_eq!(sorted(&rig), numbered(4));
}

//! Sleep: announced by logind and by nobody, with one account and with many. How soon the first new message is here.

use crate::faults::wire;
use crate::machine::{Bus, Logind};
use crate::scene::{Scene, is_long, probe, probe_timeout};
use crate::support::{eventually, number, skip};
use rustix::process::Signal;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// From waking to the first new message.
const FIRST_WITHIN: Duration = Duration::from_secs(6);

#[test]
fn sleep_that_logind_announces_is_said_goodbye_to_and_the_first_message_comes_soon_after_waking() {
    let Some(net) = wire() else { return };
    let Some(bus) = Bus::start() else { return skip("network", "dbus-daemon is not installed") };
    let logind = Logind::on(&bus);
    let mut scene = Scene::with(net, |_| (), |command| bus.is_for(command));
    let names = scene.more_accounts(accounts());
    let mut waits = Vec::new();
    for round in 0..3 {
        all_online(&scene, &names);
        eventually("sleep is held up", || logind.is_held().then_some(()));
        logind.prepare(true);
        scene.noticed();
        assert_eq!(scene.anna.status("anna")["last_error"]["code"], "sleeping");
        eventually("sleep may go on", || (!logind.is_held()).then_some(()));
        scene.daemon.process.signal(Signal::STOP);
        let texts = written_to_all(&scene, &names, round);
        scene.daemon.process.signal(Signal::CONT);
        logind.prepare(false);
        waits.extend(first_messages(&mut scene, &texts));
    }
    show("wake_by_logind", waits);
    scene.truth.held();
}

/// How many further accounts sleep with anna's.
fn accounts() -> usize {
    usize::try_from(number("WAKEFUL_NETWORK_ACCOUNTS", if is_long() { 40 } else { 8 })).unwrap()
}

fn all_online(scene: &Scene, names: &[String]) {
    scene.online();
    for name in names {
        scene.anna.wait_state(name, "online");
    }
}

/// Ben writes something of its own to each.
fn written_to_all(scene: &Scene, names: &[String], round: u32) -> Vec<String> {
    let texts: Vec<String> = names.iter().map(|name| format!("{name} asleep {round}")).collect();
    for (name, text) in names.iter().zip(&texts) {
        scene.ben_tells(name, text);
    }
    texts
}

/// None took too long.
fn show(name: &str, mut waits: Vec<Duration>) {
    waits.sort();
    let at = |part: usize| waits[(waits.len() * part / 100).min(waits.len() - 1)];
    let (count, p50, p99, worst) = (waits.len(), at(50).as_millis(), at(99).as_millis(), at(100));
    println!("FIGURE {name} samples={count} p50_ms={p50} p99_ms={p99} worst_ms={}", worst.as_millis());
    assert!(worst <= FIRST_WITHIN, "the first message came only after {worst:?}");
}

/// How long each of these texts takes to come, from now.
fn first_messages(scene: &mut Scene, texts: &[String]) -> Vec<Duration> {
    let woke = Instant::now();
    let seen: RefCell<BTreeMap<String, Duration>> = RefCell::default();
    scene.watch.wait("a message in each account", |message| {
        let text = message["text"].as_str().filter(|text| texts.iter().any(|wanted| wanted == text));
        if let Some(text) = text {
            seen.borrow_mut().entry(text.to_owned()).or_insert_with(|| woke.elapsed());
        }
        seen.borrow().len() == texts.len()
    });
    seen.into_inner().into_values().collect()
}

#[test]
fn a_sleeping_machine_finds_the_messages_it_missed_when_it_wakes() {
    let Some(net) = wire() else { return };
    let mut scene = Scene::new(net);
    scene.online();
    scene.daemon.process.signal(Signal::STOP);
    scene.ben_says("while asleep");
    std::thread::sleep(probe() * 2 + probe_timeout());
    scene.daemon.process.signal(Signal::CONT);
    let woke = Instant::now();
    scene.anna_hears(&["while asleep"]);
    println!("FIGURE wake back_ms={}", woke.elapsed().as_millis());
    assert!(woke.elapsed() <= FIRST_WITHIN);
    assert_eq!(scene.anna_has(), ["while asleep"]);
    scene.truth.held();
}

/// The machine sleeps unannounced for so long that the server and the wire have given its connections up.
#[test]
fn connections_that_died_during_a_sleep_are_replaced_when_it_ends_and_nothing_is_missing() {
    let Some(net) = wire() else { return };
    let Some(bus) = Bus::start() else { return skip("network", "dbus-daemon is not installed") };
    let logind = Logind::on(&bus);
    let mut scene = Scene::with(net, |_| (), |command| bus.is_for(command));
    let names = scene.more_accounts(accounts());
    let mut waits = Vec::new();
    for round in 0..if is_long() { 3 } else { 1 } {
        all_online(&scene, &names);
        scene.daemon.process.signal(Signal::STOP);
        scene.break_with(crate::net::Fault::Blackhole);
        let texts = written_to_all(&scene, &names, round);
        // The hub's retransmissions grow apart meanwhile: the old connections would take seconds to speak again.
        std::thread::sleep(Duration::from_secs(10));
        scene.daemon.process.signal(Signal::CONT);
        scene.heal();
        logind.prepare(false);
        waits.extend(first_messages(&mut scene, &texts));
    }
    show("wake_dead_connections", waits);
    scene.truth.held();
}

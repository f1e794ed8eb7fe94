//! Each way in which a network fails: it is noticed in time, told truthfully, and afterwards nothing is missing.

use crate::net::{Fault, Lossy, Net};
use crate::scene::{Account, SLACK, Scene, notice_limit};
use crate::support::skip;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Two hosts, or the reason why not.
pub(crate) fn wire() -> Option<Net> {
    let net = Net::new();
    if net.is_none() {
        skip("network", "no network namespaces here (needs root, iproute2, nftables)");
    }
    net
}

/// The wire fails in this way under a link that was proven, and heals.
fn survives(fault: Fault) {
    let Some(net) = wire() else { return };
    survives_on(&mut Scene::new(net), fault);
}

/// The same in a scene that may have seen other faults before.
pub(crate) fn survives_on(scene: &mut Scene, fault: Fault) {
    scene.online();
    let (annas, bens) = (scene.anna_has(), scene.ben_has());
    scene.ben_says("before");
    scene.anna_hears(&["before"]);

    scene.break_with(fault);
    let noticed = scene.noticed();
    assert!(noticed <= notice_limit(), "{fault:?} was noticed only after {noticed:?}");
    for text in ["one", "two", "three"] {
        scene.ben_says(text);
    }
    scene.anna_says("from the dark");

    scene.heal();
    let healed = Instant::now();
    scene.anna_hears(&["one", "two", "three"]);
    let back = healed.elapsed();
    scene.ben_hears("from the dark");
    assert_eq!(scene.anna_has()[annas.len()..], ["before", "one", "two", "three"]);
    assert_eq!(scene.ben_has()[bens.len()..], ["from the dark"]);
    scene.truth.held();
    println!("FIGURE {fault:?} noticed_ms={} back_ms={}", noticed.as_millis(), back.as_millis());
}

/// Anna knows the server by a name.
pub(crate) fn named(name: &'static str) -> impl Fn(&mut Account) {
    move |account| {
        let port = account.url.rsplit(':').next().unwrap().to_owned();
        account.url = format!("ws://{name}:{port}");
    }
}

#[test]
fn packets_that_vanish_both_ways_are_noticed_and_nothing_is_missing_afterwards() {
    survives(Fault::Blackhole);
}

#[test]
fn packets_that_vanish_on_the_way_up_are_noticed_although_the_server_is_heard() {
    survives(Fault::BlackholeUp);
}

#[test]
fn packets_that_vanish_on_the_way_down_are_noticed() {
    survives(Fault::BlackholeDown);
}

#[test]
fn resets_are_noticed_and_nothing_is_missing_afterwards() {
    survives(Fault::Reset);
}

#[test]
fn an_unreachable_host_is_noticed_and_nothing_is_missing_afterwards() {
    survives(Fault::Unreachable);
}

#[test]
fn a_cable_that_comes_back_is_noticed_from_the_kernel_and_not_from_a_timer() {
    let Some(net) = wire() else { return };
    let mut scene = Scene::new(net);
    scene.online();
    for round in 0..3 {
        scene.net.cable(false);
        scene.truth.broken(true);
        scene.noticed();
        let text = format!("while away {round}");
        scene.ben_says(&text);
        scene.net.cable(true);
        scene.truth.broken(false);
        let plugged = Instant::now();
        scene.anna_hears(&[&text]);
        let back = plugged.elapsed();
        println!("FIGURE cable back_ms={}", back.as_millis());
        assert!(back <= Duration::from_secs(3) + SLACK, "back only after {back:?}");
        scene.online();
    }
    scene.truth.held();
}

#[test]
fn a_dead_ipv6_path_costs_a_quarter_second_and_not_a_whole_timeout() {
    let Some(net) = wire() else { return };
    net.client.etc("hosts", &format!("{} hub.test\n{} hub.test\n127.0.0.1 localhost\n", net.server.ip6, net.server.ip));
    net.kill_ipv6();
    let mut scene = Scene::with(net, named("hub.test"), |_| ());
    scene.online();
    scene.ben_says("over four");
    scene.anna_hears(&["over four"]);
    assert_eq!(scene.anna.status("anna")["attempts"], 0);
    scene.truth.held();
}

#[test]
fn a_resolver_that_hangs_is_named_and_does_not_hold_up_the_exit() {
    let Some(net) = wire() else { return };
    net.client.etc("resolv.conf", "nameserver 10.77.255.254\noptions timeout:30\n");
    let mut scene = Scene::with(net, named("hub.nowhere.test"), |_| ());
    scene.truth.broken(true);
    scene.anna.wait_state("anna", "dialing");
    scene.truth.held();
    let asked = Instant::now();
    assert!(scene.daemon.process.stop().success());
    assert!(asked.elapsed() <= Duration::from_secs(2) + SLACK / 3, "stopped only after {:?}", asked.elapsed());
    println!("FIGURE exit_while_dns_hangs_ms={}", asked.elapsed().as_millis());
}

#[test]
fn a_wire_that_loses_doubles_and_reorders_packets_changes_nothing_in_the_messages() {
    let bad = Lossy { delay_ms: 5, jitter_ms: 20, loss: 0.03, twice: 0.05, seed: 7 };
    let Some(net) = Net::lossy(bad) else {
        return skip("network", "no TUN devices here (needs root and /dev/net/tun)");
    };
    let mut scene = Scene::new(net);
    scene.online();
    let texts: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    for text in &texts {
        scene.ben_says(text);
        scene.anna_says(text);
    }
    scene.anna_hears(&[texts.last().unwrap()]);
    scene.ben_hears(texts.last().unwrap());
    assert_eq!(scene.anna_has(), texts);
    assert_eq!(scene.ben_has(), texts);
    scene.truth.held();
}

/// The server is killed and comes back, is frozen and thaws.
pub(crate) fn survives_the_servers_trouble(scene: &mut Scene) {
    scene.online();
    let (annas, bens) = (scene.anna_has().len(), scene.ben_has().len());
    scene.ben_says("a");
    scene.anna_hears(&["a"]);
    scene.kill_server();
    scene.noticed();
    scene.anna_says("b");
    scene.server_up();
    scene.ben_hears("b");
    scene.online();
    scene.signal_server(Signal::STOP);
    let noticed = scene.noticed();
    assert!(noticed <= notice_limit(), "a frozen server was noticed only after {noticed:?}");
    scene.anna_says("c");
    scene.signal_server(Signal::CONT);
    scene.ben_hears("c");
    assert_eq!(scene.anna_has()[annas..], ["a"]);
    assert_eq!(scene.ben_has()[bens..], ["b", "c"]);
    scene.truth.held();
}

#[test]
fn a_hub_that_is_killed_frozen_and_restarted_loses_nothing_of_what_it_acknowledged() {
    let Some(net) = wire() else { return };
    survives_the_servers_trouble(&mut Scene::new(net));
}

/// On a Prosody: the same faults, one after the other.
fn prosody() -> Option<Scene> {
    let scene = Scene::on_prosody(wire()?);
    if scene.is_none() {
        skip("network", "Prosody is not installed");
    }
    scene
}

#[test]
fn on_prosody_vanishing_packets_and_resets_are_noticed_and_nothing_is_missing_afterwards() {
    let Some(mut scene) = prosody() else { return };
    for fault in [Fault::Blackhole, Fault::BlackholeUp, Fault::BlackholeDown, Fault::Reset] {
        survives_on(&mut scene, fault);
    }
}

#[test]
fn on_prosody_a_server_that_is_killed_frozen_and_restarted_loses_nothing() {
    let Some(mut scene) = prosody() else { return };
    survives_the_servers_trouble(&mut scene);
}

//! How long it takes from a message to `Notify` on the bus. Runs when `WAKEFUL_FIGURES` is set; `benches/notify` does that.

use crate::bus::Bus;
use crate::monitor::Monitor;
use crate::programmable::Programmable;
use crate::task::Task;
use std::time::{Duration, Instant};
use wakeful::notify::Settings;

fn wanted() -> bool {
    std::env::var_os("WAKEFUL_FIGURES").is_some()
}

fn report(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    eprintln!("{what}: p50 {:.2} ms, p99 {:.2} ms over {} messages", at(0.5), at(0.99), times.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_from_before_the_commit_to_notify_on_the_bus() {
    if !wanted() {
        return;
    }
    let Some(bus) = Bus::start() else { return };
    let _server = Programmable::on(&bus, &["body", "body-markup"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let task = Task::start(&bus, Settings { rate: 10_000, ..Settings::default() }).await;
    let mut times = Vec::new();
    for number in 0..300 {
        let start = Instant::now();
        task.message(&format!("p{number}"), "hello").await;
        times.push((monitor.notify(number + 1).await.at - start).as_secs_f64() * 1000.0);
    }
    report("commit (synchronous=FULL) and Notify", times.split_off(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_from_the_hub_to_notify_on_the_bus() {
    use crate::support::{Home, Hub};
    if !wanted() {
        return;
    }
    let samples = std::env::var("WAKEFUL_SAMPLES").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let Some(bus) = Bus::start() else { return };
    let _server = Programmable::on(&bus, &["body", "body-markup"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let hub = Hub::start();
    let (alice, bob) = (Home::with_account("alice", &hub), Home::with_account("bob", &hub));
    let _alice = alice.daemon();
    let _bob = bob.daemon_with(|command| bus.is_session_of(command));
    alice.wait_state("alice", "online");
    bob.wait_state("bob", "online");
    let mut shown = Vec::new();
    for number in 0..samples {
        alice.run(&["send", "alice", "bob", &format!("message {number}"), "--wait", "sent"]).ok();
        shown.push(monitor.notify(number + 1).await.wall);
        tokio::time::sleep(Duration::from_millis(3_500)).await;
    }
    let mut sent: Vec<i64> = bob
        .history("bob")
        .iter()
        .map(|message| message["sent_at"].as_str().unwrap().parse::<wakeful::model::Timestamp>().unwrap().ms())
        .collect();
    sent.sort_unstable();
    let times = shown.iter().zip(sent).map(|(shown, sent)| (shown.ms() - sent) as f64).collect();
    report("accepted by the hub (its clock, whole ms) and Notify", times);
}

//! `mute`, `dnd`, `quiet`, what was decided, and the unread count, by the built program.

use crate::bus::Bus;
use crate::monitor::{Monitor, Seen};
use crate::programmable::Programmable;
use crate::support::{Home, Hub, Line, eventually};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_chosen_holds_over_a_restart_and_is_told_as_text_and_json() {
    let hub = Hub::start();
    let bob = Home::with_account("bob", &hub);
    let daemon = bob.daemon();
    assert_eq!(bob.run(&["quiet"]).ok().trim(), "no quiet hours");
    let set = bob.run(&["quiet", "22:00-07:30"]).ok();
    assert!(set.starts_with("quiet every day from 22:00 to 07:30"), "{set}");
    assert_eq!(bob.run(&["dnd"]).ok().trim(), "do not disturb is on");
    let muted = bob.run(&["mute", "bob", "--until", "2099-01-01", "--json"]).json();
    assert!(
        muted["accounts"]["bob"]["time"]
            .as_str()
            .is_some_and(|time| time.starts_with("2099") || time.starts_with("2098")),
        "{muted}"
    );
    daemon.kill9();
    let daemon = bob.daemon();
    let all = bob.run(&["quiet", "--json"]).json();
    assert_eq!((&all["quiet_hours"], &all["dnd"]), (&json!({"from": "22:00", "to": "07:30"}), &json!("forever")));
    let text = bob.run(&["quiet"]).ok();
    assert!(text.contains("do not disturb is on\naccount bob is muted until 20"), "{text}");

    assert_eq!(bob.run(&["quiet", "--off"]).ok().trim(), "no quiet hours");
    assert_eq!(bob.run(&["dnd", "--off", "--json"]).json()["dnd"], json!(null));
    bob.run(&["mute", "bob", "--off"]).ok();
    bob.configure("\n[notifications]\nquiet = { from = \"23:00\", to = \"06:00\" }\n");
    bob.run(&["reload"]).ok();
    assert_eq!(bob.run(&["quiet"]).ok().trim(), "no quiet hours", "chosen by hand goes before the file");
    let reset = bob.run(&["quiet", "--reset"]).ok();
    assert!(reset.starts_with("quiet every day from 23:00 to 06:00"), "{reset}");
    for wrong in [&["quiet", "22-7"][..], &["quiet", "22:00-22:00"], &["quiet", "--off", "--reset"]] {
        assert_eq!(bob.run(wrong).code, 2, "{wrong:?}");
    }
    let mut line = Line::connect(&bob.socket()).unwrap();
    let refused = line.ask("notify.quiet", &json!({"quiet": {"daily": {"from": 0, "to": 1440}}})).unwrap();
    assert_eq!(refused["error"]["data"]["code"], "bad_params", "{refused}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_told_the_unread_count_and_the_decisions_and_so_is_the_launcher() {
    let Some(bus) = Bus::start() else { return };
    let _server = Programmable::on(&bus, &["body"]).await;
    let mut monitor = Monitor::on(&bus).await;
    let hub = Hub::start();
    let (alice, bob) = (Home::with_account("alice", &hub), Home::with_account("bob", &hub));
    let _alice = alice.daemon();
    let daemon = bob.daemon_with(|command| bus.is_session_of(command));
    bob.wait_state("bob", "online");
    for text in ["one", "two"] {
        alice.run(&["send", "alice", "bob", text, "--wait", "sent"]).ok();
    }
    let told = |count: i64| {
        move |seen: &[Seen]| {
            seen.iter()
                .rev()
                .find_map(|one| match one {
                    Seen::Count(told) => Some(*told),
                    _ => None,
                })
                .filter(|told| *told == count)
        }
    };
    monitor.wait("the launcher's count", told(2)).await;
    let mut line = Line::connect(&bob.socket()).unwrap();
    let mut ask = |method: &str, params| line.ask(method, &params).unwrap()["result"].clone();
    assert_eq!(ask("unread", json!({})), json!({"unread": 2}));
    let shown = eventually("both decisions", || {
        let all = ask("notify.decisions", json!({"limit": 1_000}));
        let all = all.as_array().unwrap().clone();
        (all.iter().filter(|one| one["verdict"] == "shown").count() == 2).then_some(all)
    });
    assert_eq!((&shown[0]["why"], &shown[0]["account"]), (&json!("wanted"), &json!("bob")));
    let why = bob.run(&["why", shown[0]["message"].as_str().unwrap()]).ok();
    assert!(why.contains("shown") && why.contains("nothing spoke against it"), "{why}");
    bob.run(&["mark", "bob", "alice"]).ok();
    monitor.wait("the launcher's count", told(0)).await;
    assert_eq!(ask("unread", json!({})), json!({"unread": 0}));
    daemon.stop();
}

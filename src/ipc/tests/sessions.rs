//! Bad clients: garbage, giant lines, readers that do not read, strangers, and those that vanish.

use super::*;
use crate::ipc::wire::{AttentionSet, CursorOpen, FaultCode};
use crate::ipc::{BindError, ClientError};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

#[tokio::test]
async fn garbage_is_answered_and_the_same_connection_goes_on() {
    let house = House::new().await;
    let mut raw = house.raw().await;
    raw.write(b"\x00\xfe\xff{not json\n\n[]\n{\"jsonrpc\":\"1.0\"}\n").await;
    for code in ["parse", "invalid_request", "invalid_request"] {
        assert_eq!(raw.read().await["error"]["data"]["code"], code);
    }
    assert_eq!(raw.call("status", json!({})).await["result"]["accounts"][0]["name"], "ann");
    let mut seeds = fastrand::Rng::with_seed(1);
    for _ in 0..200 {
        let junk: Vec<u8> = (0..seeds.usize(1..400)).map(|_| seeds.u8(..)).filter(|byte| *byte != b'\n').collect();
        raw.write(&[junk.as_slice(), b"\n"].concat()).await;
    }
    raw.ask("accounts", json!({})).await;
    let last = loop {
        let answer = raw.read().await;
        if answer["result"].is_object() {
            break answer;
        }
    };
    assert_eq!(last["result"]["accounts"][0]["state"], "online");
}

#[tokio::test]
async fn a_giant_line_is_skipped_refused_once_and_never_kept() {
    let house = House::new().await;
    let mut raw = house.raw().await;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..20 {
        raw.write(&piece).await;
    }
    raw.write(b"\n").await;
    assert_eq!(raw.read().await["error"]["data"]["code"], "too_large");
    assert!(raw.call("status", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn a_request_without_an_id_is_carried_out_and_not_answered() {
    let house = House::new().await;
    house.conversation("team").await;
    let mut raw = house.raw().await;
    raw.write(b"{\"jsonrpc\":\"2.0\",\"method\":\"send\",\"params\":{\"conversation\":\"team\",\"text\":\"hi\"}}\n")
        .await;
    assert_eq!(raw.call("status", json!({})).await["id"], 1);
    assert_eq!(house.store.count(crate::model::Query::new(crate::model::Scope::All)).await.unwrap(), 1);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone_and_one_daemon() {
    let house = House::new().await;
    let mode = std::fs::metadata(house.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(bind(&house.socket()), Err(BindError::Taken(_))));
    let stopped = house.stop().await;
    assert!(stopped.dir.path().join("socket").exists(), "a killed daemon leaves its socket too");
    let house = stopped.start().await;
    house.client().await.status().await.unwrap();
}

#[tokio::test]
async fn what_is_not_a_socket_is_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&path), Err(BindError::Foreign(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_process_of_another_user_is_refused_with_a_reason() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let house = House::new().await;
    std::fs::set_permissions(house.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(house.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
        s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\\n')\n\
        print(s.makefile().read(), end='')";
    let mut child = std::process::Command::new("python3");
    child.args(["-c", script]).arg(house.socket()).uid(65_534).gid(65_534).current_dir("/");
    child.env_clear().env("PATH", "/usr/bin:/bin");
    let child = tokio::process::Command::from(child).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(10), child).await.expect("it is refused").unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("\"forbidden\"") && said.contains("65534"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!said.contains("accounts"));
    house.client().await.status().await.unwrap();
}

#[tokio::test]
async fn too_many_clients_are_refused_and_the_others_stay() {
    let house = House::with(Settings { clients: 2, ..Settings::default() }).await;
    let (first, second) = (house.client().await, house.client().await);
    first.status().await.unwrap();
    second.status().await.unwrap();
    let mut third = house.raw().await;
    assert_eq!(third.read().await["error"]["data"]["code"], "busy");
    drop(second);
    loop {
        let mut fourth = house.raw().await;
        if fourth.call("status", json!({})).await["result"].is_object() {
            break;
        }
    }
    first.status().await.unwrap();
}

#[tokio::test]
async fn a_client_that_never_reads_costs_bounded_memory_and_holds_nobody_up() {
    let house = House::new().await;
    house.conversation("team").await;
    let large = |n| Arrival { text: "x".repeat(20_000), ..arrival("team", n, Origin::Live) };
    house.apply((0..100).map(|n| Event::Message(Box::new(large(n)))).collect()).await;
    let mut lazy = house.raw().await;
    let before = rss();
    for _ in 0..2_000 {
        let request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"page\",\"params\":{\"batch\":1000}}\n";
        // Only as long as the daemon takes requests: it stops when its queue for this client is full.
        let write = lazy.writer.write_all(request.as_bytes());
        if tokio::time::timeout(Duration::from_millis(200), write).await.is_err() {
            break;
        }
    }
    let other = house.client().await;
    for _ in 0..400 {
        other.status().await.unwrap();
    }
    assert!(rss() < before + (32 << 20), "the queue of a client that does not read is bounded");
}

fn rss() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

#[tokio::test]
async fn too_many_waiting_requests_are_refused_at_once() {
    let house = House::with(Settings { waiting: 3, ..Settings::default() }).await;
    house.conversation("team").await;
    let client = house.client().await;
    let sent = client.send("ann", "team", "hi").await.unwrap();
    let mut raw = house.raw().await;
    for _ in 0..4 {
        raw.ask("outbox.wait", json!({"id": sent.id, "until": "sent", "timeout_ms": 60_000})).await;
    }
    assert_eq!(raw.read().await["error"]["data"]["code"], "busy");
}

#[tokio::test]
async fn attention_is_the_sum_of_all_clients_and_ends_with_their_sessions() {
    let mut house = House::new().await;
    let (team, pub_) = (house.conversation("team").await, house.conversation("pub").await);
    let (one, two) = (house.client().await, house.client().await);
    one.call(AttentionSet { conversation: Some(team), idle: false }).await.unwrap();
    two.call(AttentionSet { conversation: Some(pub_), idle: false }).await.unwrap();
    let both = Attention { attached: 2, looking: [team, pub_].into() };
    house.attention.wait_for(|attention| *attention == both).await.unwrap();
    two.call(AttentionSet { conversation: Some(pub_), idle: true }).await.unwrap();
    house.attention.wait_for(|attention| attention.looking == [team].into()).await.unwrap();
    drop((one, two));
    let ended = house.attention.wait_for(|attention| *attention == Attention::default());
    drop(tokio::time::timeout(Duration::from_secs(5), ended).await.expect("it ends with the session"));
    let last = std::iter::from_fn(|| house.signals.try_recv().ok()).last().unwrap();
    assert_eq!(last.signal, crate::model::Signal::Attention(Attention::default()));
}

#[tokio::test]
async fn attention_that_is_not_renewed_ends_although_the_client_stays() {
    let mut house = House::with(Settings { attention_lease: Duration::from_millis(150), ..Settings::default() }).await;
    let client = house.client().await;
    client.call(AttentionSet { conversation: None, idle: false }).await.unwrap();
    house.attention.wait_for(|attention| attention.attached == 1).await.unwrap();
    let ended = house.attention.wait_for(|attention| attention.attached == 0);
    drop(tokio::time::timeout(Duration::from_secs(5), ended).await.expect("the lease runs out"));
    client.status().await.unwrap();
}

#[tokio::test]
async fn a_thousand_cursors_are_open_at_once_and_all_go_with_their_session() {
    let mut house = House::new().await;
    let team = house.conversation("team").await;
    house.arrive("team", 0..300).await;
    let client = house.client().await;
    let open = CursorOpen { find: in_conversation(team), batch: Some(10), ..CursorOpen::default() };
    let mut cursors = Vec::new();
    for _ in 0..1_000 {
        cursors.push(client.call(open.clone()).await.unwrap().cursor.unwrap());
    }
    for cursor in &cursors {
        let next = crate::ipc::wire::CursorNext { cursor: *cursor, batch: Some(2), wait_ms: None };
        assert_eq!(texts(&client.call(next).await.unwrap().rows), ["289", "288"]);
    }
    for _ in 1_000..house.settings.cursors {
        client.call(open.clone()).await.unwrap();
    }
    let error = client.call(open.clone()).await.unwrap_err();
    assert_eq!(error.fault().unwrap().kind(), FaultCode::Busy);
    drop(client);
    let again = house.client().await;
    assert!(again.call(open).await.is_ok(), "another client has cursors of its own");
}

#[tokio::test]
async fn a_thousand_open_cursors_cost_a_bounded_memory_and_it_is_given_back_when_their_client_dies() {
    let mut house = House::new().await;
    let team = house.conversation("team").await;
    house.arrive("team", 0..300).await;
    let sockets = || std::fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(0);
    let open = |round: usize| CursorOpen {
        find: Find { text: round.is_multiple_of(10).then(|| "1".into()), ..in_conversation(team) },
        batch: Some(10),
        ..CursorOpen::default()
    };
    let (before, descriptors) = (rss(), sockets());
    for round in 0..6 {
        let client = house.client().await;
        for cursor in 0..1_000 {
            client.call(open(cursor)).await.unwrap();
        }
        // Nothing is closed: the client is gone between two requests.
        drop(client);
        let grown = rss().saturating_sub(before);
        assert!(grown < 24 << 20, "{grown} bytes after {} cursors", (round + 1) * 1_000);
    }
    while sockets() > descriptors + 4 {
        tokio::task::yield_now().await;
    }
    house.client().await.status().await.unwrap();
}

#[tokio::test]
async fn no_open_cursor_holds_the_write_ahead_log() {
    let mut house = House::new().await;
    let team = house.conversation("team").await;
    house.arrive("team", 0..300).await;
    let client = house.client().await;
    let open = CursorOpen { find: in_conversation(team), batch: Some(10), no_timeout: true, ..CursorOpen::default() };
    let mut cursors = Vec::new();
    for _ in 0..100 {
        cursors.push(client.call(open.clone()).await.unwrap().cursor.unwrap());
    }
    let other = house.database();
    let emptied = || -> bool {
        let busy: i64 = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        let log = std::fs::metadata(house.dir.path().join("wakeful.db-wal")).unwrap().len();
        busy == 0 && log == 0
    };
    let large = |n: u64| Arrival { text: "x".repeat(8_000), ..arrival("team", n, Origin::Live) };
    for round in 0..10 {
        let batch = (0..100).map(|n| Event::Message(Box::new(large(1_000 + round * 100 + n)))).collect();
        house.apply(batch).await;
        assert!(emptied(), "after {round} rounds with {} cursors in the middle of their reading", cursors.len());
    }
    for cursor in cursors {
        let next = crate::ipc::wire::CursorNext { cursor, batch: Some(2), wait_ms: None };
        assert_eq!(texts(&client.call(next).await.unwrap().rows), ["289", "288"]);
    }
    // The same with a transaction held open, as a cursor that were a statement would: the log cannot be emptied.
    let held = house.database();
    held.execute_batch("BEGIN; SELECT count(*) FROM message").unwrap();
    house.apply(vec![Event::Message(Box::new(large(9_000)))]).await;
    assert!(!emptied(), "this test can fail");
}

#[tokio::test]
async fn without_a_daemon_the_client_says_where_it_looked() {
    let dir = tempfile::tempdir().unwrap();
    let error = Client::connect(&dir.path().join("socket")).await.unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon { .. }));
}

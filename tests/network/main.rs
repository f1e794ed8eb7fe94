//! The daemon on networks that fail: two hosts in namespaces, the built binary on both, real packets that vanish.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod faults;
mod net;
mod scene;
#[path = "../support/mod.rs"]
mod support;

use net::{Fault, Lossy, Net};

fn reaches(net: &Net) -> bool {
    let mut server = net.server.command("python3");
    server
        .args(["-c", "import socket; s = socket.create_server(('', 7000)); s.settimeout(5); s.accept()[0].send(b'x')"]);
    let mut server = server.spawn().unwrap();
    let script = format!(
        "import socket, time\nfor _ in range(20):\n try:\n  s = socket.create_connection(('{}', 7000), 2); break\n \
         except ConnectionRefusedError: time.sleep(0.05)\ns.settimeout(2); exit(s.recv(1) != b'x')",
        net.server.ip
    );
    let mut client = net.client.command("python3");
    let reached = client.args(["-c", &script]).stderr(std::process::Stdio::null()).status().unwrap().success();
    server.kill().ok();
    server.wait().ok();
    reached
}

#[test]
fn the_harness_itself_a_fault_stops_packets_and_healing_lets_them_through() {
    let Some(net) = Net::new() else { return };
    assert!(reaches(&net));
    for fault in [Fault::Blackhole, Fault::BlackholeUp, Fault::BlackholeDown, Fault::Reset, Fault::Unreachable] {
        net.break_with(fault);
        assert!(!reaches(&net), "{fault:?}");
    }
    net.heal();
    assert!(reaches(&net));
    net.cable(false);
    assert!(!reaches(&net));
    net.cable(true);
    assert!(reaches(&net));
}

#[test]
fn the_harness_itself_a_bad_wire_still_carries_tcp() {
    let bad = Lossy { delay_ms: 5, jitter_ms: 10, loss: 0.05, twice: 0.1, seed: 1 };
    let Some(net) = Net::lossy(bad) else { return };
    assert!(reaches(&net));
}
